//! How a mock is put together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::control::error::MockError;
use crate::control::gateway::MockGateway;
use crate::control::scenario::Scenario;
use crate::edition::Edition;
use crate::engine::Engine;
use crate::model::clock::{Clock, ShiftedClock, TokioClock};
use crate::model::proxy::TrustedProxy;
use crate::model::secret::{AuthMode, Secret};
use crate::model::settings::{Pairing, ReloadMode, Settings};
use crate::model::state_dir::{Disk, StateDir};
use crate::net::listen::listen;
use crate::net::server::{ListenerKind, Server};

/// Makes a [`MockGateway`]; [`MockGateway::builder`] is the way to one.
///
/// ```
/// use openclaw_mock_gateway::{Edition, MockGateway};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let gateway = MockGateway::builder()
///     .edition(Edition::V2026_2_9)
///     .token("0123456789abcdef")
///     .start()
///     .await;
/// assert_eq!(gateway.token(), "0123456789abcdef");
/// # }
/// ```
#[must_use]
pub struct MockGatewayBuilder {
    settings: Settings,
    auth: Option<AuthMode>,
    state_dir: Option<StateDir>,
    clock: Arc<dyn Clock>,
    scenario: Option<Scenario>,
    more: Vec<TcpListener>,
}

impl fmt::Debug for MockGatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockGatewayBuilder")
            .field("settings", &self.settings)
            .field("state_dir", &self.state_dir)
            .finish_non_exhaustive()
    }
}

