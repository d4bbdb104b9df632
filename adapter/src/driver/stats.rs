//! Counts of what a client holds, for a health page or a test.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// What a client holds right now; from [`Client::stats`](crate::Client::stats).
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// let client = Client::connect(config).await?;
/// let events = client.events();
/// assert_eq!(client.stats().event_streams, 1);
/// drop(events);
/// assert_eq!(client.stats().event_streams, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls whose callers wait: for a connection, in the queue, or for an answer.
    pub calls: usize,
    /// Of these, the calls that were written and not answered yet.
    pub unanswered: usize,
    /// Runs that are followed.
    pub runs: usize,
    /// Event streams, those of runs included.
    pub event_streams: usize,
    /// Methods that are held back because the gateway refuses them for good.
    pub held_back: usize,
    /// Connections that reached hello-ok since the start.
    pub connections: u64,
    /// Frames that were no frame, or answers that nobody waited for, since the start.
    pub strays: u64,
}

/// What the supervisor counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) unanswered: AtomicUsize,
    pub(crate) connections: AtomicU64,
    pub(crate) strays: AtomicU64,
}
