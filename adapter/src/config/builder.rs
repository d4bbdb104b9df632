//! Collecting a configuration, and checking it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    Config, DEFAULT_URL, DeviceTokenFallback, PairingHook, StateHook, TraceHook, WhenDown,
};
use crate::base::secret::Token;
use crate::event::Bounds;
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::{GIVEN_PASSWORD, GIVEN_TOKEN};
use crate::logic::pairing::{PairingPolicy, PairingRequired};
use crate::logic::retry::RetryPolicy;
use crate::logic::state::ConnectionState;
use crate::net::{Connector, TcpConnector};
use crate::store::{FileStore, IdentityStore, InlineStore, StoreError};

#[derive(Clone, Debug)]
pub(super) enum Given {
    Nothing,
    Token(Token, String),
    TokenFile(PathBuf, String),
    Password(Token, String),
}

/// Collects a configuration; [`build`](Self::build) checks it.
///
/// ```
/// use openclaw_adapter::{Config, MemoryStore, Token};
///
/// let config = Config::builder()
///     .url("ws://gateway:18789")
///     .token(Token::new("a-token-from-the-gateway")?)
///     .display_name("billing-backend")
///     .store(MemoryStore::new())
///     .build()?;
/// assert_eq!(config.endpoint().host(), "gateway");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder {
    pub(super) url: String,
    pub(super) given: Given,
    pub(super) conflict: Option<(String, String)>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) identity: Option<Zeroizing<String>>,
    store: Option<Arc<dyn IdentityStore>>,
    pub(super) display_name: String,
    pub(super) platform: String,
    pub(super) device_family: Option<String>,
    pub(super) version: String,
    pub(super) role: String,
    /// None: nobody has said which.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) caps: Vec<String>,
    pairing: PairingPolicy,
    retry: RetryPolicy,
    pub(super) fallback: DeviceTokenFallback,
    connect_timeout: Duration,
    request_timeout: Duration,
    when_down: WhenDown,
    command_capacity: usize,
    event_bounds: Bounds,
    pub(super) max_message: usize,
    pub(super) headers: Vec<(String, Zeroizing<String>)>,
    pub(super) allow_insecure: bool,
    pub(super) fingerprint: Option<String>,
    pub(super) root_certificates: Vec<PathBuf>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) has_own_connector: bool,
    on_state: Option<StateHook>,
    on_pairing: Option<PairingHook>,
    trace_context: Option<TraceHook>,
    seed: Option<u64>,
}

impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigBuilder").finish_non_exhaustive()
    }
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            url: DEFAULT_URL.to_owned(),
            given: Given::Nothing,
            conflict: None,
            state_dir: None,
            identity: None,
            store: None,
            display_name: "backend-adapter".to_owned(),
            platform: "backend".to_owned(),
            device_family: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: "operator".to_owned(),
            scopes: None,
            caps: Vec::new(),
            pairing: PairingPolicy::default(),
            retry: RetryPolicy::default(),
            fallback: DeviceTokenFallback::default(),
            connect_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            when_down: WhenDown::default(),
            command_capacity: 256,
            event_bounds: Bounds {
                events: 4096,
                bytes: 32 * 1024 * 1024,
            },
            max_message: 32 * 1024 * 1024,
            headers: Vec::new(),
            allow_insecure: false,
            fingerprint: None,
            root_certificates: Vec::new(),
            connector: Arc::new(TcpConnector),
            has_own_connector: false,
            on_state: None,
            on_pairing: None,
            trace_context: None,
            seed: None,
        }
    }
}

impl ConfigBuilder {
    pub(super) fn give(mut self, given: Given) -> Self {
        if let (Some(first), Some(second)) = (self.given.origin(), given.origin()) {
            self.conflict = Some((first.to_owned(), second.to_owned()));
        }
        self.given = given;
        self
    }

    /// The gateway's address, `ws://host:port` or `wss://host:port`; [`DEFAULT_URL`] unless set.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// The gateway's shared token; replaces whatever was given before.
    pub fn token(mut self, token: Token) -> Self {
        self.conflict = None;
        self.given = Given::Token(token, GIVEN_TOKEN.to_owned());
        self
    }

