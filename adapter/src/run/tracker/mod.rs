//! The state of one run: everything that is known of it, and the next action. No I/O, no clock of its own.
//!
//! A run has four sources that contradict one another: its events, the final answer to `agent`,
//! `agent.wait`, and `chat.history`. The tracker takes them in any order, and ends exactly once. The
//! order of trust is measured: the final answer and `agent.wait` before events; on protocol 4 settled
//! events; on protocol 3 only the final answer, checked against the history where it may be an error.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod evidence;
mod output;
mod request;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde_json::Value;

use self::evidence::{Abort, Evidence};
use self::output::Output;
use self::request::{Delivery, Link, RequestState};
use self::schedule::Schedule;
use super::answer::{Ack, Success, Verdict, WaitAnswer};
use super::event::{RunEvent, TerminalEvent, TerminalKind};
use super::history::{self, Ending, HistoryAnswer, HistoryView, Wanted};
use super::item::{LostReason, Retry, RunError, RunItem, RunOutcome, Usage};
use super::text::without_half_pair;
use crate::logic::error::{self, Error};

/// The timeout of `agent.wait` while a run is active.
const LONG_WAIT: Duration = Duration::from_secs(20);
/// The timeout of `agent.wait` when the run should have ended.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// The time that `agent.wait` has for a verdict after the end.
const WAIT_FOR_VERDICT: Duration = Duration::from_secs(4);
/// The time that the final answer has after terminal events. Measured: within 0.1 s.
const FINAL_ANSWER_GRACE: Duration = Duration::from_secs(5);
/// The time that the `chat` event has after the terminal `lifecycle` event. Measured: at once.
const CHAT_GRACE: Duration = Duration::from_secs(1);
/// The silence after which 2026.2.9 is asked although a final answer is due: it accepts the key of an
/// active run again, and never answers that.
const QUIET: Duration = Duration::from_secs(20);
/// The time between two looks at what changes by time alone.
const TICK: Duration = Duration::from_millis(250);
/// The time to sleep where nothing changes by time.
const FAR: Duration = Duration::from_secs(60);
/// The time that the end of a run may take to become clear.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// The time that 2026.9.6 may take to continue a run after a crash. Measured: 2 s after it listens.
const RECOVERY: Duration = Duration::from_secs(30);
/// The time that a request may take to show that it arrived.
const ARRIVAL: Duration = Duration::from_secs(60);
/// The number of times that 2026.2.9 asks a model that fails.
const OLD_ATTEMPTS: usize = 4;
/// The longest time between two attempts of 2026.2.9, which waits 2, 4 and 8 s.
const OLD_RETRY_GAP: Duration = Duration::from_secs(12);

/// The way in which a run is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By `agent`: a final answer follows.
    Agent,
    /// By `chat.send`: it is only acknowledged.
    Chat,
}

/// The run to follow.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) kind: Kind,
    pub(crate) run_id: String,
    /// The message, if known.
    pub(crate) message: Option<String>,
    /// The request is ours to send.
    pub(crate) can_send: bool,
    /// The longest time without activity.
    pub(crate) patience: Duration,
}

/// The next action towards the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Send the request that starts the run; sent again only where that starts nothing twice.
    Send,
    /// Call `agent.wait` with this timeout.
    Wait(Duration),
    /// Call `chat.history`.
    History,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// It is to be sent, is being sent, or is active.
    Running,
    /// Some source says that it has ended.
    Settling {
        since: Instant,
    },
    /// The turn waits behind another one.
    Queued {
        since: Instant,
    },
    /// The gateway was restarted during the run.
    Recovering {
        since: Instant,
    },
    Ended,
}

/// Follows one run.
#[derive(Debug)]
pub(crate) struct Tracker {
    start: Start,
    stage: Stage,
    request: RequestState,
    link: Link,
    evidence: Evidence,
    schedule: Schedule,
    output: Output,
}

/// Input.
impl Tracker {
    pub(crate) fn new(start: Start, protocol: Option<u32>, now: Instant) -> Self {
        let link = Link::new(protocol);
        Self {
            stage: Stage::Running,
            request: RequestState::new(start.can_send),
            evidence: Evidence::new(now, !start.can_send),
            schedule: Schedule::new(now),
            output: Output::new(link.protocol()),
            link,
            start,
        }
    }

    fn connect(&mut self, protocol: u32) {
        self.link.connect(protocol);
        self.output.set_protocol(protocol);
    }

