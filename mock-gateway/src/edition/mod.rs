//! The two generations of gateway, and everything in which they differ.
//!
//! The rest of the crate asks here; it does not know version numbers.

pub(crate) mod answers;
pub(crate) mod approvals;
pub(crate) mod cron;
pub(crate) mod hello;
pub(crate) mod methods;
pub(crate) mod refusal;
pub(crate) mod schemas;
pub(crate) mod session_schemas;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::wire::schema::Dialect;

pub(crate) use answers::{answer, health, model_runtime, status};

/// Which real gateway the mock is.
///
/// ```
/// use openclaw_mock_gateway::Edition;
///
/// assert_eq!("2026.2.9".parse(), Ok(Edition::V2026_2_9));
/// // A test for both generations.
/// for edition in Edition::ALL {
///     println!("{edition} speaks protocol {}", edition.protocol());
/// }
/// assert_eq!(Edition::default().protocol(), 4);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Edition {
    /// OpenClaw 2026.2.9, protocol 3.
    V2026_2_9,
    /// OpenClaw 2026.9.6, protocol 4.
    #[default]
    V2026_9_6,
}

impl Edition {
    /// Every edition, oldest first.
    pub const ALL: [Self; 2] = [Self::V2026_2_9, Self::V2026_9_6];

    /// The version of the real gateway, as npm spells it.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V2026_2_9 => "2026.2.9",
            Self::V2026_9_6 => "2026.9.6",
        }
    }

    /// The protocol number it speaks.
    #[must_use]
    pub const fn protocol(self) -> u32 {
        self.facts().protocol
    }

    pub(crate) const fn facts(self) -> &'static Facts {
        match self {
            Self::V2026_2_9 => &OLD,
            Self::V2026_9_6 => &NEW,
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

/// The name of an edition that this crate does not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such edition: {0} (there are 2026.2.9 and 2026.9.6)")]
pub struct UnknownEdition(String);

impl FromStr for Edition {
    type Err = UnknownEdition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|edition| edition.version() == text.trim())
            .ok_or_else(|| UnknownEdition(text.to_owned()))
    }
}

/// Numbers and switches of one edition.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one measured difference"
)]
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) protocol: u32,
    pub(crate) dialect: Dialect,
    /// Capabilities named in the challenge.
    pub(crate) challenge_capabilities: &'static [&'static str],
    /// From accept to hello-ok.
    pub(crate) handshake_timeout: Duration,
    pub(crate) max_preauth_payload: usize,
    pub(crate) max_payload: usize,
    pub(crate) max_buffered: usize,
    /// Frames that may wait while a connect is being worked on.
    pub(crate) max_queued_frames: usize,
    pub(crate) max_preauth_sockets_per_ip: Option<usize>,
    pub(crate) skew_ms: u64,
    /// What an operator without scopes asks for.
    pub(crate) default_operator_scopes: &'static [&'static str],
    /// A mode "probe" client may still speak this protocol.
    pub(crate) min_probe_protocol: Option<u32>,
    pub(crate) signs_v3: bool,
    /// Loopback clients may leave the nonce out and sign v1.
    pub(crate) nonce_optional_locally: bool,
    /// In token mode a token in the password field is accepted.
    pub(crate) secret_in_either_field: bool,
    pub(crate) device_token_field: bool,
    pub(crate) rate_limits: bool,
    /// How long runs may go on after SIGTERM. Measured on 2026.9.6; 2026.2.9 drops them at once.
    pub(crate) drains_for: Option<Duration>,
    /// An operator without a device keeps its scopes even when remote.
    pub(crate) deviceless_keeps_scopes: bool,
    /// A loopback `gateway-client`/`backend` needs no pairing at all.
    pub(crate) local_backend_unpaired: bool,
    /// Any `Origin` header is checked, not only those of browser clients.
    pub(crate) checks_every_origin: bool,
    /// A forwarding header from a peer that is no trusted proxy is refused with HTTP 403.
    pub(crate) refuses_unattributed_proxies: bool,
    /// Loopback counts as local only with a local `Host`.
    pub(crate) host_decides_locality: bool,
    /// A wider ask replaces the pending request with the union.
    pub(crate) supersedes_pending: bool,
    /// admin covers everything, write covers read.
    pub(crate) scopes_imply: bool,
    /// Platform and device family are pinned by the approval.
    pub(crate) pins_metadata: bool,
    /// The role of a revoked token has to be approved again.
    pub(crate) revoked_role_needs_approval: bool,
    /// Approve, rotate and revoke ask for the scopes they touch, and for ownership.
    pub(crate) guards_device_rpcs: bool,
    /// Remove, rotate and revoke close the device's live sessions.
    pub(crate) closes_live_sessions: bool,
    /// A rotated token goes only to its own device.
    pub(crate) withholds_rotated_token: bool,
    /// Records carry how they were approved and when the device was last seen.
    pub(crate) tracks_approval: bool,
    /// 32 hex digits, or 32 bytes in base64url.
    pub(crate) hex_tokens: bool,
    pub(crate) seq_per_connection: bool,
    /// The server's WebSocket ping.
    pub(crate) ping_interval: Option<Duration>,
    /// `FORBIDDEN` with details instead of a bare `INVALID_REQUEST` when a scope is missing.
    pub(crate) forbidden_has_details: bool,
    /// health is answered to anybody who is connected.
    pub(crate) open_health: bool,
    /// Clients can follow sessions.
    pub(crate) tells_about_sessions: bool,
    /// Events and answers show a job whole, and the gateway has one of its own.
    pub(crate) shows_cron_jobs: bool,
    /// A turn in the main session follows the end of a job.
    pub(crate) wakes_after_jobs: bool,
    /// Who decides on an approval has to say so, and sees only its own unless it is an admin.
    pub(crate) routes_approvals: bool,
    /// Broadcast events go to readers only.
    pub(crate) events_need_read: bool,
    /// Operators other than command line clients are listed in presence.
    pub(crate) lists_backends_in_presence: bool,
    /// A row of presence lives as long as its connection, not only for its five minutes.
    pub(crate) renews_presence: bool,
    /// A health event follows every hello.
    pub(crate) health_after_hello: bool,
    /// Editing the secret closes shared-secret sessions instead of restarting the gateway.
    pub(crate) hot_reloads_secret: bool,
    /// Between the edit of the configuration file and its effect.
    pub(crate) reload_delay: Duration,
    /// `restartExpectedMs: null` in the shutdown event of a stop.
    pub(crate) names_restart_when_stopping: bool,
    /// Between the shutdown event and the close.
    pub(crate) restart_notice: Duration,
    pub(crate) restart_pause: Duration,
    /// Bytes of a close reason.
    pub(crate) close_reason_limit: usize,
    pub(crate) max_unauthorized_calls: Option<u32>,
}

