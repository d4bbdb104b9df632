//! `agent` and `agent.wait`: agent runs. Both need the scope `operator.write`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run_builder::{RunBuilder, run_builder};
use crate::client::Client;
use crate::logic::error::Error;
use crate::protocol::method::{AnswerMode, Effect, Method};
use crate::run::Kind;

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
/// // For a run of another process, the status that the gateway gives.
/// let answer = client.agent().wait(run.id(), Duration::from_secs(5)).await?;
/// assert_eq!(answer.status, "ok");
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
        AgentRun(RunBuilder::new(
            self.client,
            session.as_ref(),
            message.into(),
        ))
    }

    /// Waits for a run to end, at most for `timeout`, and returns the status that the gateway gives.
    ///
    /// The status is not always right (measured): 2026.2.9 says `ok` after the first attempt of a run whose model
    /// fails and is asked again, and neither generation tells an active run from an
    /// unknown one. [`Run::attach`](crate::Run::attach) knows better.
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
    /// Reason of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Further fields: `endedAt` if the run is over, `terminalReply` and more on 2026.9.6.
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
/// that was not written yet is never sent, and one that was is acted on. [`Run::attach`](crate::Run::attach) with the
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
pub struct AgentRun<'a>(RunBuilder<'a>);

run_builder!(AgentRun, Kind::Agent, StartAgent);

impl AgentRun<'_> {
    /// Names the agent that a session's bare name belongs to.
    pub fn agent_id(mut self, agent_id: impl Into<String>) -> Self {
        self.0.agent_id = Some(agent_id.into());
        self
    }

    /// Limits the run's time, in whole seconds and at least one. On 2026.9.6 it then ends as
    /// [`TimedOut`](crate::RunOutcome::TimedOut); 2026.2.9 does the same for runs begun with `agent`.
    pub fn timeout(self, timeout: Duration) -> Self {
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        self.param("timeout", seconds.max(1))
    }

    /// Adds instructions for the model.
    pub fn extra_system_prompt(self, prompt: impl Into<String>) -> Self {
        self.param("extraSystemPrompt", prompt.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
