//! The items of a run, and its outcome.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::logic::error::Error;

/// One item of a run.
///
/// Items come in order, each once. A consumer that is slower than the run gets texts merged and, in
/// the worst case, a [`Lagged`](Self::Lagged) in place of other items; the text stays right, because it
/// is cumulative.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use openclaw_adapter::{RunItem, ToolStep};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| {
/// #     let args = serde_json::json!({"command": "ls"});
/// #     RunScript::text("There is one.").tool("exec", args, "invoice.pdf")
/// # });
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .capabilities(["tool-events"])
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client.agent().run("billing", "Which files are there?").await?;
/// while let Some(item) = run.next().await {
///     match item {
///         RunItem::Text(text) => print!("{}", text.delta),
///         RunItem::Tool(tool) => match tool.step {
///             ToolStep::Started { args, .. } => println!("{} {args}", tool.name),
///             ToolStep::Ended { is_error, result, .. } => println!("failed: {is_error}, {result}"),
///             _ => {}
///         },
///         RunItem::Interrupted => println!("the connection is gone; this goes on by itself"),
///         RunItem::Ended(outcome) => println!("{outcome}"),
///         // Items that are of no interest here, and those that come with later versions.
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunItem {
    /// The gateway has accepted the run.
    #[non_exhaustive]
    Accepted {
        /// The gateway knew the run already, from an earlier request with the same id.
        joined: bool,
    },
    /// More of the answer's text.
    Text(RunText),
    /// The model calls a tool, or a tool works or has ended.
    ///
    /// 2026.9.6 sends the outline of tool calls to every client; arguments and results only to the
    /// connection that started the run, if it has the capability `tool-events`. 2026.2.9 sends them
    /// only in sessions whose `verboseLevel` is on.
    Tool(ToolEvent),
    /// The step that the gateway carries out for the run, as it names it: `started`, `preparing_workspace`,
    /// `preparing_context`, `starting_model`, `queued`, …
    Status(String),
    /// The model failed and is asked again.
    Retrying(Retry),
    /// Number of tokens of the answer so far.
    #[non_exhaustive]
    Usage {
        /// Tokens from the model.
        output: u64,
    },
    /// A tool waits for a person's decision.
    ApprovalWanted(Approval),
    /// A decision was made.
    ApprovalResolved(Approval),
    /// The connection was lost. The gateway goes on with the run; so does this stream, as soon as
    /// there is a connection again.
    Interrupted,
    /// There is a connection again, and the run is followed on.
    #[non_exhaustive]
    Resumed {
        /// The gateway's process is another one: what was running in the old one may be gone.
        restarted: bool,
    },
    /// Number of items that were dropped because the consumer was too slow. No text is lost.
    Lagged(u64),
    /// The last item.
    Ended(RunOutcome),
}

/// The text of an answer as it grows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunText {
    /// All of it so far. Parts before and after a tool call are separated by an empty line.
    pub text: Arc<str>,
    /// The text that is new since the item before; all of it if it [`replaced`](Self::replaced).
    pub delta: String,
    /// The text is not a continuation of the one before: a failed attempt was taken back.
    pub replaced: bool,
}

/// A step of a tool call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolEvent {
    /// The model's id for the call.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// The step.
    pub step: ToolStep,
}

/// The kind of a step, with its data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolStep {
    /// The call starts.
    #[non_exhaustive]
    Started {
        /// The arguments; `null` where the gateway does not show them.
        args: Value,
    },
    /// The call is in progress.
    #[non_exhaustive]
    Update {
        /// The result so far; `null` where the gateway does not show it.
        partial: Value,
    },
    /// The call has ended.
    #[non_exhaustive]
    Ended {
        /// The tool failed.
        is_error: bool,
        /// The result; `null` where the gateway does not show it.
        result: Value,
    },
}

/// The model is asked again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// The number of the next attempt; the first one is 1.
    pub attempt: Option<u32>,
    /// The greatest number of attempts.
    pub max_attempts: Option<u32>,
    /// The pause before it, in milliseconds.
    pub delay_ms: Option<u64>,
    /// The reason as a code: `server_error`, `rate_limit`, …
    pub reason: Option<String>,
    /// The reason, for people.
    pub message: Option<String>,
}

/// A decision that a tool needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Approval {
    /// The id for `exec.approval.resolve`.
    pub id: String,
    /// The tool call that waits.
    pub tool_call_id: Option<String>,
    /// The command; only if this connection may see it.
    pub command: Option<String>,
    /// The decision, if the gateway says it: `allow-once`, `deny`, …
    pub decision: Option<String>,
}

/// The tokens of a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens to the model.
    pub input: Option<u64>,
    /// Tokens from the model.
    pub output: Option<u64>,
    /// Both.
    pub total: Option<u64>,
}