    /// The connection is lost; `code` is that of its close, if it was closed.
    pub(crate) fn on_disconnected(&mut self, now: Instant, code: Option<u16>) {
        if self.is_ended() || !self.link.is_up() {
            return;
        }
        self.link.disconnect(code);
        self.lose_if_rejected();
        self.evidence.on_disconnected();
        self.schedule.cancel_questions();
        // A run that has settled needs no connection.
        self.decide(now);
        if self.request.is_accepted() && !self.is_ended() {
            self.output.push(RunItem::Interrupted);
        }
    }

    /// There is a new connection, to the same process or to another one.
    pub(crate) fn on_connected(&mut self, now: Instant, protocol: u32, restarted: bool) {
        // The loss itself may not have been seen.
        self.on_disconnected(now, None);
        if self.is_ended() {
            return;
        }
        self.request.on_new_link();
        let was_accepted = self.request.is_accepted();
        self.connect(protocol);
        self.schedule.restart(now);
        self.schedule.forget_misses();
        self.evidence.on_connected(restarted);
        if let Stage::Settling { since } = &mut self.stage {
            *since = now;
        }
        if restarted {
            self.output.forget_seq();
            let is_answered = matches!(self.stage, Stage::Settling { .. })
                && self.evidence.final_answer.is_some();
            if self.request.may_have_arrived() && !is_answered {
                self.stage = Stage::Recovering { since: now };
                self.evidence.history.answer = None;
            }
        }
        if was_accepted {
            self.output.push(RunItem::Resumed { restarted });
        }
        self.decide(now);
    }

    /// The first connection.
    pub(crate) fn on_first_connected(&mut self, now: Instant, protocol: u32) {
        self.connect(protocol);
        self.schedule.restart(now);
    }

    /// The request was answered for the first time. `final_due`: another answer follows.
    pub(crate) fn on_ack(&mut self, now: Instant, ack: Ack, final_due: bool) {
        self.schedule.complete();
        if self.is_ended() {
            return;
        }
        self.schedule.on_activity(now);
        let joined = self.request.may_have_arrived() || !matches!(ack, Ack::Accepted);
        if ack == Ack::NoRun {
            self.finish_done(String::new(), None, None);
            return;
        }
        self.accept(joined);
        self.evidence.needs_history_check = false;
        if let Stage::Recovering { .. } = self.stage {
            self.stage = Stage::Running;
        }
        match ack {
            Ack::Accepted => self.link.set_final_due(final_due),
            Ack::InFlight => {
                self.evidence.has_gap = true;
                self.evidence.needs_history_check = !self.link.is_old();
            }
            Ack::Ended(verdict) => {
                self.evidence.has_gap = true;
                self.evidence.set_final_answer(verdict);
                self.settle_since(now);
            }
            Ack::NoRun => {}
        }
        self.decide(now);
    }

    /// The request was refused, or nobody knows whether it arrived.
    pub(crate) fn on_send_failed(&mut self, now: Instant, error: Error, may_repeat: bool) {
        self.schedule.complete();
        if self.is_ended() {
            return;
        }
        let delivery = match &error {
            Error::Timeout { delivery, .. }
            | Error::Disconnected { delivery, .. }
            | Error::Data {
                delivery: delivery @ error::Delivery::Unknown,
                ..
            } => Some(*delivery),
            _ => None,
        };
        let may_have_arrived = self.request.may_have_arrived();
        match delivery {
            // Events have shown meanwhile that it arrived.
            _ if self.request.is_accepted() => self.evidence.needs_history_check = true,
            Some(error::Delivery::Unknown) => {
                self.request.on_unknown();
                self.evidence.needs_history_check = true;
                self.lose_if_rejected();
            }
            // Its time was over before it went out.
            Some(error::Delivery::NotSent)
                if !may_have_arrived && matches!(error, Error::Timeout { .. }) =>
            {
                self.end(RunOutcome::NotStarted { error });
            }
            Some(error::Delivery::NotSent) if may_repeat && self.request.has_attempts_left() => {
                self.request.on_not_sent();
                self.schedule.pause(now);
            }
            _ if may_have_arrived => self.lose(LostReason::NoTrace),
            // The request may have gone out.
            _ if matches!(error, Error::Closed) => self.lose(LostReason::ClientStopped),
            _ => self.end(RunOutcome::NotStarted { error }),
        }
        self.decide(now);
    }

    /// Gives up a request that was answered by a close: it would be again.
    fn lose_if_rejected(&mut self) {
        if self.request.delivery() == Delivery::Unknown
            && self.request.is_on_latest_link()
            && let Some(code) = self.link.permanent_close()
        {
            self.lose(LostReason::ConnectionClosed { code });
        }
    }

