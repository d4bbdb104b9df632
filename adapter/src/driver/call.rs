//! A call on its way: from the caller's future through the queue to the supervisor and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::config::WhenDown;
use crate::logic::credentials::Secret;
use crate::logic::error::{Delivery, Error};
use crate::logic::session::Answer;
use crate::protocol::frame;
use crate::protocol::method::AnswerMode;
use crate::telemetry::trace_context::TraceParent;

const QUEUED: u8 = 0;
const ABANDONED: u8 = 1;
const SENT: u8 = 2;

/// Decides, once, whether a call was sent or given up before.
///
/// The caller whose deadline passes and the supervisor that is about to write race for it; whoever
/// comes first is right, so that "not sent" is never said of a call that was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// The supervisor writes the call now; `false` if the caller has given it up.
    fn send(&self) -> bool {
        self.0
            .compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The caller gives up: whether the call was sent before.
    pub(crate) fn abandon(&self) -> Delivery {
        match self
            .0
            .compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) | Err(ABANDONED) => Delivery::NotSent,
            Err(_) => Delivery::Unknown,
        }
    }

    fn delivery(&self) -> Delivery {
        if self.0.load(Ordering::Acquire) == SENT {
            Delivery::Unknown
        } else {
            Delivery::NotSent
        }
    }
}

/// What a handle asks of the task, besides calls. Never in a queue behind calls.
#[derive(Debug)]
pub(crate) enum Control {
    Close,
    RetryNow,
    SetSecret(Secret),
    /// Whether the client is stopped, once all that was asked before has been taken.
    IsStopped(oneshot::Sender<bool>),
    /// The caller of this call has gone.
    Forget(u64),
}

/// A call in the queue, or waiting for its answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) method: Arc<str>,
    pub(crate) mode: AnswerMode,
    pub(crate) params: Arc<RawValue>,
    /// Goes with the frame where the gateway's protocol has a place for it.
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) when_down: WhenDown,
    /// The only connection that it may go out on, if its parameters are for that one.
    pub(crate) only_on: Option<Arc<str>>,
    pub(crate) claim: Claim,
    /// Hears that what was asked for has begun, where there are two answers.
    pub(crate) accepted: Option<oneshot::Sender<Box<RawValue>>>,
    /// Hears how the call ended.
    pub(crate) reply: oneshot::Sender<Result<Answer, Error>>,
}

impl Call {
    /// Whether anybody waits for it.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Writes the frame for a gateway of this protocol.
    pub(crate) fn frame(&self, protocol: u32) -> Result<String, Error> {
        // Protocol 3 refuses a frame with a property that it does not know.
        let traceparent = self.traceparent.as_ref().filter(|_| protocol >= 4);
        let traceparent = traceparent.map(TraceParent::as_str);
        frame::request(self.id, &self.method, &*self.params, traceparent)
            .map_err(|error| unwritable(&self.method, &error))
    }

    /// Claims the call for writing; `false` if nobody waits for it any more.
    pub(crate) fn claim(&self) -> bool {
        self.is_wanted() && self.claim.send()
    }

    /// The gateway has begun what was asked for.
    pub(crate) fn accept(&mut self, payload: Box<RawValue>) {
        if let Some(accepted) = self.accepted.take() {
            // A caller that has gone needs no answer.
            let _ = accepted.send(payload);
        }
    }

    /// The gateway has answered.
    pub(crate) fn answer(self, answer: Answer) {
        let _ = self.reply.send(Ok(answer));
    }

    /// The connection is gone.
    pub(crate) fn disconnected(self) {
        let delivery = self.claim.delivery();
        let _ = self.reply.send(Err(Error::Disconnected {
            method: self.method,
            delivery,
        }));
    }

    /// The call cannot be carried out.
    pub(crate) fn fail(self, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

/// The error of a call whose parameters are no JSON.
pub(crate) fn unwritable(method: &str, error: &serde_json::Error) -> Error {
    Error::Data {
        method: method.into(),
        what: format!("the parameters cannot be written as JSON: {error}").into(),
        delivery: Delivery::NotSent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_claims_first_is_right() {
        let claim = Claim::default();
        assert!(claim.send());
        assert_eq!(claim.abandon(), Delivery::Unknown);
        let claim = Claim::default();
        assert_eq!(claim.abandon(), Delivery::NotSent);
        assert!(!claim.send());
        assert_eq!(claim.abandon(), Delivery::NotSent);
    }
}