/// Measured on 2026.2.9.
const OLD: Facts = Facts {
    protocol: 3,
    dialect: Dialect::Old,
    challenge_capabilities: &[],
    handshake_timeout: Duration::from_secs(10),
    max_preauth_payload: 524_288,
    max_payload: 524_288,
    max_buffered: 1_572_864,
    max_queued_frames: 15,
    max_preauth_sockets_per_ip: None,
    skew_ms: 600_000,
    default_operator_scopes: &["operator.admin"],
    min_probe_protocol: None,
    signs_v3: false,
    nonce_optional_locally: true,
    secret_in_either_field: false,
    device_token_field: false,
    rate_limits: false,
    drains_for: None,
    deviceless_keeps_scopes: true,
    local_backend_unpaired: false,
    checks_every_origin: false,
    refuses_unattributed_proxies: false,
    host_decides_locality: true,
    supersedes_pending: false,
    scopes_imply: false,
    pins_metadata: false,
    revoked_role_needs_approval: false,
    guards_device_rpcs: false,
    closes_live_sessions: false,
    withholds_rotated_token: false,
    tracks_approval: false,
    hex_tokens: true,
    seq_per_connection: false,
    ping_interval: None,
    forbidden_has_details: false,
    open_health: false,
    tells_about_sessions: false,
    shows_cron_jobs: false,
    wakes_after_jobs: true,
    routes_approvals: false,
    events_need_read: false,
    lists_backends_in_presence: true,
    renews_presence: false,
    health_after_hello: true,
    hot_reloads_secret: false,
    reload_delay: Duration::from_millis(500),
    names_restart_when_stopping: true,
    restart_notice: Duration::from_millis(300),
    restart_pause: Duration::from_millis(50),
    close_reason_limit: 120,
    max_unauthorized_calls: None,
};

/// Measured on 2026.9.6.
const NEW: Facts = Facts {
    protocol: 4,
    dialect: Dialect::New,
    challenge_capabilities: &["model-catalog-snapshot"],
    handshake_timeout: Duration::from_secs(15),
    max_preauth_payload: 65_536,
    max_payload: 26_214_400,
    max_buffered: 52_428_800,
    max_queued_frames: 15,
    max_preauth_sockets_per_ip: Some(32),
    skew_ms: 120_000,
    default_operator_scopes: &[],
    min_probe_protocol: Some(3),
    signs_v3: true,
    nonce_optional_locally: false,
    secret_in_either_field: true,
    device_token_field: true,
    rate_limits: true,
    drains_for: Some(Duration::from_secs(315)),
    deviceless_keeps_scopes: false,
    local_backend_unpaired: true,
    checks_every_origin: true,
    refuses_unattributed_proxies: true,
    host_decides_locality: false,
    supersedes_pending: true,
    scopes_imply: true,
    pins_metadata: true,
    revoked_role_needs_approval: true,
    guards_device_rpcs: true,
    closes_live_sessions: true,
    withholds_rotated_token: true,
    tracks_approval: true,
    hex_tokens: false,
    seq_per_connection: true,
    ping_interval: Some(Duration::from_secs(25)),
    forbidden_has_details: true,
    open_health: true,
    tells_about_sessions: true,
    shows_cron_jobs: true,
    wakes_after_jobs: false,
    routes_approvals: true,
    events_need_read: true,
    lists_backends_in_presence: false,
    renews_presence: true,
    health_after_hello: false,
    hot_reloads_secret: true,
    reload_delay: Duration::from_millis(800),
    names_restart_when_stopping: false,
    restart_notice: Duration::from_millis(300),
    restart_pause: Duration::from_secs(2),
    close_reason_limit: 120,
    max_unauthorized_calls: Some(10),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_named_by_their_npm_version() {
        for edition in Edition::ALL {
            assert_eq!(edition.to_string().parse(), Ok(edition));
        }
        assert!("2026.1.1".parse::<Edition>().is_err());
    }
}