    /// The final answer to `agent` has come; `None` if it says nothing about a run.
    pub(crate) fn on_final_answer(&mut self, now: Instant, verdict: Option<Verdict>) {
        self.link.set_final_due(false);
        if self.is_ended() {
            return;
        }
        match verdict {
            Some(verdict) => {
                self.evidence.set_final_answer(verdict);
                self.settle_since(now);
            }
            None => self.evidence.on_unreadable(),
        }
        self.decide(now);
    }

    /// The final answer will not come.
    pub(crate) fn on_final_answer_lost(&mut self, now: Instant) {
        self.link.set_final_due(false);
        self.evidence.has_gap = true;
        self.decide(now);
    }

    /// `agent.wait` was answered.
    pub(crate) fn on_wait_answer(&mut self, now: Instant, answer: WaitAnswer) {
        let was_pending = self.schedule.complete();
        if self.is_ended() {
            return;
        }
        match answer {
            WaitAnswer::Running => {
                // A gateway that answers at once instead of waiting is not asked in a loop.
                self.schedule.pause(now);
                if let Stage::Settling { since } = self.stage {
                    self.evidence.wait.is_unavailable |= now >= since + WAIT_FOR_VERDICT;
                } else if !self.link.is_final_due() && was_pending {
                    self.evidence.needs_history_check = true;
                }
            }
            WaitAnswer::Queued => {
                self.schedule.on_activity(now);
                self.queue(now);
            }
            WaitAnswer::Ended(verdict) => {
                self.schedule.on_activity(now);
                self.evidence.set_wait_answer(verdict);
                self.settle_since(now);
            }
        }
        self.decide(now);
    }

    /// `agent.wait` cannot be asked on this connection.
    pub(crate) fn on_wait_failed(&mut self, now: Instant) {
        self.schedule.complete();
        self.schedule.pause(now);
        self.evidence.wait.is_unavailable = true;
        self.decide(now);
    }

    /// `chat.history` was answered.
    pub(crate) fn on_history(&mut self, now: Instant, history: &Value) {
        self.schedule.complete();
        if self.is_ended() {
            return;
        }
        let wanted = Wanted {
            run_id: &self.start.run_id,
            message: self.start.message.as_deref(),
            started_at_ms: self.evidence.started_at_ms,
            streamed: self.output.text(),
            has_ended: matches!(self.stage, Stage::Settling { .. }),
            protocol: self.link.protocol(),
        };
        self.on_history_view(now, history::read(history, wanted));
        let is_repeated = self.stage != Stage::Running || self.evidence.wait.is_unavailable;
        self.schedule.on_polled(now, is_repeated);
        self.decide(now);
    }

    fn on_history_view(&mut self, now: Instant, view: HistoryView) {
        self.evidence.needs_history_check = false;
        if let Some(text) = &view.in_flight
            // It may be older than the text of events; then it adds nothing.
            && text.starts_with(without_half_pair(self.output.text()))
        {
            self.output.apply_whole(text);
        }
        let is_busy = view.active == Some(true);
        if view.in_flight.is_some() || view.pending || view.known && is_busy {
            self.schedule.on_activity(now);
        } else if !is_busy {
            // Another active run may be in front of ours; it counts neither way.
            self.schedule.on_miss();
        }
        if view.known && self.request.delivery() == Delivery::Unknown {
            self.accept(false);
        }
        if view.pending && self.start.kind == Kind::Chat && self.stage == Stage::Running {
            self.queue(now);
        }
        self.evidence.history.answer = Some(view);
    }

    /// `chat.history` cannot be asked on this connection.
    pub(crate) fn on_history_failed(&mut self, now: Instant) {
        self.schedule.complete();
        self.schedule.pause(now);
        self.evidence.history.is_unavailable = true;
        self.evidence.needs_history_check = false;
        self.decide(now);
    }

    /// A question has no answer; it may be asked again.
    pub(crate) fn on_action_lost(&mut self, now: Instant) {
        self.schedule.complete();
        self.schedule.pause(now);
    }

