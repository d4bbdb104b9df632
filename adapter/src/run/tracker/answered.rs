//! What the gateway answered to what was asked.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{MOST_SENDINGS, PAUSE, Sent, Stage, Tracker};
use crate::logic::error::{Delivery, Error};
use crate::run::answer::{Ack, Verdict, Waited};
use crate::run::history::{Wanted, trace};
use crate::run::item::{LostReason, RunItem, RunOutcome};

/// How long `agent.wait` is asked for what should be there by now.
const WAIT_FOR_VERDICT: Duration = Duration::from_secs(4);

impl Tracker {
    /// The request was answered for the first time. `final_due`: another answer follows.
    pub(crate) fn on_ack(&mut self, now: Instant, ack: Ack, final_due: bool) {
        self.asked = None;
        if self.is_ended() {
            return;
        }
        self.last_sign = now;
        self.strikes = 0;
        let joined = self.may_be_there || !matches!(ack, Ack::Accepted);
        if ack == Ack::NoRun {
            self.finish_done(String::new(), None, None);
            return;
        }
        if self.sent != Sent::Taken {
            self.items.push_back(RunItem::Accepted { joined });
        }
        self.taken();
        self.doubt = false;
        if let Stage::Recovering { .. } = self.stage {
            self.stage = Stage::Going;
        }
        match ack {
            Ack::Accepted => self.final_due = final_due,
            Ack::InFlight => {
                self.gap = true;
                self.doubt = !self.is_old();
            }
            Ack::Ended(verdict) => {
                self.gap = true;
                self.on_verdict(now, verdict);
            }
            Ack::NoRun => {}
        }
        self.decide(now);
    }

    /// The request was not granted, or nobody knows whether it arrived.
    pub(crate) fn on_send_failed(&mut self, now: Instant, error: Error, may_repeat: bool) {
        self.asked = None;
        if self.is_ended() {
            return;
        }
        let delivery = match &error {
            Error::Timeout { delivery, .. } | Error::Disconnected { delivery, .. } => {
                Some(*delivery)
            }
            _ => None,
        };
        match delivery {
            // What has been heard of it meanwhile says that it arrived.
            _ if self.sent == Sent::Taken => self.doubt = true,
            Some(Delivery::Unknown) => {
                self.sent = Sent::Unknown;
                self.may_be_there = true;
                self.doubt = true;
            }
            // Its time is over before it went out.
            Some(Delivery::NotSent)
                if !self.may_be_there && matches!(error, Error::Timeout { .. }) =>
            {
                self.end(RunOutcome::NotStarted { error });
            }
            Some(Delivery::NotSent) if may_repeat && self.sendings < MOST_SENDINGS => {
                self.sent = if self.may_be_there {
                    Sent::Unknown
                } else {
                    Sent::Not
                };
                self.ask_after = now + PAUSE;
            }
            _ if self.may_be_there => self.lose(LostReason::NoTrace),
            // It does not say whether the request had gone out.
            _ if matches!(error, Error::Closed) => self.lose(LostReason::ClientStopped),
            _ => self.end(RunOutcome::NotStarted { error }),
        }
        self.decide(now);
    }

    /// The gateway has it.
    pub(super) const fn taken(&mut self) {
        self.sent = Sent::Taken;
        self.may_be_there = true;
    }

    /// The final answer to `agent`.
    pub(crate) fn on_last(&mut self, now: Instant, verdict: Option<Verdict>) {
        self.final_due = false;
        if self.is_ended() {
            return;
        }
        match verdict {
            Some(verdict) => self.on_verdict(now, verdict),
            // An answer without a word about the run: as if it had not come.
            None => self.doubt = true,
        }
        self.decide(now);
    }

    /// The final answer will not come.
    pub(crate) fn on_last_lost(&mut self, now: Instant) {
        self.final_due = false;
        self.gap = true;
        self.decide(now);
    }

    fn on_verdict(&mut self, now: Instant, verdict: Verdict) {
        if let Verdict::Done(success) = &verdict {
            self.started_at_ms = self.started_at_ms.or(success.started_at_ms);
        }
        self.last = Some(verdict);
        self.settle_since(now);
    }

    /// `agent.wait` was answered.
    pub(crate) fn on_waited(&mut self, now: Instant, waited: Waited) {
        let asked = self.asked.take();
        if self.is_ended() {
            return;
        }
        match waited {
            Waited::Running => {
                // A gateway that answers at once what it was to wait for is not asked in a loop.
                self.ask_after = now + PAUSE;
                if let Stage::Settling { since } = self.stage {
                    self.wait_failed |= now >= since + WAIT_FOR_VERDICT;
                } else if !self.final_due && asked.is_some() {
                    self.doubt = true;
                }
            }
            Waited::Queued => {
                self.last_sign = now;
                self.queue(now);
            }
            Waited::Ended(verdict) => {
                self.last_sign = now;
                if let Verdict::Done(success) = &verdict {
                    self.started_at_ms = self.started_at_ms.or(success.started_at_ms);
                }
                self.waited = Some(verdict);
                self.settle_since(now);
            }
        }
        self.decide(now);
    }

    /// `agent.wait` could not be asked, for a reason that asking again does not heal.
    pub(crate) fn on_wait_failed(&mut self, now: Instant) {
        self.asked = None;
        self.wait_failed = true;
        self.ask_after = now + PAUSE;
        self.decide(now);
    }

    /// `chat.history` was answered.
    pub(crate) fn on_history(&mut self, now: Instant, history: &Value) {
        self.asked = None;
        if self.is_ended() {
            return;
        }
        let wanted = Wanted {
            run_id: &self.start.run_id,
            message: self.start.message.as_deref(),
            started_at_ms: self.started_at_ms,
            protocol: self.protocol,
        };
        let trace = trace(history, wanted);
        self.on_trace(now, trace);
        self.polls = self.polls.saturating_add(1);
        self.ask_after = now
            + match self.stage {
                Stage::Going if !self.wait_failed => PAUSE,
                _ => poll_pause(self.polls),
            };
        self.decide(now);
    }

    /// `chat.history` could not be asked, for a reason that asking again does not heal.
    pub(crate) fn on_history_failed(&mut self, now: Instant) {
        self.asked = None;
        self.history_failed = true;
        self.doubt = false;
        self.ask_after = now + PAUSE;
        self.decide(now);
    }

    /// An ask was given up: the connection went, or another one is wanted.
    pub(crate) fn on_ask_lost(&mut self, now: Instant) {
        self.asked = None;
        self.ask_after = now + PAUSE;
    }
}

/// Between two looks at the history: from a fifth of a second up to five.
fn poll_pause(polls: u32) -> Duration {
    Duration::from_millis(200 << polls.min(5)).min(Duration::from_secs(5))
}
