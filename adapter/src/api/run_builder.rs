//! The builder of agent runs and chat turns.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::client::call::Requirements;
use crate::config::WhenDown;
use crate::protocol::method::Method;
use crate::run::{Kind, PATIENCE, Plan, Request, Run, SessionName};

/// The values of a run that is about to start.
#[derive(Clone, Debug)]
pub(crate) struct RunBuilder<'a> {
    client: &'a Client,
    session: String,
    pub(super) agent_id: Option<String>,
    pub(super) run_id: String,
    message: String,
    pub(super) params: Map<String, Value>,
    pub(super) within: Option<Duration>,
    pub(super) when_down: Option<WhenDown>,
    pub(super) patience: Duration,
}

impl<'a> RunBuilder<'a> {
    pub(super) fn new(client: &'a Client, session: &str, message: String) -> Self {
        Self {
            client,
            session: session.to_owned(),
            agent_id: None,
            run_id: uuid::Uuid::new_v4().to_string(),
            message,
            params: Map::new(),
            within: None,
            when_down: None,
            patience: PATIENCE,
        }
    }

    /// Starts the run by the method that these parameters become.
    pub(super) fn start<M: Method>(
        self,
        kind: Kind,
        method: impl FnOnce(Map<String, Value>) -> M,
    ) -> Run {
        let session = SessionName::new(&self.session, self.agent_id.as_deref());
        let mut params = self.params;
        params.insert("message".to_owned(), json!(self.message));
        params.insert("idempotencyKey".to_owned(), json!(self.run_id));
        let required = Requirements::of(&method(params.clone()));
        Run::begin(
            self.client,
            Plan {
                kind,
                run_id: self.run_id,
                session: session.clone(),
                message: Some(self.message),
                request: Some(Request {
                    method: M::NAME,
                    mode: M::ANSWERS,
                    session,
                    params,
                    within: self.within,
                    when_down: self.when_down,
                    required,
                }),
                patience: self.patience,
            },
        )
    }
}

/// The setters that every builder of a run has, and its start.
macro_rules! run_builder {
    ($name:ident, $kind:expr, $method:expr) => {
        impl $name<'_> {
            /// Returns the id that the run will have: a new UUID, or the one of
            /// [`with_id`](Self::with_id).
            #[must_use]
            pub fn id(&self) -> &str {
                &self.0.run_id
            }

            /// Chooses the run's id, which is also the idempotency key of the request. Outer blanks are
            /// removed: gateways stumble over them.
            ///
            /// A key that the gateway knows starts nothing: the run that has it is joined, and its
            /// outcome given. Gateways know a key for five minutes after the run's end (code of both
            /// generations), and 2026.2.9 not beyond its own restart. For a chat turn, 2026.9.6 refuses
            /// a known id with another message.
            pub fn with_id(mut self, run_id: impl AsRef<str>) -> Self {
                run_id.as_ref().trim().clone_into(&mut self.0.run_id);
                self
            }

            /// Sets the model's effort of thinking: `off`, `low`, …, as the gateway knows it.
            pub fn thinking(self, level: impl Into<String>) -> Self {
                self.param("thinking", level.into())
            }

            /// Adds a file to the message. May be called more than once.
            pub fn attachment(mut self, attachment: &crate::Attachment) -> Self {
                let list = self
                    .0
                    .params
                    .entry("attachments")
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(serde_json::json!(attachment));
                }
                self
            }

            /// Sets any other parameter of the method, by its name on the wire. Gateways refuse
            /// unknown ones.
            pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                self.0.params.insert(name.into(), value.into());
                self
            }

            /// Limits the time in which the gateway has to accept the run; the client's
            /// [`request_timeout`](crate::ConfigBuilder::request_timeout) otherwise. A run that could
            /// not be sent in this time, for want of a connection, ends as
            /// [`NotStarted`](crate::RunOutcome::NotStarted).
            pub const fn within(mut self, within: Duration) -> Self {
                self.0.within = Some(within);
                self
            }

            /// Chooses between waiting and failing without a connection at the start; the client's own
            /// setting otherwise.
            pub const fn when_down(mut self, when_down: crate::WhenDown) -> Self {
                self.0.when_down = Some(when_down);
                self
            }

            /// Limits the time without a sign of life after which the run is given up as
            /// [`Lost`](crate::RunOutcome::Lost), and the time that a chat turn may wait behind another
            /// one; 15 minutes otherwise. It does not count while the final answer of an agent run is
            /// due on a good connection: then the gateway's own limits hold.
            pub const fn patience(mut self, patience: Duration) -> Self {
                self.0.patience = patience;
                self
            }

            /// Starts the run and does not wait: its items show whether the gateway accepts it.
            ///
            /// # Panics
            ///
            /// Outside a tokio runtime, as [`tokio::spawn`] does.
            pub fn start(self) -> crate::Run {
                self.0.start($kind, $method)
            }
        }

        impl<'a> std::future::IntoFuture for $name<'a> {
            type Output = Result<crate::Run, Error>;
            type IntoFuture = futures_util::future::BoxFuture<'a, Self::Output>;

            /// Starts the run and waits until the gateway has accepted it.
            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.start().when_accepted())
            }
        }
    };
}

pub(super) use run_builder;
