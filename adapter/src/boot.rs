//! Whether a gateway's process is still the one of the last connection. No I/O, no clock.

use std::time::{Duration, Instant};

use crate::event::ResyncReason;
use crate::protocol::Hello;

/// How far the gateway's uptime may be behind ours: a hello takes time, and clocks drift.
const SLACK: Duration = Duration::from_secs(2);

/// What is remembered of the process behind the last connection.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    id: Option<String>,
    uptime: Option<Duration>,
    seen: Instant,
}

impl Boot {
    pub(crate) fn of(hello: &Hello, now: Instant) -> Self {
        let uptime_ms = hello.snapshot.get("uptimeMs");
        Self {
            id: hello.boot_id.clone(),
            uptime: uptime_ms
                .and_then(serde_json::Value::as_u64)
                .map(Duration::from_millis),
            seen: now,
        }
    }

    /// Compares with the process behind the connection before. 2026.9.6 names its process in
    /// `server.bootId`; 2026.2.9 only says for how long it has been up.
    pub(crate) fn since(&self, before: &Self) -> ResyncReason {
        let restarted = match (&before.id, &self.id) {
            (Some(before), Some(now)) => before != now,
            _ => match (before.uptime, self.uptime) {
                (Some(then), Some(now)) => {
                    let passed = self.seen.saturating_duration_since(before.seen);
                    now + SLACK < then + passed
                }
                // Without any word the lighter case is assumed; runs find out by asking.
                _ => false,
            },
        };
        if restarted {
            ResyncReason::GatewayRestarted
        } else {
            ResyncReason::Reconnected
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: Option<&str>, uptime_s: Option<u64>, seen: Instant) -> Boot {
        Boot {
            id: id.map(ToOwned::to_owned),
            uptime: uptime_s.map(Duration::from_secs),
            seen,
        }
    }

    #[test]
    fn the_name_of_the_process_decides_where_there_is_one() {
        let now = Instant::now();
        let first = boot(Some("a"), Some(100), now);
        let same = boot(Some("a"), Some(1), now + Duration::from_secs(60));
        let other = boot(Some("b"), Some(160), now + Duration::from_secs(60));
        assert_eq!(same.since(&first), ResyncReason::Reconnected);
        assert_eq!(other.since(&first), ResyncReason::GatewayRestarted);
    }

    #[test]
    fn else_an_uptime_that_fell_behind_tells_a_new_process() {
        let now = Instant::now();
        let first = boot(None, Some(100), now);
        let later = now + Duration::from_secs(60);
        let is = |uptime| boot(None, uptime, later).since(&first);
        assert_eq!(is(Some(160)), ResyncReason::Reconnected);
        assert_eq!(is(Some(159)), ResyncReason::Reconnected);
        assert_eq!(is(Some(5)), ResyncReason::GatewayRestarted);
        assert_eq!(is(None), ResyncReason::Reconnected);
    }

    #[test]
    fn a_restart_right_after_a_start_is_seen_as_well() {
        let now = Instant::now();
        let first = boot(None, Some(1), now);
        let later = boot(None, Some(1), now + Duration::from_secs(5));
        assert_eq!(later.since(&first), ResyncReason::GatewayRestarted);
    }
}
