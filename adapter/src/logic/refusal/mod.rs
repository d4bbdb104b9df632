//! What a refused connection means: one typed reason and one next action. No I/O.
//!
//! The 2026.9 generation says it in `details.code`; 2026.2.9 only in the words of the message, and a
//! proxy only by its HTTP status. All three end here.

use std::fmt;
use std::time::Duration;

use crate::base::sanitize::{printable, quoted};
use crate::logic::proxy::Answerer;
use crate::protocol::GatewayError;

/// Why a gateway refused a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The shared token is not the one that the gateway holds in memory.
    TokenMismatch,
    /// No shared token arrived.
    TokenMissing,
    /// The gateway itself has no token configured.
    TokenNotConfigured,
    /// The password is wrong.
    PasswordMismatch,
    /// The gateway wants a password.
    PasswordMissing,
    /// The gateway is in password mode and has no password configured.
    PasswordNotConfigured,
    /// The device token was rotated, revoked or removed.
    DeviceTokenMismatch,
    /// The device token does not cover the scopes that were asked for.
    ScopeMismatch,
    /// Another way of logging in (Tailscale, trusted proxy, bootstrap token) was refused.
    Unauthorized,
    /// Too many failed attempts from this address.
    RateLimited,
    /// A person has to approve this device first.
    PairingRequired,
    /// The gateway is starting, draining or suspended.
    Unavailable,
    /// The device's signature does not verify.
    SignatureInvalid,
    /// The signature is too old or too new for the gateway's clock.
    SignatureExpired,
    /// The challenge's nonce was missing or another one.
    NonceMismatch,
    /// The device id is not the hash of the public key.
    DeviceIdMismatch,
    /// The public key cannot be read.
    PublicKeyInvalid,
    /// The gateway wants a device identity.
    DeviceIdentityRequired,
    /// The gateway speaks none of the protocols 3 to 4, or refuses this client's version.
    ProtocolMismatch,
    /// The `Origin` header is not allowed.
    OriginNotAllowed,
    /// The role does not exist on this gateway.
    InvalidRole,
    /// The gateway does not accept the shape of our `connect`.
    InvalidParams,
    /// Something that this version does not know.
    Other,
}

