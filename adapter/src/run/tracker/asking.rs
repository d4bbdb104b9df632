//! What to ask next, and when.

use std::time::{Duration, Instant};

use super::{Ask, Kind, MOST_SENDINGS, Sent, Stage, Tracker};
use crate::run::answer::Verdict;
use crate::run::event::EndKind;

/// The timeout of `agent.wait` while a run goes on.
const LONG_WAIT: Duration = Duration::from_secs(20);
/// Its timeout when the run should be over.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How long the final answer is waited for after events of the end. Measured: within 0.1 s.
pub(super) const GRACE_LAST: Duration = Duration::from_secs(5);
/// How long the `chat` event is waited for after the `lifecycle` event of the end. Measured: at once.
const GRACE_CHAT: Duration = Duration::from_secs(1);
/// When 2026.2.9 is asked after a silent run although a final answer is due: it accepts a key that
/// runs already, and never answers that.
const QUIET: Duration = Duration::from_secs(20);
/// Between two looks at what may have changed by time alone.
const TICK: Duration = Duration::from_millis(250);
/// Where nothing changes by time.
const FAR: Duration = Duration::from_secs(60);

impl Tracker {
    /// What to ask now. The answer to the last question is wanted no more if there is a new one.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<Ask> {
        let want = self.want(now)?;
        let is_busy = match self.asked {
            None => false,
            Some(Ask::Wait(_)) => matches!(want, Ask::Wait(_)),
            Some(Ask::Send | Ask::History) => true,
        };
        if is_busy || now < self.ask_after || !self.can_ask(want) {
            return None;
        }
        if want == Ask::Send {
            self.sendings += 1;
            if self.sent == Sent::Not {
                self.sent = Sent::Out;
            }
        }
        self.asked = Some(want);
        Some(want)
    }

    /// Whether it can be asked now. A request waits for the connection by itself.
    fn can_ask(&self, want: Ask) -> bool {
        self.connected || want == Ask::Send
    }

    fn want(&self, now: Instant) -> Option<Ask> {
        match self.stage {
            Stage::Ended => None,
            Stage::Going => self.want_while_going(now),
            Stage::Settling { since } => self.want_at_the_end(now, since),
            Stage::Queued { .. } | Stage::Recovering { .. } => {
                (!self.history_failed).then_some(Ask::History)
            }
        }
    }

    fn want_while_going(&self, now: Instant) -> Option<Ask> {
        match self.sent {
            Sent::Not => return Some(Ask::Send),
            Sent::Out => return None,
            Sent::Unknown | Sent::Taken => {}
        }
        if self.doubt && !self.is_old() && !self.history_failed {
            return Some(Ask::History);
        }
        if self.may_send_again() {
            return Some(Ask::Send);
        }
        if self.wait_failed {
            let can_look = !self.final_due && !self.is_old() && !self.history_failed;
            return can_look.then_some(Ask::History);
        }
        let may_be_ignored = self.is_old() && now >= self.last_sign + QUIET;
        (!self.final_due || may_be_ignored).then_some(Ask::Wait(LONG_WAIT))
    }

    /// Whether the request may go out once more: 2026.9.6 recognises the key, also after a restart
    /// by its transcript; and its history has shown that the run is not there. 2026.2.9 forgets keys,
    /// and would do the work twice.
    fn may_send_again(&self) -> bool {
        self.sent == Sent::Unknown
            && !self.is_old()
            && self.start.can_send
            && self.sendings < MOST_SENDINGS
            && self.trace.as_ref().is_some_and(|trace| !trace.known)
    }

    fn want_at_the_end(&self, now: Instant, since: Instant) -> Option<Ask> {
        if self.is_last_expected(now, since) {
            return None;
        }
        let is_bare = match &self.last {
            None => true,
            // Without its start, a run of 2026.2.9 is not found in the history.
            Some(Verdict::Done(success)) => {
                success.bare || self.is_old() && self.started_at_ms.is_none()
            }
            Some(_) => false,
        };
        if is_bare && self.waited.is_none() && !self.wait_failed {
            let chat_comes = self.start.kind == Kind::Chat || self.heard.chat.is_none();
            let is_early = !self.is_old() && chat_comes && self.heard.lifecycle.is_some();
            return (!is_early || now >= since + GRACE_CHAT).then_some(Ask::Wait(SHORT_WAIT));
        }
        (!self.history_failed).then_some(Ask::History)
    }

    /// Whether the final answer to `agent` is still waited for.
    pub(super) fn is_last_expected(&self, now: Instant, since: Instant) -> bool {
        // Events may be read before the answer that says that a final one will follow.
        let is_on_its_way = self.start.kind == Kind::Agent && self.asked == Some(Ask::Send);
        (self.final_due || is_on_its_way) && self.last.is_none() && now < since + GRACE_LAST
    }

    /// Whether the `chat` event has brought the whole answer.
    pub(super) fn final_text(&self) -> Option<&str> {
        let chat = self.heard.chat.as_ref()?;
        (chat.kind == EndKind::ChatFinal)
            .then_some(chat.text.as_deref())
            .flatten()
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let mut at = match self.stage {
            Stage::Ended => return None,
            Stage::Going => self.loses_patience_at().unwrap_or(now + FAR),
            Stage::Settling { .. } => now + TICK,
            Stage::Queued { .. } | Stage::Recovering { .. } => now + TICK * 4,
        };
        // Once it has passed there is a question to ask, or one that was asked.
        let quiet_until = self.last_sign + QUIET;
        if self.is_old() && self.final_due && now < quiet_until {
            at = at.min(quiet_until);
        }
        if self.asked.is_none() && self.want(now).is_some_and(|want| self.can_ask(want)) {
            at = at.min(self.ask_after);
        }
        if let Some((_, until)) = &self.outlined {
            at = at.min(*until);
        }
        Some(at.max(now + Duration::from_millis(1)))
    }

    /// When a run that gives no sign of life is lost. One that was not sent has not begun, and one
    /// whose final answer is due ends with that or with its connection.
    pub(super) fn loses_patience_at(&self) -> Option<Instant> {
        let has_begun = matches!(self.sent, Sent::Unknown | Sent::Taken);
        (has_begun && !self.final_due).then(|| self.last_sign + self.patience())
    }

    /// How long there may be no sign of life. A request that may never have arrived gets less.
    fn patience(&self) -> Duration {
        const FOR_A_TRACE: Duration = Duration::from_secs(120);
        if self.sent == Sent::Unknown && self.connected {
            self.start.patience.min(FOR_A_TRACE)
        } else {
            self.start.patience
        }
    }
}
