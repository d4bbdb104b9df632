//! One connection after hello-ok: who waits for which answer, which events are missing, and whether
//! the link is alive. No I/O.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::protocol::frame::{self, Incoming};
use crate::protocol::method::AnswerMode;
use crate::protocol::{GatewayError, Hello};

/// An answer to a call, as it came. A failed run carries a payload beside its error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Option<Box<RawValue>>,
    /// `None` if the call was granted.
    pub(crate) error: Option<Arc<GatewayError>>,
}

/// What a frame means.
#[derive(Debug)]
pub(crate) enum Output<'a, C> {
    /// The caller has its answer, and there will be no other.
    Answered { caller: C, answer: Answer },
    /// The first of two answers: what was asked for has begun.
    Accepted {
        caller: &'a mut C,
        payload: Box<RawValue>,
    },
    /// An event, and what is missing before it.
    Event {
        event: frame::Event<'a>,
        gap: Option<Gap>,
    },
    /// Nothing: a frame of a kind that this version does not know.
    Nothing,
    /// An answer that nobody waits for, or no frame at all: counted and ignored. Gateways answer
    /// a malformed frame under the id `invalid`.
    Stray,
}

/// Events that the gateway dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    pub(crate) expected: u64,
    pub(crate) got: u64,
}

#[derive(Debug)]
struct Pending<C> {
    caller: C,
    /// Whether an answer `accepted` leaves it pending.
    awaits_acceptance: bool,
}

/// The state of one connection. `C` is what completes a caller.
#[derive(Debug)]
pub(crate) struct Session<C> {
    pending: BTreeMap<u64, Pending<C>>,
    last_inbound: Instant,
    silence: Duration,
    max_payload: usize,
    /// The number of the next event; `None` where the numbers tell nothing.
    next_seq: Option<u64>,
    shutdown_announced: bool,
}

impl<C> Session<C> {
    pub(crate) fn new(hello: &Hello, now: Instant) -> Self {
        Self {
            pending: BTreeMap::new(),
            last_inbound: now,
            silence: hello.policy.tick_interval * 2,
            max_payload: hello.policy.max_payload,
            // Measured: on protocol 4 each connection counts from 1; on protocol 3 all connections
            // share the numbers, and those of events that one may not see are missing.
            next_seq: (hello.protocol >= 4).then_some(1),
            shutdown_announced: false,
        }
    }

    /// The largest frame that the gateway reads.
    pub(crate) const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Notes a call before it is written.
    pub(crate) fn begin(&mut self, id: u64, mode: AnswerMode, caller: C) {
        let pending = Pending {
            caller,
            awaits_acceptance: mode == AnswerMode::AcceptedThenFinal,
        };
        self.pending.insert(id, pending);
    }

    /// The caller does not wait any more.
    pub(crate) fn forget(&mut self, id: u64) {
        self.pending.remove(&id);
    }

    /// How many callers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// The connection has ended: everybody who still waits, in the order of their calls.
    pub(crate) fn end(self) -> impl Iterator<Item = C> {
        self.pending.into_values().map(|pending| pending.caller)
    }

    /// Anything at all arrived, even a ping.
    pub(crate) const fn alive(&mut self, now: Instant) {
        self.last_inbound = now;
    }

    /// When the link counts as dead if nothing arrives. Gateways tick every 30 s; the reference
    /// client gives up after twice the interval too.
    pub(crate) fn dead_at(&self) -> Instant {
        self.last_inbound + self.silence
    }

    /// Whether the gateway has said that it goes down.
    pub(crate) const fn is_shutdown_announced(&self) -> bool {
        self.shutdown_announced
    }

    /// Takes one text frame.
    pub(crate) fn on_text<'a>(&'a mut self, now: Instant, text: &'a str) -> Output<'a, C> {
        self.alive(now);
        match frame::parse(text) {
            Ok(Incoming::Response(response)) => self.on_response(response),
            Ok(Incoming::Event(event)) => {
                self.shutdown_announced |= event.name == "shutdown";
                let gap = event.seq.and_then(|seq| self.count(seq));
                Output::Event { event, gap }
            }
            Ok(Incoming::Other) => Output::Nothing,
            Err(_) => Output::Stray,
        }
    }

    fn on_response(&mut self, response: frame::Response<'_>) -> Output<'_, C> {
        let Some(id) = response.id else {
            return Output::Stray;
        };
        let Some(pending) = self.pending.get_mut(&id) else {
            return Output::Stray;
        };
        let accepted = pending.awaits_acceptance && response.ok;
        if let Some(payload) = response.payload.filter(|raw| accepted && is_accepted(raw)) {
            // A second one would be another answer than the one that was promised.
            pending.awaits_acceptance = false;
            let payload = payload.to_owned();
            // Looked up once more, because the borrow checker cannot see that only this arm keeps it.
            return match self.pending.get_mut(&id) {
                Some(pending) => Output::Accepted {
                    caller: &mut pending.caller,
                    payload,
                },
                None => Output::Stray,
            };
        }
        let Some(pending) = self.pending.remove(&id) else {
            return Output::Stray;
        };
        let error = (!response.ok).then(|| {
            let unsaid = || GatewayError::from_words("the gateway refused without saying why");
            Arc::new(response.error.unwrap_or_else(unsaid))
        });
        let answer = Answer {
            payload: response.payload.map(ToOwned::to_owned),
            error,
        };
        Output::Answered {
            caller: pending.caller,
            answer,
        }
    }

    /// Counts an event; what is missing before it.
    fn count(&mut self, got: u64) -> Option<Gap> {
        let expected = self.next_seq?;
        self.next_seq = Some(got.saturating_add(1));
        // A number that was there before is no loss.
        (got > expected).then_some(Gap { expected, got })
    }
}

/// Whether a payload is the first of two.
fn is_accepted(payload: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(borrow, default)]
        status: Option<Cow<'a, str>>,
    }
    serde_json::from_str::<Status<'_>>(payload.get())
        .is_ok_and(|answer| answer.status.as_deref() == Some("accepted"))
}

#[cfg(test)]
mod tests;
