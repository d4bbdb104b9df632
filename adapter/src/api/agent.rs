//! `agent` and `agent.wait`: agent runs. Both need the scope `operator.write`.

use std::future::IntoFuture;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::session_key;
use crate::client::Client;
use crate::config::WhenDown;
use crate::logic::error::Error;
use crate::protocol::method::{AnswerMode, Effect, Method};
use crate::run::{Kind, PATIENCE, Plan, Request, Run};

/// Agent runs; from [`Client::agent`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("Two are open."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client.agent().run("billing", "How many are open?").await?;
/// assert_eq!(run.outcome().await.answer(), Some("Two are open."));
///
/// // Of a run that somebody else has started, the gateway's word alone.
/// let told = client.agent().wait(run.id(), Duration::from_secs(5)).await?;
/// assert_eq!(told.status, "ok");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Agent<'a> {
    client: &'a Client,
}

impl<'a> Agent<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// A run of an agent in a session: `.await` starts it and waits until the gateway has taken it;
    /// [`start`](AgentRun::start) does not wait.
    ///
    /// `session` is a session's full key (`agent:main:billing`) or its name (`billing`), which then
    /// belongs to the gateway's default agent or to [`AgentRun::agent_id`]. Keys are trimmed and made
    /// lower-case, because 2026.2.9 does not do it and 2026.9.6 does.
    #[doc(alias = "agent")]
    pub fn run(&self, session: impl AsRef<str>, message: impl Into<String>) -> AgentRun<'a> {
        AgentRun {
            client: self.client,
            session: session.as_ref().to_owned(),
            agent_id: None,
            run_id: uuid::Uuid::new_v4().to_string(),
            message: message.into(),
            params: Map::new(),
            within: None,
            when_down: None,
            patience: PATIENCE,
        }
    }

    /// Waits for a run to end, at most for `timeout`, and says what the gateway says.
    ///
    /// What it says is not always so (measured): 2026.2.9 says `ok` after the first attempt of a run whose model
    /// fails and is asked again, and neither generation tells a run that goes on from one that it has
    /// never heard of. [`Run::attach`] knows better.
    ///
    /// # Errors
    ///
    /// As [`Client::call`], whose deadline here is 15 s after `timeout`. That the run has not ended by
    /// then is no error, but the status `timeout`.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::call`]: nothing changes by it.
    #[doc(alias = "agent.wait")]
    pub async fn wait(
        &self,
        run_id: impl AsRef<str>,
        timeout: Duration,
    ) -> Result<WaitAnswer, Error> {
        let wait = AgentWait {
            run_id: run_id.as_ref(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        self.client
            .call(wait)
            .within(timeout.saturating_add(Duration::from_secs(15)))
            .await
    }
}

/// Answer of [`Agent::wait`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WaitAnswer {
    /// `ok`, `error`, `timeout` (also if the run goes on, or is unknown) or `pending`.
    #[serde(default)]
    pub status: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What else the gateway says: `endedAt` if the run is over, `terminalReply` and more on 2026.9.6.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentWait<'a> {
    run_id: &'a str,
    timeout_ms: u64,
}

impl Method for AgentWait<'_> {
    const NAME: &'static str = "agent.wait";
    const EFFECT: Effect = Effect::Reads;
    type Answer = WaitAnswer;
}

/// The parameters of `agent`.
#[derive(Serialize)]
#[serde(transparent)]
struct StartAgent(Map<String, Value>);

impl Method for StartAgent {
    const NAME: &'static str = "agent";
    const EFFECT: Effect = Effect::Changes;
    const ANSWERS: AnswerMode = AnswerMode::AcceptedThenFinal;
    type Answer = Value;
}

/// A file that goes with a message.
///
/// Measured with `agent`: 2026.9.6 refuses a file that is no image, and an image if the model reads
/// none; 2026.2.9 takes both, and leaves out what its model cannot read.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::Attachment;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let photo = Attachment::new("image/png", "receipt.png", b"\x89PNG...");
/// let run = client.agent().run("billing", "What was bought?").attachment(&photo);
/// // The mock's model reads text alone.
/// let refused = run.await.unwrap_err();
/// assert!(refused.to_string().contains("does not accept image inputs"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    #[serde(rename = "type")]
    kind: &'static str,
    mime_type: String,
    file_name: String,
    content: String,
}

impl Attachment {
    /// A file by its media type, such as `image/png`, and its name. The whole request has to stay under
    /// the gateway's limit, [`Policy::max_payload`](crate::Policy::max_payload); in it a file is a third
    /// larger.
    #[must_use]
    pub fn new(mime_type: impl Into<String>, file_name: impl Into<String>, bytes: &[u8]) -> Self {
        let mime_type = mime_type.into();
        Self {
            kind: if mime_type.starts_with("image/") {
                "image"
            } else {
                "file"
            },
            mime_type,
            file_name: file_name.into(),
            content: STANDARD.encode(bytes),
        }
    }
}

