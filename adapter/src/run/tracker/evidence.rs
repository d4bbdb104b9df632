//! Everything that is known of a run's end, by its four sources.

use std::time::{Duration, Instant};

use super::Kind;
use crate::run::answer::{Success, Verdict, by_stop_reason};
use crate::run::event::{TerminalEvent, TerminalKind};
use crate::run::history::{Ending, HistoryAnswer, HistoryView};
use crate::run::item::FailureDetail;

/// The time that the events of a confirmed abort may take.
const ABORT_GRACE: Duration = Duration::from_secs(3);

/// A question to the gateway that can be asked again.
#[derive(Debug)]
pub(super) struct Question<T> {
    /// The latest answer.
    pub(super) answer: Option<T>,
    /// It cannot be asked on this connection.
    pub(super) is_unavailable: bool,
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self {
            answer: None,
            is_unavailable: false,
        }
    }
}

/// The terminal events of a run.
#[derive(Debug, Default)]
pub(super) struct TerminalEvents {
    /// A terminal `chat` event; the one with a text, if there are two.
    chat: Option<TerminalEvent>,
    /// The settled `lifecycle` event of protocol 4, the last one of any attempt on protocol 3.
    lifecycle: Option<TerminalEvent>,
    /// The `lifecycle` event of a cancelled run.
    cancelled: Option<TerminalEvent>,
}

impl TerminalEvents {
    /// Keeps an event; `false` if it only ends an attempt.
    pub(super) fn insert(&mut self, event: TerminalEvent, is_old: bool) -> bool {
        match event.kind {
            TerminalKind::LifecycleEnd | TerminalKind::LifecycleError => {
                if is_old {
                    self.lifecycle = Some(event);
                } else if event.settled {
                    self.lifecycle.get_or_insert(event);
                } else if event.aborted {
                    self.cancelled.get_or_insert(event);
                } else {
                    return false;
                }
            }
            TerminalKind::ChatFinal | TerminalKind::ChatAborted | TerminalKind::ChatError => {
                match &self.chat {
                    Some(before)
                        if before.final_text().is_some() || event.final_text().is_none() => {}
                    _ => self.chat = Some(event),
                }
            }
        }
        true
    }

    pub(super) const fn has_chat(&self) -> bool {
        self.chat.is_some()
    }

    pub(super) const fn has_lifecycle(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// The whole answer, if a `chat` event has brought it.
    pub(super) fn final_text(&self) -> Option<&str> {
        self.chat.as_ref()?.final_text()
    }

    /// A `chat` event without text ends the run.
    pub(super) fn has_empty_final(&self) -> bool {
        let chat = self.chat.as_ref();
        chat.is_some_and(|end| end.kind == TerminalKind::ChatFinal && end.final_text().is_none())
    }

    pub(super) fn failure_detail(&self) -> Option<FailureDetail> {
        let mut events = [&self.lifecycle, &self.chat].into_iter().flatten();
        events.find_map(|event| event.detail.clone())
    }

    /// The run was cancelled; later sources report that as an error or a timeout.
    fn cancellation(&self) -> Option<Verdict> {
        let cancelled = self.cancelled.as_ref()?;
        by_stop_reason(cancelled.stop_reason.as_deref()).or(Some(Verdict::Aborted))
    }

    pub(super) fn timeout_phase(&self) -> Option<String> {
        self.lifecycle.as_ref()?.timeout_phase.clone()
    }

    pub(super) fn message(&self) -> Option<String> {
        self.lifecycle.as_ref()?.message.clone()
    }
}

impl TerminalEvent {
    fn final_text(&self) -> Option<&str> {
        let text = self.text.as_deref().filter(|text| !text.is_empty());
        text.filter(|_| self.kind == TerminalKind::ChatFinal)
    }