    /// An event that names the run.
    pub(crate) fn on_event(&mut self, now: Instant, seq: Option<i64>, event: RunEvent) {
        if self.is_ended() {
            // Late and contradicting terminal events come for a while.
            return;
        }
        self.schedule.on_activity(now);
        if self.request.delivery() != Delivery::Unsent {
            // Events show that the request arrived.
            self.accept(self.request.may_have_arrived());
        }
        if !matches!(&event, RunEvent::Tool(..)) {
            self.output.flush_outline();
        }
        match event {
            RunEvent::Started { at_ms } => self.on_started(now, at_ms),
            RunEvent::Text(update) => self.output.apply_event(seq, &update),
            RunEvent::Status(status) => self.output.set_status(&status),
            RunEvent::Retrying(retry) => self.output.push(RunItem::Retrying(retry)),
            RunEvent::Usage { output } => self.output.push(RunItem::Usage { output }),
            RunEvent::Tool(event, is_outline) => self.output.tool(now, event, is_outline),
            RunEvent::ApprovalWanted(approval) => self.output.approval(approval, false),
            RunEvent::ApprovalResolved(approval) => self.output.approval(approval, true),
            RunEvent::Terminal(event) => self.on_terminal_event(now, event),
            RunEvent::Activity => {}
        }
        self.decide(now);
    }

    fn on_started(&mut self, now: Instant, at_ms: Option<i64>) {
        let is_old = self.link.is_old();
        // A turn that was queued, or lost in a restart, starts after all; and on protocol 3 the end
        // before was that of one attempt.
        let is_retry = is_old && matches!(self.stage, Stage::Settling { .. });
        self.evidence.on_started(now, at_ms, is_retry);
        let is_open = self.evidence.final_answer.is_none()
            && !matches!(self.evidence.abort, Abort::Confirmed { .. });
        if is_retry && is_open
            || matches!(self.stage, Stage::Queued { .. } | Stage::Recovering { .. })
        {
            self.stage = Stage::Running;
            self.evidence.needs_history_check = false;
        }
        let attempt = self.evidence.attempts;
        if attempt == 1 {
            self.output.set_status("started");
        } else if is_old {
            self.output.discard_part();
            self.output.push(RunItem::Retrying(Retry {
                attempt: Some(attempt),
                ..Retry::default()
            }));
        }
    }

    fn on_terminal_event(&mut self, now: Instant, event: TerminalEvent) {
        if event.kind == TerminalKind::ChatAborted
            && let Some(text) = &event.text
        {
            // The text until the abort, which may be more than was streamed.
            self.output.apply_whole(text);
        }
        let is_old = self.link.is_old();
        if self.evidence.on_terminal_event(now, event, is_old) {
            self.settle_since(now);
        }
    }

    /// We have asked the gateway to stop the run.
    pub(crate) const fn on_abort_requested(&mut self) {
        self.evidence.on_abort_requested();
    }

    /// The gateway says that it has stopped the run.
    pub(crate) fn on_aborted(&mut self, now: Instant) {
        if !self.is_ended() {
            self.evidence.on_abort_confirmed(now);
            self.settle_since(now);
            self.decide(now);
        }
    }

    /// Events were dropped before we read them.
    pub(crate) fn on_lagged(&mut self, events: u64) {
        self.evidence.has_gap = true;
        if !self.is_ended() {
            self.output.push(RunItem::Lagged(events));
        }
    }

    /// An event names the run, and cannot be read: it counts as missed.
    pub(crate) fn on_unreadable_event(&mut self, now: Instant) {
        self.evidence.on_unreadable();
        self.on_event(now, None, RunEvent::Activity);
    }

    /// The gateway dropped events.
    pub(crate) const fn on_gap(&mut self) {
        self.evidence.has_gap = true;
    }

    /// The client is closed or has stopped.
    pub(crate) fn on_client_stopped(&mut self, error: Error) {
        let delivery = self.request.delivery();
        if delivery == Delivery::Unsent || delivery == Delivery::Sending && !self.link.is_up() {
            self.end(RunOutcome::NotStarted { error });
        } else {
            self.lose(LostReason::ClientStopped);
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&mut self, now: Instant) {
        self.output.on_tick(now);
        self.decide(now);
    }

    fn accept(&mut self, joined: bool) {
        if self.request.accept() {
            self.output.push(RunItem::Accepted { joined });
        }
    }

    fn settle_since(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Settling { .. } | Stage::Ended) {
            self.stage = Stage::Settling { since: now };
            self.schedule.restart(now);
        }
    }

    fn queue(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Queued { .. } | Stage::Ended) {
            self.stage = Stage::Queued { since: now };
            self.evidence.wait.answer = None;
            self.schedule.restart(now);
            self.schedule.forget_misses();
            self.schedule.pause(now);
            self.output.set_status("queued");
        }
    }
}

