//! A call on its way: from the caller's future through the queue to the supervisor and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::error::{Delivery, Error};
use crate::session::Answer;

/// What a caller gets.
pub(crate) type Reply = Result<Option<Box<RawValue>>, Error>;

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

/// A call in the queue, or waiting for its answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) method: Arc<str>,
    /// The whole frame; taken when it is written.
    pub(crate) frame: String,
    pub(crate) claim: Claim,
    pub(crate) reply: oneshot::Sender<Reply>,
}

impl Call {
    /// Claims the call for writing and takes its frame; `None` if nobody waits for it any more.
    pub(crate) fn take_frame(&mut self) -> Option<String> {
        (!self.reply.is_closed() && self.claim.send()).then(|| std::mem::take(&mut self.frame))
    }

    /// The gateway has answered.
    pub(crate) fn answer(self, answer: Answer) {
        let reply = match answer {
            Answer::Ok(payload) => Ok(payload),
            Answer::Refused(error) => Err(Error::Call {
                method: self.method,
                error: Arc::new(*error),
            }),
        };
        // A caller that has gone needs no answer.
        let _ = self.reply.send(reply);
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
