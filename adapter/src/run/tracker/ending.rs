//! How a run ends: the weighing of what was heard.

use std::time::{Duration, Instant};

use super::{Kind, Sent, Stage, Tracker};
use crate::run::answer::{Success, Verdict, by_stop_reason};
use crate::run::event::{End, EndKind};
use crate::run::history::{Ending, Told};
use crate::run::item::{LostReason, RunError, RunItem, RunOutcome, Usage};

/// How long the end may take to become clear.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// How long after a confirmed abort its events may take.
const ABORT_GRACE: Duration = Duration::from_secs(3);
/// How long 2026.9.6 may take to go on with a run after a crash. Measured: 2 s after it listens.
const RECOVERY: Duration = Duration::from_secs(30);
/// After how many looks without a trace a run is given up.
const STRIKES: u32 = 3;
/// How often 2026.2.9 asks a model that fails.
const OLD_ATTEMPTS: usize = 4;
/// 2026.2.9 waits 2, 4 and 8 s between attempts.
const OLD_RETRY_GAP: Duration = Duration::from_secs(12);

impl Tracker {
    /// Ends the run if what is known is enough.
    pub(super) fn decide(&mut self, now: Instant) {
        let is_abandoned = self.trace.as_ref().is_some_and(|trace| trace.abandoned);
        if is_abandoned && matches!(self.stage, Stage::Recovering { .. } | Stage::Queued { .. }) {
            self.lose(LostReason::GatewayRestarted);
        }
        match self.stage {
            Stage::Ended => return,
            Stage::Going => self.decide_going(now),
            Stage::Settling { since } => self.decide_settling(now, since),
            Stage::Queued { since } => self.decide_queued(now, since),
            Stage::Recovering { since } => self.decide_recovering(now, since),
        }
        if self.loses_patience_at().is_some_and(|at| now >= at) {
            self.lose(if self.sent == Sent::Unknown {
                LostReason::NoTrace
            } else {
                LostReason::Silent
            });
        }
    }

    fn decide_going(&mut self, now: Instant) {
        if self.final_due || self.is_old() || self.sent != Sent::Taken {
            return;
        }
        let Some(trace) = &self.trace else { return };
        let is_over = trace.told.as_ref().is_some_and(Told::is_over);
        if is_over && trace.active != Some(true) {
            // `agent.wait` may have forgotten it.
            self.settle_since(now);
        } else if self.strikes >= STRIKES {
            self.lose(LostReason::NoTrace);
        }
    }

    /// Whether there was time enough to ask for what is missing. Without a connection there is none.
    fn is_late(&self, now: Instant, since: Instant) -> bool {
        self.connected && now >= since + SETTLE_LIMIT
    }

    fn decide_settling(&mut self, now: Instant, since: Instant) {
        if self.is_last_expected(now, since) {
            return;
        }
        if self.is_queued_on_old() {
            self.end(RunOutcome::Queued);
            return;
        }
        let is_late = self.is_late(now, since);
        let verdict = self
            .last
            .clone()
            .filter(|last| !matches!(last, Verdict::Done(success) if success.bare))
            .or_else(|| self.waited.clone())
            .or_else(|| self.by_events(self.wait_failed || is_late))
            .or_else(|| self.last.clone().filter(|_| self.wait_failed || is_late));
        if let Some(verdict) = verdict {
            self.conclude(now, since, verdict);
        } else if self
            .abort_confirmed
            .is_some_and(|at| now >= at + ABORT_GRACE)
        {
            self.conclude(now, since, Verdict::Aborted);
        } else if (self.wait_failed || is_late)
            && let Some(told) = self.told_at_last()
        {
            self.conclude_by_rows(told);
        } else if is_late {
            // A word of the end that nothing confirms: as if it had not been said.
            self.stage = Stage::Going;
            self.doubt = true;
        }
    }

