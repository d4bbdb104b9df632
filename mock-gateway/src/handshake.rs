//! The checks that a connect goes through, in the order of the real gateways.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Number, Value, json};
use sha2::{Digest as _, Sha256};

use crate::device::{DeviceKey, Signed, normalised};
use crate::edition::{
    AuthFailure, AuthReason, DeviceFault, PairingReason, PairingRefusal, Provided, Refusal,
};
use crate::pairing::scopes::{first_missing, operator_covers};
use crate::pairing::{Ask, PairedDevice, PendingRequest, RoleScopes, TokenFault, scopes};
use crate::peer::{Client, host_name, is_private};
use crate::rate_limit::Kind;
use crate::secret::AuthMode;
use crate::settings::Pairing;
use crate::state::{Inner, State};

/// The parameters of a connect, after the schema let them through.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connect {
    min_protocol: Number,
    max_protocol: Number,
    client: ClientInfo,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    device: Option<Device>,
    #[serde(default)]
    auth: Auth,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientInfo {
    id: String,
    mode: String,
    version: String,
    platform: String,
    display_name: Option<String>,
    device_family: Option<String>,
    instance_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    id: String,
    public_key: String,
    signature: String,
    signed_at: Number,
    #[serde(default)]
    nonce: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Auth {
    token: Option<String>,
    password: Option<String>,
    device_token: Option<String>,
    bootstrap_token: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(..)")
    }
}

impl ClientInfo {
    fn is(&self, id: &str, mode: &str) -> bool {
        self.id == id && self.mode == mode
    }

    fn is_control_ui(&self) -> bool {
        self.id == "openclaw-control-ui"
    }

    fn is_webchat(&self) -> bool {
        self.mode == "webchat" || self.id == "webchat-ui"
    }

    /// The installed apps; their platform may change with an update.
    fn is_app_ui(&self) -> bool {
        self.mode == "ui"
            && [
                "openclaw-macos",
                "openclaw-linux",
                "openclaw-ios",
                "openclaw-android",
            ]
            .contains(&self.id.as_str())
    }
}

impl Auth {
    fn offered(field: Option<&String>) -> Option<&str> {
        field.map(String::as_str).filter(|text| !text.is_empty())
    }

    fn token(&self) -> Option<&str> {
        Self::offered(self.token.as_ref())
    }

    fn password(&self) -> Option<&str> {
        Self::offered(self.password.as_ref())
    }

    fn device_token(&self) -> Option<&str> {
        Self::offered(self.device_token.as_ref())
    }

    fn has_shared(&self) -> bool {
        self.token().is_some() || self.password().is_some()
    }

    fn provided(&self) -> Provided {
        match (self.password(), self.token(), self.device_token()) {
            (Some(_), _, _) => Provided::Password,
            (None, Some(_), _) => Provided::Token,
            (None, None, Some(_)) => Provided::DeviceToken,
            (None, None, None) => Provided::None,
        }
    }
}

/// A connect that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) role: String,
    /// The scopes of this connection.
    pub(crate) scopes: Vec<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) by_device_token: bool,
    /// hello-ok's `auth`.
    pub(crate) auth: Option<Value>,
    /// The row in presence, if this client is listed there.
    pub(crate) presence: Option<(String, Value)>,
}

/// A connect that was not, and how much later it is told so.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) delay: Duration,
    /// A request that the gateway will decide by itself, and when.
    pub(crate) then: Option<Follow>,
}

/// What the gateway does by itself with a new request.
#[derive(Debug)]
pub(crate) enum Follow {
    ApproveAfter(String, Duration),
    Reject(String),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            delay: Duration::ZERO,
            then: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    Shared,
    DeviceToken,
}

/// Lets a client in or says why not.
pub(crate) fn admit(
    inner: &Inner,
    state: &mut State,
    client: &Client,
    nonce: &str,
    params: &Value,
) -> Result<Admitted, Refused> {
    let connect = Connect::deserialize(params)
        .map_err(|error| Refused::from(Refusal::Params(error.to_string())))?;
    if state.is_starting() && connect.role.as_deref() != Some("node") {
        return Err(Refusal::Starting.into());
    }
    Handshake::new(inner, client, nonce, connect)?.run(state)
}