    /// A file that holds the shared token, read by [`build`](Self::build) and again when the gateway
    /// refuses it; replaces whatever was given before.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let origin = path.display().to_string();
        self.conflict = None;
        self.given = Given::TokenFile(path, origin);
        self
    }

    /// The password of a gateway in password mode; replaces whatever was given before.
    pub fn password(mut self, password: Token) -> Self {
        self.conflict = None;
        self.given = Given::Password(password, GIVEN_PASSWORD.to_owned());
        self
    }

    /// The directory for the device identity and its tokens; [`FileStore::default_dir`] unless set. It
    /// has to survive the container: a new identity means a new approval.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// A store of your own for the device identity and its tokens; goes before a directory.
    pub fn store(mut self, store: impl IdentityStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The name that `openclaw devices list` shows; `backend-adapter` unless set here or by
    /// `OPENCLAW_ADAPTER_DISPLAY_NAME`, which [`Config::from_env`] reads.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// The platform that the device reports; `backend` unless set. Keep it for the life of the
    /// identity: 2026.9.6 asks for approval again when it changes.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = platform.into();
        self
    }

    /// The device family that the device reports; none unless set. Pinned like the platform.
    pub fn device_family(mut self, family: impl Into<String>) -> Self {
        self.device_family = Some(family.into());
        self
    }

    /// The backend's own version, as the gateway logs it; this crate's version unless set.
    pub fn client_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The role to ask for; `operator` unless set.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = role.into();
        self
    }

    /// The scopes to ask for; `operator.read` and `operator.write` unless set here or by
    /// `OPENCLAW_ADAPTER_SCOPES`, which [`Config::from_env`] reads. More than were approved need another
    /// approval.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The capabilities to announce, such as `tool-events`; none unless set.
    pub fn capabilities<S: Into<String>>(mut self, caps: impl IntoIterator<Item = S>) -> Self {
        self.caps = caps.into_iter().map(Into::into).collect();
        self
    }

    /// What to do until a person approves; waits for ever unless set.
    pub fn pairing(mut self, policy: PairingPolicy) -> Self {
        self.pairing = policy;
        self
    }

    /// How the delays between attempts grow; [`RetryPolicy`] says how, unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Whether this device's own token may serve when the shared one is refused; where the endpoint is
    /// trusted unless set.
    pub fn device_token_fallback(mut self, fallback: DeviceTokenFallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// The limit for a whole attempt, from the first packet to hello-ok; 15 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The deadline of a call that sets none of its own; 30 s unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// What to do with calls while there is no connection; they wait unless set.
    pub fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = when_down;
        self
    }

    /// How many calls may wait to be written; 256 unless set, at least 1. Further callers wait
    /// under their own deadline.
    pub fn command_capacity(mut self, capacity: usize) -> Self {
        self.command_capacity = capacity.max(1);
        self
    }

    /// How much each event stream holds for a consumer that is busy: this many events and bytes;
    /// 4,096 and 32 MiB unless set, at least one event whatever its size. What comes on top pushes
    /// out the oldest.
    pub fn event_capacity(mut self, events: usize, bytes: usize) -> Self {
        self.event_bounds = Bounds {
            events: events.max(1),
            bytes,
        };
        self
    }

    /// The largest message that is read, in bytes; 32 MiB unless set, at least 64 KiB. 2026.9.6
    /// announces 25 MiB for what it reads itself.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes.max(64 * 1024);
        self
    }

    /// An extra header on the upgrade request, for a proxy in front of the gateway. Its value
    /// counts as a secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers
            .push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// Allows `ws://` to any host; only to addresses that are not public unless set. The token then
    /// crosses the network in the clear.
    pub fn allow_insecure_ws(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// The SHA-256 fingerprint of the gateway's certificate, in hexadecimal, with or without
    /// colons. With it the certificate is compared and no authority is asked; only with `wss://`.
    pub fn tls_fingerprint(mut self, fingerprint: impl Into<String>) -> Self {
        self.fingerprint = Some(fingerprint.into());
        self
    }

    /// A PEM file with certificates of authorities to trust besides the system's.
    pub fn root_certificates(mut self, pem: impl Into<PathBuf>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Opens streams in another way than TCP; [`Connector`] has an example.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Arc::new(connector);
        self.has_own_connector = true;
        self
    }

    /// Called with every state, in order and without gaps, from the client's own task: it must not
    /// block. [`Client::state`](crate::Client::state) is enough to know the present one.
    pub fn on_state(mut self, hook: impl Fn(&ConnectionState) + Send + Sync + 'static) -> Self {
        self.on_state = Some(Arc::new(hook));
        self
    }

    /// Called once per request id that waits for approval, from the client's own task: it must not
    /// block.
    pub fn on_pairing(mut self, hook: impl Fn(&PairingRequired) + Send + Sync + 'static) -> Self {
        self.on_pairing = Some(Arc::new(hook));
        self
    }

    /// Asked with each call, in the caller's task, for the W3C `traceparent` of the span that is
    /// active there; it goes with the request to gateways of protocol 4. What is no `traceparent` is
    /// left out.
    ///
    /// With `tracing-opentelemetry` it is made of the trace id, the span id and the flags of
    /// `Span::current().context()`. Without it, the header of the request that is being served does:
    ///
    /// ```
    /// use openclaw_adapter::{Config, MemoryStore, Token};
    ///
    /// tokio::task_local! {
    ///     /// `traceparent` of the request that this task serves.
    ///     static TRACEPARENT: String;
    /// }
    ///
    /// let config = Config::builder()
    ///     .token(Token::new("a-token-from-the-gateway")?)
    ///     .store(MemoryStore::new())
    ///     .trace_context(|| TRACEPARENT.try_with(Clone::clone).ok())
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trace_context(
        mut self,
        hook: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.trace_context = Some(Arc::new(hook));
        self
    }

    /// Seeds the jitter, to repeat a test. Unset, each client has a seed of its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Where the identity will be kept, without the rest of the checks: what a tool needs that only
    /// looks at the identity.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Store`] if no directory is set and the system names none;
    /// [`ConfigError::InlineIdentity`] if the environment holds an identity that cannot be used.
    pub fn build_store(&self) -> Result<Arc<dyn IdentityStore>, ConfigError> {
        if let Some(store) = &self.store {
            return Ok(Arc::clone(store));
        }
        if let Some(identity) = &self.identity {
            let store = InlineStore::new(identity)
                .map_err(|error| ConfigError::InlineIdentity(Arc::new(error)))?;
            // Device tokens have a place only where the backend names one: the default directory
            // may well be on a read-only disk here.
            return Ok(match &self.state_dir {
                Some(dir) => Arc::new(store.with_dir(dir)),
                None => Arc::new(store),
            });
        }
        Ok(Arc::new(FileStore::new(self.state_directory()?)))
    }

    /// The directory for the device identity, whether or not another store is set: the one that was
    /// given, or `openclaw-adapter` in the user's data directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Store`] if no directory is set and the system names none.
    pub fn state_directory(&self) -> Result<PathBuf, ConfigError> {
        match &self.state_dir {
            Some(dir) => Ok(dir.clone()),
            None => FileStore::default_dir().map_err(store_error),
        }
    }

    /// Checks everything that can be checked without dialling. Reads the token's file, if there is
    /// one, so call it where blocking for a moment is fine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong and what to set; the first that is found, of all but
    /// [`ConfigError::Flag`] and [`ConfigError::NotUnicode`].
    pub fn build(self) -> Result<Config, ConfigError> {
        let store = self.build_store()?;
        let endpoint = self.endpoint()?;
        self.check_plaintext(&endpoint)?;
        let (secret, source) = self.credentials()?;
        let headers = self.header_map()?;
        #[cfg(feature = "tls")]
        let tls = self.tls_config(&endpoint)?;
        #[cfg(not(feature = "tls"))]
        self.check_no_tls(&endpoint)?;
        let may_fall_back = self.may_fall_back(&endpoint);
        let profile = Arc::new(self.profile());
        Ok(Config {
            endpoint,
            secret,
            source,
            store,
            profile,
            pairing: self.pairing,
            retry: self.retry,
            may_fall_back,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            when_down: self.when_down,
            command_capacity: self.command_capacity,
            event_bounds: self.event_bounds,
            max_message: self.max_message,
            headers,
            connector: self.connector,
            on_state: self.on_state,
            on_pairing: self.on_pairing,
            trace_context: self.trace_context,
            seed: self.seed,
            #[cfg(feature = "tls")]
            tls,
        })
    }
}

impl Given {
    fn origin(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Token(_, origin) | Self::TokenFile(_, origin) | Self::Password(_, origin) => {
                Some(origin)
            }
        }
    }
}

fn store_error(error: StoreError) -> ConfigError {
    ConfigError::Store(Arc::new(error))
}
