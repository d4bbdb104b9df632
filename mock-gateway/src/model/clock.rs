//! What time the gateway thinks it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A source of wall-clock time for everything the gateway stamps, expires or locks out.
///
/// Timers (ticks, handshake timeouts, delays) run on `tokio::time`; this clock is for the numbers that
/// appear on the wire and for the ages computed from them.
///
/// A gateway whose clock is wrong:
///
/// ```
/// use openclaw_mock_gateway::{Clock, MockGateway};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// Has stood still since 1970.
/// struct Stopped;
///
/// impl Clock for Stopped {
///     fn now_ms(&self) -> u64 {
///         1_000
///     }
/// }
///
/// let gateway = MockGateway::builder().clock(Stopped).start().await;
/// assert_eq!(gateway.now_ms(), 1_000);
/// # Ok(())
/// # }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// The default clock: the system's time at its creation, carried on by `tokio::time`, so that it also
/// moves when a test pauses and advances tokio's clock.
///
/// ```
/// use std::time::Duration;
///
/// use openclaw_mock_gateway::{MockGateway, TokioClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = TokioClock::starting_at(1_795_000_000_000);
/// let gateway = MockGateway::builder().clock(clock).start().await;
/// // Five minutes on: requests for approval have expired.
/// gateway.advance_clock(Duration::from_secs(300));
/// assert!(gateway.now_ms() >= 1_795_000_300_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokioClock {
    epoch_ms: u64,
    started: Instant,
}

impl TokioClock {
    /// A clock that shows the system's time now.
    #[must_use]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::starting_at(millis(since_epoch))
    }

    /// A clock that shows `epoch_ms` milliseconds since the Unix epoch now.
    #[must_use]
    pub fn starting_at(epoch_ms: u64) -> Self {
        Self {
            epoch_ms,
            started: Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now_ms(&self) -> u64 {
        self.epoch_ms.saturating_add(millis(self.started.elapsed()))
    }
}

/// A [`Clock`] with the shift that [`advance_clock`](crate::MockGateway::advance_clock) adds to it.
pub(crate) struct ShiftedClock {
    engine: Arc<dyn Clock>,
    shift_ms: AtomicU64,
}

impl ShiftedClock {
    pub(crate) fn new(engine: Arc<dyn Clock>) -> Self {
        Self {
            engine,
            shift_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.engine
            .now_ms()
            .saturating_add(self.shift_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.shift_ms.fetch_add(millis(by), Ordering::Relaxed);
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_moves_with_tokio_and_with_the_shift() {
        let clock = ShiftedClock::new(Arc::new(TokioClock::starting_at(1_000)));
        assert_eq!(clock.now_ms(), 1_000);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now_ms(), 1_250);
        clock.advance(Duration::from_secs(300));
        assert_eq!(clock.now_ms(), 301_250);
    }
}