    /// On 2026.2.9 nothing but the end comes of a turn that waits behind another one, and its answer
    /// comes under an id that nobody tells.
    fn is_queued_on_old(&self) -> bool {
        self.is_old()
            && self.start.kind == Kind::Chat
            && self.attempts == 0
            && !self.gap
            && self.last.is_none()
            && self
                .heard
                .chat
                .as_ref()
                .is_some_and(|end| end.kind == EndKind::ChatFinal && end.text.is_none())
    }

    /// What events alone say; the doubtful ones only `at_last`.
    fn by_events(&self, at_last: bool) -> Option<Verdict> {
        if self.is_old() {
            return self.by_old_events(at_last);
        }
        let chat = self.heard.chat.as_ref();
        let lifecycle = self.heard.lifecycle.as_ref();
        if let Some(cancelled) = &self.heard.cancelled {
            return by_stop_reason(cancelled.stop_reason.as_deref()).or(Some(Verdict::Aborted));
        }
        if let Some(error) =
            lifecycle.filter(|end| end.kind == EndKind::LifecycleError && !end.aborted)
        {
            return Some(failure(error));
        }
        if let Some(text) = self.final_text() {
            return Some(Verdict::Done(Success {
                text: Some(text.to_owned()),
                ..Success::default()
            }));
        }
        if let Some(error) = chat.filter(|end| end.kind == EndKind::ChatError) {
            return Some(failure(error));
        }
        if !at_last {
            return None;
        }
        let aborted = chat
            .filter(|end| end.aborted)
            .or_else(|| lifecycle.filter(|end| end.aborted));
        if let Some(end) = aborted {
            return by_stop_reason(end.stop_reason.as_deref()).or(Some(Verdict::Aborted));
        }
        lifecycle.or(chat).map(|end| {
            let reply = end.reply.clone().unwrap_or_default();
            Verdict::Done(Success {
                text: reply.text,
                cut: reply.cut,
                bare: lifecycle.is_none() && self.attempts == 0,
                ..Success::default()
            })
        })
    }

    fn by_old_events(&self, at_last: bool) -> Option<Verdict> {
        let chat = self.heard.chat.as_ref();
        let lifecycle = self.heard.lifecycle.as_ref();
        if let Some(end) = chat {
            match end.kind {
                EndKind::ChatAborted => return Some(Verdict::Aborted),
                EndKind::ChatError => return Some(failure(end)),
                // A command was answered without any model.
                EndKind::ChatFinal if self.attempts == 0 && !self.gap && end.text.is_some() => {
                    return Some(Verdict::Done(Success {
                        text: end.text.clone(),
                        ..Success::default()
                    }));
                }
                _ => {}
            }
        }
        if let Some(end) = lifecycle {
            if end.kind == EndKind::LifecycleError {
                return Some(failure(end));
            }
            if end.aborted {
                return Some(Verdict::TimedOut {
                    phase: None,
                    message: None,
                });
            }
        }
        (at_last && (chat.is_some() || lifecycle.is_some())).then(|| {
            Verdict::Done(Success {
                text: chat.and_then(|end| end.text.clone()),
                bare: true,
                ..Success::default()
            })
        })
    }

