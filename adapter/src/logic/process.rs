//! Whether a gateway's process is still the one of the last connection. No I/O, no clock.

use std::fmt;
use std::time::{Duration, Instant};

use crate::protocol::Hello;

/// Why there is a new connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ResyncReason {
    /// The connection was lost; the gateway went on.
    Reconnected,
    /// The gateway's process is a new one: it has forgotten the runs of the last one. Told by
    /// `server.bootId`, where there is one, else by the gateway's uptime.
    GatewayRestarted,
}

impl fmt::Display for ResyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reconnected => "reconnected",
            Self::GatewayRestarted => "gateway-restarted",
        })
    }
}

/// How far the gateway's uptime may be behind ours: clocks drift.
const SLACK: Duration = Duration::from_secs(2);

/// What is remembered of the process behind the last connection.
#[derive(Clone, Debug)]
pub(crate) struct GatewayProcess {
    id: Option<String>,
    uptime: Option<Duration>,
    /// Between these two it was the uptime: a hello may be long on its way.
    asked: Instant,
    heard: Instant,
}

impl GatewayProcess {
    /// What a hello says that was asked for and heard at these times.
    pub(crate) fn of(hello: &Hello, asked: Instant, heard: Instant) -> Self {
        let uptime_ms = hello.snapshot.get("uptimeMs");
        Self {
            id: hello.boot_id.clone(),
            uptime: uptime_ms
                .and_then(serde_json::Value::as_u64)
                .map(Duration::from_millis),
            asked,
            heard,
        }
    }

    /// Compares with the process behind the connection before. 2026.9.6 names its process in
    /// `server.bootId`; 2026.2.9 only says for how long it has been up.
    pub(crate) fn since(&self, before: &Self) -> ResyncReason {
        let restarted = match (&before.id, &self.id) {
            (Some(before), Some(now)) => before != now,
            _ => match (before.uptime, self.uptime) {
                (Some(then), Some(now)) => {
                    // At least so much time went by between the two uptimes.
                    let passed = self.asked.saturating_duration_since(before.heard);
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

    fn boot(id: Option<&str>, uptime_s: Option<u64>, seen: Instant) -> GatewayProcess {
        GatewayProcess {
            id: id.map(ToOwned::to_owned),
            uptime: uptime_s.map(Duration::from_secs),
            asked: seen,
            heard: seen,
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
    fn a_hello_that_was_long_on_its_way_is_no_restart() {
        let now = Instant::now();
        let first = boot(None, Some(100), now);
        let asked = now + Duration::from_secs(10);
        let late = GatewayProcess {
            heard: asked + Duration::from_secs(8),
            ..boot(None, Some(110), asked)
        };
        assert_eq!(late.since(&first), ResyncReason::Reconnected);
        // What is late is compared with later.
        let next = boot(None, Some(118), now + Duration::from_secs(18));
        assert_eq!(next.since(&late), ResyncReason::Reconnected);
        let other = boot(None, Some(5), now + Duration::from_secs(30));
        assert_eq!(other.since(&late), ResyncReason::GatewayRestarted);
    }

    #[test]
    fn a_restart_right_after_a_start_is_seen_as_well() {
        let now = Instant::now();
        let first = boot(None, Some(1), now);
        let later = boot(None, Some(1), now + Duration::from_secs(5));
        assert_eq!(later.since(&first), ResyncReason::GatewayRestarted);
    }
}
