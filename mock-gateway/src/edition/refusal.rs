//! Refused connects: the error frame, its details and the close that follows, worded per edition.

use serde_json::{Map, Value, json};

use crate::edition::Edition;
use crate::wire::ErrorShape;

/// Why a connect is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The schema's complaints.
    Params(String),
    NotConnect,
    Starting,
    Protocol {
        min: u64,
        max: u64,
    },
    Role,
    Origin {
        missing: bool,
    },
    DeviceRequired,
    ControlUiDevice,
    Device(DeviceFault),
    Unauthorized(AuthFailure),
    Pairing(Box<PairingRefusal>),
}

/// What is wrong with a device's proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DeviceFault {
    IdMismatch,
    Stale,
    NonceMissing,
    NonceMismatch,
    Signature,
    PublicKey,
}

/// Why credentials were not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AuthReason {
    TokenMissing,
    TokenMismatch,
    PasswordMissing,
    PasswordMismatch,
    BootstrapTokenInvalid,
    DeviceTokenMismatch,
    ScopeMismatch,
    RateLimited,
}

/// Which credential a client offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Provided {
    None,
    Token,
    Password,
    DeviceToken,
}

#[expect(clippy::struct_excessive_bools, reason = "facts about one client")]
#[derive(Debug)]
pub(crate) struct AuthFailure {
    pub(crate) reason: AuthReason,
    pub(crate) provided: Provided,
    pub(crate) is_cli: bool,
    pub(crate) is_ui: bool,
    pub(crate) is_local: bool,
    pub(crate) has_device: bool,
    pub(crate) has_device_token: bool,
    /// Set when the lockout itself refused.
    pub(crate) retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PairingReason {
    NotPaired,
    RoleUpgrade,
    ScopeUpgrade,
    MetadataUpgrade,
}

#[derive(Debug)]
pub(crate) struct PairingRefusal {
    pub(crate) reason: PairingReason,
    pub(crate) request_id: String,
    pub(crate) device_id: String,
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    /// Roles and scopes of a device that is already known.
    pub(crate) approved: Option<(Vec<String>, Vec<String>)>,
    /// The gateway may approve it by itself in a moment.
    pub(crate) wait_then_retry: bool,
}

/// What goes on the wire.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) error: ErrorShape,
    pub(crate) close_code: u16,
    pub(crate) close_reason: String,
}

