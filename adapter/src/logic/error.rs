//! What can go wrong, in types that a backend can match on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::base::sanitize::quoted;
use crate::logic::config_error::ConfigError;
use crate::logic::pairing::PairingRequired;
use crate::logic::refusal::{Refusal, UpgradeRefusal};
use crate::protocol::GatewayError;
use crate::store::StoreError;

/// Everything that a call, or waiting for a connection, can end with.
///
/// `Display` says what happened and never repeats its source; no variant carries a token, a key or
/// a signature.
///
/// Whether to try again is answered by [`recovery`](Self::recovery), for every variant:
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::{Error, Recovery};
/// use serde_json::json;
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
/// let error = client
///     .call_raw("sessions.list", json!({ "limit": "many" }))
///     .await
///     .unwrap_err();
/// assert!(matches!(error, Error::Call { .. }), "{error}");
/// match error.recovery() {
///     Recovery::Retry | Recovery::RetryAfter(_) => println!("once more"),
///     Recovery::CheckOutcome => println!("it may have been done: look before asking again"),
///     Recovery::FixConfiguration | Recovery::None => println!("the call is wrong: {error}"),
///     _ => println!("somebody has to do something: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is not usable; nothing was dialled.
    #[error("the configuration is not usable")]
    Config(#[source] Arc<ConfigError>),
    /// The device identity or the state directory is not usable.
    #[error("the device identity is not usable")]
    Identity(#[source] Arc<StoreError>),
    /// The network, TLS or the WebSocket failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A person has to approve this device first.
    #[error("pairing required: {0}")]
    PairingRequired(Arc<PairingRequired>),
    /// The gateway refused the connection.
    #[error("the gateway refused the connection: {}", quoted(&.0.error.message))]
    Refused(Arc<Refusal>),
    /// Something refused the WebSocket upgrade.
    #[error("{0}")]
    UpgradeRefused(Arc<UpgradeRefusal>),
    /// The gateway answered a call with an error.
    #[error("{method} was refused: {error}")]
    #[non_exhaustive]
    Call {
        /// The method that was called.
        method: Arc<str>,
        /// What the gateway said.
        error: Arc<GatewayError>,
        /// What came beside the error, if anything did: a failed agent run says there which run.
        payload: Option<Arc<Value>>,
    },
    /// The gateway has refused this method before, for a reason that repeating cannot heal: a
    /// missing scope, or a method that it does not have. The call was not sent.
    #[error("{method} was held back, because it was refused before: {error}")]
    #[non_exhaustive]
    HeldBack {
        /// The method that was called.
        method: Arc<str>,
        /// What the gateway said before.
        error: Arc<GatewayError>,
        /// When the next call of it goes out, to see whether it is still refused. Doubles from 1 s
        /// to 60 s, and starts over with each connection.
        retry_in: Duration,
    },
    /// No answer in time.
    #[error("{method} was not answered within {after:?} ({delivery})")]
    #[non_exhaustive]
    Timeout {
        /// The method that was called.
        method: Arc<str>,
        /// The deadline that passed.
        after: Duration,
        /// Whether the gateway may have acted on the call.
        delivery: Delivery,
    },
    /// The connection ended before the answer came, or there was none to send on.
    #[error("{method}: {} ({delivery})", lost(*delivery))]
    #[non_exhaustive]
    Disconnected {
        /// The method that was called.
        method: Arc<str>,
        /// Whether the gateway may have acted on the call.
        delivery: Delivery,
    },
    /// The call is larger than the gateway reads. It was not sent, and the connection stays.
    #[error("{method} is {size} bytes, and the gateway reads at most {limit}")]
    #[non_exhaustive]
    TooLarge {
        /// The method that was called.
        method: Arc<str>,
        /// The size of the frame in bytes.
        size: usize,
        /// The gateway's limit in bytes.
        limit: usize,
    },
    /// The gateway's generation has no such method. Nothing was sent.
    #[error("{method} does not exist on this gateway (protocol {protocol})")]
    #[non_exhaustive]
    Unsupported {
        /// The method that was called.
        method: Arc<str>,
        /// The protocol of the connection.
        protocol: u32,
    },
    /// The gateway's generation has the method, but not this parameter. Nothing was sent.
    #[error("{method} has no parameter `{parameter}` on this gateway (protocol {protocol})")]
    #[non_exhaustive]
    UnsupportedParameter {
        /// The method that was called.
        method: Arc<str>,
        /// The name of the parameter on the wire.
        parameter: Arc<str>,
        /// The protocol of the connection.
        protocol: u32,
    },
    /// The parameters or the answer could not be converted.
    #[error("{method}: {what}")]
    #[non_exhaustive]
    Data {
        /// The method that was called.
        method: Arc<str>,
        /// Which side of the conversion failed, and where.
        what: Arc<str>,
        /// Parameters that cannot be written are not sent. An answer that cannot be read is one: the gateway
        /// has acted on the call.
        delivery: Delivery,
    },
    /// [`Client::drain`](crate::Client::drain) was called: what is under way may end, and nothing
    /// new begins. The call was not sent.
    #[error("{method} was not sent: the client is being drained")]
    #[non_exhaustive]
    Draining {
        /// The method that was called.
        method: Arc<str>,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// Whether a call that was not answered may have had an effect.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use std::time::Duration;
///
/// use openclaw_adapter::{Delivery, Error};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .scopes(["operator.admin"])
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let call = client.call_raw("chat.inject", json!({"sessionKey": "billing", "message": "paid"}));
/// # gateway.inject(openclaw_mock_gateway::Fault::never_answer());
/// let ended = call.within(Duration::from_millis(200)).await;
/// # assert!(matches!(ended, Err(Error::Timeout { delivery: Delivery::Unknown, .. })));
/// match ended {
///     Ok(_) => println!("done"),
///     Err(Error::Timeout { delivery: Delivery::NotSent, .. }) => println!("once more is safe"),
///     Err(Error::Timeout { .. }) => println!("it may be done: look before it is done twice"),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Delivery {
    /// The call never left this process: it is safe to make it again.
    NotSent,
    /// The call was written: the gateway may or may not have acted on it.
    Unknown,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "it was not sent",
            Self::Unknown => "it was sent, and may have taken effect",
        })
    }
}

