//! What a client is doing right now, for whoever watches it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::sanitize::quoted;
use crate::logic::error::Error;
use crate::logic::pairing::PairingRequired;
use crate::logic::refusal::{Refusal, UpgradeRefusal};
use crate::protocol::Hello;
use crate::store::StoreError;

/// The state of a connection; see the transition table in `docs/architecture.md`.
///
/// ```
/// use openclaw_adapter::ConnectionState;
///
/// /// What a readiness probe answers, and why.
/// fn readiness(state: &ConnectionState) -> (bool, String) {
///     match state {
///         ConnectionState::Ready { hello, .. } => (true, hello.server_version.clone()),
///         ConnectionState::AwaitingApproval { pairing, .. } => (false, pairing.approve_command()),
///         ConnectionState::BackingOff { cause, .. } => (false, cause.to_string()),
///         ConnectionState::Stopped { reason, .. } => (false, reason.fix()),
///         _ => (false, "connecting".to_owned()),
///     }
/// }
/// # let _: fn(&ConnectionState) -> (bool, String) = readiness;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Dialling, or in the handshake.
    #[non_exhaustive]
    Connecting {
        /// Counts from 1 since the start or the last connection.
        attempt: u32,
    },
    /// The gateway waits for a person's approval; the client asks again by itself.
    #[non_exhaustive]
    AwaitingApproval {
        /// What to approve. Published again only when it changes.
        pairing: Arc<PairingRequired>,
        /// When this wait began.
        since: Instant,
    },
    /// Waiting before the next attempt.
    #[non_exhaustive]
    BackingOff {
        /// The attempt that failed, counted as in [`Connecting`](Self::Connecting); 1 after the loss
        /// of a connection.
        attempt: u32,
        /// The length of this wait.
        delay: Duration,
        /// When the next attempt starts.
        retry_at: Instant,
        /// Why the last attempt failed, or the connection ended.
        cause: Arc<Error>,
    },
    /// Connected: calls are answered and events arrive.
    #[non_exhaustive]
    Ready {
        /// What the gateway granted.
        hello: Arc<Hello>,
    },
    /// Nothing goes on by itself. [`Client::retry_now`] tries again, unless the client was closed.
    ///
    /// [`Client::retry_now`]: crate::Client::retry_now
    #[non_exhaustive]
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

impl ConnectionState {
    /// Whether calls are answered right now. In between they wait, or fail at once: see
    /// [`WhenDown`](crate::WhenDown).
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Whether nothing goes on by itself any more.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }
}

/// Why a client stopped.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::ConnectionState;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new("yesterdays-token")?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::start(config);
/// let mut state = client.state();
/// let stopped = state.wait_for(ConnectionState::is_stopped).await?;
/// if let ConnectionState::Stopped { reason, .. } = &*stopped {
///     eprintln!("{}: {reason}. {}", reason.kind(), reason.fix());
///     # assert_eq!(reason.kind(), "token_mismatch");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// [`Client::close`](crate::Client::close) was called, or the last handle was dropped.
    Closed,
    /// The gateway refused, and trying again unchanged would not help.
    ///
    /// Where the reason is the token and the token comes from a file, the client goes on by itself
    /// as soon as the file's content changes; [`Client::set_token`](crate::Client::set_token) and
    /// [`Client::set_password`](crate::Client::set_password) do the same.
    Refused(Arc<Refusal>),
    /// A proxy, or something that is no gateway, answered the upgrade.
    UpgradeRefused(Arc<UpgradeRefusal>),
    /// Nobody approved in the time that the [`PairingPolicy`](crate::PairingPolicy) gives.
    PairingNotApproved(Arc<PairingRequired>),
    /// The device identity cannot be read or made.
    Identity(Arc<StoreError>),
}

impl StopReason {
    /// A stable word for it, as in the program's `--json` output.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Refused(refusal) => refusal.kind.as_str(),
            Self::UpgradeRefused(_) => "upgrade_refused",
            Self::PairingNotApproved(_) => "pairing_not_approved",
            Self::Identity(_) => "identity",
        }
    }

    /// The one next thing to do.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Closed => "Start a new client.".to_owned(),
            Self::Refused(refusal) => refusal.fix.clone(),
            Self::UpgradeRefused(refusal) => refusal.fix(),
            Self::PairingNotApproved(pairing) => {
                format!("On the gateway's host: {}", pairing.approve_command())
            }
            Self::Identity(error) => error.fix(),
        }
    }

    /// Whether another token or password would help.
    pub(crate) fn is_credentials(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind.is_credentials())
    }

    /// The same as an error, for a caller who waits.
    pub(crate) fn to_error(&self) -> Error {
        match self {
            Self::Closed => Error::Closed,
            Self::Refused(refusal) => Error::Refused(Arc::clone(refusal)),
            Self::UpgradeRefused(refusal) => Error::UpgradeRefused(Arc::clone(refusal)),
            Self::PairingNotApproved(pairing) => Error::PairingRequired(Arc::clone(pairing)),
            Self::Identity(error) => Error::Identity(Arc::clone(error)),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client was closed"),
            Self::Refused(refusal) => f.write_str(&quoted(&refusal.error.message)),
            Self::UpgradeRefused(refusal) => refusal.fmt(f),
            Self::PairingNotApproved(pairing) => write!(f, "nobody approved in time: {pairing}"),
            Self::Identity(error) => error.fmt(f),
        }
    }
}