impl RefusalKind {
    /// A stable word for it, as in the program's `--json` output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenMismatch => "token_mismatch",
            Self::TokenMissing => "token_missing",
            Self::TokenNotConfigured => "token_not_configured",
            Self::PasswordMismatch => "password_mismatch",
            Self::PasswordMissing => "password_missing",
            Self::PasswordNotConfigured => "password_not_configured",
            Self::DeviceTokenMismatch => "device_token_mismatch",
            Self::ScopeMismatch => "scope_mismatch",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::PairingRequired => "pairing_required",
            Self::Unavailable => "unavailable",
            Self::SignatureInvalid => "signature_invalid",
            Self::SignatureExpired => "signature_expired",
            Self::NonceMismatch => "nonce_mismatch",
            Self::DeviceIdMismatch => "device_id_mismatch",
            Self::PublicKeyInvalid => "public_key_invalid",
            Self::DeviceIdentityRequired => "device_identity_required",
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::InvalidRole => "invalid_role",
            Self::InvalidParams => "invalid_params",
            Self::Other => "refused",
        }
    }

    /// Whether another token or password would help.
    #[must_use]
    pub const fn is_credentials(self) -> bool {
        matches!(
            self,
            Self::TokenMismatch
                | Self::TokenMissing
                | Self::TokenNotConfigured
                | Self::PasswordMismatch
                | Self::PasswordMissing
                | Self::PasswordNotConfigured
                | Self::DeviceTokenMismatch
                | Self::Unauthorized
        )
    }

    /// Reads the error of a refused `connect`.
    pub(crate) fn of(error: &GatewayError) -> Self {
        error
            .detail_code()
            .and_then(Self::from_detail_code)
            .or_else(|| Self::from_words(&error.message))
            .unwrap_or_else(|| match error.code.as_str() {
                "NOT_PAIRED" => Self::PairingRequired,
                "UNAVAILABLE" => Self::Unavailable,
                _ if error.retryable == Some(true) => Self::Unavailable,
                _ => Self::Other,
            })
    }

    /// Codes of the 2026.9 generation, from `details.code`.
    fn from_detail_code(code: &str) -> Option<Self> {
        Some(match code {
            "AUTH_TOKEN_MISMATCH" => Self::TokenMismatch,
            "AUTH_TOKEN_MISSING" | "AUTH_REQUIRED" => Self::TokenMissing,
            "AUTH_TOKEN_NOT_CONFIGURED" => Self::TokenNotConfigured,
            "AUTH_PASSWORD_MISMATCH" => Self::PasswordMismatch,
            "AUTH_PASSWORD_MISSING" => Self::PasswordMissing,
            "AUTH_PASSWORD_NOT_CONFIGURED" => Self::PasswordNotConfigured,
            "AUTH_DEVICE_TOKEN_MISMATCH" => Self::DeviceTokenMismatch,
            "AUTH_SCOPE_MISMATCH" => Self::ScopeMismatch,
            "AUTH_RATE_LIMITED" => Self::RateLimited,
            "AUTH_UNAUTHORIZED"
            | "AUTH_BOOTSTRAP_TOKEN_INVALID"
            | "AUTH_TAILSCALE_IDENTITY_MISSING"
            | "AUTH_TAILSCALE_PROXY_MISSING"
            | "AUTH_TAILSCALE_WHOIS_FAILED"
            | "AUTH_TAILSCALE_IDENTITY_MISMATCH"
            | "AUTH_IDENTITY_HEADER_REQUIRED"
            | "AUTH_VERIFIED_USER_REQUIRED"
            | "AUTHENTICATED_PROFILE_UNAVAILABLE" => Self::Unauthorized,
            "PAIRING_REQUIRED" => Self::PairingRequired,
            "DEVICE_AUTH_SIGNATURE_INVALID" | "DEVICE_AUTH_INVALID" => Self::SignatureInvalid,
            "DEVICE_AUTH_SIGNATURE_EXPIRED" => Self::SignatureExpired,
            "DEVICE_AUTH_NONCE_REQUIRED" | "DEVICE_AUTH_NONCE_MISMATCH" => Self::NonceMismatch,
            "DEVICE_AUTH_DEVICE_ID_MISMATCH" => Self::DeviceIdMismatch,
            "DEVICE_AUTH_PUBLIC_KEY_INVALID" => Self::PublicKeyInvalid,
            "DEVICE_IDENTITY_REQUIRED" | "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" => {
                Self::DeviceIdentityRequired
            }
            "PROTOCOL_MISMATCH" | "CLIENT_VERSION_MISMATCH" | "CONTROL_UI_BUILD_MISMATCH" => {
                Self::ProtocolMismatch
            }
            "CONTROL_UI_ORIGIN_NOT_ALLOWED" => Self::OriginNotAllowed,
            _ => return None,
        })
    }

    /// The words of a message (2026.2.9) or of a close reason (both; it may be cut at 120 bytes,
    /// so only beginnings are compared).
    pub(crate) fn from_words(message: &str) -> Option<Self> {
        const TABLE: &[(&str, RefusalKind)] = &[
            (
                "unauthorized: gateway token mismatch",
                RefusalKind::TokenMismatch,
            ),
            (
                "unauthorized: gateway token missing",
                RefusalKind::TokenMissing,
            ),
            (
                "unauthorized: gateway token not configured",
                RefusalKind::TokenNotConfigured,
            ),
            (
                "unauthorized: gateway password mismatch",
                RefusalKind::PasswordMismatch,
            ),
            (
                "unauthorized: gateway password missing",
                RefusalKind::PasswordMissing,
            ),
            (
                "unauthorized: gateway password not configured",
                RefusalKind::PasswordNotConfigured,
            ),
            (
                "unauthorized: device token mismatch",
                RefusalKind::DeviceTokenMismatch,
            ),
            (
                "unauthorized: device token scope mismatch",
                RefusalKind::ScopeMismatch,
            ),
            ("unauthorized: too many failed", RefusalKind::RateLimited),
            ("unauthorized", RefusalKind::Unauthorized),
            ("pairing required", RefusalKind::PairingRequired),
            (
                "device identity required",
                RefusalKind::DeviceIdentityRequired,
            ),
            (
                "control ui requires device identity",
                RefusalKind::DeviceIdentityRequired,
            ),
            ("device identity mismatch", RefusalKind::DeviceIdMismatch),
            ("device signature invalid", RefusalKind::SignatureInvalid),
            ("device signature expired", RefusalKind::SignatureExpired),
            ("device nonce", RefusalKind::NonceMismatch),
            ("device public key invalid", RefusalKind::PublicKeyInvalid),
            ("protocol mismatch", RefusalKind::ProtocolMismatch),
            ("origin not allowed", RefusalKind::OriginNotAllowed),
            ("invalid role", RefusalKind::InvalidRole),
            ("invalid connect params", RefusalKind::InvalidParams),
            ("invalid handshake", RefusalKind::InvalidParams),
            ("invalid-handshake", RefusalKind::InvalidParams),
            ("invalid request frame", RefusalKind::InvalidParams),
            ("gateway starting", RefusalKind::Unavailable),
            (
                "connect unavailable during gateway",
                RefusalKind::Unavailable,
            ),
            ("gateway restart in progress", RefusalKind::Unavailable),
            ("gateway suspension in progress", RefusalKind::Unavailable),
            ("gateway message handler", RefusalKind::Unavailable),
        ];
        TABLE
            .iter()
            .find(|(beginning, _)| message.starts_with(beginning))
            .map(|&(_, kind)| kind)
    }

    /// What a person does about it.
    pub(crate) fn fix(self, hints: &FixHints<'_>) -> String {
        let FixHints {
            origin,
            is_password,
        } = *hints;
        let secret = hints.place();
        match self {
            Self::TokenMismatch | Self::TokenMissing if is_password => other_mode(origin, "token"),
            Self::PasswordMismatch | Self::PasswordMissing if !is_password => {
                other_mode(origin, "password")
            }
            Self::TokenMismatch => format!(
                "Copy gateway.auth.token from the gateway's openclaw.json to {origin} (`openclaw config get` hides it; read the file or the start-up banner). \
                 The gateway holds the token in memory: if openclaw.json was edited after the gateway started, restart the gateway first."
            ),
            Self::TokenMissing | Self::PasswordMismatch | Self::PasswordMissing => {
                format!("Set {origin} to {secret} of the gateway's openclaw.json.")
            }
            Self::TokenNotConfigured => "Set gateway.auth.token in the gateway's openclaw.json and restart the gateway.".to_owned(),
            Self::PasswordNotConfigured => "Set gateway.auth.password in the gateway's openclaw.json and restart the gateway.".to_owned(),
            Self::DeviceTokenMismatch => format!(
                "The device token was rotated, revoked or removed, and {what} was refused as well: set {origin} to {secret} of the gateway's openclaw.json.",
                what = hints.what(),
            ),
            Self::ScopeMismatch => format!(
                "The device token does not cover the scopes asked for, and {what} was refused: set {origin} to {secret} of the gateway's openclaw.json, so that the wider scopes can be asked for and approved, or ask for fewer scopes.",
                what = hints.what(),
            ),
            Self::Unauthorized => "Set gateway.auth.mode to \"token\" on the gateway, or log in the way that its auth mode asks for (proxy header, Tailscale identity).".to_owned(),
            Self::RateLimited => "Wait: the gateway has locked this address out for up to five minutes after too many failed attempts.".to_owned(),
            Self::PairingRequired => "Approve this device on the gateway's host: `openclaw devices list`, then `openclaw devices approve <requestId>`.".to_owned(),
            Self::Unavailable => "Wait: the gateway is starting or restarting.".to_owned(),
            Self::SignatureInvalid => "Check that nothing between this service and the gateway rewrites messages; if it persists, report it with the gateway's version.".to_owned(),
            Self::SignatureExpired => "Set the gateway's clock: it stepped between its challenge and our answer, or a proxy held the messages back for minutes.".to_owned(),
            Self::NonceMismatch => "Check that no proxy shares or replays gateway connections; each connection has a challenge of its own.".to_owned(),
            Self::DeviceIdMismatch | Self::PublicKeyInvalid => "Check the identity with `openclaw-adapter identity show`, and restore it from a backup if it was edited.".to_owned(),
            Self::DeviceIdentityRequired => "The gateway does not take this device's identity: check `gateway.auth.mode` on the gateway.".to_owned(),
            Self::ProtocolMismatch => "Update: this adapter speaks the protocols 3 and 4; use a version of it, or of the gateway, that fits.".to_owned(),
            Self::OriginNotAllowed => "Remove the Origin header that a proxy adds, or allow it in gateway.controlUi.allowedOrigins.".to_owned(),
            Self::InvalidRole => "Ask for the role `operator`.".to_owned(),
            Self::InvalidParams => "Check the client id, mode, scopes and capabilities in the configuration against the message; the defaults work on every gateway.".to_owned(),
            Self::Other => "Look for the message in the gateway's log.".to_owned(),
        }
    }
}

