//! What is known of one run, and what to ask next. No I/O, no clock of its own.
//!
//! A run is told by four voices that contradict one another: its events, the final answer to `agent`,
//! `agent.wait`, and `chat.history`. The tracker takes whatever comes, in any order, and ends exactly
//! once. The order of belief is the one that was measured to be right: the final answer and
//! `agent.wait` before events; on protocol 4 events that say they are settled; on protocol 3 nothing
//! but the final answer, checked against the history where it may be an error in disguise.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod answered;
mod asking;
mod ending;
mod hearing;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::answer::Verdict;
use super::event::{End, Voice};
use super::history::Trace;
use super::item::{LostReason, RunItem, RunOutcome, ToolEvent};
use super::text::Text;
use crate::logic::error::Error;

/// A request of unknown fate is sent again once; one that never went out a few times.
const MOST_SENDINGS: u32 = 8;
/// The shortest time between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// How a run is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// By `agent`: a final answer follows.
    Agent,
    /// By `chat.send`: it is only acknowledged.
    Chat,
}

/// What is to be followed.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) kind: Kind,
    pub(crate) run_id: String,
    /// What is asked, where we know it.
    pub(crate) message: Option<String>,
    /// Whether we can send the request, or only look on.
    pub(crate) can_send: bool,
    /// How long a run may give no sign of life.
    pub(crate) patience: Duration,
}

/// What the tracker wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// The request that starts the run; sent again only where that starts nothing twice.
    Send,
    /// `agent.wait` with this timeout.
    Wait(Duration),
    /// `chat.history`.
    History,
}

/// How far the request has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    Not,
    Out,
    /// It went out, and nobody has said that it arrived.
    Unknown,
    Taken,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// It is to be sent, is being sent, or goes on.
    Going,
    /// Something that looks like the end was heard.
    Settling {
        since: Instant,
    },
    /// The turn waits behind another one.
    Queued {
        since: Instant,
    },
    /// The gateway was restarted under it.
    Recovering {
        since: Instant,
    },
    Ended,
}

/// What events have said of the end.
#[derive(Debug, Default)]
struct Heard {
    /// A `chat` event of the end; the one with a text, if there are two.
    chat: Option<End>,
    /// The settled `lifecycle` event of protocol 4, the last one of any attempt on protocol 3.
    lifecycle: Option<End>,
    /// The `lifecycle` event that says that somebody stopped the run.
    cancelled: Option<End>,
}

/// Follows one run.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold or do not, each on its own; together they are no state"
)]
#[derive(Debug)]
pub(crate) struct Tracker {
    start: Start,
    protocol: u32,
    connected: bool,
    stage: Stage,
    sent: Sent,
    /// How often the request was sent, or was to be.
    sendings: u32,
    /// One of these may have arrived.
    may_be_there: bool,
    /// A final answer will come on this connection.
    final_due: bool,
    /// Events may have been missed.
    gap: bool,
    /// The history has to be looked at before anything is believed.
    doubt: bool,
    /// How often in a row nothing was found of the run.
    strikes: u32,
    text: Text,
    heard: Heard,
    last: Option<Verdict>,
    waited: Option<Verdict>,
    /// `agent.wait` could not be asked.
    wait_failed: bool,
    trace: Option<Trace>,
    /// `chat.history` could not be asked.
    history_failed: bool,
    /// When the run began, by the gateway's clock.
    started_at_ms: Option<i64>,
    attempts: u32,
    last_seq: HashMap<Voice, i64>,
    abort_asked: bool,
    abort_confirmed: Option<Instant>,
    last_sign: Instant,
    last_attempt: Instant,
    asked: Option<Ask>,
    ask_after: Instant,
    polls: u32,
    status: Option<String>,
    tools: HashMap<String, bool>,
    approvals: HashSet<(String, bool)>,
    /// The outline of a tool call that begins, and until when its arguments may come.
    outlined: Option<(ToolEvent, Instant)>,
    items: VecDeque<RunItem>,
}

impl Tracker {
    pub(crate) fn new(start: Start, protocol: Option<u32>, now: Instant) -> Self {
        let can_send = start.can_send;
        let mut tracker = Self {
            start,
            protocol: 0,
            connected: protocol.is_some(),
            stage: Stage::Going,
            sent: if can_send { Sent::Not } else { Sent::Taken },
            sendings: 0,
            may_be_there: false,
            final_due: false,
            gap: !can_send,
            doubt: !can_send,
            strikes: 0,
            text: Text::new(),
            heard: Heard::default(),
            last: None,
            waited: None,
            wait_failed: false,
            trace: None,
            history_failed: false,
            started_at_ms: None,
            attempts: 0,
            last_seq: HashMap::new(),
            abort_asked: false,
            abort_confirmed: None,
            last_sign: now,
            last_attempt: now,
            asked: None,
            ask_after: now,
            polls: 0,
            status: None,
            tools: HashMap::new(),
            approvals: HashSet::new(),
            outlined: None,
            items: VecDeque::new(),
        };
        tracker.speak(protocol.unwrap_or(4));
        tracker
    }

