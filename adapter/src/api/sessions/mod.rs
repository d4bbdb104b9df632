//! `sessions.*`: the conversations of a gateway.
//!
//! ```
//! # use openclaw_adapter::{Client, Config, MemoryStore, Token};
//! # use openclaw_mock_gateway::{MockGateway, RunScript};
//! use openclaw_adapter::api::sessions::{Create, Patch, Resolve, Setting};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let gateway = MockGateway::start().await;
//! # gateway.script_runs(|_| RunScript::text("Since Monday."));
//! # let config = Config::builder()
//! #     .url(gateway.local_url())
//! #     .token(Token::new(gateway.token())?)
//! #     .store(MemoryStore::new())
//! #     .build()?;
//! # let client = Client::connect(config).await?;
//! // A session for each customer, with settings of its own (2026.9.6).
//! let customer = Create::new().key("agent:main:customer-7").label("Customer 7");
//! let session = client.sessions().create(customer).await?;
//! let terse = Patch::new(&session.key).thinking_level("low").model(Setting::Unset);
//! client.sessions().patch(terse).await?;
//!
//! let sent = client.sessions().send(&session.key, "Is my order there yet?").await?;
//! println!("run {}", sent.run_id);
//!
//! let found = client.sessions().resolve(Resolve::new().label("Customer 7")).await?;
//! assert_eq!(found.key, Some(session.key));
//! # Ok(())
//! # }
//! ```

mod calls;
mod events;
mod list;
mod message;
mod patch;
mod row;

use crate::client::Client;
use crate::client::call::TypedCall;

pub use calls::{
    Abort, AbortStatus, Aborted, Compact, Compacted, Create, Created, Delete, Deleted, Reset,
    ResetDone, ResolvedModel, SendMessage, Sent,
};
pub use events::{
    ChangePhase, ChangeReason, Changed, MessageWritten, MessagesSubscribed, Subscribe,
    SubscribeMessages, Subscribed, ToolUsed, UnsubscribeMessages,
};
pub use list::{
    Archived, Describe, Described, Get, List, Preview, PreviewItem, PreviewStatus, Previews,
    Resolve, Resolved, SessionDefaults, SessionList, SessionPreview, SortBy, Transcript,
};
pub use message::{Content, InFlightRun, Message, Part, Place, Role};
pub use patch::{Patch, Patched, Setting};
pub use row::{Session, SessionKind, SessionStatus, SharingRole};

/// The sessions of a gateway; from [`Client::sessions`].
///
/// Each method makes the call with what is needed; the types of this module have the rest, for
/// [`Client::call`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::api::sessions::List;
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
/// let list = client.sessions().list(List::new().limit(20)).await?;
/// for session in &list.sessions {
///     println!("{}", session.key);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    pub(crate) client: &'a Client,
}

impl<'a> Sessions<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the sessions, those that changed last first.
    #[doc(alias = "sessions.list")]
    pub fn list(&self, list: List) -> TypedCall<'a, List> {
        self.client.call(list)
    }

    /// Describes one session (2026.9.6).
    #[doc(alias = "sessions.describe")]
    pub fn describe(&self, key: impl Into<String>) -> TypedCall<'a, Describe> {
        self.client.call(Describe::new(key))
    }

    /// Reads the last messages of some sessions, shortened.
    #[doc(alias = "sessions.preview")]
    pub fn preview(
        &self,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> TypedCall<'a, Preview> {
        self.client.call(Preview::new(
            keys.into_iter().map(Into::into).collect::<Vec<_>>(),
        ))
    }

    /// Resolves a session by key, id or label.
    #[doc(alias = "sessions.resolve")]
    pub fn resolve(&self, resolve: Resolve) -> TypedCall<'a, Resolve> {
        self.client.call(resolve)
    }

    /// Reads the messages of a session (2026.9.6).
    #[doc(alias = "sessions.get")]
    pub fn get(&self, key: impl Into<String>) -> TypedCall<'a, Get> {
        self.client.call(Get::new(key))
    }

    /// Makes a session, or adopts the one that has its key already (2026.9.6).
    #[doc(alias = "sessions.create")]
    pub fn create(&self, create: Create) -> TypedCall<'a, Create> {
        self.client.call(create)
    }

    /// Sends a message to a session, and so starts a run (2026.9.6). Set
    /// [`SendMessage::idempotency_key`] to be able to ask what became of it.
    #[doc(alias = "sessions.send")]
    pub fn send(
        &self,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> TypedCall<'a, SendMessage> {
        self.client.call(SendMessage::new(key, message))
    }

    /// Aborts the runs of a session (2026.9.6).
    #[doc(alias = "sessions.abort")]
    pub fn abort(&self, abort: Abort) -> TypedCall<'a, Abort> {
        self.client.call(abort)
    }

    /// Changes the settings of a session.
    #[doc(alias = "sessions.patch")]
    pub fn patch(&self, patch: Patch) -> TypedCall<'a, Patch> {
        self.client.call(patch)
    }

    /// Resets a session: its transcript is archived.
    #[doc(alias = "sessions.reset")]
    pub fn reset(&self, key: impl Into<String>) -> TypedCall<'a, Reset> {
        self.client.call(Reset::new(key))
    }

    /// Deletes a session.
    #[doc(alias = "sessions.delete")]
    pub fn delete(&self, key: impl Into<String>) -> TypedCall<'a, Delete> {
        self.client.call(Delete::new(key))
    }

    /// Shortens the transcript of a session.
    #[doc(alias = "sessions.compact")]
    pub fn compact(&self, key: impl Into<String>) -> TypedCall<'a, Compact> {
        self.client.call(Compact::new(key))
    }

    /// Subscribes to the events of all sessions on this connection (2026.9.6);
    /// [`watch`](Self::watch) asks again on each new one.
    #[doc(alias = "sessions.subscribe")]
    pub fn subscribe(&self, subscribe: Subscribe) -> TypedCall<'a, Subscribe> {
        self.client.call(subscribe)
    }

    /// Subscribes to the messages of a session on this connection (2026.9.6);
    /// [`watch_messages`](Self::watch_messages) asks again on each new one.
    #[doc(alias = "sessions.messages.subscribe")]
    pub fn subscribe_messages(&self, key: impl Into<String>) -> TypedCall<'a, SubscribeMessages> {
        self.client.call(SubscribeMessages::new(key))
    }

    /// Unsubscribes from the messages of a session (2026.9.6). A watch of the same session is cut off
    /// as well; dropping a watch does this by itself.
    #[doc(alias = "sessions.messages.unsubscribe")]
    pub fn unsubscribe_messages(
        &self,
        key: impl Into<String>,
    ) -> TypedCall<'a, UnsubscribeMessages> {
        self.client.call(UnsubscribeMessages::new(key))
    }
}
