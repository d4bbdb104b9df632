//! `device.pair.*` and `device.token.*`, for RPCs and for the mock's own operator verbs alike.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer};
use crate::engine::state::State;
use crate::model::connection::Live;
use crate::model::pairing::store::Change;
use crate::wire::{ErrorShape, Reply};

pub(crate) const OPERATOR: &str = "operator";

/// The rights of a caller, where the edition looks at them.
struct Rights<'a> {
    /// Set for a caller that logged in by device token and is no admin: its own device.
    bound_to: Option<&'a str>,
    scopes: Option<&'a [String]>,
    admin: bool,
}

fn rights<'a>(engine: &Engine, caller: Option<&'a Live>) -> Rights<'a> {
    let Some(live) = caller.filter(|_| engine.facts().guards_device_rpcs) else {
        return Rights {
            bound_to: None,
            scopes: None,
            admin: true,
        };
    };
    let admin = live.is_admin();
    let own = live
        .device_id
        .as_deref()
        .filter(|_| live.by_device_token && !admin);
    Rights {
        bound_to: own,
        scopes: Some(&live.scopes),
        admin,
    }
}

impl Rights<'_> {
    fn may_touch(&self, device_id: &str) -> bool {
        self.bound_to.is_none_or(|own| own == device_id)
    }
}

fn refused(message: &str) -> Reply {
    Err(ErrorShape::invalid(message))
}

fn refused_now(message: &str) -> Answer {
    refused(message).into()
}

/// Tells operators how a request ended.
fn resolved(engine: &Engine, state: &mut State, request_id: &str, device_id: &str, decision: &str) {
    let ts = engine.clock.now_ms();
    let payload =
        json!({"requestId": request_id, "deviceId": device_id, "decision": decision, "ts": ts});
    engine.broadcast(state, "device.pair.resolved", &payload);
    engine.touched();
}

pub(crate) fn list(engine: &Engine, state: &mut State, live: &Live) -> Value {
    let rights = rights(engine, Some(live));
    let (pending, paired) = engine.with_store(state, |store, _| (store.pending(), store.paired()));
    let pending: Vec<Value> = pending
        .iter()
        .filter(|request| rights.may_touch(&request.device_id))
        .map(crate::model::pairing::records::PendingRequest::to_wire)
        .collect();
    let shows_connected = engine.facts().tracks_approval;
    let paired: Vec<Value> = paired
        .iter()
        .filter(|device| rights.may_touch(&device.device_id))
        .map(|device| {
            device.to_wire(shows_connected.then(|| state.is_connected(&device.device_id)))
        })
        .collect();
    json!({"pending": pending, "paired": paired})
}

pub(crate) fn approve(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    request_id: &str,
) -> Reply {
    const DENIED: &str = "device pairing approval denied";
    let rights = rights(engine, caller);
    if !rights.admin {
        let pending = engine.with_store(state, |store, _| store.request(request_id).cloned());
        let Some(pending) = pending else {
            return refused(DENIED);
        };
        let other_role = pending.roles.iter().any(|role| role != OPERATOR);
        if !rights.may_touch(&pending.device_id) || other_role || pending.role != OPERATOR {
            return refused(DENIED);
        }
    }
    let approved = engine.with_store(state, |store, now| {
        store.approve(request_id, rights.scopes, "owner", now)
    });
    match approved {
        Ok(device) => {
            state.refusals.remove(&device.device_id);
            resolved(engine, state, request_id, &device.device_id, "approved");
            Ok(json!({"requestId": request_id, "device": device.to_wire(None)}))
        }
        Err(Change::Missing(scope)) => refused(&format!("missing scope: {scope}")),
        Err(Change::OutsideRoles(scope)) => {
            refused(&format!("invalid scope for requested roles: {scope}"))
        }
        Err(Change::Unknown | Change::OutsideApproval) => refused("unknown requestId"),
    }
}

pub(crate) fn reject(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    request_id: &str,
) -> Reply {
    let rights = rights(engine, caller);
    if rights.bound_to.is_some() {
        let pending = engine.with_store(state, |store, _| store.request(request_id).cloned());
        if !pending.is_some_and(|request| rights.may_touch(&request.device_id)) {
            return refused("device pairing rejection denied");
        }
    }
    let Some(request) = engine.with_store(state, |store, _| store.reject(request_id)) else {
        return refused("unknown requestId");
    };
    resolved(engine, state, request_id, &request.device_id, "rejected");
    Ok(json!({"requestId": request_id, "deviceId": request.device_id}))
}