    /// The protocol of the connection.
    fn speak(&mut self, protocol: u32) {
        if self.protocol != protocol {
            self.protocol = protocol;
            self.text.set_protocol(protocol);
        }
    }

    const fn is_old(&self) -> bool {
        self.protocol < 4
    }

    const fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// Whether an answer is waited for.
    pub(crate) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the gateway is known to have the run.
    pub(crate) fn is_taken(&self) -> bool {
        self.sent == Sent::Taken
    }

    /// Whether the request of now is not the first one.
    pub(crate) const fn was_sent_before(&self) -> bool {
        self.may_be_there
    }

    /// What there is to tell, in order; ends with [`RunItem::Ended`].
    pub(crate) fn next_item(&mut self) -> Option<RunItem> {
        self.items.pop_front()
    }

    /// The connection is gone.
    pub(crate) fn on_disconnected(&mut self, now: Instant) {
        if self.is_ended() || !self.connected {
            return;
        }
        self.connected = false;
        self.final_due = false;
        self.gap = true;
        self.doubt = true;
        if !matches!(self.asked, Some(Ask::Send)) {
            self.asked = None;
        }
        // What was settled needs no connection.
        self.decide(now);
        if self.sent == Sent::Taken && !self.is_ended() {
            self.items.push_back(RunItem::Interrupted);
        }
    }

    /// There is a connection again, to the same process or to another one.
    pub(crate) fn on_connected(&mut self, now: Instant, protocol: u32, restarted: bool) {
        if self.is_ended() {
            return;
        }
        let was_taken = self.sent == Sent::Taken;
        if self.connected {
            // The loss itself was not seen.
            self.on_disconnected(now);
            if self.is_ended() {
                return;
            }
        }
        self.connected = true;
        self.speak(protocol);
        self.ask_after = now;
        self.polls = 0;
        self.strikes = 0;
        self.wait_failed = false;
        self.history_failed = false;
        if let Stage::Settling { since } = &mut self.stage {
            *since = now;
        }
        if restarted {
            self.last_seq.clear();
            // Whatever `agent.wait` says from now on, it says of another process.
            self.waited = None;
            let has_begun = matches!(self.sent, Sent::Taken | Sent::Unknown);
            if has_begun && !matches!(self.stage, Stage::Settling { .. } if self.last.is_some()) {
                self.stage = Stage::Recovering { since: now };
                self.trace = None;
            }
        }
        if was_taken {
            self.items.push_back(RunItem::Resumed { restarted });
        }
        self.decide(now);
    }

    /// The first connection.
    pub(crate) fn on_first_connected(&mut self, now: Instant, protocol: u32) {
        self.connected = true;
        self.ask_after = now;
        self.speak(protocol);
    }

    /// We have asked to stop the run.
    pub(crate) const fn on_abort_asked(&mut self) {
        self.abort_asked = true;
    }

    /// The gateway says that it has stopped the run.
    pub(crate) fn on_aborted(&mut self, now: Instant) {
        if !self.is_ended() {
            self.abort_confirmed.get_or_insert(now);
            self.settle_since(now);
            self.decide(now);
        }
    }

    /// Events were dropped before we read them.
    pub(crate) fn on_lagged(&mut self, events: u64) {
        self.gap = true;
        if !self.is_ended() {
            self.items.push_back(RunItem::Lagged(events));
        }
    }

    /// The gateway dropped events.
    pub(crate) const fn on_gap(&mut self) {
        self.gap = true;
    }

    /// The client is closed or has stopped.
    pub(crate) fn on_client_stopped(&mut self, error: Error) {
        if self.sent == Sent::Not || self.sent == Sent::Out && !self.may_be_there && !self.connected
        {
            self.end(RunOutcome::NotStarted { error });
        } else {
            self.lose(LostReason::ClientStopped);
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&mut self, now: Instant) {
        self.tell_late_outline(now);
        self.decide(now);
    }

    fn settle_since(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Settling { .. } | Stage::Ended) {
            self.stage = Stage::Settling { since: now };
            self.ask_after = self.ask_after.min(now);
            self.polls = 0;
        }
    }

    fn queue(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Queued { .. } | Stage::Ended) {
            self.stage = Stage::Queued { since: now };
            self.waited = None;
            self.polls = 0;
            self.strikes = 0;
            self.ask_after = now + PAUSE;
            self.say("queued");
        }
    }

    fn say(&mut self, status: &str) {
        if self.status.as_deref() != Some(status) {
            self.status = Some(status.to_owned());
            self.items.push_back(RunItem::Status(status.to_owned()));
        }
    }
}