impl Refusal {
    pub(crate) fn render(&self, edition: Edition) -> Rendered {
        let new = matches!(edition, Edition::V2026_9_6);
        let details = |value: Value| new.then_some(value);
        let (error, close_code, close_reason) = match self {
            Self::Params(text) => (
                ErrorShape::invalid(format!("invalid connect params: {text}")),
                1008,
                None,
            ),
            Self::NotConnect => {
                let text = "invalid handshake: first request must be connect";
                (ErrorShape::invalid(text), 1008, None)
            }
            Self::Starting => {
                let error = ErrorShape::new("UNAVAILABLE", "gateway starting; retry shortly")
                    .with_details(Some(json!({"reason": "startup-sidecars"})))
                    .retry_after(Some(500));
                (error, 1013, Some("gateway starting".to_owned()))
            }
            Self::Protocol { min, max } => {
                let details = if new {
                    json!({
                        "code": "PROTOCOL_MISMATCH", "clientMinProtocol": min, "clientMaxProtocol": max,
                        "expectedProtocol": edition.protocol(),
                        "minimumProbeProtocol": edition.facts().min_probe_protocol,
                    })
                } else {
                    json!({"expectedProtocol": edition.protocol()})
                };
                (
                    ErrorShape::invalid("protocol mismatch").with_details(Some(details)),
                    1002,
                    None,
                )
            }
            Self::Role => (ErrorShape::invalid("invalid role"), 1008, None),
            Self::Origin { missing } => {
                let reason = if *missing {
                    "origin missing or invalid"
                } else {
                    "origin not allowed"
                };
                let text = "origin not allowed (open the Control UI from the gateway host or allow it in \
                            gateway.controlUi.allowedOrigins)";
                let details =
                    details(json!({"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}));
                (ErrorShape::invalid(text).with_details(details), 1008, None)
            }
            Self::DeviceRequired => {
                let details = details(json!({"code": "DEVICE_IDENTITY_REQUIRED"}));
                let error = ErrorShape::new("NOT_PAIRED", "device identity required");
                (error.with_details(details), 1008, None)
            }
            Self::ControlUiDevice => {
                let text = if new {
                    "control ui requires device identity (use HTTPS or localhost secure context)"
                } else {
                    "control ui requires HTTPS or localhost (secure context)"
                };
                let details = details(json!({"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}));
                (ErrorShape::invalid(text).with_details(details), 1008, None)
            }
            Self::Device(fault) => {
                let (text, code, reason) = fault.words();
                let details = details(json!({"code": code, "reason": reason}));
                (ErrorShape::invalid(text).with_details(details), 1008, None)
            }
            Self::Unauthorized(failure) => (failure.error(new), 1008, None),
            Self::Pairing(pairing) => pairing.parts(new),
        };
        let reason = close_reason.unwrap_or_else(|| error.message.clone());
        let limit = edition.facts().close_reason_limit;
        let close_reason = crate::wire::cut_reason(&reason, limit).to_owned();
        Rendered {
            error,
            close_code,
            close_reason,
        }
    }
}

impl DeviceFault {
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::IdMismatch => (
                "device identity mismatch",
                "DEVICE_AUTH_DEVICE_ID_MISMATCH",
                "device-id-mismatch",
            ),
            Self::Stale => (
                "device signature expired",
                "DEVICE_AUTH_SIGNATURE_EXPIRED",
                "device-signature-stale",
            ),
            Self::NonceMissing => (
                "device nonce required",
                "DEVICE_AUTH_NONCE_REQUIRED",
                "device-nonce-missing",
            ),
            Self::NonceMismatch => (
                "device nonce mismatch",
                "DEVICE_AUTH_NONCE_MISMATCH",
                "device-nonce-mismatch",
            ),
            Self::Signature => (
                "device signature invalid",
                "DEVICE_AUTH_SIGNATURE_INVALID",
                "device-signature",
            ),
            Self::PublicKey => (
                "device public key invalid",
                "DEVICE_AUTH_PUBLIC_KEY_INVALID",
                "device-public-key",
            ),
        }
    }
}

impl AuthReason {
    /// `authReason`, `details.code` and the next step named with them.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        const CONFIGURE: &str = "update_auth_configuration";
        const CREDENTIALS: &str = "update_auth_credentials";
        match self {
            Self::TokenMissing => ("token_missing", "AUTH_TOKEN_MISSING", CONFIGURE),
            Self::TokenMismatch => ("token_mismatch", "AUTH_TOKEN_MISMATCH", CREDENTIALS),
            Self::PasswordMissing => ("password_missing", "AUTH_PASSWORD_MISSING", CONFIGURE),
            Self::PasswordMismatch => ("password_mismatch", "AUTH_PASSWORD_MISMATCH", CREDENTIALS),
            Self::BootstrapTokenInvalid => (
                "bootstrap_token_invalid",
                "AUTH_BOOTSTRAP_TOKEN_INVALID",
                "review_auth_configuration",
            ),
            Self::DeviceTokenMismatch => (
                "device_token_mismatch",
                "AUTH_DEVICE_TOKEN_MISMATCH",
                CREDENTIALS,
            ),
            Self::ScopeMismatch => (
                "scope_mismatch",
                "AUTH_SCOPE_MISMATCH",
                "review_auth_configuration",
            ),
            Self::RateLimited => ("rate_limited", "AUTH_RATE_LIMITED", "wait_then_retry"),
        }
    }
}

impl AuthFailure {
    fn error(&self, new: bool) -> ErrorShape {
        let error = ErrorShape::invalid(self.message(new));
        if !new {
            return error;
        }
        let (reason, code, next) = self.reason.words();
        let can_retry = self.reason == AuthReason::TokenMismatch
            && self.has_device
            && self.provided == Provided::Token
            && !self.has_device_token;
        let error = error.with_details(Some(json!({
            "code": code,
            "authReason": reason,
            "canRetryWithDeviceToken": can_retry,
            "recommendedNextStep": if can_retry { "retry_with_device_token" } else { next },
        })));
        match self.retry_after_ms {
            Some(ms) => error.retry_after(Some(ms)),
            None => error,
        }
    }

    fn message(&self, new: bool) -> String {
        let local_cli = new && self.is_cli && self.is_local;
        let token_hint = if local_cli {
            "use this gateway's gateway.auth.token or pair the device"
        } else if self.is_cli {
            "set gateway.remote.token to match gateway.auth.token"
        } else if self.is_ui {
            "open the dashboard URL and paste the token in Control UI settings"
        } else {
            "provide gateway auth token"
        };
        let password_hint = if local_cli {
            "use this gateway's gateway.auth.password"
        } else if self.is_cli {
            "set gateway.remote.password to match gateway.auth.password"
        } else if self.is_ui {
            "enter the password in Control UI settings"
        } else {
            "provide gateway auth password"
        };
        let text = match self.reason {
            AuthReason::TokenMissing if new && self.is_ui => {
                "gateway token missing (paste in Control UI settings or openclaw doctor \
                 --generate-gateway-token; restart)"
                    .to_owned()
            }
            AuthReason::TokenMissing => format!("gateway token missing ({token_hint})"),
            AuthReason::TokenMismatch => format!("gateway token mismatch ({token_hint})"),
            AuthReason::PasswordMissing => format!("gateway password missing ({password_hint})"),
            AuthReason::PasswordMismatch => format!("gateway password mismatch ({password_hint})"),
            AuthReason::BootstrapTokenInvalid => {
                "setup code invalid, expired, revoked, or already used (create a new code; review \
                 `openclaw devices list`)"
                    .to_owned()
            }
            AuthReason::DeviceTokenMismatch => {
                "device token mismatch (rotate/reissue device token)".to_owned()
            }
            AuthReason::ScopeMismatch => {
                "device token scope mismatch (re-pair or approve scope upgrade)".to_owned()
            }
            AuthReason::RateLimited => {
                "too many failed authentication attempts (retry later)".to_owned()
            }
        };
        format!("unauthorized: {text}")
    }
}

impl PairingReason {
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::NotPaired => (
                "not-paired",
                "device is not approved yet",
                "Approve this device from the pending pairing requests.",
            ),
            Self::RoleUpgrade => (
                "role-upgrade",
                "device is asking for a higher role than currently approved",
                "Review the requested role upgrade, then approve the pending request.",
            ),
            Self::ScopeUpgrade => (
                "scope-upgrade",
                "device is asking for more scopes than currently approved",
                "Review the requested scopes, then approve the pending upgrade.",
            ),
            Self::MetadataUpgrade => (
                "metadata-upgrade",
                "device identity changed and must be re-approved",
                "Review the refreshed device details, then approve the pending request.",
            ),
        }
    }
}

impl PairingRefusal {
    fn parts(&self, new: bool) -> (ErrorShape, u16, Option<String>) {
        if !new {
            let details = json!({"requestId": self.request_id});
            let error = ErrorShape::new("NOT_PAIRED", "pairing required");
            return (error.with_details(Some(details)), 1008, None);
        }
        let (reason, text, hint) = self.reason.words();
        let message = format!("pairing required: {text}");
        let mut details = Map::new();
        let mut put = |name: &str, value: Value| details.insert(name.to_owned(), value);
        put("code", "PAIRING_REQUIRED".into());
        put("reason", reason.into());
        put("requestId", self.request_id.clone().into());
        put("remediationHint", hint.into());
        put("deviceId", self.device_id.clone().into());
        put("requestedRole", self.role.clone().into());
        if !self.scopes.is_empty() {
            put("requestedScopes", self.scopes.clone().into());
        }
        if let Some((roles, scopes)) = &self.approved {
            for (name, values) in [("approvedRoles", roles), ("approvedScopes", scopes)] {
                if !values.is_empty() {
                    put(name, values.clone().into());
                }
            }
        }
        if self.wait_then_retry {
            put("recommendedNextStep", "wait_then_retry".into());
            put("retryable", true.into());
            put("pauseReconnect", false.into());
        }
        let close = format!("{message} (requestId: {})", self.request_id);
        let error = ErrorShape::new("NOT_PAIRED", message);
        (
            error.with_details(Some(Value::Object(details))),
            1008,
            Some(close),
        )
    }
}
