//! Watches: subscriptions that are made again on each new connection, with a snapshot each time.

mod messages;
mod registry;
mod sessions;
mod state;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use self::messages::Messages;
pub use self::messages::MessagesSnapshot;
use self::sessions::Sessions;
use self::state::{Action, CALM, Topic, WatchItem, WatchState};
use crate::api::events::EventPayload as _;
use crate::api::sessions::{Changed, List, MessageWritten, SessionList};
use crate::client::Client;
use crate::event::{EventFilter, EventStream};
use crate::logic::error::Error;

/// An item of a watch. [`Resync`](Self::Resync) and then [`Snapshot`](Self::Snapshot) come first,
/// and again whenever something may be missing; in between is what happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update<S, L> {
    /// Something may be missing here. A snapshot follows.
    Resync(SyncReason),
    /// The present state.
    Snapshot(S),
    /// Something happened after the snapshot.
    Live(L),
}

/// Reason why a watch starts over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SyncReason {
    /// It has only just begun.
    Started,
    /// The connection was lost; the gateway went on.
    Reconnected,
    /// The gateway's process is a new one.
    GatewayRestarted,
    /// The watch was not read fast enough.
    #[non_exhaustive]
    Lagged {
        /// So many events were dropped.
        events: u64,
    },
    /// The gateway dropped events, because this process was not read fast enough.
    #[non_exhaustive]
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The gateway announced a change of the list without saying which.
    ListChanged,
    /// The transcript was reset.
    TranscriptReset,
    /// The gateway sent something that this crate cannot read.
    Unreadable,
}

impl fmt::Display for SyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Reconnected => "reconnected",
            Self::GatewayRestarted => "gateway-restarted",
            Self::Lagged { .. } => "lagged",
            Self::Gap { .. } => "gap",
            Self::ListChanged => "list-changed",
            Self::TranscriptReset => "transcript-reset",
            Self::Unreadable => "unreadable",
        })
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
type Request<T> = Boxed<<T as Topic>::Answer>;

/// Asks the gateway about a topic.
trait Ask: Topic {
    fn ask(&self, client: Client) -> Request<Self>;
}

impl Ask for Sessions {
    fn ask(&self, client: Client) -> Request<Self> {
        Box::pin(self.ask(client))
    }
}

impl Ask for Messages {
    fn ask(&self, client: Client) -> Request<Self> {
        Box::pin(self.ask(client))
    }
}

/// Drives a [`WatchState`] in the task of the reader. Events wait in their bounded
/// stream meanwhile, so that nothing here can grow.
struct Watch<T: Topic> {
    /// Before the topic: with the last handle, the connection ends and so do its subscriptions.
    client: Client,
    /// Until there is a connection to ask on.
    waiting: Option<Boxed<()>>,
    request: Option<Request<T>>,
    sleeping: Option<Pin<Box<Sleep>>>,
    requested_at: Option<Instant>,
    state: WatchState<T>,
    events: EventStream,
}

