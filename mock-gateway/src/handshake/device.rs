//! Pairing: whether the device may have what it asks for.

use std::time::Duration;

use serde_json::json;

use crate::edition::refusal::{PairingReason, PairingRefusal, Refusal};
use crate::engine::answer::AfterAnswer;
use crate::engine::state::State;
use crate::handshake::{Handshake, Method, Refused};
use crate::model::device::{DeviceKey, normalised};
use crate::model::pairing::records::{PairedDevice, PendingRequest};
use crate::model::pairing::scopes::{self, first_missing};
use crate::model::pairing::store::Ask;
use crate::model::peer::is_private;
use crate::model::settings::Pairing;

impl Handshake<'_> {
    pub(super) fn is_local_backend(&self) -> bool {
        self.engine.facts().local_backend_unpaired
            && self.connect.client.is("gateway-client", "backend")
            && self.client.is_local
            && self.client.origin.is_none()
    }

    pub(super) fn ask(&self, key: &DeviceKey, silent: bool) -> Ask {
        let client = &self.connect.client;
        Ask {
            device_id: key.device_id(),
            public_key: key.base64url(),
            display_name: client.display_name.clone(),
            platform: Some(client.platform.clone()),
            device_family: client
                .device_family
                .clone()
                .filter(|_| self.engine.facts().pins_metadata),
            client_id: Some(client.id.clone()),
            client_mode: Some(client.mode.clone()),
            role: self.role.clone(),
            scopes: self.scopes.clone(),
            remote_ip: self.client.reported_ip.clone(),
            silent,
        }
    }

    /// Returns whether the device may have what it asks for. True when hello-ok may bring a device token.
    pub(super) fn check_pairing(
        &self,
        state: &mut State,
        key: &DeviceKey,
        method: Method,
        secret_ok: bool,
    ) -> Result<bool, Refused> {
        let facts = self.engine.facts();
        let device_id = key.device_id();
        let own_key = key.base64url();
        let known = self
            .engine
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

    pub(super) fn note_seen(&self, state: &mut State, key: &DeviceKey) {
        let ask = self.ask(key, false);
        self.engine
            .with_store(state, |store, now| store.seen(&ask, now));
    }

    pub(super) fn may_be_silent(
        &self,
        method: Method,
        reason: PairingReason,
        known: Option<&PairedDevice>,
    ) -> bool {
        if !self.client.is_local {
            return false;
        }
        if !self.engine.facts().pins_metadata {
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
    pub(super) fn require(
        &self,
        state: &mut State,
        key: &DeviceKey,
        method: Method,
        reason: PairingReason,
        known: Option<&PairedDevice>,
    ) -> Result<(), Refused> {
        let ask = self.ask(key, self.may_be_silent(method, reason, known));
        let asked = self
            .engine
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
            if self.engine.facts().tracks_approval {
                self.engine.with_store(state, |store, now| {
                    let is_connected = |id: &str| connected.iter().any(|known| known == id);
                    store.prune_silent_siblings(&ask.device_id, is_connected, now);
                });
            }
            return Ok(());
        }
        if asked.created {
            self.engine
                .broadcast(state, "device.pair.requested", &request.to_wire());
            self.engine.touched();
        }
        if self.engine.settings.pairing == Pairing::Auto {
            self.approve(state, &request, "owner");
            self.resolved(state, &request.request_id, &ask.device_id, "approved");
            return Ok(());
        }
        let refusals = state.refusals.entry(ask.device_id.clone()).or_default();
        *refusals += 1;
        let id = request.request_id.clone();
        let after = match self.engine.settings.pairing {
            Pairing::AfterTries(tries) if *refusals >= tries => {
                *refusals = 0;
                Some(AfterAnswer::ApproveDevice(id, Duration::ZERO))
            }
            Pairing::AfterDelay(delay) if asked.created => {
                Some(AfterAnswer::ApproveDevice(id, delay))
            }
            Pairing::Reject => Some(AfterAnswer::RejectDevice(id)),
            _ => None,
        };
        let refusal = self.pairing_refusal(&request, reason, known);
        Err(Refused {
            refusal: Refusal::Pairing(Box::new(refusal)),
            delay: Duration::ZERO,
            after: after.into_iter().collect(),
        })
    }

    pub(super) fn approve(&self, state: &mut State, request: &PendingRequest, via: &str) {
        let id = &request.request_id;
        // The request was made a moment ago, and nobody stands between it and the gateway itself.
        let _ = self
            .engine
            .with_store(state, |store, now| store.approve(id, None, via, now));
    }

    pub(super) fn resolved(
        &self,
        state: &mut State,
        request_id: &str,
        device_id: &str,
        decision: &str,
    ) {
        let payload = json!({
            "requestId": request_id, "deviceId": device_id, "decision": decision, "ts": self.now,
        });
        self.engine
            .broadcast(state, "device.pair.resolved", &payload);
        self.engine.touched();
    }

    pub(super) fn pairing_refusal(
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
}
