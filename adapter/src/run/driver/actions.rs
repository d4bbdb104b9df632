//! Carries out the actions of a tracker, and reads the answers.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Driver;
use crate::base::sanitize::printable;
use crate::client::Client;
use crate::client::call::Requirements;
use crate::config::WhenDown;
use crate::driver::send::{Begun, CallOptions};
use crate::logic::error::Error;
use crate::logic::session::Answer;
use crate::protocol::json::from_str_lossy;
use crate::protocol::method::AnswerMode;
use crate::run::session::{SessionKey, SessionName};
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
    pub(crate) session: SessionName,
    /// All parameters but the session's key.
    pub(crate) params: Map<String, Value>,
    pub(crate) within: Option<Duration>,
    pub(crate) when_down: Option<WhenDown>,
    /// The gateways that have the method.
    pub(crate) required: Requirements,
}

/// The parameters of a request, with the session's key.
struct InSession<'a> {
    key: &'a str,
    params: &'a Map<String, Value>,
}

impl Serialize for InSession<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.params.len() + 1))?;
        map.serialize_entry("sessionKey", self.key)?;
        for (name, value) in self.params {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Request {
    /// Sends the request. A bare session is completed by the hello of the connection that it goes out on,
    /// and by no other: if that connection is lost before, the request was not sent.
    async fn send(
        &self,
        client: &Client,
        session_key: &SessionKey,
        mut terms: CallOptions,
    ) -> Result<Begun, Error> {
        let inner = client.inner();
        let mut connection = None;
        let key = if let Some(key) = session_key.get() {
            key.to_owned()
        } else {
            let within = terms.within.unwrap_or(inner.request_timeout);
            let when_down = terms.when_down.unwrap_or(inner.when_down);
            let began = Instant::now();
            let hello = inner.ready_within(self.method, within, when_down).await?;
            terms.within = Some(within.saturating_sub(began.elapsed()));
            connection = Some(hello.conn_id.clone());
            let key = self.session.resolve(&hello);
            session_key.propose(key.clone());
            key
        };
        let params = InSession {
            key: &key,
            params: &self.params,
        };
        let call = inner.prepare(self.method, self.mode, params, terms)?;
        let call = call.only_on(connection);
        inner.check_protocol(&call, self.required.clone()).await?;
        inner.begin(&call).await
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
                let Some(request) = self.request.clone() else {
                    // The tracker of an attached run sends nothing.
                    return Box::pin(async { ActionResult::Sent(Err(Error::Closed)) });
                };
                let terms = CallOptions {
                    within: request.within,
                    when_down: request.when_down,
                    is_inner: self.tracker.may_have_arrived(),
                };
                let session_key = self.session_key.clone();
                Box::pin(async move {
                    ActionResult::Sent(request.send(&client, &session_key, terms).await)
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
                let mut params = json!({"sessionKey": self.session_key.get(), "limit": ROWS});
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