/// What stood in the way of a call.
const fn lost(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::NotSent => "there is no connection",
        Delivery::Unknown => "the connection was lost",
    }
}

/// What a caller does after an error; from [`Error::recovery`], with an example at [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Recovery {
    /// The same again is safe and may succeed.
    Retry,
    /// The same again, but not before this long.
    RetryAfter(Duration),
    /// A person has to approve the device.
    AwaitApproval,
    /// The token or password has to be changed.
    FixCredentials,
    /// The configuration, identity or call has to be changed.
    FixConfiguration,
    /// Ask the gateway what became of the call before making it again.
    CheckOutcome,
    /// Nothing helps.
    None,
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Data {
                delivery: Delivery::Unknown,
                ..
            } => Recovery::CheckOutcome,
            Self::Config(_) | Self::Identity(_) | Self::TooLarge { .. } | Self::Data { .. } => {
                Recovery::FixConfiguration
            }
            Self::Transport(_) => Recovery::Retry,
            Self::PairingRequired(_) => Recovery::AwaitApproval,
            Self::Refused(refusal) if refusal.kind.is_credentials() => Recovery::FixCredentials,
            Self::Refused(refusal) => refusal
                .error
                .retry_after()
                .map_or(Recovery::FixConfiguration, Recovery::RetryAfter),
            Self::UpgradeRefused(refusal) if refusal.is_transient() => refusal
                .retry_after
                .map_or(Recovery::Retry, Recovery::RetryAfter),
            Self::UpgradeRefused(_) => Recovery::FixConfiguration,
            Self::Call { error, .. } => match (error.retryable, error.retry_after()) {
                (_, Some(after)) => Recovery::RetryAfter(after),
                (Some(true), None) => Recovery::Retry,
                _ if error.missing_scope().is_some() => Recovery::FixConfiguration,
                _ => Recovery::None,
            },
            Self::Timeout { delivery, .. } | Self::Disconnected { delivery, .. } => {
                match delivery {
                    Delivery::NotSent => Recovery::Retry,
                    Delivery::Unknown => Recovery::CheckOutcome,
                }
            }
            Self::HeldBack { error, .. } if error.missing_scope().is_some() => {
                Recovery::FixConfiguration
            }
            Self::HeldBack { .. }
            | Self::Unsupported { .. }
            | Self::UnsupportedParameter { .. }
            | Self::Draining { .. }
            | Self::Closed => Recovery::None,
        }
    }

    /// A stable word for it, for metrics and logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Identity(_) => "identity",
            Self::Transport(_) => "transport",
            Self::PairingRequired(_) => "pairing_required",
            Self::Refused(_) => "connection_refused",
            Self::UpgradeRefused(_) => "upgrade_refused",
            Self::Call { .. } => "refused",
            Self::HeldBack { .. } => "held_back",
            Self::Timeout { .. } => "timeout",
            Self::Disconnected { .. } => "disconnected",
            Self::TooLarge { .. } => "too_large",
            Self::Unsupported { .. } | Self::UnsupportedParameter { .. } => "unsupported",
            Self::Data { .. } => "data",
            Self::Draining { .. } => "draining",
            Self::Closed => "closed",
        }
    }

    /// What the gateway said, if it was the gateway that refused: a connection, a call, or a call
    /// held back for what it said before.
    #[must_use]
    pub fn gateway_error(&self) -> Option<&GatewayError> {
        match self {
            Self::Refused(refusal) => Some(&refusal.error),
            Self::Call { error, .. } | Self::HeldBack { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Whether the same call may simply be made again: it had no effect, and may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.recovery(), Recovery::Retry | Recovery::RetryAfter(_))
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(Arc::new(error))
    }
}