impl<T: Ask> Watch<T> {
    fn new(client: &Client, topic: T, event: &str) -> Self {
        Self {
            client: client.clone(),
            waiting: None,
            request: None,
            sleeping: None,
            requested_at: None,
            state: WatchState::new(topic),
            events: client.events_where(EventFilter::named([event])),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchItem<T>>> {
        loop {
            if self.requested_at.is_some_and(|at| at.elapsed() >= CALM) {
                self.requested_at = None;
                self.state.on_calm();
            }
            match self.state.next_action() {
                Action::Yield(item) => return Poll::Ready(Some(item)),
                Action::Request => {
                    self.requested_at = Some(Instant::now());
                    let client = self.client.clone();
                    self.waiting = Some(Box::pin(async move { client.ready().await.map(drop) }));
                }
                Action::AwaitAnswer => {
                    if let Some(waiting) = &mut self.waiting {
                        let waited = ready!(waiting.as_mut().poll(cx));
                        self.waiting = None;
                        if let Err(error) = waited {
                            self.state.on_answer(Err(error));
                            continue;
                        }
                        // The answer covers the connection's beginning. Read afterwards, its resync
                        // mark would cause another request.
                        self.events.forget_old_connections();
                        self.request = Some(self.state.topic.ask(self.client.clone()));
                    }
                    let Some(request) = &mut self.request else {
                        return Poll::Ready(None);
                    };
                    let answer = ready!(request.as_mut().poll(cx));
                    self.request = None;
                    self.state.on_answer(answer);
                }
                Action::AwaitEvent => {
                    let item = ready!(Pin::new(&mut self.events).poll_next(cx));
                    self.state.on_item(item);
                }
                Action::Sleep(time) => {
                    let rest = self.sleeping.get_or_insert_with(|| Box::pin(sleep(time)));
                    ready!(rest.as_mut().poll(cx));
                    self.sleeping = None;
                    self.state.on_slept();
                }
                Action::End => return Poll::Ready(None),
            }
        }
    }
}

/// A watch of the sessions, from [`Sessions::watch`](crate::api::sessions::Sessions::watch).
///
/// It yields [`Update::Resync`] and a list first and after each loss, in between each change; with
/// both, a copy of the list is always what the gateway's will be. Nothing happens unless it is read.
/// Events that come meanwhile are kept within bounds; what is too much becomes
/// [`SyncReason::Lagged`], with a new list. As a handle, it keeps the client open.
///
/// It ends when the client is closed or drained, and after an error that asking again does not heal:
/// [`Error::Unsupported`] on 2026.2.9, a missing scope, or that the client has stopped when it is to
/// ask. A client that stops later, and goes on with another token, takes its watches along.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::Update;
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
/// let mut watch = client.sessions().watch(List::new());
/// while let Some(update) = watch.next().await {
///     match update? {
///         Update::Resync(why) => println!("what is known may be old: {why:?}"),
///         Update::Snapshot(list) => {
///             println!("{} sessions", list.sessions.len());
/// #           break;
///         }
///         Update::Live(change) => println!("{change:?}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a watch does nothing unless it is read"]
pub struct SessionsWatch(Watch<Sessions>);

/// A watch of the messages of a session, from
/// [`Sessions::watch_messages`](crate::api::sessions::Sessions::watch_messages).
///
/// It yields [`Update::Resync`] and the messages first and after each loss, in between each message
/// as it is written, and none of them twice. Where the gateway can say what was missed, the snapshot
/// has only that; see [`MessagesSnapshot::is_whole`]. Nothing happens unless it is read. As a handle,
/// it keeps the client open. When the last watch of a session is dropped, its subscription
/// is ended.
///
/// It ends as [`SessionsWatch`] does.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use openclaw_adapter::Update;
///
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
/// let mut watch = client.sessions().watch_messages("agent:main:billing");
/// while let Some(update) = watch.next().await {
///     match update? {
///         Update::Snapshot(seen) if seen.is_whole => println!("{} so far", seen.messages.len()),
///         Update::Snapshot(missed) => println!("{} more", missed.messages.len()),
///         Update::Live(written) => {
///             println!("{:?}: {}", written.message.role, written.message.text());
/// #           break;
///         }
///         _ => {}
///     }
/// #   client.chat().send("billing", "Hello").start().outcome().await;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a watch does nothing unless it is read"]
pub struct MessagesWatch(Watch<Messages>);

macro_rules! stream {
    ($name:ident, $snapshot:ty, $live:ty) => {
        impl $name {
            /// The next update; `None` when it is over.
            ///
            /// # Errors
            ///
            /// Why the gateway cannot be asked: [`Error::Unsupported`] on 2026.2.9, [`Error::Call`] if
            /// it refuses, or why the client has stopped. The watch is over then.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe, and so is [`Stream::poll_next`]: nothing is lost, and what was asked is
            /// still asked.
            pub async fn next(&mut self) -> Option<Result<Update<$snapshot, $live>, Error>> {
                std::future::poll_fn(|cx| self.0.poll(cx)).await
            }
        }

        impl Stream for $name {
            type Item = Result<Update<$snapshot, $live>, Error>;

            fn poll_next(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                self.0.poll(cx)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

stream!(SessionsWatch, SessionList, Changed);
stream!(MessagesWatch, MessagesSnapshot, MessageWritten);

impl SessionsWatch {
    pub(crate) fn new(client: &Client, list: List) -> Self {
        Self(Watch::new(client, Sessions::new(list), Changed::NAME))
    }
}

impl MessagesWatch {
    pub(crate) fn new(client: &Client, key: String) -> Self {
        Self(Watch::new(client, Messages::new(key), MessageWritten::NAME))
    }
}

impl crate::api::sessions::Sessions<'_> {
    /// Watches the sessions over all connections to come: a list, then each change (2026.9.6).
    ///
    /// The changes are those of all sessions, whatever the list is about. Without a limit, the list
    /// has as many as the gateway likes.
    ///
    /// ```
    /// # use openclaw_adapter::{Client, Error};
    /// use openclaw_adapter::Update;
    /// use openclaw_adapter::api::sessions;
    ///
    /// # async fn watch(client: Client) -> Result<(), Error> {
    /// let mut watch = client.sessions().watch(sessions::List::new().limit(500));
    /// while let Some(update) = watch.next().await {
    ///     match update? {
    ///         Update::Resync(why) => println!("something may be missing: {why}"),
    ///         Update::Snapshot(list) => println!("{} sessions", list.sessions.len()),
    ///         Update::Live(change) => println!("{:?} has changed", change.session_key),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "sessions.subscribe")]
    pub fn watch(&self, list: List) -> SessionsWatch {
        SessionsWatch::new(self.client, list)
    }

    /// Watches the messages of a session over all connections to come: those that there are, then
    /// each as it is written (2026.9.6).
    #[doc(alias = "sessions.messages.subscribe")]
    pub fn watch_messages(&self, key: impl Into<String>) -> MessagesWatch {
        MessagesWatch::new(self.client, key.into())
    }
}
