//! The items of a run, each step once, and its text.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::run::event::{TextSource, TextUpdate};
use crate::run::item::{Approval, RunItem, RunOutcome, ToolEvent, ToolStep};
use crate::run::text::Text;

/// As many tool calls and approvals are remembered, so that each step is reported once.
const REMEMBERED: usize = 4096;
/// The time that the outline of a tool call waits for the arguments. Measured on 2026.9.6: 1 ms.
const OUTLINE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Output {
    items: VecDeque<RunItem>,
    text: Text,
    last_seq: HashMap<TextSource, i64>,
    status: Option<String>,
    /// Tool calls; `true` if they have ended.
    tools: HashMap<String, bool>,
    approvals: HashSet<(String, bool)>,
    /// The outline of a new tool call, and the time until which its arguments may come.
    outline: Option<(ToolEvent, Instant)>,
}

impl Output {
    pub(super) fn new(protocol: u32) -> Self {
        Self {
            items: VecDeque::new(),
            text: Text::new(protocol),
            last_seq: HashMap::new(),
            status: None,
            tools: HashMap::new(),
            approvals: HashSet::new(),
            outline: None,
        }
    }

    pub(super) const fn set_protocol(&mut self, protocol: u32) {
        self.text.set_protocol(protocol);
    }

    /// Forgets the numbers of events: another process counts from the start.
    pub(super) fn forget_seq(&mut self) {
        self.last_seq.clear();
    }

    pub(super) fn next_item(&mut self) -> Option<RunItem> {
        self.items.pop_front()
    }

    pub(super) fn push(&mut self, item: RunItem) {
        self.items.push_back(item);
    }

    pub(super) fn end(&mut self, outcome: RunOutcome) {
        self.flush_outline();
        self.push(RunItem::Ended(outcome));
    }

    pub(super) fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Applies the text of an event, unless a newer one was applied.
    pub(super) fn apply_event(&mut self, seq: Option<i64>, update: &TextUpdate) {
        if let Some(seq) = seq {
            let last = self.last_seq.entry(update.source).or_insert(i64::MIN);
            if seq < *last || seq == *last && update.source == TextSource::Agent {
                return;
            }
            *last = seq;
        }
        let text = self.text.apply(update).map(RunItem::Text);
        self.items.extend(text);
    }

    /// Applies a text that the gateway shows elsewhere than in its deltas.
    pub(super) fn apply_whole(&mut self, text: &str) {
        let update = TextUpdate {
            source: TextSource::Chat,
            text: text.to_owned(),
            replaces: false,
            starts_part: false,
        };
        self.apply_event(None, &update);
    }

    /// Discards the text of a failed attempt.
    pub(super) fn discard_part(&mut self) {
        let text = self.text.discard_part().map(RunItem::Text);
        self.items.extend(text);
    }

    /// Replaces the text by that of an answer.
    pub(super) fn settle(&mut self, text: &str) {
        let text = self.text.settle(text).map(RunItem::Text);
        self.items.extend(text);
    }

    pub(super) fn set_status(&mut self, status: &str) {
        if self.status.as_deref() != Some(status) {
            self.status = Some(status.to_owned());
            self.push(RunItem::Status(status.to_owned()));
        }
    }

    /// Reports each step once, whichever stream has it first; a result from the stream that shows it.
    /// The outline of a new call comes just before the event with its arguments, so it waits a moment.
    pub(super) fn tool(&mut self, now: Instant, event: ToolEvent, is_outline: bool) {
        let starts = matches!(event.step, ToolStep::Started { .. });
        if starts
            && !is_outline
            && let Some((waiting, _)) = &self.outline
            && waiting.call_id == event.call_id
        {
            self.outline = None;
        }
        self.flush_outline();
        if starts && is_outline && !self.tools.contains_key(&event.call_id) {
            self.outline = Some((event, now + OUTLINE));
        } else {
            self.push_tool(event, is_outline);
        }
    }

    pub(super) fn outline_until(&self) -> Option<Instant> {
        self.outline.as_ref().map(|(_, until)| *until)
    }

    /// Reports a new tool call whose arguments did not come.
    pub(super) fn flush_outline(&mut self) {
        if let Some((event, _)) = self.outline.take() {
            self.push_tool(event, true);
        }
    }

    pub(super) fn on_tick(&mut self, now: Instant) {
        if self.outline_until().is_some_and(|until| now >= until) {
            self.flush_outline();
        }
    }

    fn push_tool(&mut self, event: ToolEvent, is_outline: bool) {
        let known = self.tools.get(&event.call_id).copied();
        let is_new = match (&event.step, known) {
            (ToolStep::Started { .. }, known) => known.is_none(),
            // The outline of an update repeats the update.
            (ToolStep::Update { .. }, known) => !is_outline && known != Some(true),
            (ToolStep::Ended { .. }, known) => known != Some(true),
        };
        if !is_new {
            return;
        }
        if self.tools.len() < REMEMBERED || known.is_some() {
            let has_ended = matches!(event.step, ToolStep::Ended { .. });
            self.tools.insert(event.call_id.clone(), has_ended);
        }
        self.push(RunItem::Tool(event));
    }

    pub(super) fn approval(&mut self, approval: Approval, is_resolved: bool) {
        if self.approvals.len() < REMEMBERED
            && !self.approvals.insert((approval.id.clone(), is_resolved))
        {
            return;
        }
        self.push(if is_resolved {
            RunItem::ApprovalResolved(approval)
        } else {
            RunItem::ApprovalWanted(approval)
        });
    }
}
