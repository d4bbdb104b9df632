//! The pace of a tracker: its pending action, the earliest next one, and the time since the last activity.

use std::time::{Duration, Instant};

use super::Action;

/// The shortest time between two actions.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Fruitless looks at the history after which a run is given up.
const MAX_MISSES: u32 = 3;

#[derive(Debug)]
pub(super) struct Schedule {
    pending: Option<Action>,
    not_before: Instant,
    polls: u32,
    last_activity: Instant,
    /// Looks at the history in a row that did not show the run.
    misses: u32,
}

impl Schedule {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            pending: None,
            not_before: now,
            polls: 0,
            last_activity: now,
            misses: 0,
        }
    }

    pub(super) const fn pending(&self) -> Option<Action> {
        self.pending
    }

    pub(super) const fn not_before(&self) -> Instant {
        self.not_before
    }

    pub(super) const fn last_activity(&self) -> Instant {
        self.last_activity
    }

    pub(super) const fn has_missed_enough(&self) -> bool {
        self.misses >= MAX_MISSES
    }

    /// Starts an action if it is time for it. A call of `agent.wait` gives way to another action.
    pub(super) fn start(&mut self, now: Instant, action: Action) -> bool {
        let is_busy = match self.pending {
            None => false,
            Some(Action::Wait(_)) => matches!(action, Action::Wait(_)),
            Some(Action::Send | Action::History) => true,
        };
        let starts = !is_busy && now >= self.not_before;
        if starts {
            self.pending = Some(action);
        }
        starts
    }

    /// The pending action has ended; `true` if there was one.
    pub(super) const fn complete(&mut self) -> bool {
        self.pending.take().is_some()
    }

    /// Gives up the pending action; a request that starts a run is kept.
    pub(super) fn cancel_questions(&mut self) {
        self.pending = self.pending.filter(|action| *action == Action::Send);
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.not_before = now + PAUSE;
    }

    /// Waits after a look at the history; if it is repeated, longer each time, up to five seconds.
    pub(super) fn on_polled(&mut self, now: Instant, is_repeated: bool) {
        self.polls = self.polls.saturating_add(1);
        let pause = Duration::from_millis(200 << self.polls.min(5)).min(Duration::from_secs(5));
        self.not_before = now + if is_repeated { pause } else { PAUSE };
    }

    /// Starts over: what is known may have changed.
    pub(super) fn restart(&mut self, now: Instant) {
        self.not_before = self.not_before.min(now);
        self.polls = 0;
    }

    pub(super) const fn on_activity(&mut self, now: Instant) {
        self.last_activity = now;
        self.misses = 0;
    }

    pub(super) const fn forget_misses(&mut self) {
        self.misses = 0;
    }

    pub(super) const fn on_miss(&mut self) {
        self.misses += 1;
    }
}