/// Output and the next action.
impl Tracker {
    const fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// An action is pending.
    pub(crate) const fn is_busy(&self) -> bool {
        self.schedule.pending().is_some()
    }

    /// The gateway is known to have the run.
    pub(crate) const fn is_accepted(&self) -> bool {
        self.request.is_accepted()
    }

    /// An earlier request may have arrived.
    pub(crate) const fn may_have_arrived(&self) -> bool {
        self.request.may_have_arrived()
    }

    /// The items so far, in order; the last one is [`RunItem::Ended`].
    pub(crate) fn next_item(&mut self) -> Option<RunItem> {
        self.output.next_item()
    }

    /// The action to start now; it replaces the pending one.
    pub(crate) fn next_action(&mut self, now: Instant) -> Option<Action> {
        let action = self.wanted_action(now)?;
        if !self.is_possible(action) || !self.schedule.start(now, action) {
            return None;
        }
        if action == Action::Send {
            self.request.on_send();
        }
        Some(action)
    }

    /// A request waits for the connection by itself; questions need one.
    const fn is_possible(&self, action: Action) -> bool {
        self.link.is_up() || matches!(action, Action::Send)
    }

    fn wanted_action(&self, now: Instant) -> Option<Action> {
        match self.stage {
            Stage::Ended => None,
            Stage::Running => self.wanted_while_running(now),
            Stage::Settling { since } => self.wanted_while_settling(now, since),
            Stage::Queued { .. } | Stage::Recovering { .. } => {
                (!self.evidence.history.is_unavailable).then_some(Action::History)
            }
        }
    }

    fn wanted_while_running(&self, now: Instant) -> Option<Action> {
        match self.request.delivery() {
            Delivery::Unsent => return Some(Action::Send),
            Delivery::Sending => return None,
            Delivery::Unknown | Delivery::Accepted => {}
        }
        let is_old = self.link.is_old();
        let is_final_due = self.link.is_final_due();
        let can_look = !is_old && !self.evidence.history.is_unavailable;
        if self.evidence.needs_history_check && can_look {
            return Some(Action::History);
        }
        if self.may_send_again() {
            return Some(Action::Send);
        }
        if self.evidence.wait.is_unavailable {
            return (!is_final_due && can_look).then_some(Action::History);
        }
        let may_be_ignored = is_old && now >= self.schedule.last_activity() + QUIET;
        (!is_final_due || may_be_ignored).then_some(Action::Wait(LONG_WAIT))
    }

    /// The request may be sent once more: 2026.9.6 recognises the key, also after a restart by its
    /// transcript; and its history has shown that the run is not there. 2026.2.9 forgets keys, and
    /// would do the work twice.
    fn may_send_again(&self) -> bool {
        let view = self.evidence.history.answer.as_ref();
        self.request.delivery() == Delivery::Unknown
            && !self.link.is_old()
            && self.start.can_send
            && self.request.may_repeat_unknown()
            && view.is_some_and(|view| !view.known)
    }

    fn wanted_while_settling(&self, now: Instant, since: Instant) -> Option<Action> {
        if self.expects_final_answer(now, since) {
            return None;
        }
        let evidence = &self.evidence;
        let is_old = self.link.is_old();
        let needs_wait = match &evidence.final_answer {
            None => true,
            // A run of 2026.2.9 is found in the history by its start only.
            Some(Verdict::Done(success)) => {
                success.without_result || is_old && evidence.started_at_ms.is_none()
            }
            Some(_) => false,
        };
        if needs_wait && evidence.wait.answer.is_none() && !evidence.wait.is_unavailable {
            let chat_comes = self.start.kind == Kind::Chat || !evidence.events.has_chat();
            let is_early = !is_old && chat_comes && evidence.events.has_lifecycle();
            return (!is_early || now >= since + CHAT_GRACE).then_some(Action::Wait(SHORT_WAIT));
        }
        (!evidence.history.is_unavailable).then_some(Action::History)
    }

    /// The final answer to `agent` is still to come.
    fn expects_final_answer(&self, now: Instant, since: Instant) -> bool {
        // Events may be read before the answer that says that a final one follows.
        let is_sending =
            self.start.kind == Kind::Agent && self.schedule.pending() == Some(Action::Send);
        (self.link.is_final_due() || is_sending)
            && self.evidence.final_answer.is_none()
            && now < since + FINAL_ANSWER_GRACE
    }

