//! What happened, and what should not have.

use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering};
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
    restarts: AtomicU32,
    stops: AtomicU32,
}

#[derive(Debug, Default)]
struct Lines {
    log: Vec<String>,
    fouls: Vec<String>,
    dials: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            lines: Mutex::default(),
            restarts: AtomicU32::new(0),
            stops: AtomicU32::new(0),
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

    /// The gateway's process ends in the middle of whatever it does.
    pub(super) fn restarts(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub(super) fn restarted(&self) -> u32 {
        self.0.restarts.load(Ordering::Relaxed)
    }

    /// The gateway's process ends when it is done, and forgets what it only had in memory.
    pub(super) fn stops(&self) {
        self.0.stops.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has ended, in whatever way.
    pub(super) fn stopped(&self) -> u32 {
        self.0.stops.load(Ordering::Relaxed) + self.restarted()
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
    }
}
