//! Carries out the actions of a tracker, and reads the answers.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Driver;
use crate::base::sanitize::printable;
use crate::client::Client;
use crate::client::call::Requirements;
use crate::config::WhenDown;
use crate::driver::send::{Begun, CallOptions};
use crate::logic::error::Error;
use crate::logic::session::Answer;
use crate::protocol::json::from_str_lossy;
use crate::protocol::method::{AnswerMode, Method};
use crate::run::tracker::Action;

/// The time that an answer to `agent.wait` may take beyond its own timeout.
const ROUND_TRIP: Duration = Duration::from_secs(15);
/// The number of rows to ask of the history: the run's own are the last ones, and a call of a tool
/// makes three.
const ROWS: u32 = 200;
/// The characters of a row to ask of 2026.9.6, which shows 8,000 by default.
const ROW_CHARS: u32 = 500_000;

/// The request that starts a run.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) mode: AnswerMode,
    pub(crate) params: Box<RawValue>,
    pub(crate) within: Option<Duration>,
    pub(crate) when_down: Option<WhenDown>,
    /// The gateways that have the method.
    required: Requirements,
}

impl Request {
    pub(crate) fn of<M: Method>(
        method: &M,
        within: Option<Duration>,
        when_down: Option<WhenDown>,
    ) -> Self {
        Self {
            method: M::NAME,
            mode: M::ANSWERS,
            // Parameters are maps of JSON, which always serialise; empty ones would be refused by name.
            params: serde_json::value::to_raw_value(method).unwrap_or_default(),
            within,
            when_down,
            required: Requirements::of(method),
        }
    }
}

/// The result of an action.
pub(super) enum ActionResult {
    Sent(Result<Begun, Error>),
    WaitAnswer(Result<Answer, Error>),
    History(Result<Answer, Error>),
}

impl Driver {
    pub(super) fn start(&self, action: Action) -> BoxFuture<'static, ActionResult> {
        let client = self.client.clone();
        match action {
            Action::Send => {
                let Some(request) = &self.request else {
                    // The tracker of an attached run sends nothing.
                    return Box::pin(async { ActionResult::Sent(Err(Error::Closed)) });
                };
                let terms = CallOptions {
                    within: request.within,
                    when_down: request.when_down,
                    is_inner: self.tracker.may_have_arrived(),
                };
                let prepared =
                    client
                        .inner()
                        .prepare(request.method, request.mode, &request.params, terms);
                let required = request.required.clone();
                Box::pin(async move {
                    let begun = async {
                        let call = prepared?;
                        client.inner().check_protocol(&call, required).await?;
                        client.inner().begin(&call).await
                    };
                    ActionResult::Sent(begun.await)
                })
            }
            Action::Wait(timeout) => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let params = json!({"runId": &*self.run_id, "timeoutMs": timeout_ms});
                let terms = own_terms(Some(timeout + ROUND_TRIP));
                Box::pin(async move {
                    ActionResult::WaitAnswer(call(&client, "agent.wait", &params, terms).await)
                })
            }
            Action::History => {
                let mut params = json!({"sessionKey": &*self.session_key, "limit": ROWS});
                if self.protocol >= 4 {
                    params["maxChars"] = ROW_CHARS.into();
                }
                let terms = own_terms(Some(ROUND_TRIP * 2));
                Box::pin(async move {
                    ActionResult::History(call(&client, "chat.history", &params, terms).await)
                })
            }
        }
    }
}

/// Returns the options of a call that the task makes by itself.
pub(super) const fn own_terms(within: Option<Duration>) -> CallOptions {
    CallOptions {
        within,
        when_down: Some(WhenDown::Wait),
        is_inner: true,
    }
}

pub(super) async fn call(
    client: &Client,
    method: &str,
    params: &Value,
    terms: CallOptions,
) -> Result<Answer, Error> {
    let call = client
        .inner()
        .prepare(method, AnswerMode::Once, params, terms)?;
    client.inner().exchange(&call).await
}

/// The answer to a question that changes nothing.
pub(super) enum Read {
    Answer(Value),
    /// It may be answered the next time.
    Lost,
    Refused,
}

pub(super) fn read(answer: Result<Answer, Error>) -> Read {
    match answer {
        Ok(answer) => match answer.error {
            None => value(answer.payload.as_deref()).map_or(Read::Refused, Read::Answer),
            Some(error) if error.retryable == Some(true) => Read::Lost,
            Some(_) => Read::Refused,
        },
        Err(Error::Timeout { .. } | Error::Disconnected { .. }) => Read::Lost,
        Err(_) => Read::Refused,
    }
}

/// Reads a payload, `null` if there is none; `None` if it cannot be read, which is logged.
pub(super) fn value(payload: Option<&RawValue>) -> Option<Value> {
    let Some(raw) = payload else {
        return Some(Value::Null);
    };
    from_str_lossy(raw.get())
        .inspect_err(|error| {
            let error = printable(&error.to_string());
            tracing::warn!(%error, bytes = raw.get().len(), "a payload of the run cannot be read");
        })
        .ok()
}