    /// The time of the next tick, if nothing happens before.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let mut at = match self.stage {
            Stage::Ended => return None,
            Stage::Running => self.silent_until().unwrap_or(now + FAR),
            Stage::Settling { .. } => now + TICK,
            Stage::Queued { .. } | Stage::Recovering { .. } => now + TICK * 4,
        };
        // Once it has passed, an action is wanted or pending.
        let quiet_until = self.schedule.last_activity() + QUIET;
        if self.link.is_old() && self.link.is_final_due() && now < quiet_until {
            at = at.min(quiet_until);
        }
        let wanted = self.wanted_action(now).filter(|_| !self.is_busy());
        if wanted.is_some_and(|action| self.is_possible(action)) {
            at = at.min(self.schedule.not_before());
        }
        if let Some(until) = self.output.outline_until() {
            at = at.min(until);
        }
        Some(at.max(now + Duration::from_millis(1)))
    }

    /// The time at which a run without activity is lost. One that was not sent has not started, and
    /// one whose final answer is due ends with that or with its connection.
    fn silent_until(&self) -> Option<Instant> {
        let patience = self.start.patience;
        let patience = match self.request.delivery() {
            _ if self.link.is_final_due() => return None,
            Delivery::Unsent | Delivery::Sending => return None,
            Delivery::Unknown if self.link.is_up() => patience.min(ARRIVAL),
            Delivery::Unknown | Delivery::Accepted => patience,
        };
        Some(self.schedule.last_activity() + patience)
    }
}

/// The outcome.
impl Tracker {
    /// Ends the run if enough is known.
    fn decide(&mut self, now: Instant) {
        if self.evidence.is_abandoned()
            && matches!(self.stage, Stage::Recovering { .. } | Stage::Queued { .. })
        {
            self.lose(LostReason::GatewayRestarted);
        }
        match self.stage {
            Stage::Ended => return,
            Stage::Running => self.decide_running(now),
            Stage::Settling { since } => self.decide_settling(now, since),
            Stage::Queued { since } => self.decide_queued(now, since),
            Stage::Recovering { since } => self.decide_recovering(now, since),
        }
        if self.silent_until().is_some_and(|at| now >= at) {
            self.lose(match self.request.delivery() {
                Delivery::Unknown => LostReason::NoTrace,
                _ => LostReason::Silent,
            });
        }
    }

    fn decide_running(&mut self, now: Instant) {
        if self.link.is_final_due() || self.link.is_old() || !self.request.may_have_arrived() {
            return;
        }
        if !self.request.is_accepted() {
            // It was sent again, and does not arrive.
            if !self.request.may_repeat_unknown() && self.schedule.has_missed_enough() {
                self.lose(LostReason::NoTrace);
            }
            return;
        }
        let Some(view) = &self.evidence.history.answer else {
            return;
        };
        if view.active != Some(true) && self.evidence.complete_answer().is_some() {
            // `agent.wait` may have forgotten it.
            self.settle_since(now);
        } else if self.schedule.has_missed_enough() {
            self.lose(LostReason::NoTrace);
        }
    }

    /// There was enough time to ask for what is missing. Without a connection there is none.
    fn is_late(&self, now: Instant, since: Instant) -> bool {
        self.link.is_up() && now >= since + SETTLE_LIMIT
    }

    fn decide_settling(&mut self, now: Instant, since: Instant) {
        if self.expects_final_answer(now, since) {
            return;
        }
        let is_old = self.link.is_old();
        if is_old && self.evidence.is_queued_on_old(self.start.kind) {
            self.end(RunOutcome::Queued);
            return;
        }
        let is_late = self.is_late(now, since);
        let is_last_chance = self.evidence.wait.is_unavailable || is_late;
        if let Some(verdict) = self.evidence.verdict(is_old, is_last_chance) {
            self.conclude(now, since, verdict);
        } else if self.evidence.is_abort_over(now) {
            self.conclude(now, since, Verdict::Aborted);
        } else if let Some(answer) = self.evidence.complete_answer().filter(|_| is_last_chance) {
            self.conclude_from_history(answer);
        } else if is_late {
            // Nothing confirms the terminal event: ignore it.
            self.stage = Stage::Running;
            self.evidence.needs_history_check = true;
        }
    }

