//! What a mock is told when it is built.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::edition::Edition;
use crate::model::proxy::TrustedProxy;

/// Who approves a pairing request.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use openclaw_mock_gateway::{MockGateway, Pairing};
///
/// // Somebody who approves when the device has asked three times.
/// let gateway = MockGateway::builder().pairing(Pairing::AfterTries(3)).start().await;
/// # drop(gateway);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Pairing {
    /// Nobody, until the test or an operator does.
    #[default]
    Manual,
    /// The gateway itself, before it answers: the connect goes through.
    Auto,
    /// The gateway itself, once the device has been refused this often.
    AfterTries(u32),
    /// The gateway itself, so long after the request was made.
    AfterDelay(Duration),
    /// Each request is rejected right after the refusal.
    Reject,
}

/// What an edit of the token on disk does to a running gateway.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReloadMode {
    /// Nothing, until a restart.
    #[default]
    Off,
    /// What the real gateway does: 2026.2.9 restarts, 2026.9.6 closes shared-secret sessions with 4001.
    AsTheEdition,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) edition: Edition,
    pub(crate) pairing: Pairing,
    pub(crate) reload: ReloadMode,
    pub(crate) remote_ip: IpAddr,
    pub(crate) loopback_is_remote: bool,
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    pub(crate) tick_interval: Duration,
    pub(crate) health_interval: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) startup_delay: Duration,
    pub(crate) max_buffered: usize,
    pub(crate) recording: bool,
    pub(crate) strict: bool,
}

impl Settings {
    pub(crate) fn of(edition: Edition) -> Self {
        Self {
            edition,
            pairing: Pairing::default(),
            reload: ReloadMode::default(),
            remote_ip: IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)),
            loopback_is_remote: false,
            trusted_proxies: Vec::new(),
            tick_interval: Duration::from_secs(30),
            health_interval: Duration::from_secs(60),
            handshake_timeout: edition.facts().handshake_timeout,
            startup_delay: Duration::ZERO,
            max_buffered: edition.facts().max_buffered,
            recording: true,
            strict: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(Edition::default())
    }
}
