//! Requests, their answers, and what happens after an answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use crate::model::jobs::Start;
use crate::wire::Reply;

/// A request that passed the frame's schema.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// The answer to a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Sent at once; `None` if the response comes later.
    pub(crate) reply: Option<Reply>,
    /// Done after the reply was sent, in this order.
    pub(crate) after: Vec<AfterAnswer>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self {
            reply: Some(reply),
            after: Vec::new(),
        }
    }
}

impl Answer {
    pub(crate) fn then(mut self, after: AfterAnswer) -> Self {
        self.after.push(after);
        self
    }
}

/// An action that follows an answer.
#[derive(Debug)]
pub(crate) enum AfterAnswer {
    /// Closes the connections of a device with 4001 `device removed`, or only those of one role.
    CloseDevice {
        device_id: String,
        role: Option<String>,
    },
    /// Approves a pairing request, after this time.
    ApproveDevice(String, Duration),
    /// Rejects a pairing request.
    RejectDevice(String),
    /// Ends an approval that nobody decided on in this time.
    ExpireApproval(String, Duration),
    /// Watches the clock for jobs.
    KeepJobs,
    /// Starts a job.
    RunJob(Start),
    /// Starts a run.
    PlayRun(u64),
    /// Lets an aborted run go on to its end.
    ReleaseRun(Arc<Notify>),
    /// Ends a wait for a run after this time.
    ExpireWait(u64, Duration),
    /// Notifies subscribers that the session of this key changed, and of the reason.
    SessionChanged(String, &'static str),
    /// Notifies subscribers that the session of this key and this id is gone.
    SessionDeleted(String, String),
}
