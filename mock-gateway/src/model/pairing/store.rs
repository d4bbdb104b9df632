//! The pairing store of both generations.

use serde_json::{Map, Value};

use crate::edition::{Edition, Facts};
use crate::model::pairing::records::{DeviceToken, PairedDevice, PendingRequest};
use crate::model::pairing::scopes::{first_missing, merged, normalised};

const PENDING_TTL_MS: u64 = 300_000;
const SIBLING_GRACE_MS: u64 = 60_000;

/// Everything that is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stored {
    pub(crate) pending: Vec<PendingRequest>,
    pub(crate) paired: Vec<PairedDevice>,
}

impl Stored {
    pub(crate) fn pending_file(&self) -> Value {
        by_key(&self.pending, |request| &request.request_id)
    }

    pub(crate) fn paired_file(&self) -> Value {
        by_key(&self.paired, |device| &device.device_id)
    }

    /// Reads both files; as in the old generation, a file that cannot be read counts as empty.
    pub(crate) fn from_files(pending: &Value, paired: &Value) -> Self {
        Self {
            pending: values(pending),
            paired: values(paired),
        }
    }
}

fn by_key<T: serde::Serialize>(items: &[T], key: impl Fn(&T) -> &String) -> Value {
    let member = |item: &T| (key(item).clone(), serde_json::json!(item));
    Value::Object(items.iter().map(member).collect::<Map<_, _>>())
}

fn values<T: serde::de::DeserializeOwned>(file: &Value) -> Vec<T> {
    let members = file.as_object().into_iter().flat_map(Map::values);
    members
        .filter_map(|value| serde_json::from_value(value.clone()).ok())
        .collect()
}

/// What a device asks for when it connects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) device_id: String,
    pub(crate) public_key: String,
    pub(crate) display_name: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) device_family: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_mode: Option<String>,
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) remote_ip: Option<String>,
    pub(crate) silent: bool,
}

/// What became of an ask.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: PendingRequest,
    pub(crate) created: bool,
    /// Requests that this one replaced.
    pub(crate) superseded: Vec<String>,
}

/// Why a device token is not good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenFault {
    Unknown,
    Scopes,
}

/// Why a change was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Unknown,
    /// The caller lacks this scope.
    Missing(String),
    /// No requested role has this scope.
    OutsideRoles(String),
    /// Beyond what was approved.
    OutsideApproval,
}

/// The role and the scopes that a token is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleScopes<'a> {
    pub(crate) role: &'a str,
    pub(crate) scopes: &'a [String],
}

#[derive(Debug)]
pub(crate) struct PairingStore {
    pub(super) facts: &'static Facts,
    stored: Stored,
    /// Something changed since it was last written.
    dirty: bool,
}

impl PairingStore {
    pub(crate) fn new(edition: Edition, stored: Stored) -> Self {
        Self {
            facts: edition.facts(),
            stored,
            dirty: false,
        }
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }

    pub(crate) fn replace(&mut self, stored: Stored) {
        self.stored = stored;
    }

    /// Returns whether there is something to write, for the last time.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Requests end without an event; whoever looks next no longer sees them.
    pub(crate) fn prune(&mut self, now: u64) {
        let before = self.stored.pending.len();
        self.stored.pending.retain(|request| {
            now.saturating_sub(request.refreshed_at_ms.unwrap_or(request.ts)) <= PENDING_TTL_MS
        });
        self.dirty |= self.stored.pending.len() != before;
    }

    /// Newest first.
    pub(crate) fn pending(&self) -> Vec<PendingRequest> {
        let mut pending = self.stored.pending.clone();
        pending.sort_by_key(|request| std::cmp::Reverse(request.ts));
        pending
    }

    /// Latest approval first.
    pub(crate) fn paired(&self) -> Vec<PairedDevice> {
        let mut paired = self.stored.paired.clone();
        paired.sort_by_key(|device| std::cmp::Reverse(device.approved_at_ms));
        paired
    }

    pub(crate) fn request(&self, request_id: &str) -> Option<&PendingRequest> {
        self.stored
            .pending
            .iter()
            .find(|request| request.request_id == request_id)
    }

    pub(crate) fn device(&self, device_id: &str) -> Option<&PairedDevice> {
        self.stored
            .paired
            .iter()
            .find(|device| device.device_id == device_id)
    }

    pub(super) fn device_mut(&mut self, device_id: &str) -> Option<&mut PairedDevice> {
        self.dirty = true;
        self.stored
            .paired
            .iter_mut()
            .find(|device| device.device_id == device_id)
    }