    /// The failure that the event reports.
    fn failure(&self) -> Verdict {
        let message = self.message.clone();
        if self.timeout_phase.is_some() || self.error_kind.as_deref() == Some("timeout") {
            return Verdict::TimedOut {
                phase: self.timeout_phase.clone(),
                message,
            };
        }
        Verdict::Failed {
            message: message.unwrap_or_default(),
        }
    }
}

/// The abort of a run by us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Abort {
    NotRequested,
    Requested,
    Confirmed { at: Instant },
}

/// Everything that is known of a run's end.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) final_answer: Option<Verdict>,
    pub(super) wait: Question<Verdict>,
    pub(super) history: Question<HistoryView>,
    pub(super) events: TerminalEvents,
    pub(super) abort: Abort,
    /// Events may have been missed.
    pub(super) has_gap: bool,
    /// Nothing is sure until the history was read.
    pub(super) needs_history_check: bool,
    /// Number of attempts that have started.
    pub(super) attempts: u32,
    /// Start or end of the latest attempt.
    pub(super) last_attempt: Instant,
    /// Start of the run, by the gateway's clock.
    pub(super) started_at_ms: Option<i64>,
}

impl Evidence {
    /// Of a run that started earlier, events have been missed.
    pub(super) fn new(now: Instant, started_earlier: bool) -> Self {
        Self {
            final_answer: None,
            wait: Question::default(),
            history: Question::default(),
            events: TerminalEvents::default(),
            abort: Abort::NotRequested,
            has_gap: started_earlier,
            needs_history_check: started_earlier,
            attempts: 0,
            last_attempt: now,
            started_at_ms: None,
        }
    }

    pub(super) const fn on_disconnected(&mut self) {
        self.on_unreadable();
    }

    /// Something of the run was missed.
    pub(super) const fn on_unreadable(&mut self) {
        self.has_gap = true;
        self.needs_history_check = true;
    }

    pub(super) fn on_connected(&mut self, restarted: bool) {
        self.wait.is_unavailable = false;
        self.history.is_unavailable = false;
        if restarted {
            // Another process answers `agent.wait` from now on.
            self.wait.answer = None;
        }
    }

    /// Records that an attempt starts; `is_retry` discards the end of the one before.
    pub(super) fn on_started(&mut self, now: Instant, at_ms: Option<i64>, is_retry: bool) {
        self.attempts += 1;
        self.last_attempt = now;
        self.set_start(at_ms);
        if is_retry {
            self.events.lifecycle = None;
            self.events.chat = None;
            self.wait.answer = None;
            self.history.answer = None;
        }
    }

    /// Records a terminal event; `false` if it only ends an attempt.
    pub(super) fn on_terminal_event(
        &mut self,
        now: Instant,
        event: TerminalEvent,
        is_old: bool,
    ) -> bool {
        self.set_start(event.started_at_ms);
        let is_lifecycle = matches!(
            event.kind,
            TerminalKind::LifecycleEnd | TerminalKind::LifecycleError
        );
        if is_old && is_lifecycle {
            self.last_attempt = now;
        }
        self.events.insert(event, is_old)
    }

    pub(super) fn set_final_answer(&mut self, verdict: Verdict) {
        self.set_start(verdict.started_at_ms());
        self.final_answer = Some(verdict);
    }

    pub(super) fn set_wait_answer(&mut self, verdict: Verdict) {
        self.set_start(verdict.started_at_ms());
        self.wait.answer = Some(verdict);
    }

    fn set_start(&mut self, at_ms: Option<i64>) {
        self.started_at_ms = self.started_at_ms.or(at_ms);
    }

    pub(super) const fn on_abort_requested(&mut self) {
        if matches!(self.abort, Abort::NotRequested) {
            self.abort = Abort::Requested;
        }
    }

    pub(super) const fn on_abort_confirmed(&mut self, now: Instant) {
        if !matches!(self.abort, Abort::Confirmed { .. }) {
            self.abort = Abort::Confirmed { at: now };
        }
    }