/// The gateway is in another mode than the credential in hand is for. Two of them at once are a mistake
/// in the configuration, so the one that is there has to go.
fn other_mode(origin: &str, mode: &str) -> String {
    let variable = format!("OPENCLAW_GATEWAY_{}", mode.to_ascii_uppercase());
    let place = format!("gateway.auth.{mode} of its openclaw.json");
    if origin.starts_with("OPENCLAW_") {
        format!("The gateway is in {mode} mode: unset {origin}, and set {variable} to {place}.")
    } else {
        format!(
            "The gateway is in {mode} mode: give the backend {place} ({variable}) instead of {origin}."
        )
    }
}

/// What an advice has to name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixHints<'a> {
    /// Where the token or password comes from, such as `OPENCLAW_GATEWAY_TOKEN`.
    pub(crate) origin: &'a str,
    /// Whether it is a password.
    pub(crate) is_password: bool,
}

impl FixHints<'_> {
    /// Where the gateway keeps what it compares with.
    pub(crate) const fn place(&self) -> &'static str {
        if self.is_password {
            "gateway.auth.password"
        } else {
            "gateway.auth.token"
        }
    }

    const fn what(&self) -> &'static str {
        if self.is_password {
            "the password"
        } else {
            "the shared token"
        }
    }
}

