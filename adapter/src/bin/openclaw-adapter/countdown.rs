//! The countdown on a terminal: one line, drawn again each second.

use std::future::pending;
use std::time::Duration;

use openclaw_adapter::ConnectionState;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::output::Output;
use crate::terminal;

/// Counts while the connection waits for an approval, or for its next attempt.
#[derive(Debug)]
pub(crate) struct Countdown {
    /// There is none without a terminal, nor beside JSON.
    is_shown: bool,
    /// The deadline, if there is one.
    deadline: Option<Instant>,
    waits: Option<Waits>,
    seconds: Interval,
}

#[derive(Clone, Copy, Debug)]
enum Waits {
    ForApproval { since: Instant },
    ForAttempt { at: Instant },
}

impl Countdown {
    pub(crate) fn new(output: Output, deadline: Option<Instant>) -> Self {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            is_shown: !output.json && terminal::can_redraw(),
            deadline,
            waits: None,
            seconds,
        }
    }

    /// Takes note of the state, once it is printed.
    pub(crate) fn follow(&mut self, state: &ConnectionState) {
        self.waits = match state {
            ConnectionState::AwaitingApproval { since, .. } => Some(Waits::ForApproval {
                since: Instant::from_std(*since),
            }),
            ConnectionState::BackingOff { retry_at, .. } => Some(Waits::ForAttempt {
                at: Instant::from_std(*retry_at),
            }),
            _ => None,
        };
        // The first one at once.
        self.seconds.reset_immediately();
    }

    /// Draws the line each second, for as long as it is polled. Cancel safe.
    pub(crate) async fn run(&mut self) {
        let Some(waits) = self.waits.filter(|_| self.is_shown) else {
            return pending().await;
        };
        loop {
            self.seconds.tick().await;
            terminal::draw(&text(waits, self.deadline, Instant::now()));
        }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        terminal::clear();
    }
}

fn text(waits: Waits, deadline: Option<Instant>, now: Instant) -> String {
    let left = deadline.map(|deadline| clock_up(deadline.saturating_duration_since(now)));
    match (waits, left) {
        (Waits::ForApproval { .. }, Some(left)) => {
            format!("waiting for approval, {left} left (Ctrl-C ends it)")
        }
        (Waits::ForApproval { since }, None) => format!(
            "waiting for approval for {} (Ctrl-C ends it)",
            clock(now.saturating_duration_since(since))
        ),
        (Waits::ForAttempt { at }, left) => {
            let next = clock_up(at.saturating_duration_since(now));
            let left = left.map_or_else(String::new, |left| format!(", {left} left"));
            format!("next attempt in {next}{left} (Ctrl-C ends it)")
        }
    }
}

/// `4:05`, `1:00:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// The same of a time that runs out: a begun second counts, so that 0:00 is the end.
fn clock_up(time: Duration) -> String {
    let begun = u64::from(time.subsec_nanos() > 0);
    clock(Duration::from_secs(time.as_secs() + begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_down_where_there_is_an_end_and_up_where_there_is_none() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let approval = Waits::ForApproval { since: start };
        let attempt = Waits::ForAttempt { at: after(12) };
        for (waits, deadline, now, wanted) in [
            (approval, Some(300), 42, "waiting for approval, 4:18 left"),
            (approval, Some(300), 300, "waiting for approval, 0:00 left"),
            (approval, None, 3_725, "waiting for approval for 1:02:05"),
            (attempt, Some(60), 3, "next attempt in 0:09, 0:57 left"),
            (attempt, None, 60, "next attempt in 0:00"),
        ] {
            let shown = text(waits, deadline.map(after), after(now));
            assert_eq!(shown, format!("{wanted} (Ctrl-C ends it)"));
        }
        assert_eq!(clock_up(Duration::from_millis(1_001)), "0:02");
    }
}