/// Returns whether a caller that is bound to its own device may manage it: not if it has other roles.
fn may_manage(engine: &Engine, state: &mut State, rights: &Rights<'_>, device_id: &str) -> bool {
    if !rights.may_touch(device_id) {
        return false;
    }
    rights.bound_to.is_none()
        || !engine
            .with_store(state, |store, _| store.device(device_id).cloned())
            .is_some_and(|device| device.has_other_role_than_operator())
}

pub(crate) fn remove(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    device_id: &str,
) -> Answer {
    let rights = rights(engine, caller);
    if !may_manage(engine, state, &rights, device_id) {
        return refused_now("device pairing removal denied");
    }
    if !engine.with_store(state, |store, _| store.remove(device_id)) {
        return refused_now("unknown deviceId");
    }
    engine.touched();
    closing(Ok(json!({"deviceId": device_id})), engine, device_id, None)
}

/// An answer that closes the device's connections, where the edition does.
fn closing(reply: Reply, engine: &Engine, device_id: &str, role: Option<&str>) -> Answer {
    let answer = Answer::from(reply);
    if !engine.facts().closes_live_sessions {
        return answer;
    }
    answer.then(AfterAnswer::CloseDevice {
        device_id: device_id.to_owned(),
        role: role.map(str::to_owned),
    })
}

pub(crate) fn rename(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    device_id: &str,
    label: &str,
) -> Reply {
    let label = label.trim();
    if label.is_empty() {
        return refused("label required");
    }
    let rights = rights(engine, caller);
    if !may_manage(engine, state, &rights, device_id.trim()) {
        return refused("device pairing rename denied");
    }
    if !engine.with_store(state, |store, _| store.rename(device_id.trim(), label)) {
        return refused("unknown deviceId");
    }
    engine.broadcast(state, "device.pair.changed", &json!({}));
    engine.touched();
    Ok(json!({"deviceId": device_id, "label": label}))
}

pub(crate) fn rotate(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    device_id: &str,
    role: &str,
    scopes: Option<&[String]>,
) -> Answer {
    let facts = engine.facts();
    let denied = if facts.guards_device_rpcs {
        "device token rotation denied"
    } else {
        "unknown deviceId/role"
    };
    let rights = rights(engine, caller);
    if !rights.may_touch(device_id) || (role != OPERATOR && !rights.admin) {
        return refused_now(denied);
    }
    let rotated = engine.with_store(state, |store, now| {
        store.rotate(device_id, role, scopes, rights.scopes, now)
    });
    let Ok(token) = rotated else {
        return refused_now(denied);
    };
    let own = caller
        .is_some_and(|live| live.by_device_token && live.device_id.as_deref() == Some(device_id));
    let mut answer = json!({
        "deviceId": device_id, "role": role, "scopes": token.scopes,
        "rotatedAtMs": token.issued_at_ms(),
    });
    if !facts.withholds_rotated_token || own {
        answer["token"] = token.expose().into();
    }
    if facts.withholds_rotated_token {
        answer["tokenDelivery"] = if own {
            "in-band"
        } else {
            "withheld-cross-device"
        }
        .into();
    }
    closing(Ok(answer), engine, device_id, Some(role))
}

pub(crate) fn revoke(
    engine: &Engine,
    state: &mut State,
    caller: Option<&Live>,
    device_id: &str,
    role: &str,
) -> Answer {
    let denied = if engine.facts().guards_device_rpcs {
        "device token revocation denied"
    } else {
        "unknown deviceId/role"
    };
    let rights = rights(engine, caller);
    if !rights.may_touch(device_id) || (role != OPERATOR && !rights.admin) {
        return refused_now(denied);
    }
    let revoked = engine.with_store(state, |store, now| {
        store.revoke(device_id, role, rights.scopes, now)
    });
    let Ok(at) = revoked else {
        return refused_now(denied);
    };
    let answer = json!({"deviceId": device_id, "role": role, "revokedAtMs": at});
    closing(Ok(answer), engine, device_id, Some(role))
}