struct Handshake<'a> {
    inner: &'a Inner,
    client: &'a Client,
    nonce: &'a str,
    connect: Connect,
    role: String,
    scopes: Vec<String>,
    now: u64,
}

/// What the shared secret says, before the device had its word.
struct Evaluated {
    ok: bool,
    failure: Option<AuthReason>,
    retry_after_ms: Option<u64>,
    /// The secret itself is right, whatever the lockout says.
    secret_ok: bool,
    /// A failure that counts only if the device token fails as well.
    pending_failure: bool,
    delay: Duration,
}

impl<'a> Handshake<'a> {
    fn new(
        inner: &'a Inner,
        client: &'a Client,
        nonce: &'a str,
        connect: Connect,
    ) -> Result<Self, Refusal> {
        let facts = inner.facts();
        let whole = |number: &Number| number.as_u64().unwrap_or(u64::MAX);
        let (min, max) = (whole(&connect.min_protocol), whole(&connect.max_protocol));
        let own = u64::from(facts.protocol);
        let lowest = match facts.min_probe_protocol {
            Some(lowest) if connect.client.mode == "probe" => u64::from(lowest),
            Some(lowest)
                if connect.role.as_deref() == Some("node") && connect.client.mode == "node" =>
            {
                u64::from(lowest)
            }
            _ => own,
        };
        if max < lowest || min > own {
            return Err(Refusal::Protocol { min, max });
        }
        let role = connect
            .role
            .clone()
            .unwrap_or_else(|| "operator".to_owned());
        if role != "operator" && role != "node" {
            return Err(Refusal::Role);
        }
        let mut scopes = connect.scopes.clone();
        if scopes.is_empty() && role == "operator" {
            scopes = facts
                .default_operator_scopes
                .iter()
                .map(|&scope| scope.to_owned())
                .collect();
        }
        if let Some(cap) = &client.scope_cap {
            scopes.retain(|scope| operator_covers(scope, cap));
        }
        let now = inner.clock.now_ms();
        Ok(Self {
            inner,
            client,
            nonce,
            connect,
            role,
            scopes,
            now,
        })
    }

    fn run(mut self, state: &mut State) -> Result<Admitted, Refused> {
        self.check_origin()?;
        let shared = self.evaluate_secret(state);
        if let Err(refusal) = self.check_missing_device(&shared) {
            return Err(self.settled(state, &shared, refusal));
        }
        let key = match self.check_proof() {
            Ok(key) => key,
            Err(fault) => return Err(self.settled(state, &shared, Refusal::Device(fault))),
        };
        let method = self.decide(state, &shared)?;
        let baseline = match &key {
            Some(key) => self.check_pairing(state, key, method, shared.secret_ok)?,
            None => false,
        };
        Ok(self.admitted(state, method, baseline))
    }

    fn check_origin(&self) -> Result<(), Refusal> {
        let browser = self.connect.client.is_control_ui() || self.connect.client.is_webchat();
        let any = self.inner.facts().checks_every_origin && self.client.origin.is_some();
        if !browser && !any {
            return Ok(());
        }
        let Some(origin) = &self.client.origin else {
            return Err(Refusal::Origin { missing: true });
        };
        let Some(authority) = origin.split_once("://").map(|(_, rest)| rest) else {
            return Err(Refusal::Origin { missing: true });
        };
        let name = host_name(authority);
        let loopback = name == "localhost"
            || name
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let known_kind = loopback
            || name.ends_with(".local")
            || name.ends_with(".ts.net")
            || name.parse().is_ok_and(is_private);
        let same = authority.eq_ignore_ascii_case(&self.client.host);
        if (same && known_kind) || (loopback && self.client.is_local) {
            return Ok(());
        }
        Err(Refusal::Origin { missing: false })
    }