    /// Makes, keeps, refreshes or replaces the pending request of a device.
    pub(crate) fn ask(&mut self, ask: &Ask, now: u64) -> Asked {
        self.dirty = true;
        let is_repair = self.device(&ask.device_id).is_some();
        let of_device = |request: &PendingRequest| request.device_id == ask.device_id;
        let known: Vec<PendingRequest> = self
            .pending()
            .into_iter()
            .filter(|request| of_device(request))
            .collect();
        if let [only] = known.as_slice()
            && (!self.facts.supersedes_pending || self.covers(only, ask))
        {
            let request = self.keep(&only.request_id, ask, is_repair, now);
            return Asked {
                request,
                created: false,
                superseded: Vec::new(),
            };
        }
        let own = [std::slice::from_ref(&ask.role)];
        let roles = known
            .iter()
            .map(|request| request.roles.as_slice())
            .chain(own);
        let scopes = known.iter().map(|request| request.scopes.as_slice());
        let request = PendingRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            device_id: ask.device_id.clone(),
            public_key: ask.public_key.clone(),
            display_name: ask.display_name.clone(),
            platform: ask.platform.clone(),
            device_family: ask.device_family.clone(),
            client_id: ask.client_id.clone(),
            client_mode: ask.client_mode.clone(),
            role: ask.role.clone(),
            roles: merged(roles),
            scopes: merged(scopes.chain([ask.scopes.as_slice()])),
            remote_ip: ask.remote_ip.clone(),
            silent: ask.silent && known.iter().all(|request| request.silent),
            is_repair,
            ts: now,
            refreshed_at_ms: None,
        };
        self.stored.pending.retain(|request| !of_device(request));
        self.stored.pending.push(request.clone());
        let superseded = known
            .into_iter()
            .map(|request| request.request_id)
            .collect();
        Asked {
            request,
            created: true,
            superseded,
        }
    }

    fn covers(&self, known: &PendingRequest, ask: &Ask) -> bool {
        known.public_key == ask.public_key
            && known.role == ask.role
            && known.roles.contains(&ask.role)
            && ask.scopes.iter().all(|scope| {
                let one = std::slice::from_ref(scope);
                let imply = self.facts.scopes_imply;
                known.scopes.contains(scope)
                    || first_missing(&ask.role, one, &known.scopes, imply).is_none()
            })
    }

    fn keep(&mut self, id: &str, ask: &Ask, is_repair: bool, now: u64) -> PendingRequest {
        let supersedes = self.facts.supersedes_pending;
        let Some(known) = self
            .stored
            .pending
            .iter_mut()
            .find(|known| known.request_id == id)
        else {
            return PendingRequest::default();
        };
        if supersedes {
            let refresh = |old: &mut Option<String>, new: &Option<String>| {
                if new.is_some() {
                    old.clone_from(new);
                }
            };
            refresh(&mut known.display_name, &ask.display_name);
            refresh(&mut known.platform, &ask.platform);
            refresh(&mut known.device_family, &ask.device_family);
            refresh(&mut known.client_id, &ask.client_id);
            refresh(&mut known.client_mode, &ask.client_mode);
            refresh(&mut known.remote_ip, &ask.remote_ip);
            known.silent &= ask.silent;
            known.is_repair |= is_repair;
            known.refreshed_at_ms = Some(now);
        }
        known.clone()
    }

    /// Approves a request. `caller` are the scopes of whoever approves; `None` is the gateway itself.
    pub(crate) fn approve(
        &mut self,
        request_id: &str,
        caller: Option<&[String]>,
        via: &str,
        now: u64,
    ) -> Result<PairedDevice, Change> {
        let pending = self.request(request_id).ok_or(Change::Unknown)?.clone();
        let existing = self.device(&pending.device_id).cloned();
        let facts = self.facts;
        let role_list = std::slice::from_ref(&pending.role);
        let token_roles = if facts.supersedes_pending {
            merged([&pending.roles[..], role_list])
        } else {
            role_list.to_vec()
        };
        if facts.guards_device_rpcs
            && let Some(scope) = outside_roles(&token_roles, &pending.scopes)
        {
            return Err(Change::OutsideRoles(scope.to_owned()));
        }
        let old = existing.clone().unwrap_or_default();
        let mut tokens = old.tokens.clone();
        for role in &token_roles {
            let known = old.tokens.get(role);
            let scopes = self.approved_token_scopes(role, &pending, &old, known);
            if let Some(held) = caller.filter(|_| facts.guards_device_rpcs && role == "operator") {
                let asked = merged([&own_scopes(role, &pending.scopes)[..], &scopes]);
                if let Some(scope) = first_missing(role, &asked, held, true) {
                    return Err(Change::Missing(scope.to_owned()));
                }
            }
            tokens.insert(role.clone(), self.minted(role, scopes, known, now));
        }
        let known_via = old.approved_via.clone().filter(|via| via != "silent");
        let device = PairedDevice {
            device_id: pending.device_id.clone(),
            public_key: pending.public_key.clone(),
            display_name: pending.display_name.clone(),
            operator_label: old.operator_label,
            platform: pending.platform.clone(),
            device_family: pending.device_family.clone(),
            client_id: pending.client_id.clone(),
            client_mode: pending.client_mode.clone(),
            role: pending.role.clone(),
            roles: merged([&old.roles[..], &pending.roles, role_list]),
            scopes: merged([&old.scopes[..], &pending.scopes]),
            remote_ip: pending.remote_ip.clone(),
            tokens,
            approved_via: facts.tracks_approval.then(|| match via {
                "owner" => via.to_owned(),
                via => known_via.unwrap_or_else(|| via.to_owned()),
            }),
            created_at_ms: existing.as_ref().map_or(now, |device| device.created_at_ms),
            approved_at_ms: now,
            last_seen_at_ms: old.last_seen_at_ms,
            last_seen_reason: old.last_seen_reason,
        };
        self.dirty = true;
        self.stored
            .pending
            .retain(|request| request.request_id != request_id);
        self.stored
            .paired
            .retain(|known| known.device_id != device.device_id);
        self.stored.paired.push(device.clone());
        Ok(device)
    }

    /// The scopes of the token that an approval mints.
    fn approved_token_scopes(
        &self,
        role: &str,
        pending: &PendingRequest,
        old: &PairedDevice,
        known: Option<&DeviceToken>,
    ) -> Vec<String> {
        if !self.facts.supersedes_pending {
            return normalised(&pending.scopes, false);
        }
        let asked = own_scopes(role, &normalised(&pending.scopes, true));
        let Some(known) = known else {
            return if asked.is_empty() {
                own_scopes(
                    role,
                    &normalised(&merged([&old.scopes[..], &pending.scopes]), true),
                )
            } else {
                asked
            };
        };
        let baseline = normalised(&old.scopes, true);
        let fresh: Vec<String> = asked
            .into_iter()
            .filter(|scope| baseline.is_empty() || !baseline.contains(scope))
            .collect();
        own_scopes(
            role,
            &normalised(&merged([&known.scopes[..], &fresh]), true),
        )
    }

    pub(crate) fn reject(&mut self, request_id: &str) -> Option<PendingRequest> {
        let at = self
            .stored
            .pending
            .iter()
            .position(|known| known.request_id == request_id)?;
        self.dirty = true;
        Some(self.stored.pending.remove(at))
    }

    pub(crate) fn remove(&mut self, device_id: &str) -> bool {
        if self.device(device_id).is_none() {
            return false;
        }
        self.dirty = true;
        self.stored
            .paired
            .retain(|device| device.device_id != device_id);
        self.stored
            .pending
            .retain(|request| request.device_id != device_id);
        true
    }

    pub(crate) fn rename(&mut self, device_id: &str, label: &str) -> bool {
        let Some(device) = self.device_mut(device_id) else {
            return false;
        };
        device.operator_label = Some(label.to_owned());
        true
    }

    /// Notes an accepted connect in the record.
    pub(crate) fn seen(&mut self, ask: &Ask, now: u64) {
        let tracks = self.facts.tracks_approval;
        let Some(device) = self.device_mut(&ask.device_id) else {
            return;
        };
        if tracks {
            device.display_name.clone_from(&ask.display_name);
            device.remote_ip.clone_from(&ask.remote_ip);
            device.last_seen_at_ms = Some(now);
            device.last_seen_reason = Some("connect".into());
            return;
        }
        device.display_name.clone_from(&ask.display_name);
        device.platform.clone_from(&ask.platform);
        device.client_id.clone_from(&ask.client_id);
        device.client_mode.clone_from(&ask.client_mode);
        device.remote_ip.clone_from(&ask.remote_ip);
        device.role.clone_from(&ask.role);
        device.roles = merged([&device.roles[..], std::slice::from_ref(&ask.role)]);
        device.scopes = merged([&device.scopes[..], &ask.scopes]);
    }

    /// Drops older silently approved records of the same client; measured on 2026.9.6.
    pub(crate) fn prune_silent_siblings(
        &mut self,
        device_id: &str,
        is_connected: impl Fn(&str) -> bool,
        now: u64,
    ) {
        let Some(anchor) = self.device(device_id).cloned() else {
            return;
        };
        let key = |device: &PairedDevice| {
            [&device.client_id, &device.client_mode, &device.display_name]
                .map(|part| part.as_deref().unwrap_or_default().trim().to_lowercase())
        };
        let silent = |device: &PairedDevice| device.approved_via.as_deref() == Some("silent");
        if !silent(&anchor) || key(&anchor).iter().all(String::is_empty) {
            return;
        }
        let doomed: Vec<String> = self
            .stored
            .paired
            .iter()
            .filter(|device| {
                device.device_id != device_id
                    && silent(device)
                    && key(device) == key(&anchor)
                    && now.saturating_sub(device.approved_at_ms) >= SIBLING_GRACE_MS
                    && !is_connected(&device.device_id)
            })
            .map(|device| device.device_id.clone())
            .collect();
        for device_id in doomed {
            self.remove(&device_id);
        }
    }
}

/// An operator's scopes begin with `operator.`; every other role has the rest.
fn own_scopes(role: &str, scopes: &[String]) -> Vec<String> {
    let operator = role == "operator";
    scopes
        .iter()
        .filter(|scope| scope.starts_with("operator.") == operator)
        .cloned()
        .collect()
}

fn outside_roles<'a>(roles: &[String], scopes: &'a [String]) -> Option<&'a str> {
    scopes.iter().map(String::as_str).find(|scope| {
        !roles.iter().any(|role| {
            scope
                .strip_prefix(role.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        })
    })
}
