//! What events and the history tell.

use std::time::{Duration, Instant};

use super::{Kind, Sent, Stage, Tracker};
use crate::run::event::{End, EndKind, RunEvent, Voice, Words};
use crate::run::history::Trace;
use crate::run::item::{Approval, Retry, RunItem, ToolEvent, ToolStep};

/// As many tool calls and approvals are remembered, so that each step is told once.
const REMEMBERED: usize = 4096;
/// How long the outline of a tool call waits for the arguments. Measured on 2026.9.6: 1 ms.
const OUTLINE: Duration = Duration::from_millis(50);

impl Tracker {
    /// An event that names the run.
    pub(crate) fn on_event(&mut self, now: Instant, seq: Option<i64>, event: RunEvent) {
        if self.is_ended() {
            // Late and contradicting words of the end come for a while.
            return;
        }
        self.last_sign = now;
        self.strikes = 0;
        if matches!(self.sent, Sent::Out | Sent::Unknown) {
            // Whoever acts on the request has got it.
            let joined = self.may_be_there;
            self.taken();
            self.items.push_back(RunItem::Accepted { joined });
        }
        if !matches!(&event, RunEvent::Tool(..)) {
            self.tell_outline();
        }
        match event {
            RunEvent::Started { at_ms } => self.on_started(now, at_ms),
            RunEvent::Text(words) => self.on_words(seq, &words),
            RunEvent::Status(status) => self.say(&status),
            RunEvent::Retrying(retry) => self.items.push_back(RunItem::Retrying(retry)),
            RunEvent::Usage { output } => self.items.push_back(RunItem::Usage { output }),
            RunEvent::Tool(event, outline) => self.on_tool(now, event, outline),
            RunEvent::ApprovalWanted(approval) => self.on_approval(approval, false),
            RunEvent::ApprovalResolved(approval) => self.on_approval(approval, true),
            RunEvent::End(end) => self.on_end(now, end),
            RunEvent::Alive => {}
        }
        self.decide(now);
    }

    fn on_started(&mut self, now: Instant, at_ms: Option<i64>) {
        self.attempts += 1;
        self.last_attempt = now;
        self.started_at_ms = self.started_at_ms.or(at_ms);
        // A turn that was queued, or lost in a restart, runs after all; and on protocol 3 what looked
        // like the end was the end of one attempt.
        let was_attempt = self.is_old() && matches!(self.stage, Stage::Settling { .. });
        if was_attempt {
            self.heard.lifecycle = None;
            self.heard.chat = None;
            self.waited = None;
            self.trace = None;
        }
        if (was_attempt && self.last.is_none() && self.abort_confirmed.is_none())
            || matches!(self.stage, Stage::Queued { .. } | Stage::Recovering { .. })
        {
            self.stage = Stage::Going;
            self.doubt = false;
        }
        if self.attempts == 1 {
            self.say("started");
        } else if self.is_old() {
            if let Some(text) = self.text.retract_part() {
                self.items.push_back(RunItem::Text(text));
            }
            self.items.push_back(RunItem::Retrying(Retry {
                attempt: Some(self.attempts),
                ..Retry::default()
            }));
        }
    }

    fn on_words(&mut self, seq: Option<i64>, words: &Words) {
        if let Some(seq) = seq {
            let last = self.last_seq.entry(words.voice).or_insert(i64::MIN);
            if seq < *last || seq == *last && words.voice == Voice::Agent {
                return;
            }
            *last = seq;
        }
        if let Some(text) = self.text.take(words) {
            self.items.push_back(RunItem::Text(text));
        }
    }

    /// Each step once, whichever stream tells it first; of a result the one that shows it. The outline
    /// of a beginning comes just before the beginning that has the arguments, so it waits a moment.
    fn on_tool(&mut self, now: Instant, event: ToolEvent, outline: bool) {
        let begins = matches!(event.step, ToolStep::Started { .. });
        if begins
            && !outline
            && let Some((waiting, _)) = &self.outlined
            && waiting.call_id == event.call_id
        {
            self.outlined = None;
        }
        self.tell_outline();
        if begins && outline && !self.tools.contains_key(&event.call_id) {
            self.outlined = Some((event, now + OUTLINE));
        } else {
            self.tell_tool(event, outline);
        }
    }

