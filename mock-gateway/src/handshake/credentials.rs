//! Secrets, proofs and tokens: who the client is.

use std::time::Duration;

use crate::edition::refusal::{AuthFailure, AuthReason, DeviceFault, Refusal};
use crate::engine::state::State;
use crate::handshake::{Handshake, Method, Refused};
use crate::model::device::{DeviceKey, Signed};
use crate::model::pairing::store::{RoleScopes, TokenFault};
use crate::model::rate_limit::Kind;
use crate::model::secret::AuthMode;

/// What the shared secret says, before the device had its word.
pub(super) struct Evaluated {
    pub(super) ok: bool,
    pub(super) failure: Option<AuthReason>,
    pub(super) retry_after_ms: Option<u64>,
    /// The secret itself is right, whatever the lockout says.
    pub(super) secret_ok: bool,
    /// A failure that counts only if the device token fails as well.
    pub(super) pending_failure: bool,
    pub(super) delay: Duration,
}

impl Handshake<'_> {
    pub(super) fn evaluate_secret(&self, state: &mut State) -> Evaluated {
        let facts = self.engine.facts();
        let auth = &self.connect.auth;
        let (mode_is_token, offered) = match &state.auth {
            AuthMode::Token(_) if facts.secret_in_either_field => {
                (true, auth.token().or_else(|| auth.password()))
            }
            AuthMode::Token(_) => (true, auth.token()),
            AuthMode::Password(_) if facts.secret_in_either_field => {
                (false, auth.password().or_else(|| auth.token()))
            }
            AuthMode::Password(_) => (false, auth.password()),
        };
        // Measured on 2026.9.6: a blank secret is none. The old generation takes it for a wrong one.
        let offered = offered.filter(|text| !facts.rate_limits || !text.trim().is_empty());
        let secret_ok = offered.is_some_and(|offered| state.auth.secret().matches(offered));
        let mut result = Evaluated {
            ok: secret_ok,
            failure: None,
            retry_after_ms: None,
            secret_ok,
            pending_failure: false,
            delay: Duration::ZERO,
        };
        let limited = facts.rate_limits && auth.has_shared();
        if limited
            && let Some(ms) = state
                .limiter
                .locked_for(Kind::SharedSecret, self.client.ip, self.now)
        {
            result.ok = false;
            result.failure = Some(AuthReason::RateLimited);
            result.retry_after_ms = Some(ms);
            return result;
        }
        if secret_ok {
            if limited {
                state.limiter.succeeded(Kind::SharedSecret, self.client.ip);
            }
            return result;
        }
        result.failure = Some(match (mode_is_token, offered) {
            (true, None) => AuthReason::TokenMissing,
            (true, Some(_)) => AuthReason::TokenMismatch,
            (false, None) => AuthReason::PasswordMissing,
            (false, Some(_)) => AuthReason::PasswordMismatch,
        });
        if limited && offered.is_some() {
            result.pending_failure = self.device_credential().is_some();
            if !result.pending_failure {
                result.delay = state
                    .limiter
                    .failed(Kind::SharedSecret, self.client.ip, self.now);
            }
        }
        result
    }

    /// The credential that may be a device token, and whether it was sent as one.
    pub(super) fn device_credential(&self) -> Option<(&str, bool)> {
        self.connect.device.as_ref()?;
        let auth = &self.connect.auth;
        let explicit = auth
            .device_token()
            .filter(|_| self.engine.facts().device_token_field);
        explicit
            .map(|token| (token, true))
            .or_else(|| auth.token().map(|token| (token, false)))
    }

    /// A refusal that comes before the device token had its turn still counts the wrong secret.
    pub(super) fn settled(
        &self,
        state: &mut State,
        shared: &Evaluated,
        refusal: Refusal,
    ) -> Refused {
        let delay = if shared.pending_failure {
            state
                .limiter
                .failed(Kind::SharedSecret, self.client.ip, self.now)
        } else {
            shared.delay
        };
        Refused {
            refusal,
            delay,
            after: Vec::new(),
        }
    }

    pub(super) fn check_missing_device(&mut self, shared: &Evaluated) -> Result<(), Refusal> {
        if self.connect.device.is_some() {
            return Ok(());
        }
        let facts = self.engine.facts();
        let operator = self.role == "operator";
        let exempt = self.is_local_backend() && shared.secret_ok;
        if exempt && operator {
            return Ok(());
        }
        if self.connect.client.is_control_ui() {
            return Err(Refusal::ControlUiDevice);
        }
        // The old generation lets a node in without a device as well.
        if shared.secret_ok && (operator || facts.deviceless_keeps_scopes) {
            let local_cli = self.connect.client.is("cli", "cli")
                && self.client.is_local
                && self.client.origin.is_none();
            if !facts.deviceless_keeps_scopes && !local_cli && !exempt {
                self.scopes.clear();
            }
            return Ok(());
        }
        match shared.failure {
            Some(reason) if self.connect.auth.has_shared() => {
                Err(self.unauthorized(reason, shared.retry_after_ms))
            }
            _ => Err(Refusal::DeviceRequired),
        }
    }

    pub(super) fn check_proof(&self) -> Result<Option<DeviceKey>, DeviceFault> {
        let facts = self.engine.facts();
        let Some(device) = &self.connect.device else {
            return Ok(None);
        };
        let key = DeviceKey::parse(&device.public_key)
            .filter(|key| key.device_id() == device.id)
            .ok_or(DeviceFault::IdMismatch)?;
        let signed_at = device.signed_at.as_i64().unwrap_or(i64::MAX);
        let skew = i128::from(self.now) - i128::from(signed_at);
        if skew.unsigned_abs() > u128::from(facts.skew_ms) {
            return Err(DeviceFault::Stale);
        }
        let nonce = device.nonce.trim();
        let nonce_optional = facts.nonce_optional_locally && self.client.is_local;
        if nonce.is_empty() && !nonce_optional {
            return Err(DeviceFault::NonceMissing);
        }
        if !nonce.is_empty() && nonce != self.nonce {
            return Err(DeviceFault::NonceMismatch);
        }
        let auth = &self.connect.auth;
        let fallback = || {
            auth.device_token
                .as_deref()
                .or(auth.bootstrap_token.as_deref())
        };
        let token = auth
            .token
            .as_deref()
            .or_else(|| fallback().filter(|_| facts.device_token_field));
        let client = &self.connect.client;
        let signed = Signed {
            device_id: &device.id,
            client_id: &client.id,
            client_mode: &client.mode,
            role: &self.role,
            scopes: &self.connect.scopes,
            signed_at,
            token: token.unwrap_or_default(),
            nonce,
            platform: &client.platform,
            device_family: client.device_family.as_deref().unwrap_or_default(),
        };
        let good = |payload: String| key.verifies(&payload, &device.signature);
        let verified = if nonce.is_empty() {
            good(signed.v1())
        } else {
            (facts.signs_v3 && good(signed.v3())) || good(signed.v2())
        };
        if !verified {
            return Err(DeviceFault::Signature);
        }
        if !key.is_usable() {
            return Err(DeviceFault::PublicKey);
        }
        Ok(Some(key))
    }

    pub(super) fn unauthorized(&self, reason: AuthReason, retry_after_ms: Option<u64>) -> Refusal {
        let client = &self.connect.client;
        Refusal::Unauthorized(AuthFailure {
            reason,
            provided: self.connect.auth.provided(),
            is_cli: client.mode == "cli",
            is_ui: client.is_control_ui() || client.is_webchat(),
            is_local: self.client.is_local,
            has_device: self.connect.device.is_some(),
            has_device_token: self.connect.auth.device_token().is_some(),
            retry_after_ms,
        })
    }

    /// The verdict on the credentials: the secret, or else the device's own token.
    pub(super) fn decide(&self, state: &mut State, shared: &Evaluated) -> Result<Method, Refused> {
        if shared.ok {
            return Ok(Method::Shared);
        }
        let facts = self.engine.facts();
        let ip = self.client.ip;
        let mut reason = shared.failure.unwrap_or(AuthReason::TokenMissing);
        let mut retry_after = shared.retry_after_ms;
        if let (Some(device), Some((token, explicit))) =
            (&self.connect.device, self.device_credential())
        {
            retry_after = None;
            let locked = facts
                .rate_limits
                .then(|| state.limiter.locked_for(Kind::DeviceToken, ip, self.now))
                .flatten();
            if let Some(ms) = locked {
                reason = AuthReason::RateLimited;
                retry_after = Some(ms);
            } else {
                let wanted = RoleScopes {
                    role: &self.role,
                    scopes: &self.scopes,
                };
                let verified = self.engine.with_store(state, |store, now| {
                    store.verify(&device.id, token, wanted, now)
                });
                match verified {
                    Ok(()) => {
                        state.limiter.succeeded(Kind::DeviceToken, ip);
                        return Ok(Method::DeviceToken);
                    }
                    Err(TokenFault::Scopes) if facts.rate_limits => {
                        reason = AuthReason::ScopeMismatch;
                    }
                    Err(_) if explicit => reason = AuthReason::DeviceTokenMismatch,
                    Err(_) => {}
                }
                if facts.rate_limits {
                    state.limiter.failed(Kind::DeviceToken, ip, self.now);
                }
            }
        }
        if reason == AuthReason::TokenMissing && self.connect.auth.bootstrap_token.is_some() {
            reason = AuthReason::BootstrapTokenInvalid;
        }
        Err(self.settled(state, shared, self.unauthorized(reason, retry_after)))
    }
}
