//! What a client needs to know before it starts: checked once, so that nothing is dialled in vain.

mod builder;
mod env;
mod parts;
mod scopes;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use zeroize::Zeroizing;

pub use self::builder::ConfigBuilder;
use crate::base::endpoint::Endpoint;
use crate::base::secret::Token;
use crate::event::Bounds;
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::Secret;
use crate::logic::pairing::{PairingPolicy, PairingRequired};
use crate::logic::retry::RetryPolicy;
use crate::logic::state::ConnectionState;
use crate::net::Connector;
use crate::protocol::connect::Profile;
use crate::store::IdentityStore;

/// Where a gateway listens unless told otherwise.
pub const DEFAULT_URL: &str = "ws://127.0.0.1:18789";

/// A token file is one line; anything longer is another file.
const MAX_TOKEN_FILE: u64 = 16 * 1024;

/// What to do with calls while there is no connection; for all calls with
/// [`ConfigBuilder::when_down`], for one with [`TypedCall::when_down`](crate::TypedCall::when_down).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhenDown {
    /// Wait for the connection, up to the call's deadline.
    #[default]
    Wait,
    /// Fail at once with [`Error::Disconnected`](crate::Error::Disconnected), not sent.
    Fail,
}

/// Whether this device's own token may serve when the gateway refuses the shared one; see
/// [`ConfigBuilder::device_token_fallback`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeviceTokenFallback {
    /// Where the endpoint is trusted: loopback, a private address or name, or `wss://` with a
    /// verified or pinned certificate. A device token is worth nothing without the device's key.
    #[default]
    TrustedEndpoint,
    /// Never: a stale shared token stops the client.
    Never,
}

type StateHook = Arc<dyn Fn(&ConnectionState) + Send + Sync>;
pub(crate) type TraceHook = Arc<dyn Fn() -> Option<String> + Send + Sync>;
type PairingHook = Arc<dyn Fn(&PairingRequired) + Send + Sync>;

/// Where the token comes from.
#[derive(Clone, Debug)]
pub(crate) struct TokenSource {
    /// For advice: a variable, a path, or what the backend did.
    pub(crate) origin: String,
    /// The file to read again when the gateway refuses the token.
    pub(crate) file: Option<PathBuf>,
}

/// A checked configuration; see [`ConfigBuilder`].
///
/// ```
/// use openclaw_adapter::{Config, ConfigError, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let state_dir = dir.path().join("openclaw");
/// let config = Config::builder()
///     .url("wss://gateway.example.com")
///     .token(Token::new("0123456789abcdef")?)
///     .state_dir(state_dir)
///     .display_name("billing")
///     .build()?;
///
/// // What cannot work is said before anything is dialled.
/// let plain_and_public = Config::builder().url("ws://gateway.example.com");
/// assert!(plain_and_public.build().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) endpoint: Endpoint,
    pub(crate) secret: Secret,
    pub(crate) source: TokenSource,
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) pairing: PairingPolicy,
    pub(crate) retry: RetryPolicy,
    pub(crate) may_fall_back: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) when_down: WhenDown,
    pub(crate) command_capacity: usize,
    pub(crate) event_bounds: Bounds,
    pub(crate) max_message: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) on_state: Option<StateHook>,
    pub(crate) on_pairing: Option<PairingHook>,
    pub(crate) trace_context: Option<TraceHook>,
    pub(crate) seed: Option<u64>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Config {
    /// Starts from the defaults: the gateway on this host, the identity in the user's data directory.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Starts from the environment, the only place where it is read:
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `OPENCLAW_GATEWAY_URL` | the gateway, `ws://127.0.0.1:18789` if absent |
    /// | `OPENCLAW_GATEWAY_TOKEN` | the gateway's shared token |
    /// | `OPENCLAW_GATEWAY_TOKEN_FILE` | a file that holds it, read again when the gateway refuses it |
    /// | `OPENCLAW_GATEWAY_PASSWORD` | the password of a gateway in password mode |
    /// | `OPENCLAW_ADAPTER_STATE_DIR` | where the device identity is kept |
    /// | `OPENCLAW_ADAPTER_DEVICE_IDENTITY` | the identity itself, for read-only containers |
    /// | `OPENCLAW_ADAPTER_DISPLAY_NAME` | the name that `openclaw devices list` shows, `backend-adapter` if absent |
    /// | `OPENCLAW_ADAPTER_SCOPES` | the scopes to ask for, separated by commas or spaces; `operator.read operator.write` if absent |
    /// | `OPENCLAW_GATEWAY_TLS_FINGERPRINT` | SHA-256 of the gateway's certificate |
    /// | `OPENCLAW_ALLOW_INSECURE_PRIVATE_WS` | `1` allows `ws://` to any host |
    ///
    /// A blank variable counts as absent, except a blank token, which is a mistake worth naming. What the
    /// builder is told after it goes before the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotUnicode`], [`ConfigError::Token`] and [`ConfigError::Flag`] if a variable
    /// holds something that cannot be used. The rest is looked at by [`ConfigBuilder::build`].
    pub fn from_env() -> Result<ConfigBuilder, ConfigError> {
        ConfigBuilder::from_vars(std::env::var_os)
    }

    /// The gateway that this configuration names.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the token comes from a file, which is read again when the gateway refuses it.
    #[must_use]
    pub const fn can_reread_token(&self) -> bool {
        self.source.file.is_some()
    }

    /// Where the device identity is kept.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdentityStore> {
        &self.store
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers may hold a proxy's credentials.
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("token_origin", &self.source.origin)
            .field("store", &self.store.location())
            .field("profile", &self.profile)
            .field("pairing", &self.pairing)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// Reads a token from a file: one line, white space around it ignored.
pub(crate) fn read_token_file(path: &Path) -> Result<Token, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError::TokenFile {
        path: path.to_owned(),
        problem: Arc::new(error),
    };
    // Large enough from the start: growing would leave copies of the token behind.
    let room = usize::try_from(MAX_TOKEN_FILE).unwrap_or_default() + 1024;
    let mut text = Zeroizing::new(String::with_capacity(room));
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TOKEN_FILE).read_to_string(&mut text))
        .map_err(unreadable)?;
    Token::new(text.as_str()).map_err(|problem| ConfigError::Token {
        origin: path.display().to_string(),
        problem,
    })
}

#[cfg(test)]
mod tests;