/// The network, TLS or the WebSocket failed; opaque, so that the crates below can change.
///
/// Its `Display` says all there is to say, with the words of the system or of the crate below; it
/// has no source that would say them again.
///
/// A client goes on by itself after it, so that it is seen as the cause of a wait:
///
/// ```
/// use openclaw_adapter::{ConnectionState, Error, TransportErrorKind};
///
/// fn is_restart(state: &ConnectionState) -> bool {
///     let ConnectionState::BackingOff { cause, .. } = state else {
///         return false;
///     };
///     match &**cause {
///         Error::Transport(error) => error.kind() == TransportErrorKind::Restarting,
///         _ => false,
///     }
/// }
/// # let _: fn(&ConnectionState) -> bool = is_restart;
/// ```
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    what: Arc<str>,
    close_code: Option<u16>,
}

/// What failed, roughly in the order in which a connection is made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name has no address.
    Resolve,
    /// TCP: refused, unreachable, reset.
    Connect,
    /// TLS: the certificate or the pin does not fit, or the other side speaks no TLS.
    Tls,
    /// The HTTP upgrade failed in another way than a plain refusal.
    Upgrade,
    /// No answer within the time for the whole handshake.
    HandshakeTimeout,
    /// The gateway broke the protocol in the handshake.
    Handshake,
    /// The gateway closed the connection.
    Closed,
    /// The connection broke without a close.
    Broken,
    /// Nothing came for twice the tick interval.
    Silent,
    /// The gateway said that it shuts down or restarts.
    Restarting,
    /// The gateway says that it is starting, draining or limiting this address.
    Unavailable,
}

impl TransportErrorKind {
    /// A stable word for it, for `error.type` of a span.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Handshake => "handshake",
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Restarting => "restarting",
            Self::Unavailable => "unavailable",
        }
    }
}

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, what: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            what: what.into(),
            close_code: None,
        }
    }

    /// The gateway closed with this code.
    pub(crate) fn closed(close: &CloseInfo) -> Self {
        let kind = match close.code {
            1012 => TransportErrorKind::Restarting,
            1013 => TransportErrorKind::Unavailable,
            1006 => TransportErrorKind::Broken,
            _ => TransportErrorKind::Closed,
        };
        Self {
            close_code: Some(close.code),
            ..Self::new(kind, close.to_string())
        }
    }

    /// The code of the gateway's close.
    pub(crate) const fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// What failed.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TransportError {}

/// How a connection was closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CloseInfo {
    /// 1006 if the connection broke without a close frame.
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl CloseInfo {
    pub(crate) const fn broken() -> Self {
        Self {
            code: 1006,
            reason: String::new(),
        }
    }

    /// What the code means, for every code that gateways of both generations send.
    const fn meaning(&self) -> &'static str {
        match self.code {
            1000 => "the gateway ended the connection",
            1001 => "the gateway went away",
            1002 => "the gateway speaks another protocol",
            1005 => "the gateway closed without a code",
            1006 => "the connection broke",
            1008 => "the gateway does not allow this connection",
            1009 => "a message was too large for the gateway",
            1011 => "the gateway failed inside",
            1012 => "the gateway restarts",
            1013 => "the gateway is not ready yet",
            4000 => "a time limit of the connection passed",
            4001 => "the gateway ended this device's session",
            _ => "the connection was closed",
        }
    }
}

impl fmt::Display for CloseInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (close {}", self.meaning(), self.code)?;
        if !self.reason.is_empty() {
            write!(f, ", {}", quoted(&self.reason))?;
        }
        f.write_str(")")
    }
}