    fn conclude(&mut self, now: Instant, since: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Done(success) if self.link.is_old() => {
                self.conclude_old_success(now, since, &success);
            }
            Verdict::Done(success) => self.conclude_success(now, since, &success),
            Verdict::Failed { .. } if matches!(self.evidence.abort, Abort::Confirmed { .. }) => {
                self.abort();
            }
            Verdict::Failed { message } => self.fail(message),
            Verdict::Aborted => self.abort(),
            Verdict::Superseded if self.evidence.abort != Abort::NotRequested => self.abort(),
            Verdict::Superseded => {
                let text = self.text();
                self.end(RunOutcome::Superseded { text });
            }
            Verdict::TimedOut { phase, message } => {
                let phase = phase.or_else(|| self.evidence.events.timeout_phase());
                let message = message.or_else(|| self.evidence.events.message());
                let text = self.text();
                self.end(RunOutcome::TimedOut {
                    phase,
                    message,
                    text,
                });
            }
        }
    }

    fn conclude_success(&mut self, now: Instant, since: Instant, success: &Success) {
        if let Some(text) = self.final_text() {
            self.finish_done(text, success.usage, None);
            return;
        }
        if success.without_result && self.start.kind == Kind::Chat && self.evidence.attempts == 0 {
            self.queue(now);
            return;
        }
        let is_empty = success.text.is_none() && self.evidence.events.has_empty_final();
        if success.is_silent || is_empty {
            // What was streamed is not the answer, such as `NO_REPLY`.
            self.finish_done(String::new(), success.usage, None);
            return;
        }
        let streamed = self.output.text();
        let whole = match &success.text {
            _ if self.evidence.has_gap || success.cut => None,
            // The answer names the last part only.
            Some(text) if streamed.ends_with(&**text) => Some(streamed.to_owned()),
            Some(text) if text.starts_with(streamed) => Some(text.clone()),
            Some(_) => None,
            None => Some(streamed.to_owned()),
        };
        if let Some(whole) = whole {
            self.finish_done(whole, success.usage, None);
        } else if let Some(answer) = self.evidence.complete_answer().filter(|answer| !answer.cut) {
            let usage = success.usage.or(answer.usage);
            self.finish_done(answer.text, usage, answer.by);
        } else if self.evidence.history.is_unavailable || self.is_late(now, since) {
            let streamed = self.output.text();
            let has_gap = self.evidence.has_gap;
            let whole = match success.text.as_deref() {
                Some("") | None => None,
                Some(text) if success.cut => {
                    (!has_gap && streamed.len() > text.len()).then_some(streamed)
                }
                Some(text) if streamed.ends_with(text) => Some(streamed),
                // A part that was missed would stand before.
                Some(text) if has_gap && (streamed.is_empty() || !text.starts_with(streamed)) => {
                    None
                }
                Some(text) => Some(text),
            };
            match whole.map(ToOwned::to_owned) {
                Some(whole) => self.finish_done(whole, success.usage, None),
                None => self.finish_incomplete(success),
            }
        }
    }

    /// Ends a run of whose answer a part is missing.
    fn finish_incomplete(&mut self, success: &Success) {
        if let Some(text) = &success.text
            && text.starts_with(without_half_pair(self.output.text()))
        {
            self.output.settle(text);
        }
        self.lose(LostReason::AnswerIncomplete);
    }

    /// 2026.2.9 answers `ok` to everything. A success that counts its tokens is one; the history shows
    /// whether any other one is an error.
    fn conclude_old_success(&mut self, now: Instant, since: Instant, success: &Success) {
        let evidence = &self.evidence;
        let has_final = matches!(
            &evidence.final_answer,
            Some(Verdict::Done(answer)) if !answer.without_result
        );
        let is_counted = has_final && success.usage.is_some();
        let is_command =
            evidence.has_no_attempt() && success.text.is_some() && evidence.wait.answer.is_none();
        if is_counted || is_command {
            self.finish_done(
                success.text.clone().unwrap_or_default(),
                success.usage,
                None,
            );
            return;
        }
        let is_late = self.is_late(now, since);
        let view = evidence.history.answer.as_ref();
        let Some(answer) = view.and_then(|view| view.answer.clone()) else {
            let is_unfindable = evidence.started_at_ms.is_none() && self.start.message.is_none();
            let cannot_look = evidence.history.is_unavailable || is_unfindable;
            let has_waited = evidence.wait.answer.is_some() || evidence.wait.is_unavailable;
            if is_late || cannot_look && has_waited {
                self.finish_unchecked(success);
            }
            return;
        };
        match &answer.ending {
            Ending::Failed(message) => {
                // An attempt that has produced text is not repeated.
                let is_last = has_final
                    || answer.failures >= OLD_ATTEMPTS
                    || !answer.text.is_empty()
                    || now >= evidence.last_attempt + OLD_RETRY_GAP;
                if is_last {
                    self.settle_text(&answer.text);
                    self.fail(message.clone());
                }
            }
            Ending::Aborted => self.abort(),
            Ending::Stopped if answer.cut && !has_final => self.finish_unchecked(success),
            Ending::Stopped => {
                let text = success.text.clone().filter(|_| has_final);
                self.finish_done(text.unwrap_or(answer.text), answer.usage, None);
            }
            Ending::Open if !is_late => {}
            Ending::Open => self.finish_unchecked(success),
        }
    }

    fn finish_unchecked(&mut self, success: &Success) {
        let has_final = matches!(&self.evidence.final_answer, Some(Verdict::Done(answer)) if answer.text.is_some());
        if self.evidence.has_gap && !has_final {
            self.finish_incomplete(success);
            return;
        }
        let text = success.text.clone().or_else(|| self.final_text());
        let streamed = self.output.text();
        let text = text
            .filter(|text| !streamed.ends_with(&**text))
            .unwrap_or_else(|| streamed.to_owned());
        self.finish_done(text, success.usage, None);
    }

    fn decide_queued(&mut self, now: Instant, since: Instant) {
        if let Some(answer) = self.evidence.complete_answer() {
            self.conclude_from_history(answer);
        } else if self.evidence.history.is_unavailable
            || self.schedule.has_missed_enough()
            || now >= since + self.start.patience
        {
            self.end(RunOutcome::Queued);
        }
    }

    fn decide_recovering(&mut self, now: Instant, since: Instant) {
        if let Some(answer) = self.evidence.complete_answer() {
            self.conclude_from_history(answer);
            return;
        }
        let is_old = self.link.is_old();
        let Some(view) = &self.evidence.history.answer else {
            // 2026.2.9 does not show a run whose start was not seen.
            let cannot_look = is_old && self.evidence.started_at_ms.is_none();
            if self.evidence.history.is_unavailable || cannot_look {
                self.lose(LostReason::GatewayRestarted);
            }
            return;
        };
        if is_old {
            match self.final_text() {
                // The whole answer had been received.
                Some(text) => self.finish_done(text, None, None),
                None => self.lose(LostReason::GatewayRestarted),
            }
        } else if !view.known && self.start.can_send && self.evidence.attempts == 0 {
            // It is not in the transcript, so it has not started.
            self.request.set_unknown();
            self.stage = Stage::Running;
            self.evidence.needs_history_check = false;
            self.schedule.on_activity(now);
        } else if self.schedule.has_missed_enough() && (!view.known || now >= since + RECOVERY) {
            self.lose(LostReason::GatewayRestarted);
        }
    }

    fn conclude_from_history(&mut self, answer: HistoryAnswer) {
        match answer.ending {
            Ending::Failed(message) => {
                self.settle_text(&answer.text);
                self.fail(message);
            }
            Ending::Aborted => {
                self.settle_text(&answer.text);
                self.abort();
            }
            Ending::Stopped | Ending::Open if answer.cut => {
                self.settle_text(&answer.text);
                self.lose(LostReason::AnswerIncomplete);
            }
            Ending::Stopped | Ending::Open => {
                self.finish_done(answer.text, answer.usage, answer.by);
            }
        }
    }

    fn text(&self) -> String {
        self.output.text().to_owned()
    }

    fn final_text(&self) -> Option<String> {
        self.evidence.events.final_text().map(ToOwned::to_owned)
    }

    /// Takes the text of the history where it is longer.
    fn settle_text(&mut self, text: &str) {
        if text.len() > self.output.text().len() {
            self.output.settle(text);
        }
    }

    fn finish_done(&mut self, text: String, usage: Option<Usage>, answered_by: Option<String>) {
        self.output.settle(&text);
        self.end(RunOutcome::Done {
            text,
            usage,
            answered_by,
        });
    }

    fn fail(&mut self, message: String) {
        let detail = self.evidence.events.failure_detail();
        let text = self.text();
        self.end(RunOutcome::Failed {
            error: RunError { message, detail },
            text,
        });
    }

    fn abort(&mut self) {
        let text = self.text();
        self.end(RunOutcome::Aborted { text });
    }

    fn lose(&mut self, reason: LostReason) {
        let text = self.text();
        self.end(RunOutcome::Lost { reason, text });
    }

    fn end(&mut self, outcome: RunOutcome) {
        if !self.is_ended() {
            self.stage = Stage::Ended;
            self.schedule.complete();
            self.output.end(outcome);
        }
    }
}