    fn conclude(&mut self, now: Instant, since: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Done(success) if self.is_old() => {
                self.conclude_old_success(now, since, &success);
            }
            Verdict::Done(success) => self.conclude_success(now, since, &success),
            Verdict::Failed { message } => self.fail(message),
            Verdict::Aborted => self.abort(),
            Verdict::Superseded if self.abort_asked => self.abort(),
            Verdict::Superseded => {
                let text = self.text.as_str().to_owned();
                self.end(RunOutcome::Superseded { text });
            }
            Verdict::TimedOut { phase, message } => {
                let heard = self.heard.lifecycle.as_ref();
                let phase = phase.or_else(|| heard.and_then(|end| end.timeout_phase.clone()));
                let message = message.or_else(|| heard.and_then(|end| end.message.clone()));
                let text = self.text.as_str().to_owned();
                self.end(RunOutcome::TimedOut {
                    phase,
                    message,
                    text,
                });
            }
        }
    }

    fn conclude_success(&mut self, now: Instant, since: Instant, success: &Success) {
        if let Some(text) = self.final_text().map(ToOwned::to_owned) {
            self.finish_done(text, success.usage, None);
            return;
        }
        let is_late = self.is_late(now, since);
        if success.bare && self.start.kind == Kind::Chat && self.attempts == 0 {
            self.queue(now);
            return;
        }
        let heard = self.text.as_str();
        let whole = match &success.text {
            _ if self.gap || success.cut => None,
            // The answer names the last part only.
            Some(said) if heard.ends_with(&**said) => Some(heard.to_owned()),
            Some(said) if said.starts_with(heard) => Some(said.clone()),
            Some(_) => None,
            None => Some(heard.to_owned()),
        };
        if let Some(whole) = whole {
            self.finish_done(whole, success.usage, None);
        } else if let Some(told) = self.told_at_last().filter(|told| !told.cut) {
            let usage = success.usage.or(told.usage);
            self.finish_done(told.text, usage, told.by);
        } else if self.history_failed || is_late {
            let heard = self.text.as_str();
            let whole = match &success.text {
                None => heard.to_owned(),
                Some(said) if heard.ends_with(&**said) => heard.to_owned(),
                Some(said) if success.cut && heard.len() > said.len() => heard.to_owned(),
                Some(said) => said.clone(),
            };
            self.finish_done(whole, success.usage, None);
        }
    }

    /// 2026.2.9 says `ok` of everything. An answer that counts its tokens is one; of any other the
    /// history says whether it is an error.
    fn conclude_old_success(&mut self, now: Instant, since: Instant, success: &Success) {
        let has_last = matches!(&self.last, Some(Verdict::Done(last)) if !last.bare);
        if has_last && success.usage.is_some() {
            self.finish_done(
                success.text.clone().unwrap_or_default(),
                success.usage,
                None,
            );
            return;
        }
        let is_command = self.attempts == 0 && !self.gap && self.last.is_none();
        if is_command && success.text.is_some() && self.waited.is_none() {
            self.finish_done(success.text.clone().unwrap_or_default(), None, None);
            return;
        }
        let is_late = self.is_late(now, since);
        let Some(told) = self.trace.as_ref().and_then(|trace| trace.told.clone()) else {
            let cannot_look = self.history_failed || self.started_at_ms.is_none();
            let has_waited = self.waited.is_some() || self.wait_failed;
            if is_late || cannot_look && has_waited {
                self.finish_unchecked(success);
            }
            return;
        };
        match &told.ending {
            Ending::Failed(message) => {
                // One that had begun to speak is not asked again.
                let is_final = has_last
                    || told.failures >= OLD_ATTEMPTS
                    || !told.text.is_empty()
                    || now >= self.last_attempt + OLD_RETRY_GAP;
                if is_final {
                    self.settle_text(&told.text);
                    self.fail(message.clone());
                }
            }
            Ending::Aborted => self.abort(),
            Ending::Stopped => {
                let text = success.text.clone().filter(|_| has_last);
                self.finish_done(text.unwrap_or(told.text), told.usage, None);
            }
            Ending::Open if !is_late => {}
            Ending::Open => self.finish_unchecked(success),
        }
    }

    fn finish_unchecked(&mut self, success: &Success) {
        let said = success
            .text
            .clone()
            .or_else(|| self.final_text().map(ToOwned::to_owned));
        let heard = self.text.as_str();
        let text = said
            .filter(|said| !heard.ends_with(&**said))
            .unwrap_or_else(|| heard.to_owned());
        self.finish_done(text, success.usage, None);
    }

    fn decide_queued(&mut self, now: Instant, since: Instant) {
        if let Some(told) = self.told_at_last() {
            self.conclude_by_rows(told);
        } else if self.history_failed
            || self.strikes >= STRIKES
            || now >= since + self.start.patience
        {
            self.end(RunOutcome::Queued);
        }
    }

    fn decide_recovering(&mut self, now: Instant, since: Instant) {
        if let Some(told) = self.told_at_last() {
            self.conclude_by_rows(told);
            return;
        }
        let Some(trace) = &self.trace else {
            // 2026.2.9 does not show a run whose start was not heard.
            if self.history_failed || self.is_old() && self.started_at_ms.is_none() {
                self.lose(LostReason::GatewayRestarted);
            }
            return;
        };
        if self.is_old() {
            match self.final_text().map(ToOwned::to_owned) {
                // The whole answer had been heard.
                Some(text) => self.finish_done(text, None, None),
                None => self.lose(LostReason::GatewayRestarted),
            }
        } else if !trace.known && self.start.can_send && self.attempts == 0 {
            // It never came as far as the transcript, so it was never begun.
            self.sent = Sent::Unknown;
            self.stage = Stage::Going;
            self.doubt = false;
            self.last_sign = now;
        } else if self.strikes >= STRIKES && (!trace.known || now >= since + RECOVERY) {
            self.lose(LostReason::GatewayRestarted);
        }
    }

    /// The rows that answer the run, if they are complete.
    fn told_at_last(&self) -> Option<Told> {
        let told = self.trace.as_ref()?.told.as_ref()?;
        told.is_over().then(|| told.clone())
    }

    fn conclude_by_rows(&mut self, told: Told) {
        match told.ending {
            Ending::Failed(message) => {
                self.settle_text(&told.text);
                self.fail(message);
            }
            Ending::Aborted => {
                self.settle_text(&told.text);
                self.abort();
            }
            Ending::Stopped | Ending::Open => self.finish_done(told.text, told.usage, told.by),
        }
    }

    /// Takes the text of rows that hold more than was heard.
    fn settle_text(&mut self, text: &str) {
        if text.len() > self.text.as_str().len()
            && let Some(text) = self.text.settle(text)
        {
            self.items.push_back(RunItem::Text(text));
        }
    }

    pub(super) fn finish_done(&mut self, text: String, usage: Option<Usage>, by: Option<String>) {
        if let Some(text) = self.text.settle(&text) {
            self.items.push_back(RunItem::Text(text));
        }
        self.end(RunOutcome::Done {
            text,
            usage,
            answered_by: by,
        });
    }

    fn fail(&mut self, message: String) {
        let ends = [&self.heard.lifecycle, &self.heard.chat];
        let detail = ends
            .into_iter()
            .flatten()
            .find_map(|end| end.detail.clone());
        let text = self.text.as_str().to_owned();
        self.end(RunOutcome::Failed {
            error: RunError { message, detail },
            text,
        });
    }

    fn abort(&mut self) {
        let text = self.text.as_str().to_owned();
        self.end(RunOutcome::Aborted { text });
    }

    pub(super) fn lose(&mut self, reason: LostReason) {
        let text = self.text.as_str().to_owned();
        self.end(RunOutcome::Lost { reason, text });
    }

    pub(super) fn end(&mut self, outcome: RunOutcome) {
        if !self.is_ended() {
            self.tell_outline();
            self.stage = Stage::Ended;
            self.asked = None;
            self.items.push_back(RunItem::Ended(outcome));
        }
    }
}

impl Told {
    fn is_over(&self) -> bool {
        self.ending != Ending::Open
    }
}

/// The failure that an event tells of.
fn failure(end: &End) -> Verdict {
    let message = end.message.clone();
    if end.timeout_phase.is_some() || end.error_kind.as_deref() == Some("timeout") {
        return Verdict::TimedOut {
            phase: end.timeout_phase.clone(),
            message,
        };
    }
    Verdict::Failed {
        message: message.unwrap_or_default(),
    }
}