    /// The abort is confirmed, and its events had time to come.
    pub(super) fn is_abort_over(&self, now: Instant) -> bool {
        matches!(self.abort, Abort::Confirmed { at } if now >= at + ABORT_GRACE)
    }

    /// No attempt was seen although every event was.
    pub(super) const fn has_no_attempt(&self) -> bool {
        self.attempts == 0 && !self.has_gap && self.final_answer.is_none()
    }

    /// On 2026.2.9 a turn that waits behind another one only gets a terminal event, and is answered
    /// under another id.
    pub(super) fn is_queued_on_old(&self, kind: Kind) -> bool {
        kind == Kind::Chat && self.has_no_attempt() && self.events.has_empty_final()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        let view = self.history.answer.as_ref();
        view.is_some_and(|view| view.abandoned)
    }

    /// The complete answer in the history.
    pub(super) fn complete_answer(&self) -> Option<HistoryAnswer> {
        let answer = self.history.answer.as_ref()?.answer.as_ref()?;
        (answer.ending != Ending::Open).then(|| answer.clone())
    }

    /// The verdict of the most reliable source; with `is_last_chance` also the doubtful ones.
    pub(super) fn verdict(&self, is_old: bool, is_last_chance: bool) -> Option<Verdict> {
        let without_result =
            |answer: &&Verdict| matches!(answer, Verdict::Done(success) if success.without_result);
        let final_answer = self.final_answer.as_ref();
        self.events
            .cancellation()
            .or_else(|| {
                final_answer
                    .filter(|answer| !without_result(answer))
                    .or(self.wait.answer.as_ref())
                    .cloned()
            })
            .or_else(|| {
                if is_old {
                    self.verdict_from_old_events(is_last_chance)
                } else {
                    self.verdict_from_events(is_last_chance)
                }
            })
            .or_else(|| final_answer.filter(|_| is_last_chance).cloned())
    }

    fn verdict_from_events(&self, is_last_chance: bool) -> Option<Verdict> {
        let chat = self.events.chat.as_ref();
        let lifecycle = self.events.lifecycle.as_ref();
        if let Some(error) =
            lifecycle.filter(|end| end.kind == TerminalKind::LifecycleError && !end.aborted)
        {
            return Some(error.failure());
        }
        if let Some(text) = self.events.final_text() {
            return Some(Verdict::Done(Success::with_text(Some(text.to_owned()))));
        }
        if let Some(error) = chat.filter(|end| end.kind == TerminalKind::ChatError) {
            return Some(error.failure());
        }
        if !is_last_chance {
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
                cut: reply.cut,
                is_silent: reply.is_silent,
                without_result: lifecycle.is_none() && self.attempts == 0,
                ..Success::with_text(reply.text)
            })
        })
    }

    fn verdict_from_old_events(&self, is_last_chance: bool) -> Option<Verdict> {
        let chat = self.events.chat.as_ref();
        let lifecycle = self.events.lifecycle.as_ref();
        if let Some(end) = chat {
            match end.kind {
                TerminalKind::ChatAborted => return Some(Verdict::Aborted),
                TerminalKind::ChatError => return Some(end.failure()),
                // A command was answered without any model.
                TerminalKind::ChatFinal
                    if self.attempts == 0 && !self.has_gap && end.text.is_some() =>
                {
                    return Some(Verdict::Done(Success::with_text(end.text.clone())));
                }
                _ => {}
            }
        }
        if let Some(end) = lifecycle {
            if end.kind == TerminalKind::LifecycleError {
                return Some(end.failure());
            }
            if end.aborted {
                return Some(Verdict::TimedOut {
                    phase: None,
                    message: None,
                });
            }
        }
        (is_last_chance && (chat.is_some() || lifecycle.is_some())).then(|| {
            Verdict::Done(Success {
                without_result: true,
                ..Success::with_text(chat.and_then(|end| end.text.clone()))
            })
        })
    }
}
