//! The handle that a backend holds.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::api::Devices;
use crate::call::{Call, Claim, Reply};
use crate::config::{Config, WhenDown};
use crate::error::{Delivery, Error};
use crate::protocol::{Hello, frame};
use crate::secret::Token;
use crate::state::ConnectionState;
use crate::supervisor::{self, Control, Ends};

/// A connection to one gateway that looks after itself.
///
/// A cheap clone: all clones share one connection and one task. The task ends with
/// [`close`](Self::close), or when the last clone is dropped.
///
/// ```
/// use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// use openclaw_mock_gateway::MockGateway;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = MockGateway::start().await;
/// let config = Config::builder()
///     .url(gateway.local_url())
///     .token(Token::new(gateway.token())?)
///     .store(MemoryStore::new())
///     .build()?;
///
/// let client = Client::start(config);
/// let hello = client.ready().await?;
/// assert_eq!(hello.protocol, 4);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Unbounded, because dropping a call must not wait; what is in it is bounded by the calls
    /// that are dropped and by what the backend asks for.
    control: mpsc::UnboundedSender<Control>,
    calls: mpsc::Sender<Call>,
    state: watch::Receiver<ConnectionState>,
    request_timeout: Duration,
    when_down: WhenDown,
}

impl Client {
    /// Starts a client and returns at once. Its task dials, waits for approval and reconnects from
    /// here on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and I/O enabled, as [`tokio::spawn`] does.
    #[must_use = "the connection ends when the last handle is dropped"]
    pub fn start(config: Config) -> Self {
        let (control, control_end) = mpsc::unbounded_channel();
        let (calls, calls_end) = mpsc::channel(config.command_capacity);
        let (state_end, state) = watch::channel(ConnectionState::Connecting { attempt: 1 });
        let inner = Inner {
            control,
            calls,
            state,
            request_timeout: config.request_timeout,
            when_down: config.when_down,
        };
        tokio::spawn(supervisor::run(
            config,
            Ends {
                control: control_end,
                calls: calls_end,
                state: state_end,
            },
        ));
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts a client and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). The client is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the client.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let client = Self::start(config);
        client.ready().await?;
        Ok(client)
    }

    /// Waits until the connection is good, however long that takes.
    ///
    /// # Errors
    ///
    /// Why the client has stopped, if it has: [`Error::PairingRequired`], [`Error::Refused`],
    /// [`Error::UpgradeRefused`], [`Error::Identity`] or [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client goes on by itself.
    pub async fn ready(&self) -> Result<Arc<Hello>, Error> {
        let mut state = self.inner.state.clone();
        loop {
            match &*state.borrow_and_update() {
                ConnectionState::Ready { hello } => return Ok(Arc::clone(hello)),
                ConnectionState::Stopped { reason } => return Err(reason.to_error()),
                _ => {}
            }
            if state.changed().await.is_err() {
                return Err(Error::Closed);
            }
        }
    }

    /// What the client is doing, now and from now on. A slow watcher sees the latest state, not
    /// every one; [`ConfigBuilder::on_state`](crate::ConfigBuilder::on_state) sees them all.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.inner.state.clone()
    }

    /// Ends the present wait, for approval or between attempts, and tries again at once. A client
    /// that has stopped starts over, unless it was closed.
    pub fn retry_now(&self) {
        let _ = self.inner.control.send(Control::RetryNow);
    }

    /// Gives the client another shared token, for a secret that does not live in a file. A good
    /// connection stays; a client that has stopped for its token goes on at once.
    pub fn set_token(&self, token: Token) {
        let _ = self.inner.control.send(Control::SetToken(token));
    }

    /// Calls a method by its name and returns the answer's payload; `null` if it has none.
    ///
    /// The call is made once: nothing is repeated behind the caller's back. The deadline is
    /// [`ConfigBuilder::request_timeout`](crate::ConfigBuilder::request_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the gateway refuses; [`Error::Timeout`] and [`Error::Disconnected`] say
    /// whether the call was sent; [`Error::TooLarge`] before it is; the reason, if the client has
    /// stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the call up and leaves nothing behind. Whether the gateway acts on
    /// it is then unknown.
    pub async fn call_raw(&self, method: &str, params: impl Serialize) -> Result<Value, Error> {
        self.call_raw_within(method, params, self.inner.request_timeout)
            .await
    }

    /// [`call_raw`](Self::call_raw) with a deadline of its own.
    ///
    /// # Errors
    ///
    /// As [`call_raw`](Self::call_raw).
    ///
    /// # Cancel safety
    ///
    /// As [`call_raw`](Self::call_raw).
    pub async fn call_raw_within(
        &self,
        method: &str,
        params: impl Serialize,
        within: Duration,
    ) -> Result<Value, Error> {
        let method: Arc<str> = method.into();
        let data = |what: String| Error::Data {
            method: Arc::clone(&method),
            what: what.into(),
        };
        let id = uuid::Uuid::new_v4().to_string();
        let frame = frame::request(&id, &method, Some(params))
            .map_err(|error| data(format!("the parameters cannot be written as JSON: {error}")))?;
        let payload = self.send(Arc::clone(&method), id, frame, within).await??;
        match payload {
            None => Ok(Value::Null),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|error| data(format!("the answer cannot be read: {error}"))),
        }
    }

    async fn send(
        &self,
        method: Arc<str>,
        id: String,
        frame: String,
        within: Duration,
    ) -> Result<Reply, Error> {
        let deadline = Instant::now() + within;
        let claim = Claim::default();
        let (reply, answer) = oneshot::channel();
        match &*self.inner.state.borrow() {
            ConnectionState::Ready { .. } => {}
            ConnectionState::Stopped { reason } => return Err(reason.to_error()),
            _ if self.inner.when_down == WhenDown::Fail => {
                return Err(Error::Disconnected {
                    method,
                    delivery: Delivery::NotSent,
                });
            }
            _ => {}
        }
        let call = Call {
            id: id.clone(),
            method: Arc::clone(&method),
            frame,
            claim: claim.clone(),
            reply,
        };
        let timed_out = |delivery| Error::Timeout {
            method: Arc::clone(&method),
            after: within,
            delivery,
        };
        match timeout_at(deadline, self.inner.calls.send(call)).await {
            Err(_) => return Err(timed_out(Delivery::NotSent)),
            Ok(Err(_)) => return Err(Error::Closed),
            Ok(Ok(())) => {}
        }
        let _forget = Forget {
            control: &self.inner.control,
            id,
        };
        match timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(timed_out(claim.abandon())),
        }
    }

    /// The devices that are paired with the gateway, or wait to be.
    #[must_use]
    pub const fn devices(&self) -> Devices<'_> {
        Devices::new(self)
    }

    /// Ends the connection and the client, for all its clones. Returns when the socket is closed,
    /// after a second at the most.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client closes all the same.
    pub async fn close(&self) {
        let _ = self.inner.control.send(Control::Close);
        let mut state = self.inner.state.clone();
        // The sender goes when the task ends; that is the end, whatever the last state was.
        while state.changed().await.is_ok() {}
    }
}

/// Tells the task that a caller has gone, so that no entry stays behind.
struct Forget<'a> {
    control: &'a mpsc::UnboundedSender<Control>,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let _ = self
            .control
            .send(Control::Forget(std::mem::take(&mut self.id)));
    }
}
