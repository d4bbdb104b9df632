//! Approvals as answers and events show them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::model::approvals::{Approval, End};

/// What 2026.2.9 keeps of a request.
const OLD: [&str; 8] = [
    "command",
    "cwd",
    "host",
    "security",
    "ask",
    "agentId",
    "resolvedPath",
    "sessionKey",
];
/// What 2026.9.6 keeps besides, as it is given.
const NEW: [&str; 8] = [
    "warningText",
    "scope",
    "sessionId",
    "runId",
    "toolCallId",
    "turnSourceChannel",
    "turnSourceTo",
    "turnSourceAccountId",
];

fn copied(params: &Value, names: &[&str], request: &mut Map<String, Value>) {
    for name in names {
        let value = params.get(*name).cloned().unwrap_or(Value::Null);
        request.insert((*name).to_owned(), value);
    }
}

/// The `request` of an approval, from the parameters of who asks.
pub(super) fn request(params: &Value, is_new: bool) -> Value {
    let mut request = Map::new();
    copied(params, &OLD, &mut request);
    if !is_new {
        return request.into();
    }
    copied(params, &NEW, &mut request);
    let own = [
        ("systemRunBinding", Value::Null),
        ("systemRunPlan", Value::Null),
        ("nodeId", Value::Null),
        ("turnSourceThreadId", Value::Null),
        ("cronExecutionSource", Value::Null),
        ("cronOperationBinding", Value::Null),
        (
            "commandAnalysis",
            json!({"commandCount": 1, "nestedCommandCount": 0, "riskKinds": [], "warningLines": []}),
        ),
        ("allowedDecisions", allowed(params)),
    ];
    request.extend(own.map(|(name, value)| (name.to_owned(), value)));
    if let Some(unavailable) = params.get("unavailableDecisions") {
        request.insert("unavailableDecisions".to_owned(), unavailable.clone());
    }
    request.into()
}

/// Measured on 2026.9.6: what has to be asked each time cannot be allowed for always.
fn allowed(params: &Value) -> Value {
    let unavailable = params["unavailableDecisions"]
        .as_array()
        .is_some_and(|list| list.iter().any(|decision| decision == "allow-always"));
    if params["ask"] == "always" || unavailable {
        json!(["allow-once", "deny"])
    } else {
        json!(["allow-once", "allow-always", "deny"])
    }
}

/// An item of `exec.approval.list`, and with the kind the event.
pub(super) fn requested(approval: &Approval, names_kind: bool) -> Value {
    let mut shown = json!({
        "id": approval.id, "request": approval.request,
        "createdAtMs": approval.created_at, "expiresAtMs": approval.expires_at,
    });
    if names_kind {
        shown["approvalKind"] = "exec".into();
    }
    shown
}

/// The event of an end.
pub(super) fn resolved(approval: &Approval, end: &End, shows_request: bool) -> Value {
    let mut shown = json!({
        "id": approval.id, "decision": end.decision.as_deref().unwrap_or("deny"),
        "resolvedBy": end.by, "ts": end.at,
    });
    if shows_request {
        shown["request"] = approval.request.clone();
    }
    shown
}

/// The answer to who asked.
pub(super) fn decision(approval: &Approval) -> Value {
    let end = approval.end.as_ref();
    json!({
        "id": approval.id, "decision": end.and_then(|end| end.decision.as_ref()),
        "createdAtMs": approval.created_at, "expiresAtMs": approval.expires_at,
    })
}

/// The answer to `exec.approval.waitDecision`.
pub(super) fn with_reason(approval: &Approval) -> Value {
    let mut shown = decision(approval);
    if let Some(end) = &approval.end {
        shown["terminalReason"] = end.reason.into();
    }
    shown
}

/// The answer of `exec.approval.get`.
pub(super) fn pending(approval: &Approval) -> Value {
    let request = &approval.request;
    json!({
        "id": approval.id, "commandText": request["command"], "commandPreview": null,
        "allowedDecisions": request["allowedDecisions"], "host": request["host"],
        "nodeId": request["nodeId"], "agentId": request["agentId"],
        "expiresAtMs": approval.expires_at,
    })
}

/// An approval as `approval.*` shows it.
pub(super) fn snapshot(approval: &Approval) -> Value {
    let request = &approval.request;
    let status = match &approval.end {
        None => "pending",
        Some(end) => match end.decision.as_deref() {
            None => "expired",
            Some("deny") => "denied",
            Some(_) => "allowed",
        },
    };
    let mut shown = json!({
        "id": approval.id,
        "status": status,
        "presentation": {
            "kind": "exec", "commandText": request["command"], "commandPreview": null,
            "warningText": request["warningText"], "host": request["host"],
            "nodeId": request["nodeId"], "agentId": request["agentId"],
            "allowedDecisions": request["allowedDecisions"],
        },
        "urlPath": format!("/approve/{}", approval.id),
        "createdAtMs": approval.created_at,
        "expiresAtMs": approval.expires_at,
    });
    let Some(end) = &approval.end else {
        return shown;
    };
    shown["resolvedAtMs"] = end.at.into();
    shown["reason"] = end.reason.into();
    if let Some(decision) = &end.decision {
        shown["decision"] = decision.as_str().into();
    }
    let mut source = Map::new();
    for name in ["agentId", "sessionKey"] {
        if let Some(value) = request.get(name).filter(|value| value.is_string()) {
            source.insert(name.to_owned(), value.clone());
        }
    }
    shown["source"] = source.into();
    shown["resolver"] = end.resolver.clone();
    shown
}

/// Returns where the next page of `approval.history` begins.
pub(super) fn cursor(approval: &Approval) -> String {
    let at = approval.end.as_ref().map(|end| end.at);
    let place = json!({"v": 1, "resolvedAtMs": at, "id": approval.id});
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// The approval after which a page begins.
pub(super) fn read_cursor(cursor: &str) -> Option<String> {
    let place = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let place: Value = serde_json::from_slice(&place).ok()?;
    Some(place["id"].as_str()?.to_owned())
}