/// The end of a run. Each run has exactly one outcome.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use openclaw_adapter::RunOutcome;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("It is paid."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client.agent().run("billing", "Summarise invoice 42").await?;
/// match run.outcome().await {
///     RunOutcome::Done { text, usage, .. } => println!("{text} ({usage:?})"),
///     RunOutcome::Failed { error, .. } => println!("the model failed: {error}"),
///     RunOutcome::NotStarted { error, .. } if error.is_retryable() => println!("once more"),
///     RunOutcome::Lost { reason, text, .. } => println!("{reason}; so far: {text}"),
///     other => println!("{} after: {}", other.kind(), other.text()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunOutcome {
    /// The model has answered.
    #[non_exhaustive]
    Done {
        /// The answer, with all its parts; empty if the model said nothing. It is whole: an answer of
        /// which a part was missed ends as [`LostReason::AnswerIncomplete`].
        ///
        /// As the gateway shows it: 2026.9.6 leaves out a paragraph that repeats the one before it, takes back
        /// what it had streamed of it ([`RunText::replaced`]), and keeps it in the history, which is what is
        /// read if the connection is lost at that moment.
        text: String,
        /// The tokens, where the gateway sends them: in the final answer to `agent`, which is lost
        /// with the connection.
        usage: Option<Usage>,
        /// The run that gave the answer, if it was another one: a turn that was queued, collected
        /// or steered into a run, or a run that the gateway continued after a crash.
        answered_by: Option<String>,
    },
    /// The run failed, also if the gateway says `ok`: 2026.2.9 sends the model's error like an answer.
    #[non_exhaustive]
    Failed {
        /// The error.
        error: RunError,
        /// The text until then.
        text: String,
    },
    /// The run was stopped.
    #[non_exhaustive]
    Aborted {
        /// The text until then.
        text: String,
    },
    /// The run took longer than its limit.
    #[non_exhaustive]
    TimedOut {
        /// The phase in which its time was over: `provider`, `queue`, …; 2026.2.9 does not say.
        phase: Option<String>,
        /// The gateway's message.
        message: Option<String>,
        /// The text until then.
        text: String,
    },
    /// The turn waits behind another one, or was answered under an id that cannot be found out.
    /// Its answer is, or will be, in `chat.history`.
    Queued,
    /// Another turn took its place: an interrupting one, or a newer writer of the session.
    #[non_exhaustive]
    Superseded {
        /// The text until then.
        text: String,
    },
    /// It is unknown how the run ended. It is not started again, because it may have been done.
    #[non_exhaustive]
    Lost {
        /// The reason.
        reason: LostReason,
        /// The text until then.
        text: String,
    },
    /// The run never started.
    #[non_exhaustive]
    NotStarted {
        /// The gateway's refusal, or the reason that nothing was sent.
        error: Error,
    },
}

impl RunOutcome {
    /// Returns the answer, if the run is done.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        match self {
            Self::Done { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns the text so far, for any outcome.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Done { text, .. }
            | Self::Failed { text, .. }
            | Self::Aborted { text }
            | Self::TimedOut { text, .. }
            | Self::Superseded { text }
            | Self::Lost { text, .. } => text,
            Self::Queued | Self::NotStarted { .. } => "",
        }
    }

    /// Returns a stable name, as in the program's `--json` output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Aborted { .. } => "aborted",
            Self::TimedOut { .. } => "timed_out",
            Self::Queued => "queued",
            Self::Superseded { .. } => "superseded",
            Self::Lost { .. } => "lost",
            Self::NotStarted { .. } => "not_started",
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { .. } => f.write_str("done"),
            Self::Failed { error, .. } => write!(f, "failed: {error}"),
            Self::Aborted { .. } => f.write_str("aborted"),
            Self::TimedOut {
                phase: Some(phase), ..
            } => write!(
                f,
                "timed out (phase {})",
                crate::base::sanitize::printable(phase)
            ),
            Self::TimedOut { .. } => f.write_str("timed out"),
            Self::Queued => f.write_str("queued behind another turn"),
            Self::Superseded { .. } => f.write_str("superseded by another turn"),
            Self::Lost { reason, .. } => write!(f, "lost: {reason}"),
            Self::NotStarted { error } => write!(f, "not started: {error}"),
        }
    }
}

/// The error of a run that failed.
#[derive(Clone, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("{}", crate::base::sanitize::printable(message))]
#[non_exhaustive]
pub struct RunError {
    /// The message of the gateway or the model.
    pub message: String,
    /// The failure as the gateway observed it, where it says so (2026.9.6).
    pub detail: Option<FailureDetail>,
}

/// A failure as the gateway observed it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FailureDetail {
    /// The model's provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// `server_error`, `rate_limit`, …
    pub reason: Option<String>,
    /// `timeout`, `rate_limit`, `unclassified`, …
    pub kind: Option<String>,
}

/// The reason that it is unknown how a run ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LostReason {
    /// The gateway's process ended, and the new one does not know the run.
    GatewayRestarted,
    /// The connection broke around the request, and the gateway does not show the run.
    NoTrace,
    /// The run showed no activity for as long as the caller was willing to wait.
    Silent,
    /// The client was closed or has stopped. The gateway continues the run.
    ClientStopped,
    /// The run has ended well, but a part of its answer was missed and cannot be found: the gateway does
    /// not repeat it, and the history cannot be read, is cut, or does not say which answer is this one's.
    AnswerIncomplete,
    /// The gateway, or a proxy before it, closed the connection with this code while the request was
    /// sent. It would do so again: 1009 is a message over its limit.
    #[non_exhaustive]
    ConnectionClosed {
        /// The WebSocket close code.
        code: u16,
    },
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswerIncomplete => "the run has ended, but only a part of its answer is known",
            Self::ConnectionClosed { code } => {
                let meaning = match code {
                    1009 => "the message is too big",
                    1007 => "the message has invalid data",
                    1003 => "the type of the message is not accepted",
                    _ => "a protocol error",
                };
                return write!(
                    f,
                    "the request was answered by closing the connection with {code} ({meaning})"
                );
            }
            Self::GatewayRestarted => "the gateway restarted and knows nothing of it",
            Self::NoTrace => "the gateway does not show the run",
            Self::Silent => "the run showed no activity",
            Self::ClientStopped => "the client has stopped",
        })
    }
}
