//! Events of a gateway, and the bounded streams that carry them.

mod channel;
mod hub;
mod payload;
mod queue;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub(crate) use self::channel::{Buffer, Channel};
pub(crate) use self::hub::Hub;
pub use self::payload::EventPayload;
pub(crate) use self::queue::Bounds;
use self::queue::Queue;
use crate::base::sanitize::printable;
use crate::logic::error::{Delivery, Error};
pub use crate::logic::process::ResyncReason;

/// An event of the gateway, as it came: `{"type":"event", event, payload?, seq?}`.
///
/// Gateways broadcast: a client sees the runs of every session and of every other client. Examples are
/// at [`EventStream`], from which events come, and at [`parse`](Self::parse).
#[derive(Clone)]
pub struct Event {
    name: Box<str>,
    payload: Option<Box<RawValue>>,
    seq: Option<u64>,
}

impl Event {
    pub(crate) fn new(name: &str, payload: Option<&RawValue>, seq: Option<u64>) -> Self {
        Self {
            name: name.into(),
            payload: payload.map(ToOwned::to_owned),
            seq,
        }
    }

    /// Its name: `agent`, `chat`, `tick`, `sessions.changed`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number. On 2026.9.6 the events of a connection count from 1 without holes; on 2026.2.9
    /// all connections share the numbers, so holes mean nothing, and tool events have none.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The payload as it came.
    #[must_use]
    pub fn raw_payload(&self) -> Option<&RawValue> {
        self.payload.as_deref()
    }

    /// The payload as a type of the caller's choice; an event without one reads as `null`.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] if it has another shape.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let text = self.payload.as_deref().map_or("null", RawValue::get);
        serde_json::from_str(text).map_err(|error| Error::Data {
            method: (*self.name).into(),
            // The message may quote the event.
            what: format!(
                "the event has another shape: {}",
                printable(&error.to_string())
            )
            .into(),
            delivery: Delivery::NotSent,
        })
    }

    /// The payload, if this is the event that the type stands for.
    ///
    /// ```
    /// use openclaw_adapter::Event;
    /// use openclaw_adapter::api::sessions::Changed;
    ///
    /// fn key_of(event: &Event) -> Option<String> {
    ///     event.parse::<Changed>()?.ok()?.session_key
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Inside, [`Error::Data`] if it has another shape.
    #[must_use]
    pub fn parse<E: EventPayload>(&self) -> Option<Result<E, Error>> {
        (*self.name == *E::NAME).then(|| self.payload())
    }

    /// Roughly what it occupies, in bytes.
    fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.payload.as_ref().map_or(0, |raw| raw.get().len())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A payload is as long as the gateway likes, and says what people said.
        f.debug_struct("Event")
            .field("name", &self.name)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// An item of an [`EventStream`], which has an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventItem {
    /// An event.
    Event(Arc<Event>),
    /// This many events were dropped here, because this stream was not read fast enough. Nobody
    /// else was held up.
    Lagged(u64),
    /// The gateway dropped events here, because this process was not read fast enough. Only on
    /// protocol 4: the numbers of the older one have holes that mean nothing.
    #[non_exhaustive]
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A new connection begins here. What the gateway said in between is lost: ask for the present
    /// state of whatever the events were about.
    Resync(ResyncReason),
}

/// Selection of the events that a stream carries.
///
/// [`Lagged`](EventItem::Lagged) counts only these; [`Gap`](EventItem::Gap) and
/// [`Resync`](EventItem::Resync) stand in every stream.
///
/// ```
/// use openclaw_adapter::{Client, EventFilter, EventStream};
///
/// fn of_approvals(client: &Client) -> EventStream {
///     let names = ["exec.approval.requested", "exec.approval.resolved"];
///     client.events_where(EventFilter::named(names))
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Empty for all.
    names: Arc<[Box<str>]>,
}

impl EventFilter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The events of these names. None at all means every event.
    #[must_use]
    pub fn named<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            names: names.into_iter().map(|name| name.as_ref().into()).collect(),
        }
    }

    fn matches(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| **wanted == *name)
    }
}

/// The events of a gateway, from the moment it was asked for, over all connections to come.
///
/// From [`Client::events`](crate::Client::events). It holds a bounded number of events and bytes
/// ([`ConfigBuilder::event_capacity`](crate::ConfigBuilder::event_capacity)); what comes on top
/// pushes out the oldest, and [`EventItem::Lagged`] stands where they were. It ends when the client
/// is closed.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// use openclaw_adapter::api::events::Tick;
/// use openclaw_adapter::{EventFilter, EventItem, EventPayload};
/// # use openclaw_mock_gateway::MockGateway;
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
/// let mut ticks = client.events_where(EventFilter::named([Tick::NAME]));
/// # gateway.emit("tick", &serde_json::json!({"ts": 1}));
/// while let Some(item) = ticks.next().await {
///     match item {
///         EventItem::Event(event) => {
///             let tick: Tick = event.payload()?;
///             println!("the gateway's clock says {}", tick.ts);
///             break;
///         }
///         EventItem::Resync(why) => println!("a new connection: {why}"),
///         missing => println!("something is missing here: {missing:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an unread stream only fills its queue"]
pub struct EventStream {
    queue: Arc<Queue>,
    hub: Arc<Hub>,
}

impl EventStream {
    /// The next item; `None` when the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, and so is [`Stream::poll_next`]: an item is either returned or stays in the stream.
    pub async fn next(&mut self) -> Option<EventItem> {
        std::future::poll_fn(|cx| self.queue.poll(cx)).await
    }

    /// As [`Queue::forget_old_connections`](queue::Queue::forget_old_connections).
    pub(crate) fn forget_old_connections(&self) {
        self.queue.forget_old_connections();
    }
}

impl Stream for EventStream {
    type Item = EventItem;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<EventItem>> {
        self.queue.poll(cx)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.hub.remove(&self.queue);
    }
}
