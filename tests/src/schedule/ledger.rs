//! What happened, and what should not have.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sim::net::Watch;

/// Shared by everybody in a schedule.
#[derive(Clone, Debug)]
pub(super) struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    lines: Mutex<Lines>,
    ends: Mutex<[Ends; 2]>,
}

/// How often the gateway's process began to end in one way, and how often it had ended. A run that
/// begins in between goes down with it.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    begun: u32,
    over: u32,
}

/// How the gateway's process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fall {
    /// When it is done; it forgets what it only had in memory.
    Drained,
    /// In the middle of whatever it does.
    Sudden,
}

/// How far the gateway had come at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    ends: [Ends; 2],
    closed_connections: u64,
}

#[derive(Debug, Default)]
struct Lines {
    log: Vec<String>,
    fouls: Vec<String>,
    dials: u64,
    closed_connections: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            lines: Mutex::default(),
            ends: Mutex::default(),
        }))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the beginning, in virtual time.
    pub(super) fn elapsed(&self) -> Duration {
        self.0.began.elapsed()
    }

    pub(super) fn note(&self, what: impl Display) {
        let line = format!("{:>9.3} {what}", self.elapsed().as_secs_f64());
        self.lines().log.push(line);
    }

    pub(super) fn foul(&self, what: impl Display) {
        self.note(format_args!("FOUL {what}"));
        self.lines().fouls.push(what.to_string());
    }

    fn ends(&self) -> MutexGuard<'_, [Ends; 2]> {
        self.0.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway's process begins to end.
    pub(super) fn falls(&self, how: Fall) {
        self.ends()[how as usize].begun += 1;
    }

    /// It has ended.
    pub(super) fn has_fallen(&self, how: Fall) {
        self.ends()[how as usize].over += 1;
    }

    /// Now.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            ends: *self.ends(),
            closed_connections: self.lines().closed_connections,
        }
    }

    /// How often the gateway's process was ending since then, in this way.
    pub(super) fn since(&self, then: Mark, how: Fall) -> u32 {
        self.ends()[how as usize].begun - then.ends[how as usize].over
    }

    /// Number of connections that ended since then.
    pub(super) fn closed_connections_since(&self, then: Mark) -> u64 {
        self.lines().closed_connections - then.closed_connections
    }

    /// Takes everything.
    pub(super) fn close(&self) -> (Vec<String>, Vec<String>, u64) {
        let lines = std::mem::take(&mut *self.lines());
        (lines.log, lines.fouls, lines.dials)
    }
}

impl Watch for Ledger {
    fn dials(&self) {
        self.lines().dials += 1;
    }

    fn dial_ends(&self) {}

    fn connects(&self, stream: u64) {
        self.note(format_args!("stream {stream} is there"));
    }

    fn writes(&self, _: u64, _: &[u8]) {}

    fn reads(&self, _: u64, _: &[u8]) {}

    fn drops(&self, stream: u64) {
        self.note(format_args!("stream {stream} is let go"));
        self.lines().closed_connections += 1;
    }
}
