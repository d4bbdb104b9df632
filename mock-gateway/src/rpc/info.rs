//! Answers that describe an idle gateway: no channels, no sessions, no models.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::device::hex;
use crate::edition::{Edition, health, status};
use crate::state::{Inner, State};
use crate::wire::Reply;

/// The answer of a method that only shows what is there.
pub(crate) fn answer(inner: &Inner, state: &mut State, method: &str) -> Option<Reply> {
    let now = inner.clock.now_ms();
    let edition = inner.edition();
    let state_dir = state.disk.shown_path();
    Some(Ok(match method {
        "health" => health(edition, now, &state_dir),
        "status" => status(edition, now, &state_dir),
        "system-presence" => state.presence.list(now),
        "config.get" => config(inner, state),
        "last-heartbeat" => Value::Null,
        "agents.list" => json!({
            "defaultId": "main", "mainKey": "main", "scope": "per-sender", "agents": [{"id": "main"}],
        }),
        "models.list" => json!({"models": []}),
        "node.list" => json!({"ts": now, "nodes": []}),
        "usage.status" => json!({"updatedAt": now, "providers": []}),
        "channels.status" => json!({
            "ts": now, "channelOrder": [], "channelLabels": {}, "channelDetailLabels": {},
            "channelSystemImages": {}, "channelMeta": [], "channels": {}, "channelAccounts": {},
            "channelDefaultAccountId": {},
        }),
        "gateway.identity.get" => json!({"gatewayId": state.boot_id}),
        _ => return None,
    }))
}

/// The configuration as `config.get` shows it: with the secrets replaced.
fn config(inner: &Inner, state: &State) -> Value {
    const REDACTED: &str = "__OPENCLAW_REDACTED__";
    let mut config = state.disk.config();
    if let Some(gateway) = config.get_mut("gateway").and_then(Value::as_object_mut) {
        for part in ["auth", "remote"] {
            for field in ["token", "password"] {
                if let Some(value) = gateway.get_mut(part).and_then(|part| part.get_mut(field)) {
                    *value = REDACTED.into();
                }
            }
        }
    }
    let raw = serde_json::to_string_pretty(&config).unwrap_or_default();
    let hash = hex(&Sha256::digest(&raw));
    let mut answer = json!({
        "path": format!("{}/openclaw.json", state.disk.shown_path()),
        "exists": true,
        "raw": raw,
        "parsed": config,
        "valid": true,
        "config": config,
        "hash": hash,
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
    });
    if inner.edition() == Edition::V2026_9_6 {
        for (name, value) in [
            ("includedPaths", json!([])),
            ("includeProvenance", json!([])),
            ("agentRosterIncludeOwned", false.into()),
            ("bindingsIncludeOwned", false.into()),
            ("sourceConfig", config.clone()),
            ("resolved", config.clone()),
            ("runtimeConfig", config),
        ] {
            answer[name] = value;
        }
    }
    answer
}
