//! `chat.send`, `chat.history` and `chat.abort`: turns of a conversation. Sending and stopping need the
//! scope `operator.write`, reading `operator.read`.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::lenient;
use super::run_builder::{RunBuilder, run_builder};
use super::session_key;
use super::sessions::{InFlightRun, Message, Session};
use super::wire::string_enum;
use crate::client::Client;
use crate::logic::error::Error;
use crate::protocol::method::{Effect, Method};
use crate::run::Kind;

/// Conversations; from [`Client::chat`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
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
/// let mut turn = client.chat().send("billing", "How many are open?").await?;
/// assert_eq!(turn.outcome().await.answer(), Some("Two are open."));
///
/// let history = client.chat().history("billing").limit(10).await?;
/// for message in &history.messages {
///     println!("{:?}: {}", message.role, message.text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chat<'a> {
    client: &'a Client,
}

impl<'a> Chat<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// A turn in a session: `.await` sends it and waits until the gateway has taken it;
    /// [`start`](ChatTurn::start) does not wait. `session` is as with
    /// [`Agent::run`](crate::Agent::run).
    ///
    /// A turn differs from a run of `agent`: a message like `/status` is a command, several turns in one
    /// session follow the [queue mode](ChatTurn::queue_mode), 2026.2.9 can stop it, and no final answer
    /// has its tokens.
    #[doc(alias = "chat.send")]
    pub fn send(&self, session: impl AsRef<str>, message: impl Into<String>) -> ChatTurn<'a> {
        ChatTurn(RunBuilder::new(
            self.client,
            session.as_ref(),
            message.into(),
        ))
    }

    /// Reads the messages of a session; `.await` makes the request. An unknown session is an empty one.
    #[doc(alias = "chat.history")]
    pub fn history(&self, session: impl AsRef<str>) -> HistoryQuery<'a> {
        HistoryQuery {
            client: self.client,
            session: session.as_ref().to_owned(),
            params: ChatHistory::default(),
        }
    }

    /// Stops one run of a session, or with `None` all of its turns. Stopping what is over is no error.
    /// A [`Run`](crate::Run) that is being followed is better stopped by [`Run::abort`](crate::Run::abort).
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::call`]; the call may be made again at will.
    #[doc(alias = "chat.abort")]
    pub async fn abort(
        &self,
        session: impl AsRef<str>,
        run_id: Option<&str>,
    ) -> Result<ChatAborted, Error> {
        let session_key = session_key(self.client, ChatAbort::NAME, session.as_ref()).await?;
        self.client
            .call(ChatAbort {
                session_key: &session_key,
                run_id,
            })
            .await
    }
}

/// The fate of a turn while another one runs in its session. 2026.9.6 only: 2026.2.9 knows no modes,
/// and lets turns wait.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QueueMode {
    /// It is given to the run that goes on; the gateway's default.
    Steer,
    /// It waits, and runs after it.
    Followup,
    /// It waits, and all that wait run as one.
    Collect,
    /// It ends the run that goes on.
    Interrupt,
}

/// The parameter of `chat.send` that only 2026.9.6 has, of those with a method of their own here.
const QUEUE_MODE: &str = "queueMode";

/// The parameters of `chat.send`.
#[derive(Serialize)]
#[serde(transparent)]
struct ChatSend(Map<String, Value>);

impl Method for ChatSend {
    const NAME: &'static str = "chat.send";
    const EFFECT: Effect = Effect::Changes;
    type Answer = Value;

    fn unsupported_parameter(&self, protocol: u32) -> Option<String> {
        (protocol < 4 && self.0.contains_key(QUEUE_MODE)).then(|| QUEUE_MODE.to_owned())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatAbort<'a> {
    session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
}

impl Method for ChatAbort<'_> {
    const NAME: &'static str = "chat.abort";
    const EFFECT: Effect = Effect::Idempotent;
    type Answer = ChatAborted;
}

/// Answer of [`Chat::abort`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ChatAborted {
    /// True if anything was stopped.
    #[serde(default)]
    pub aborted: bool,
    /// The ids of the runs that were stopped.
    #[serde(default)]
    pub run_ids: Vec<String>,
}

/// A turn that is about to be sent; from [`Chat::send`]. It is set up as an
/// [`AgentRun`](crate::AgentRun) is.
///
/// # Errors
///
/// As [`AgentRun`](crate::AgentRun).
///
/// # Cancel safety
///
/// As [`AgentRun`](crate::AgentRun): whether the turn is taken stays open, and [`Run::attach`](crate::Run::attach) with its
/// [`id`](Self::id) finds out.
///
/// # Examples
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use std::time::Duration;
///
/// use openclaw_adapter::QueueMode;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("One."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// // A second thought that may wait for the first to be answered (2026.9.6).
/// let turn = client
///     .chat()
///     .send("billing", "And of those, how many are overdue?")
///     .queue_mode(QueueMode::Followup)
///     .timeout(Duration::from_secs(300));
/// let mut run = turn.await?;
/// println!("{}", run.outcome().await);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a turn is sent with `.await` or `start`"]
pub struct ChatTurn<'a>(RunBuilder<'a>);

run_builder!(ChatTurn, Kind::Chat, ChatSend);

impl ChatTurn<'_> {
    /// Sets the fate of the turn while another one runs in the session. On 2026.2.9 the turn is not
    /// sent, with [`Error::UnsupportedParameter`].
    pub fn queue_mode(self, mode: QueueMode) -> Self {
        self.param(QUEUE_MODE, json!(mode))
    }

    /// Limits the turn's time. 2026.2.9 does not hold itself to it.
    pub fn timeout(self, timeout: Duration) -> Self {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.param("timeoutMs", ms)
    }
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatHistory {
    session_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_chars: Option<u32>,
}

impl ChatHistory {
    /// Asks for the rows since a cursor, or for all.
    pub(crate) fn since(session_key: String, cursor: Option<String>) -> Self {
        Self {
            session_key,
            cursor,
            ..Self::default()
        }
    }
}

impl Method for ChatHistory {
    const NAME: &'static str = "chat.history";
    const EFFECT: Effect = Effect::Reads;
    type Answer = History;

    crate::api::wire::unsupported!(offset: 4; cursor: 4; max_chars: 4;);
}

/// A look at a session's history; from [`Chat::history`].
///
/// # Errors
///
/// As [`Client::call`]; on 2026.2.9, [`Error::UnsupportedParameter`] for what only 2026.9.6 has.
///
/// # Cancel safety
///
/// As [`Client::call`]: nothing changes by it.
///
/// # Examples
///
/// What is new since the last look (2026.9.6):
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("Good morning."));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// # client.chat().send("billing", "Hello").await?.outcome().await;
/// let seen = client.chat().history("billing").await?;
/// let cursor = seen.delta_cursor.ok_or("not on this gateway")?;
/// # client.chat().send("billing", "And you?").await?.outcome().await;
/// let new = client.chat().history("billing").since(cursor).await?;
/// let texts: Vec<_> = new.messages.iter().map(|message| message.text()).collect();
/// assert_eq!(texts, ["And you?", "Good morning."]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query is made with `.await`"]
pub struct HistoryQuery<'a> {
    client: &'a Client,
    session: String,
    params: ChatHistory,
}

impl HistoryQuery<'_> {
    /// At most so many rows, the latest ones; 1 to 1000.
    pub const fn limit(mut self, rows: u32) -> Self {
        self.params.limit = Some(rows);
        self
    }

    /// Rows further back, by an earlier answer's [`next_offset`](History::next_offset) (2026.9.6).
    pub const fn offset(mut self, rows: u64) -> Self {
        self.params.offset = Some(rows);
        self
    }

    /// Only what is new since an earlier answer's [`delta_cursor`](History::delta_cursor) (2026.9.6).
    pub fn since(mut self, cursor: impl Into<String>) -> Self {
        self.params.cursor = Some(cursor.into());
        self
    }

    /// Limits the characters per row; 2026.9.6 cuts at 8,000 characters if it is not asked for more
    /// (measured up to 500,000). 2026.2.9 refuses the parameter and cuts nothing.
    pub const fn max_chars(mut self, chars: u32) -> Self {
        self.params.max_chars = Some(chars);
        self
    }
}

impl<'a> IntoFuture for HistoryQuery<'a> {
    type Output = Result<History, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Asks.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut params = self.params;
            params.session_key = session_key(self.client, ChatHistory::NAME, &self.session).await?;
            self.client.call(params).await
        })
    }
}

/// Answer of [`Chat::history`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct History {
    /// The session, as the gateway writes it.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub session_key: Option<String>,
    /// Changes when the session is reset.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub session_id: Option<String>,
    /// The messages, the oldest first; of the session, or with [`HistoryQuery::since`] those that came
    /// since.
    #[serde(deserialize_with = "rows")]
    pub messages: Vec<Message>,
    /// Kind of the answer to [`HistoryQuery::since`].
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<HistoryKind>,
    /// For [`HistoryQuery::since`] (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub delta_cursor: Option<String>,
    /// True if there are older messages (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub has_more: Option<bool>,
    /// For [`HistoryQuery::offset`] (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub next_offset: Option<u64>,
    /// The session (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub session_info: Option<Session>,
    /// The run that goes on, with its text so far (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub in_flight_run: Option<InFlightRun>,
    /// Further fields: `pendingInputs`, `defaults` and more.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

string_enum! {
    /// Kind of an answer to a request for new rows only (2026.9.6).
    HistoryKind {
        /// The messages are those that came since.
        Delta = "delta",
        /// The cursor means nothing any more: ask for all of it.
        Reset = "reset",
    }
}

/// Rows as they are, or, after [`HistoryQuery::since`], each in the form of `session.message`.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Message>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Row {
        Written { message: Message },
        Plain(Message),
    }
    let rows = Vec::<Row>::deserialize(deserializer)?;
    let message = |row| match row {
        Row::Written { message } | Row::Plain(message) => message,
    };
    Ok(rows.into_iter().map(message).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(history: Value) -> History {
        serde_json::from_value(history).unwrap()
    }

    #[test]
    fn rows_of_both_generations_have_a_text() {
        let history = read(json!({
            "sessionKey":"agent:main:x",
            "messages":[
                {"role":"user","content":"plain","idempotencyKey":"r:user"},
                {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"toolCall"}],"__openclaw":{"runId":"r"},"timestamp":"soon"},
            ],
            "inFlightRun":7,
        }));
        assert_eq!(history.messages[0].text(), "plain");
        let answer = &history.messages[1];
        assert_eq!((&*answer.text(), answer.run_id()), ("a", Some("r")));
        assert!(answer.timestamp.is_none() && history.in_flight_run.is_none());
    }

    #[test]
    fn the_rows_of_a_delta_are_messages_too() {
        let written =
            json!({"sessionKey":"k","messageSeq":3,"message":{"role":"user","content":"hi"}});
        let history = read(json!({"kind":"delta","messages":[written],"deltaCursor":"d"}));
        assert_eq!(history.kind, Some(HistoryKind::Delta));
        assert_eq!(history.messages[0].text(), "hi");
        assert!(read(json!({"kind":"reset"})).messages.is_empty());
    }

    #[test]
    fn what_the_old_generation_refuses_is_named() {
        let history = ChatHistory::since("k".to_owned(), Some("c".to_owned()));
        assert_eq!(history.unsupported_parameter(3).as_deref(), Some("cursor"));
        assert_eq!(ChatHistory::default().unsupported_parameter(3), None);
    }
}
