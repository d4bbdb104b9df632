//! The handle that a backend holds.

pub(crate) mod call;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::call::{RawCall, TypedCall};
use crate::base::secret::Token;
use crate::config::Config;
use crate::driver::call::Control;
use crate::driver::handle::Handle;
use crate::driver::shared::Shared;
use crate::driver::stats::Stats;
use crate::driver::subscriptions::Watched;
use crate::driver::supervisor::{self, Ends};
use crate::event::{EventFilter, EventStream, Hub};
use crate::logic::credentials::Secret;
use crate::logic::error::Error;
use crate::logic::state::ConnectionState;
use crate::protocol::Hello;
use crate::protocol::method::Method;
use crate::telemetry::spans::Server;

/// A connection to one gateway that looks after itself.
///
/// A cheap clone: all clones share one connection and one task. The task ends with
/// [`close`](Self::close), or when the last clone is dropped.
///
/// ```
/// use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// use openclaw_mock_gateway::MockGateway;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = MockGateway::start().await;
/// let config = Config::builder()
///     .url(gateway.local_url())
///     .token(Token::new(gateway.token())?)
///     .store(MemoryStore::new())
///     .build()?;
///
/// let client = Client::start(config);
/// let hello = client.ready().await?;
/// assert_eq!(hello.protocol, 4);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Handle>,
}

/// A client, unless it is gone.
#[derive(Clone, Debug)]
pub(crate) struct WeakClient {
    inner: Weak<Handle>,
}

impl WeakClient {
    pub(crate) fn upgrade(&self) -> Option<Client> {
        let inner = self.inner.upgrade()?;
        Some(Client { inner })
    }
}

/// Calls and runs that [`Client::drain`] could not wait for.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("Two are open."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// # let mut run = client.agent().run("billing", "How many are open?").await?;
/// // The end of a service: calls and runs in flight may end, within half a minute.
/// let left = client.drain(Duration::from_secs(30)).await;
/// if !left.is_complete() {
///     eprintln!("{} calls and {} runs were left alone", left.calls, left.runs);
/// }
/// # assert_eq!(run.outcome().await.answer(), Some("Two are open."));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drained {
    /// Calls that were still unanswered; they ended with [`Error::Closed`].
    pub calls: usize,
    /// Runs that were still going on. The gateway goes on with them.
    pub runs: usize,
}

impl Drained {
    /// Returns true if everything ended in time.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.calls == 0 && self.runs == 0
    }
}