    fn evaluate_secret(&self, state: &mut State) -> Evaluated {
        let facts = self.inner.facts();
        let auth = &self.connect.auth;
        let (mode_is_token, offered) = match &state.auth {
            AuthMode::Token(_) if facts.secret_in_either_field => {
                (true, auth.token().or(auth.password()))
            }
            AuthMode::Token(_) => (true, auth.token()),
            AuthMode::Password(_) if facts.secret_in_either_field => {
                (false, auth.password().or(auth.token()))
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
    fn device_credential(&self) -> Option<(&str, bool)> {
        self.connect.device.as_ref()?;
        let auth = &self.connect.auth;
        let explicit = auth
            .device_token()
            .filter(|_| self.inner.facts().device_token_field);
        explicit
            .map(|token| (token, true))
            .or_else(|| auth.token().map(|token| (token, false)))
    }

    /// A refusal that comes before the device token had its turn still counts the wrong secret.
    fn settled(&self, state: &mut State, shared: &Evaluated, refusal: Refusal) -> Refused {
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
            then: None,
        }
    }

    fn is_local_backend(&self) -> bool {
        self.inner.facts().local_backend_unpaired
            && self.connect.client.is("gateway-client", "backend")
            && self.client.is_local
            && self.client.origin.is_none()
    }

    fn check_missing_device(&mut self, shared: &Evaluated) -> Result<(), Refusal> {
        if self.connect.device.is_some() {
            return Ok(());
        }
        let facts = self.inner.facts();
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

    fn check_proof(&self) -> Result<Option<DeviceKey>, DeviceFault> {
        let facts = self.inner.facts();
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
        let verified = match nonce.is_empty() {
            true => good(signed.v1()),
            false => (facts.signs_v3 && good(signed.v3())) || good(signed.v2()),
        };
        if !verified {
            return Err(DeviceFault::Signature);
        }
        if !key.is_usable() {
            return Err(DeviceFault::PublicKey);
        }
        Ok(Some(key))
    }

    fn unauthorized(&self, reason: AuthReason, retry_after_ms: Option<u64>) -> Refusal {
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
    fn decide(&self, state: &mut State, shared: &Evaluated) -> Result<Method, Refused> {
        if shared.ok {
            return Ok(Method::Shared);
        }
        let facts = self.inner.facts();
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
                let verified = self.inner.with_store(state, |store, now| {
                    store.verify(&device.id, token, wanted, now)
                });
                match verified {
                    Ok(()) => {
                        state.limiter.succeeded(Kind::DeviceToken, ip);
                        return Ok(Method::DeviceToken);
                    }
                    Err(TokenFault::Scopes) if facts.rate_limits => {
                        reason = AuthReason::ScopeMismatch
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

    fn ask(&self, key: &DeviceKey, silent: bool) -> Ask {
        let client = &self.connect.client;
        Ask {
            device_id: key.device_id(),
            public_key: key.base64url(),
            display_name: client.display_name.clone(),
            platform: Some(client.platform.clone()),
            device_family: client
                .device_family
                .clone()
                .filter(|_| self.inner.facts().pins_metadata),
            client_id: Some(client.id.clone()),
            client_mode: Some(client.mode.clone()),
            role: self.role.clone(),
            scopes: self.scopes.clone(),
            remote_ip: self.client.reported_ip.clone(),
            silent,
        }
    }

    /// Whether the device may have what it asks for. True when hello-ok may bring a device token.
    fn check_pairing(
        &self,
        state: &mut State,
        key: &DeviceKey,
        method: Method,
        secret_ok: bool,
    ) -> Result<bool, Refused> {
        let facts = self.inner.facts();
        let device_id = key.device_id();
        let own_key = key.base64url();
        let known = self
            .inner
            .with_store(state, |store, _| store.device(&device_id).cloned());
        let known = known.filter(|device| device.public_key == own_key);
        if self.is_local_backend() && (method == Method::DeviceToken || secret_ok) {
            if known.is_some() {
                self.note_seen(state, key);
            }
            return Ok(known.is_some());
        }
        let Some(known) = known else {
            self.require(state, key, method, PairingReason::NotPaired, None)?;
            self.note_seen(state, key);
            return Ok(true);
        };
        let client = &self.connect.client;
        let differs = |pinned: Option<&String>, claimed: Option<&str>| {
            let pinned = normalised(pinned.map_or("", String::as_str));
            !pinned.is_empty() && pinned != normalised(claimed.unwrap_or_default())
        };
        if facts.pins_metadata
            && !client.is_app_ui()
            && (differs(known.platform.as_ref(), Some(&client.platform))
                || differs(
                    known.device_family.as_ref(),
                    client.device_family.as_deref(),
                ))
        {
            self.require(
                state,
                key,
                method,
                PairingReason::MetadataUpgrade,
                Some(&known),
            )?;
        }
        let has_role = if facts.revoked_role_needs_approval {
            known.effective_roles().contains(&self.role.as_str())
        } else {
            known.roles.contains(&self.role)
        };
        if !has_role {
            self.require(state, key, method, PairingReason::RoleUpgrade, Some(&known))?;
        }
        if first_missing(&self.role, &self.scopes, &known.scopes, facts.scopes_imply).is_some() {
            self.require(
                state,
                key,
                method,
                PairingReason::ScopeUpgrade,
                Some(&known),
            )?;
        }
        self.note_seen(state, key);
        Ok(true)
    }

    fn note_seen(&self, state: &mut State, key: &DeviceKey) {
        let ask = self.ask(key, false);
        self.inner
            .with_store(state, |store, now| store.seen(&ask, now));
    }

    fn may_be_silent(
        &self,
        method: Method,
        reason: PairingReason,
        known: Option<&PairedDevice>,
    ) -> bool {
        if !self.client.is_local {
            return false;
        }
        if !self.inner.facts().pins_metadata {
            return true;
        }
        let browser = self.connect.client.is_control_ui() || self.connect.client.is_webchat();
        if self.client.origin.is_some() && !browser {
            return false;
        }
        if known.is_some() && self.role != "operator" {
            return false;
        }
        match reason {
            PairingReason::MetadataUpgrade => {
                self.client.origin.is_none() && self.connect.client.is_app_ui()
            }
            PairingReason::ScopeUpgrade => method == Method::Shared,
            PairingReason::NotPaired | PairingReason::RoleUpgrade => true,
        }
    }

    /// Asks for approval; `Ok` when it was given on the spot.
    fn require(
        &self,
        state: &mut State,
        key: &DeviceKey,
        method: Method,
        reason: PairingReason,
        known: Option<&PairedDevice>,
    ) -> Result<(), Refused> {
        let ask = self.ask(key, self.may_be_silent(method, reason, known));
        let asked = self
            .inner
            .with_store(state, |store, now| store.ask(&ask, now));
        for request_id in &asked.superseded {
            self.resolved(state, request_id, &ask.device_id, "rejected");
        }
        let request = asked.request;
        if request.silent {
            self.approve(state, &request, "silent");
            self.resolved(state, &request.request_id, &ask.device_id, "approved");
            let connected: Vec<String> = state
                .live()
                .filter_map(|(_, live)| live.device_id.clone())
                .collect();
            if self.inner.facts().tracks_approval {
                self.inner.with_store(state, |store, now| {
                    let is_connected = |id: &str| connected.iter().any(|known| known == id);
                    store.prune_silent_siblings(&ask.device_id, is_connected, now);
                });
            }
            return Ok(());
        }
        if asked.created {
            self.inner
                .broadcast(state, "device.pair.requested", &request.to_wire());
            self.inner.touched();
        }
        if self.inner.settings.pairing == Pairing::Auto {
            self.approve(state, &request, "owner");
            self.resolved(state, &request.request_id, &ask.device_id, "approved");
            return Ok(());
        }
        let refusals = state.refusals.entry(ask.device_id.clone()).or_default();
        *refusals += 1;
        let id = request.request_id.clone();
        let then = match self.inner.settings.pairing {
            Pairing::AfterTries(tries) if *refusals >= tries => {
                *refusals = 0;
                Some(Follow::ApproveAfter(id, Duration::ZERO))
            }
            Pairing::AfterDelay(delay) if asked.created => Some(Follow::ApproveAfter(id, delay)),
            Pairing::Reject => Some(Follow::Reject(id)),
            _ => None,
        };
        let refusal = self.pairing_refusal(&request, reason, known);
        Err(Refused {
            refusal: Refusal::Pairing(Box::new(refusal)),
            delay: Duration::ZERO,
            then,
        })
    }

    fn approve(&self, state: &mut State, request: &PendingRequest, via: &str) {
        let id = &request.request_id;
        // The request was made a moment ago, and nobody stands between it and the gateway itself.
        let _ = self
            .inner
            .with_store(state, |store, now| store.approve(id, None, via, now));
    }

    fn resolved(&self, state: &mut State, request_id: &str, device_id: &str, decision: &str) {
        let payload = json!({
            "requestId": request_id, "deviceId": device_id, "decision": decision, "ts": self.now,
        });
        self.inner
            .broadcast(state, "device.pair.resolved", &payload);
        self.inner.touched();
    }

    fn pairing_refusal(
        &self,
        request: &PendingRequest,
        reason: PairingReason,
        known: Option<&PairedDevice>,
    ) -> PairingRefusal {
        let checked_by_ssh = reason == PairingReason::NotPaired
            && request.roles == ["node"]
            && request.scopes.is_empty()
            && is_private(self.client.ip)
            && !self.client.is_local;
        PairingRefusal {
            reason,
            request_id: request.request_id.clone(),
            device_id: request.device_id.clone(),
            role: self.role.clone(),
            scopes: self.scopes.clone(),
            approved: known.map(|device| {
                (
                    device.roles.clone(),
                    scopes::normalised(&device.scopes, false),
                )
            }),
            wait_then_retry: checked_by_ssh,
        }
    }

    fn admitted(self, state: &mut State, method: Method, baseline: bool) -> Admitted {
        let facts = self.inner.facts();
        let device_id = self.connect.device.as_ref().map(|device| device.id.clone());
        let wanted = RoleScopes {
            role: &self.role,
            scopes: &self.scopes,
        };
        let token = device_id
            .as_deref()
            .filter(|_| baseline)
            .and_then(|device_id| {
                self.inner.with_store(state, |store, now| {
                    store.ensure_token(device_id, wanted, now)
                })
            });
        let operator = self.role == "operator";
        let auth = if facts.tracks_approval {
            let method_name = match method {
                Method::Shared => state.auth.name(),
                Method::DeviceToken => "device-token",
            };
            let scopes = scopes::merged([self.scopes.as_slice()]);
            let mut auth = json!({"method": method_name, "role": self.role, "scopes": scopes});
            let material = match (&token, method) {
                (Some(token), _) => json!(["device-token", token.expose()]),
                (None, Method::Shared) => {
                    json!(["shared-auth", state.auth.secret().expose(), device_id])
                }
                (None, Method::DeviceToken) => json!(["device", device_id]),
            };
            if operator {
                auth["recoveryScope"] = digest(&material.to_string()).into();
            }
            if let Some(token) = &token {
                if operator {
                    auth["recoveryMigrationAllowed"] = true.into();
                }
                auth["deviceToken"] = token.expose().into();
                auth["issuedAtMs"] = token.issued_at_ms().into();
            }
            Some(auth)
        } else {
            token.map(|token| {
                json!({
                    "deviceToken": token.expose(), "role": token.role, "scopes": token.scopes,
                    "issuedAtMs": token.issued_at_ms(),
                })
            })
        };
        let presence = self.presence_row(device_id.as_deref());
        Admitted {
            role: self.role,
            scopes: self.scopes,
            device_id,
            by_device_token: method == Method::DeviceToken,
            auth,
            presence,
        }
    }

    fn presence_row(&self, device_id: Option<&str>) -> Option<(String, Value)> {
        let client = &self.connect.client;
        let listed = if self.inner.facts().lists_backends_in_presence {
            client.mode != "cli"
        } else {
            !["backend", "cli", "probe"].contains(&client.mode.as_str())
        };
        if !listed {
            return None;
        }
        let host = client.display_name.as_deref().unwrap_or(&client.id);
        let instance = device_id.or(client.instance_id.as_deref());
        let mut row = json!({
            "host": host,
            "version": client.version,
            "platform": client.platform,
            "mode": client.mode,
            "roles": [self.role],
            "scopes": self.scopes,
            "reason": "connect",
            "ts": self.now,
            "text": format!("Node: {host} · mode {}", client.mode),
        });
        let optional = [
            ("ip", self.client.reported_ip.as_deref()),
            ("deviceFamily", client.device_family.as_deref()),
            ("deviceId", device_id),
            ("instanceId", instance),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                row[name] = value.into();
            }
        }
        let key = instance.map_or_else(|| self.nonce.to_owned(), str::to_owned);
        Some((key, row))
    }
}

fn digest(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}