    /// Tells the beginning whose arguments did not come.
    pub(super) fn tell_outline(&mut self) {
        if let Some((event, _)) = self.outlined.take() {
            self.tell_tool(event, true);
        }
    }

    /// Tells it if its time is over.
    pub(super) fn tell_late_outline(&mut self, now: Instant) {
        if self
            .outlined
            .as_ref()
            .is_some_and(|(_, until)| now >= *until)
        {
            self.tell_outline();
        }
    }

    fn tell_tool(&mut self, event: ToolEvent, outline: bool) {
        let known = self.tools.get(&event.call_id).copied();
        let is_news = match (&event.step, known) {
            (ToolStep::Started { .. }, known) => known.is_none(),
            // The outline of an update repeats the update.
            (ToolStep::Update { .. }, known) => !outline && known != Some(true),
            (ToolStep::Ended { .. }, known) => known != Some(true),
        };
        if !is_news {
            return;
        }
        if self.tools.len() < REMEMBERED || known.is_some() {
            let has_ended = matches!(event.step, ToolStep::Ended { .. });
            self.tools.insert(event.call_id.clone(), has_ended);
        }
        self.items.push_back(RunItem::Tool(event));
    }

    fn on_approval(&mut self, approval: Approval, resolved: bool) {
        if self.approvals.len() < REMEMBERED
            && !self.approvals.insert((approval.id.clone(), resolved))
        {
            return;
        }
        self.items.push_back(if resolved {
            RunItem::ApprovalResolved(approval)
        } else {
            RunItem::ApprovalWanted(approval)
        });
    }

    fn on_end(&mut self, now: Instant, end: End) {
        self.started_at_ms = self.started_at_ms.or(end.started_at_ms);
        if let (EndKind::ChatAborted, Some(text)) = (end.kind, &end.text) {
            // What was said until the abort, which may be more than was told.
            self.on_words(
                None,
                &Words {
                    voice: Voice::Chat,
                    text: text.clone(),
                    retracts: false,
                    begins: false,
                },
            );
        }
        match end.kind {
            EndKind::LifecycleEnd | EndKind::LifecycleError if self.is_old() => {
                self.last_attempt = now;
                self.heard.lifecycle = Some(end);
            }
            EndKind::LifecycleEnd | EndKind::LifecycleError if end.settled => {
                self.heard.lifecycle.get_or_insert(end);
            }
            EndKind::LifecycleEnd | EndKind::LifecycleError if end.aborted => {
                self.heard.cancelled.get_or_insert(end);
            }
            // The end of one attempt.
            EndKind::LifecycleEnd | EndKind::LifecycleError => return,
            EndKind::ChatFinal | EndKind::ChatAborted | EndKind::ChatError => {
                let has_text = |end: &End| end.kind == EndKind::ChatFinal && end.text.is_some();
                match &self.heard.chat {
                    Some(before) if has_text(before) || !has_text(&end) => {}
                    _ => self.heard.chat = Some(end),
                }
            }
        }
        self.settle_since(now);
    }

    pub(super) fn on_trace(&mut self, now: Instant, trace: Trace) {
        self.doubt = false;
        if let Some(text) = &trace.in_flight {
            let words = Words {
                voice: Voice::Chat,
                text: text.clone(),
                retracts: false,
                begins: false,
            };
            // It may be older than what events have told meanwhile; then it adds nothing.
            if text.starts_with(self.text.as_str())
                && let Some(text) = self.text.take(&words)
            {
                self.items.push_back(RunItem::Text(text));
            }
        }
        let is_busy = trace.active == Some(true);
        if trace.in_flight.is_some() || trace.pending || trace.known && is_busy {
            self.last_sign = now;
            self.strikes = 0;
        } else if !is_busy {
            // What else runs in the session may be in front of ours; so it counts neither way.
            self.strikes += 1;
        }
        if trace.known && matches!(self.sent, Sent::Unknown) {
            self.taken();
            self.items.push_back(RunItem::Accepted { joined: false });
        }
        if trace.pending && self.start.kind == Kind::Chat && matches!(self.stage, Stage::Going) {
            self.queue(now);
        }
        self.trace = Some(trace);
    }
}
