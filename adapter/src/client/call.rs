//! A call as a backend makes it: options, then `.await`.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::base::sanitize::printable;
use crate::client::Client;
use crate::config::WhenDown;
use crate::driver::handle::Handle;
use crate::driver::send::{CallOptions, Outgoing};
use crate::logic::error::{Delivery, Error};
use crate::logic::session::Answer;
use crate::logic::state::ConnectionState;
use crate::protocol::Hello;
use crate::protocol::connect::{MAX_PROTOCOL, MIN_PROTOCOL};
use crate::protocol::method::{AnswerMode, Method};

/// The longest payload that is read beside an error, in bytes. Those of failed runs have some hundred.
const MAX_BESIDE: usize = 256 * 1024;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call of a typed [`Method`], from [`Client::call`] and from the groups of [`api`](crate::api);
/// `.await` makes it.
///
/// # Errors
///
/// As [`Client::call`].
///
/// # Cancel safety
///
/// Nothing is sent before `.await`. Dropped before it was written, the call is never sent; dropped
/// later, the gateway may act on it, and the answer goes to nobody.
///
/// # Examples
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use std::time::Duration;
///
/// use openclaw_adapter::WhenDown;
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
/// // For a request of one's own that cannot wait: the answer in two seconds, or none.
/// let list = client
///     .call(List::new().limit(20))
///     .within(Duration::from_secs(2))
///     .when_down(WhenDown::Fail)
///     .await?;
/// assert!(list.sessions.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is made when it is awaited"]
pub struct TypedCall<'a, M> {
    client: &'a Client,
    method: M,
    terms: CallOptions,
}

/// A call of a method by its name, from [`Client::call_raw`], which has an example; `.await` makes it.
///
/// # Errors
///
/// As [`Client::call`].
///
/// # Cancel safety
///
/// As [`TypedCall`].
#[must_use = "a call is made when it is awaited"]
pub struct RawCall<'a, P> {
    client: &'a Client,
    name: &'a str,
    params: P,
    terms: CallOptions,
}

impl<M: Method> std::fmt::Debug for TypedCall<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TypedCall").field(&M::NAME).finish()
    }
}

impl<P> std::fmt::Debug for RawCall<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RawCall").field(&self.name).finish()
    }
}

impl<'a, M> TypedCall<'a, M> {
    pub(crate) const fn new(client: &'a Client, method: M) -> Self {
        Self {
            client,
            method,
            terms: CallOptions::DEFAULT,
        }
    }

    /// The deadline for all of it, from `.await` on: waiting for the connection, for the queue and for
    /// the answer. [`ConfigBuilder::request_timeout`](crate::ConfigBuilder::request_timeout) unless set.
    pub const fn within(mut self, within: Duration) -> Self {
        self.terms.within = Some(within);
        self
    }

    /// Chooses between waiting and failing without a connection.
    /// [`ConfigBuilder::when_down`](crate::ConfigBuilder::when_down) unless set.
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.terms.when_down = Some(when_down);
        self
    }
}

impl<'a, P> RawCall<'a, P> {
    pub(crate) const fn new(client: &'a Client, name: &'a str, params: P) -> Self {
        Self {
            client,
            name,
            params,
            terms: CallOptions::DEFAULT,
        }
    }

    /// As [`TypedCall::within`].
    pub const fn within(mut self, within: Duration) -> Self {
        self.terms.within = Some(within);
        self
    }

    /// As [`TypedCall::when_down`].
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.terms.when_down = Some(when_down);
        self
    }
}