/// A connection that the gateway refused, and why it is of no use to try again unchanged.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::{Error, RefusalKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new("yesterdays-token")?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// match Client::connect(config).await {
///     Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::TokenMismatch => {
///         eprintln!("{refusal}. {}", refusal.fix);
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// What the gateway said.
    pub error: GatewayError,
    /// The one next thing to do.
    pub fix: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.error.message))
    }
}

impl std::error::Error for Refusal {}

/// An HTTP answer that was not the WebSocket upgrade: a proxy's, or the gateway's own.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{Fault, MockGateway};
/// use openclaw_adapter::{Answerer, Error};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.inject(Fault::http_with(403, &[("Server", "nginx")], "forbidden").always());
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// match Client::connect(config).await {
///     Err(Error::UpgradeRefused(refusal)) => {
///         let by = refusal.answered_by.as_ref().map(Answerer::to_string);
///         eprintln!("HTTP {} by {by:?}. {}", refusal.status, refusal.fix());
///         # assert_eq!((refusal.status, by.as_deref()), (403, Some("nginx")));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// What the body says, made printable and cut; empty if there was none.
    pub message: String,
    /// Where a redirect points, without its query; it is never followed, since it would take the
    /// credentials with it.
    pub location: Option<String>,
    /// `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// Who answered, as far as the answer shows it.
    pub answered_by: Option<Answerer>,
}

impl UpgradeRefusal {
    /// Whether the same request may succeed later: 408, 425, 429 and the 5xx of a proxy whose
    /// gateway is away.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }

    /// What a person does about it.
    #[must_use]
    pub fn fix(&self) -> String {
        if let Some(fix) = self
            .answered_by
            .as_ref()
            .and_then(|answerer| answerer.fix(self.status))
        {
            return fix;
        }
        match self.status {
            300..=399 => match &self.location {
                Some(location) => format!("Point OPENCLAW_GATEWAY_URL at the gateway itself: this address redirects to {location}, and redirects are not followed with credentials."),
                None => "Point OPENCLAW_GATEWAY_URL at the gateway itself: redirects are not followed with credentials.".to_owned(),
            },
            401 | 407 => "Give the proxy in front of the gateway the credentials that it asks for, as an extra header.".to_owned(),
            403 if self.message.contains("Proxy client attribution") => "List the proxy's address in gateway.trustedProxies of the gateway's openclaw.json, or stop it from adding forwarding headers.".to_owned(),
            403 => "Ask whoever runs the proxy or firewall in front of the gateway to let this host through.".to_owned(),
            404 | 405 => "Check host, port and path of OPENCLAW_GATEWAY_URL: something else answers there.".to_owned(),
            200..=299 => "Check OPENCLAW_GATEWAY_URL: a web server answers there, or a proxy that does not pass WebSocket upgrades on.".to_owned(),
            // 502 and 504 are a proxy's own words for a gateway that it does not reach.
            502 | 504 => "Start the gateway, or correct the address that the proxy in front of it passes connections on to: the proxy does not reach it.".to_owned(),
            500 => "Look at the logs of the gateway and of the proxy in front of it: one of them failed.".to_owned(),
            429 | 500..=599 => "Wait: the gateway or the proxy in front of it is busy or away.".to_owned(),
            _ => "Check that OPENCLAW_GATEWAY_URL is the gateway's WebSocket address.".to_owned(),
        }
    }
}

impl fmt::Display for UpgradeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the WebSocket upgrade was refused with HTTP {}",
            self.status
        )?;
        match &self.answered_by {
            // Its own words follow.
            None | Some(Answerer::Gateway) => {}
            Some(other) => write!(f, " by {other}")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", quoted(&self.message))?;
        }
        Ok(())
    }
}

impl std::error::Error for UpgradeRefusal {}

#[cfg(test)]
mod tests;