/// A run that is about to start; from [`Agent::run`].
///
/// # Errors
///
/// Of `.await`: why it did not begin, as with [`Client::call`]. That an answer was lost is no error:
/// the run is followed, and ends as [`Lost`](crate::RunOutcome::Lost) if there is no trace of it.
///
/// # Cancel safety
///
/// Dropping the future before the gateway has taken the run leaves open whether it begins: a request
/// that was not written yet is never sent, and one that was is acted on. [`Run::attach`] with the
/// [`id`](Self::id) finds out.
///
/// # Examples
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("It is due on Friday."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client
///     .agent()
///     .run("billing", "When is invoice 42 due?")
///     .extra_system_prompt("Answer in one sentence.")
///     .timeout(Duration::from_secs(120))
///     // The same order twice is one run.
///     .with_id("order-42-due-date")
///     .await?;
/// assert_eq!(run.id(), "order-42-due-date");
/// assert_eq!(run.outcome().await.answer(), Some("It is due on Friday."));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a run starts with `.await` or `start`"]
pub struct AgentRun<'a> {
    client: &'a Client,
    session: String,
    agent_id: Option<String>,
    run_id: String,
    message: String,
    params: Map<String, Value>,
    within: Option<Duration>,
    when_down: Option<WhenDown>,
    patience: Duration,
}

impl AgentRun<'_> {
    /// The id that the run will have: a new UUID, or what [`with_id`](Self::with_id) says.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.run_id
    }

    /// Chooses the run's id, which is also the idempotency key of the request. Outer blanks are removed:
    /// gateways stumble over them.
    ///
    /// A key that the gateway knows starts nothing: the run that has it is joined, and its outcome
    /// told. Gateways know a key for five minutes after the run's end (code of both generations), and
    /// 2026.2.9 not beyond its own restart.
    pub fn with_id(mut self, run_id: impl AsRef<str>) -> Self {
        run_id.as_ref().trim().clone_into(&mut self.run_id);
        self
    }

    /// The agent that a session's bare name belongs to.
    pub fn agent_id(mut self, agent_id: impl Into<String>) -> Self {
        self.agent_id = Some(agent_id.into());
        self
    }

    /// How hard the model is to think: `off`, `low`, …, as the gateway knows it.
    pub fn thinking(self, level: impl Into<String>) -> Self {
        self.param("thinking", level.into())
    }

    /// How long the run may take, in whole seconds and at least one. On 2026.9.6 it then ends as
    /// [`TimedOut`](crate::RunOutcome::TimedOut); 2026.2.9 does the same for runs begun with `agent`.
    pub fn timeout(self, timeout: Duration) -> Self {
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        self.param("timeout", seconds.max(1))
    }

    /// More instructions for the model.
    pub fn extra_system_prompt(self, prompt: impl Into<String>) -> Self {
        self.param("extraSystemPrompt", prompt.into())
    }

    /// A file that goes with the message. May be called more than once.
    pub fn attachment(mut self, attachment: &Attachment) -> Self {
        add_attachment(&mut self.params, attachment);
        self
    }

    /// Any other parameter of `agent`, by its name on the wire. Gateways refuse what they do not know.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// How long the gateway may take to accept the run; the client's
    /// [`request_timeout`](crate::ConfigBuilder::request_timeout) otherwise. A run that could not be sent
    /// in this time, for want of a connection, ends as
    /// [`NotStarted`](crate::RunOutcome::NotStarted).
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// What happens without a connection at the start; the client's own setting otherwise.
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = Some(when_down);
        self
    }

    /// How long the run may give no sign of life before it is given up as
    /// [`Lost`](crate::RunOutcome::Lost); 15 minutes otherwise. It does not count while the final
    /// answer is due on a good connection: then the gateway's own limits hold.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts the run and does not wait: whether the gateway takes it is told by its items.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn start(self) -> Run {
        let session_key = session_key(self.client, &self.session, self.agent_id.as_deref());
        let mut params = self.params;
        params.insert("message".to_owned(), json!(self.message));
        params.insert("idempotencyKey".to_owned(), json!(self.run_id));
        params.insert("sessionKey".to_owned(), json!(session_key));
        let request = Request::of(&StartAgent(params), self.within, self.when_down);
        Run::begin(
            self.client,
            Plan {
                kind: Kind::Agent,
                run_id: self.run_id,
                session_key,
                message: Some(self.message),
                request: Some(request),
                patience: self.patience,
            },
        )
    }
}

impl<'a> IntoFuture for AgentRun<'a> {
    type Output = Result<Run, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Starts the run and waits until the gateway has taken it.
    fn into_future(self) -> Self::IntoFuture {
        let run = self.start();
        Box::pin(run.when_accepted())
    }
}

pub(super) fn add_attachment(params: &mut Map<String, Value>, attachment: &Attachment) {
    let list = params
        .entry("attachments")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(json!(attachment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_is_base64_with_its_kind() {
        let image = json!(Attachment::new("image/png", "a.png", &[0, 255]));
        assert_eq!(
            image,
            json!({"type":"image","mimeType":"image/png","fileName":"a.png","content":"AP8="})
        );
        assert_eq!(
            json!(Attachment::new("text/plain", "a", b""))["type"],
            "file"
        );
    }
}
