//! The checks that a connect goes through, in the order of the real gateways.

pub(crate) mod credentials;
pub(crate) mod device;
pub(crate) mod params;

use std::time::Duration;

use params::Connect;
use serde::Deserialize;
use serde_json::{Number, Value, json};
use sha2::{Digest as _, Sha256};

use crate::edition::refusal::Refusal;
use crate::engine::Engine;
use crate::engine::answer::AfterAnswer;
use crate::engine::state::State;
use crate::model::connection::Live;
use crate::model::pairing::scopes::{merged, operator_covers};
use crate::model::pairing::store::RoleScopes;
use crate::model::peer::{Client, host_name, is_private};

/// A connect that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) live: Live,
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
    /// The gateway's own decision on a new pairing request.
    pub(crate) after: Vec<AfterAnswer>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            delay: Duration::ZERO,
            after: Vec::new(),
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
    engine: &Engine,
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
    Handshake::new(engine, client, nonce, connect)?.run(state)
}

struct Handshake<'a> {
    engine: &'a Engine,
    client: &'a Client,
    nonce: &'a str,
    connect: Connect,
    role: String,
    scopes: Vec<String>,
    now: u64,
}

impl<'a> Handshake<'a> {
    fn new(
        engine: &'a Engine,
        client: &'a Client,
        nonce: &'a str,
        connect: Connect,
    ) -> Result<Self, Refusal> {
        let facts = engine.facts();
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
        let now = engine.clock.now_ms();
        Ok(Self {
            engine,
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
        let any = self.engine.facts().checks_every_origin && self.client.origin.is_some();
        if !browser && !any {
            return Ok(());
        }
        let Some(origin) = &self.client.origin else {
            return Err(Refusal::Origin { missing: true });
        };
        let Some(authority) = origin.split_once("://").map(|(_, rest)| rest) else {
            return Err(Refusal::Origin { missing: true });
        };
        let name = host_name(authority).to_ascii_lowercase();
        let name = name.as_str();
        let loopback = name == "localhost"
            || name
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let known_kind = loopback
            || name.rsplit('.').next() == Some("local")
            || name.ends_with(".ts.net")
            || name.parse().is_ok_and(is_private);
        let same = authority.eq_ignore_ascii_case(&self.client.host);
        if (same && known_kind) || (loopback && self.client.is_local) {
            return Ok(());
        }
        Err(Refusal::Origin { missing: false })
    }

    fn admitted(self, state: &mut State, method: Method, baseline: bool) -> Admitted {
        let facts = self.engine.facts();
        let device_id = self.connect.device.as_ref().map(|device| device.id.clone());
        let wanted = RoleScopes {
            role: &self.role,
            scopes: &self.scopes,
        };
        let token = device_id
            .as_deref()
            .filter(|_| baseline)
            .and_then(|device_id| {
                self.engine.with_store(state, |store, now| {
                    store.ensure_token(device_id, wanted, now)
                })
            });
        let operator = self.role == "operator";
        let auth = if facts.tracks_approval {
            let method_name = match method {
                Method::Shared => state.auth.name(),
                Method::DeviceToken => "device-token",
            };
            let scopes = merged([self.scopes.as_slice()]);
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
            live: Live {
                role: self.role,
                scopes: self.scopes,
                device_id,
                by_device_token: method == Method::DeviceToken,
                client_id: self.connect.client.id,
                client_mode: self.connect.client.mode,
                display_name: self.connect.client.display_name,
                caps: self.connect.caps,
                presence_key: presence.as_ref().map(|(key, _)| key.clone()),
            },
            auth,
            presence,
        }
    }

    fn presence_row(&self, device_id: Option<&str>) -> Option<(String, Value)> {
        let client = &self.connect.client;
        let listed = if self.engine.facts().lists_backends_in_presence {
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