impl MockGatewayBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            auth: None,
            state_dir: None,
            clock: Arc::new(TokioClock::new()),
            scenario: None,
            more: Vec::new(),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Sets which gateway to be. Resets what depends on the edition, so call it first. Default: 2026.9.6.
    pub fn edition(self, edition: Edition) -> Self {
        self.set(|settings| {
            let own = Settings::of(edition);
            settings.edition = edition;
            settings.handshake_timeout = own.handshake_timeout;
            settings.max_buffered = own.max_buffered;
        })
    }

    /// The shared token. Default: a random one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.auth = Some(AuthMode::Token(Secret::new(token)));
        self
    }

    /// Asks clients for this password instead of a token.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.auth = Some(AuthMode::Password(Secret::new(password)));
        self
    }

    /// Sets who approves pairing requests. Default: nobody but the test.
    pub fn pairing(self, pairing: Pairing) -> Self {
        self.set(|settings| settings.pairing = pairing)
    }

    /// Keeps configuration and devices in this directory. A token given to the builder is written into
    /// its configuration; without one the directory's own is used, or made.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(StateDir::new(path));
        self
    }

    /// The clock for everything that is stamped, expires or locks out. Default: a [`TokioClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Time between two `tick` events, and what hello-ok says about it. Default: 30 s.
    pub fn tick_interval(self, interval: Duration) -> Self {
        self.set(|settings| settings.tick_interval = interval)
    }

    /// Time between two `health` events. Default: 60 s.
    pub fn health_interval(self, interval: Duration) -> Self {
        self.set(|settings| settings.health_interval = interval)
    }

    /// Sets how long a client may take from accept to hello-ok. Default: 10 s in 2026.2.9, 15 s in 2026.9.6.
    pub fn handshake_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.handshake_timeout = timeout)
    }

    /// Sets how long after each start clients are told `UNAVAILABLE` and closed with 1013. Default: not at all.
    pub fn startup_delay(self, delay: Duration) -> Self {
        self.set(|settings| settings.startup_delay = delay)
    }

    /// Sets what an edit of the token on disk does to the running gateway. Default: nothing.
    pub fn reload(self, mode: ReloadMode) -> Self {
        self.set(|settings| settings.reload = mode)
    }

    /// The address of clients that count as remote. Default: 10.77.0.2, a neighbour on a private network.
    pub fn remote_address(self, address: IpAddr) -> Self {
        self.set(|settings| settings.remote_ip = address)
    }

    /// Sets whether clients from loopback count as remote where clients are judged by their address, for hosts
    /// without a second address. Default: no.
    pub fn treat_loopback_as_remote(self, remote: bool) -> Self {
        self.set(|settings| settings.loopback_is_remote = remote)
    }

    /// A peer whose forwarding headers are believed, or a network of them, which only 2026.9.6 knows; may be
    /// called more than once. Default: none.
    pub fn trusted_proxy(self, proxy: impl Into<TrustedProxy>) -> Self {
        self.set(|settings| settings.trusted_proxies.push(proxy.into()))
    }

    /// Bytes that may wait for a slow reader. Default: what the edition announces.
    pub fn max_buffered(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_buffered = bytes)
    }

    /// Sets whether frames are kept for [`MockGateway::frames`]. Default: yes.
    pub fn recording(self, on: bool) -> Self {
        self.set(|settings| settings.recording = on)
    }

    /// Sets whether calls that nothing answers fail the test when the mock is dropped. Default: yes.
    pub fn strict(self, strict: bool) -> Self {
        self.set(|settings| settings.strict = strict)
    }

    /// Sets what the mock does from its start on, as [`MockGateway::play`] does it later; its armed faults are
    /// there before the first client.
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenario = Some(scenario);
        self
    }

    /// Listens here as well; clients of this listener are judged by their address.
    pub fn also_on(mut self, listener: TcpListener) -> Self {
        self.more.push(listener);
        self
    }

    fn server(self) -> Result<Arc<Server>, MockError> {
        let mut auth = self.auth;
        let disk = match self.state_dir {
            None => Disk::Memory(
                auth.get_or_insert_with(|| AuthMode::Token(Secret::random()))
                    .clone(),
            ),
            Some(dir) => {
                dir.boot(false)?;
                let mut disk = Disk::Directory(dir.clone());
                if let Some(auth) = &auth {
                    disk.write_secret(auth.secret().clone())?;
                }
                auth = Some(dir.auth()?);
                disk
            }
        };
        let auth = auth.unwrap_or_else(|| AuthMode::Token(Secret::random()));
        let clock = ShiftedClock::new(self.clock);
        Ok(Server::new(Engine::new(self.settings, clock, auth, disk)))
    }

    fn listening(
        mut self,
        kinds: Vec<(TcpListener, ListenerKind)>,
    ) -> Result<Arc<Server>, MockError> {
        let (scenario, more) = (self.scenario.take(), std::mem::take(&mut self.more));
        let server = self.server()?;
        if let Some(scenario) = &scenario {
            scenario.arm(&server);
        }
        server.boot();
        let more = more
            .into_iter()
            .map(|listener| (listener, ListenerKind::ByPeer));
        for (listener, kind) in kinds.into_iter().chain(more) {
            server.listen(listener, kind).map_err(MockError::Listen)?;
        }
        if let Some(scenario) = &scenario {
            scenario.start(&server);
        }
        Ok(server)
    }

    /// A gateway without a listener, for [`MockGateway::serve`].
    ///
    /// # Errors
    ///
    /// [`MockError::StateDir`] when the state directory cannot be used.
    pub fn try_build(self) -> Result<MockGateway, MockError> {
        self.listening(Vec::new()).map(MockGateway::new)
    }

    /// As [`try_build`](Self::try_build).
    ///
    /// # Panics
    ///
    /// When the state directory cannot be used.
    #[must_use]
    pub fn build(self) -> MockGateway {
        settled(self.try_build())
    }

    /// Listens on two free ports of 127.0.0.1: one where clients count as remote, one where they are local.
    ///
    /// # Errors
    ///
    /// [`MockError::Listen`] when a port cannot be bound, [`MockError::StateDir`] when the state directory
    /// cannot be used.
    ///
    /// # Cancel safety
    ///
    /// It does not wait: dropping the future before it is polled starts nothing.
    #[expect(
        clippy::unused_async,
        reason = "has to be called on the runtime that will serve"
    )]
    pub async fn try_start(self) -> Result<MockGateway, MockError> {
        let bind = || listen((Ipv4Addr::LOCALHOST, 0).into()).map_err(MockError::Listen);
        let (remote, local) = (bind()?, bind()?);
        self.listening(vec![
            (remote, ListenerKind::Remote),
            (local, ListenerKind::Local),
        ])
        .map(MockGateway::new)
    }

    /// As [`try_start`](Self::try_start).
    ///
    /// # Panics
    ///
    /// When a port cannot be bound or the state directory cannot be used.
    ///
    /// # Cancel safety
    ///
    /// As [`try_start`](Self::try_start).
    pub async fn start(self) -> MockGateway {
        settled(self.try_start().await)
    }

    /// Listens where the caller says. Clients are judged by their address, as a real gateway judges them.
    ///
    /// # Errors
    ///
    /// [`MockError::Listen`] when the listener is no good, [`MockError::StateDir`] when the state directory
    /// cannot be used.
    ///
    /// # Cancel safety
    ///
    /// As [`try_start`](Self::try_start).
    #[expect(
        clippy::unused_async,
        reason = "has to be called on the runtime that will serve"
    )]
    pub async fn try_start_on(self, listener: TcpListener) -> Result<MockGateway, MockError> {
        self.listening(vec![(listener, ListenerKind::ByPeer)])
            .map(MockGateway::new)
    }

    /// As [`try_start_on`](Self::try_start_on).
    ///
    /// # Panics
    ///
    /// When the listener is no good or the state directory cannot be used.
    ///
    /// # Cancel safety
    ///
    /// As [`try_start`](Self::try_start).
    pub async fn start_on(self, listener: TcpListener) -> MockGateway {
        settled(self.try_start_on(listener).await)
    }
}

#[expect(clippy::panic, reason = "a test without its gateway cannot go on")]
fn settled(made: Result<MockGateway, MockError>) -> MockGateway {
    match made {
        Ok(gateway) => gateway,
        Err(error) => panic!("the mock gateway did not start: {error:?}"),
    }
}