impl<'a, M: Method> IntoFuture for TypedCall<'a, M>
where
    M::Answer: 'a,
{
    type Output = Result<M::Answer, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client;
        match client
            .inner()
            .prepare(M::NAME, M::ANSWERS, &self.method, self.terms)
        {
            Ok(call) => Box::pin(finish(
                client,
                call,
                Requirements::of(&self.method),
                PhantomData,
            )),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

impl<'a, P: Serialize> IntoFuture for RawCall<'a, P> {
    type Output = Result<Value, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client;
        match client
            .inner()
            .prepare(self.name, AnswerMode::Once, self.params, self.terms)
        {
            Ok(call) => Box::pin(finish(client, call, Requirements::NOTHING, PhantomData)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

/// Requirements of a call on the gateway's generation.
#[derive(Clone, Debug)]
pub(crate) struct Requirements {
    /// The lowest protocol that has the method.
    since: u32,
    /// Protocols that lack a parameter which is set, with its name.
    lacking: Vec<(u32, String)>,
}

impl Requirements {
    const NOTHING: Self = Self {
        since: MIN_PROTOCOL,
        lacking: Vec::new(),
    };

    pub(crate) fn of<M: Method>(method: &M) -> Self {
        let lacking = (MIN_PROTOCOL..=MAX_PROTOCOL)
            .filter_map(|protocol| Some((protocol, method.unsupported_parameter(protocol)?)));
        Self {
            since: M::SINCE_PROTOCOL,
            lacking: lacking.collect(),
        }
    }

    const fn is_nothing(&self) -> bool {
        self.since <= MIN_PROTOCOL && self.lacking.is_empty()
    }
}

/// The answer's type, without owning one: the future is `Send` whatever it is.
type OfType<T> = PhantomData<fn() -> T>;

async fn finish<T: DeserializeOwned>(
    client: &Client,
    call: Outgoing,
    required: Requirements,
    _answer: OfType<T>,
) -> Result<T, Error> {
    if !required.is_nothing() {
        // Boxed, so that calls that need nothing are not made larger by it.
        Box::pin(client.inner().check_protocol(&call, required)).await?;
    }
    let answer = client.inner().exchange(&call).await?;
    answer.read(call.method())
}

impl Handle {
    /// Waits for a connection and returns its hello.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] and [`Error::Disconnected`], both as not sent, or the reason for which the client
    /// has stopped.
    pub(crate) async fn ready_within(
        &self,
        method: &str,
        within: Duration,
        when_down: WhenDown,
    ) -> Result<Arc<Hello>, Error> {
        let is_ready = matches!(*self.state.borrow(), ConnectionState::Ready { .. });
        if !is_ready && when_down == WhenDown::Fail {
            return Err(Error::Disconnected {
                method: method.into(),
                delivery: Delivery::NotSent,
            });
        }
        timeout(within, self.ready()).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                method: method.into(),
                after: within,
                delivery: Delivery::NotSent,
            })
        })
    }

    /// Refuses a method or a parameter that the gateway's generation does not have. The gateway
    /// itself would say of the method that a scope is missing, which is the wrong advice.
    pub(crate) async fn check_protocol(
        &self,
        call: &Outgoing,
        required: Requirements,
    ) -> Result<(), Error> {
        if required.is_nothing() {
            return Ok(());
        }
        let ready = self.ready_within(call.method(), call.time_left(), call.when_down());
        let protocol = match ready.await {
            Err(Error::Timeout { .. }) => return Err(call.timed_out(Delivery::NotSent)),
            hello => hello?.protocol,
        };
        let method = || Arc::clone(call.method());
        if protocol < required.since {
            return Err(Error::Unsupported {
                method: method(),
                protocol,
            });
        }
        let mut lacking = required.lacking.into_iter();
        match lacking.find(|(lacks, _)| *lacks == protocol) {
            Some((_, parameter)) => Err(Error::UnsupportedParameter {
                method: method(),
                parameter: parameter.into(),
                protocol,
            }),
            None => Ok(()),
        }
    }
}

impl Answer {
    /// The payload of an answer that grants, as a type; no payload reads as `null`.
    pub(crate) fn read<T: DeserializeOwned>(self, method: &Arc<str>) -> Result<T, Error> {
        if let Some(error) = self.error {
            // A payload beside an error is read only if short: it takes more memory as values than as text.
            let payload = self
                .payload
                .filter(|raw| raw.get().len() <= MAX_BESIDE)
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .map(Arc::new);
            return Err(Error::Call {
                method: Arc::clone(method),
                error,
                payload,
            });
        }
        let text = self.payload.as_deref().map_or("null", |raw| raw.get());
        serde_json::from_str(text).map_err(|error| Error::Data {
            method: Arc::clone(method),
            // The message may quote the answer.
            what: format!(
                "the answer has another shape: {}",
                printable(&error.to_string())
            )
            .into(),
            delivery: Delivery::Unknown,
        })
    }
}