impl Client {
    /// Starts a client and returns at once. Its task dials, waits for approval and reconnects from
    /// here on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and I/O enabled, as [`tokio::spawn`] does.
    #[must_use = "the connection ends when the last handle is dropped"]
    pub fn start(config: Config) -> Self {
        let (control, control_end) = mpsc::unbounded_channel();
        let (calls, calls_end) = mpsc::channel(config.command_capacity);
        let (state_end, state) = watch::channel(ConnectionState::Connecting { attempt: 1 });
        let shared = Arc::new(Shared::new(Hub::new(config.event_bounds)));
        let inner = Handle {
            control,
            calls,
            state,
            shared: Arc::clone(&shared),
            load: Arc::default(),
            watched: Arc::default(),
            last_id: AtomicU64::new(0),
            request_timeout: config.request_timeout,
            when_down: config.when_down,
            trace_context: config.trace_context.clone(),
            server: Server::of(&config.endpoint),
        };
        tokio::spawn(supervisor::run(
            config,
            Ends {
                control: control_end,
                calls: calls_end,
                state: state_end,
                shared,
            },
        ));
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts a client and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). The client is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the client.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let client = Self::start(config);
        client.ready().await?;
        Ok(client)
    }

    /// Waits until the connection is good, however long that takes, if need be for the attempt that was just
    /// asked for by [`retry_now`](Self::retry_now), [`set_token`](Self::set_token) or
    /// [`set_password`](Self::set_password).
    ///
    /// # Errors
    ///
    /// Why the client has stopped, if it has: [`Error::PairingRequired`], [`Error::Refused`],
    /// [`Error::UpgradeRefused`], [`Error::Identity`] or [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on by itself.
    pub async fn ready(&self) -> Result<Arc<Hello>, Error> {
        self.inner.ready().await
    }

    /// Returns a receiver of the client's state, now and later. A slow watcher sees the latest state, not
    /// every one; [`ConfigBuilder::on_state`](crate::ConfigBuilder::on_state) sees them all.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.inner.state.clone()
    }

    /// Ends the present wait, for approval or between attempts, and tries again at once. A client
    /// that has stopped starts over, unless it was closed. It returns at once; a [`ready`](Self::ready) after
    /// it waits for what comes of it, while [`state`](Self::state) still shows the stop for a moment.
    pub fn retry_now(&self) {
        let _ = self.inner.control.send(Control::RetryNow);
    }

    /// Gives the client another shared token, for a secret that does not live in a file. It goes in the place
    /// of whatever the client logs in with: a token, the content of a token file, or a password. For a
    /// gateway in password mode there is [`set_password`](Self::set_password).
    ///
    /// A good connection stays; a client that has stopped for its token or password goes on at once. A
    /// [`ready`](Self::ready) after it waits for what comes of it, as after [`retry_now`](Self::retry_now).
    /// Where the configuration names a token file, that file is read again when the gateway refuses what was
    /// given here, and goes in its place.
    ///
    /// ```
    /// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
    /// # use openclaw_mock_gateway::MockGateway;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = MockGateway::start().await;
    /// # let from_the_vault = gateway.token();
    /// # let config = Config::builder()
    /// #     .url(gateway.local_url())
    /// #     .token(Token::new("yesterdays-token")?)
    /// #     .store(MemoryStore::new())
    /// #     .build()?;
    /// let client = Client::start(config);
    /// assert!(client.ready().await.is_err(), "the gateway has another token by now");
    /// client.set_token(Token::new(from_the_vault)?);
    /// client.ready().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_token(&self, token: Token) {
        self.set_secret(Secret::Token(token));
    }

    /// Gives the client another password, for a gateway in password mode. It goes in the place of whatever
    /// the client logs in with: a password, a token, or the content of a token file.
    ///
    /// All else is as with [`set_token`](Self::set_token).
    pub fn set_password(&self, password: Token) {
        self.set_secret(Secret::Password(password));
    }

    fn set_secret(&self, secret: Secret) {
        let _ = self.inner.control.send(Control::SetSecret(secret));
    }

    /// Calls a typed [`Method`]; `.await` makes the call.
    ///
    /// The call is made once: nothing is repeated behind the caller's back. Only where a gateway
    /// that drains says that it has not begun, and when to ask again, the call is held and asked
    /// again within its deadline ([`WhenDown::Wait`](crate::WhenDown::Wait)). The deadline is
    /// [`ConfigBuilder::request_timeout`](crate::ConfigBuilder::request_timeout), or
    /// [`TypedCall::within`].
    ///
    /// # Errors
    ///
    /// Exactly one of: [`Error::Call`] if the gateway refuses; [`Error::Timeout`] and
    /// [`Error::Disconnected`], which say whether the call was sent; before anything is sent,
    /// [`Error::TooLarge`], [`Error::Unsupported`], [`Error::UnsupportedParameter`],
    /// [`Error::HeldBack`] and [`Error::Draining`]; [`Error::Data`] if the parameters cannot be
    /// written as JSON, and then nothing is sent, or if the answer has another shape; the reason, if
    /// the client has stopped, as [`ready`](Self::ready) has it; [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the call up and leaves nothing behind. Whether the gateway acts on
    /// it is then unknown.
    ///
    /// # Examples
    ///
    /// With [`TypedCall`]; a method of one's own with [`Method`].
    pub const fn call<M: Method>(&self, method: M) -> TypedCall<'_, M> {
        TypedCall::new(self, method)
    }

    /// Calls a method by its name and returns the answer's payload; `null` if it has none.
    ///
    /// Of a method with two answers (`agent`) it returns the first one.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// # Examples
    ///
    /// ```
    /// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
    /// # use openclaw_mock_gateway::MockGateway;
    /// use std::time::Duration;
    ///
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = MockGateway::start().await;
    /// # let config = Config::builder()
    /// #     .url(gateway.local_url())
    /// #     .token(Token::new(gateway.token())?)
    /// #     .store(MemoryStore::new())
    /// #     .build()?;
    /// # let client = Client::connect(config).await?;
    /// let health = client
    ///     .call_raw("health", json!({}))
    ///     .within(Duration::from_secs(5))
    ///     .await?;
    /// assert_eq!(health["ok"], true);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn call_raw<'a, P: Serialize>(&'a self, name: &'a str, params: P) -> RawCall<'a, P> {
        RawCall::new(self, name, params)
    }

    /// Subscribes to all events from now on, across reconnects.
    pub fn events(&self) -> EventStream {
        self.events_where(EventFilter::all())
    }

    /// Subscribes to the events that a filter lets through, across reconnects.
    pub fn events_where(&self, filter: EventFilter) -> EventStream {
        self.inner.shared.hub.subscribe(filter)
    }

    /// The events that name a run.
    pub(crate) fn run_events(&self, run_id: &str) -> EventStream {
        self.inner.shared.hub.subscribe_to_run(run_id)
    }

    /// Counts of what the client holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Handle { shared, load, .. } = &*self.inner;
        let counters = &shared.counters;
        Stats {
            calls: load.calls(),
            unanswered: counters.unanswered.load(Ordering::Relaxed),
            runs: load.runs(),
            event_streams: shared.hub.len(),
            held_back: shared.breaker(|breaker| breaker.len()),
            connections: counters.connections.load(Ordering::Relaxed),
            strays: counters.strays.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Handle> {
        &self.inner
    }

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// The registry of watched sessions.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.inner.watched
    }

    /// Lets calls and runs in flight end, and closes: new calls fail with [`Error::Draining`]
    /// from here on; calls and runs in flight are waited for, at most `within`. What a restart of
    /// the gateway interrupts is waited for as well. It cannot be undone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the waiting; the client stays open and begins nothing new.
    pub async fn drain(&self, within: Duration) -> Drained {
        let load = &self.inner.load;
        load.drain();
        // Past the deadline, the rest is counted.
        let _ = timeout(within, load.idle()).await;
        let left = Drained {
            calls: load.calls(),
            runs: load.runs(),
        };
        self.close().await;
        left
    }

    /// Ends the connection and the client, for all its clones. Returns when the socket is closed,
    /// after a second at the most, whatever the gateway or the disk do.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client closes all the same.
    pub async fn close(&self) {
        let _ = self.inner.control.send(Control::Close);
        self.inner.shared.closing.notify_one();
        let mut state = self.inner.state.clone();
        // The sender goes when the task ends; that is the end, whatever the last state was.
        while state.changed().await.is_ok() {}
    }
}
