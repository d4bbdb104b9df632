//! Answers that describe the gateway itself.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::edition::answers::{SessionSummary, View};
use crate::edition::{self, Edition};
use crate::engine::Engine;
use crate::engine::state::State;
use crate::model::connection::Live;
use crate::model::device::hex;
use crate::model::sessions::SessionRecord;
use crate::wire::{ErrorShape, Reply};

/// Texts that wait to be told to the agent.
const MAX_QUEUED: usize = 20;

/// The sessions that there are, the latest first.
fn summaries(state: &State) -> Vec<SessionSummary> {
    let summary = |(key, book): (&str, &SessionRecord)| {
        let (input, output) = book.turns.tokens.unwrap_or_default();
        SessionSummary {
            key: key.to_owned(),
            session_id: book.id.clone(),
            updated_at: book.updated_at,
            input,
            output,
        }
    };
    state.books.latest().into_iter().map(summary).collect()
}

/// The payload of the `health` event, and with more of the method's answer.
pub(crate) fn health(engine: &Engine, state: &State) -> Value {
    let sessions = summaries(state);
    let view = View {
        now_ms: engine.clock.now_ms(),
        state_dir: &state.disk.shown_path(),
        sessions: &sessions,
    };
    edition::health(engine.edition(), &view)
}

fn status(engine: &Engine, state: &State, live: &Live) -> Value {
    let sessions = summaries(state);
    let view = View {
        now_ms: engine.clock.now_ms(),
        state_dir: &state.disk.shown_path(),
        sessions: &sessions,
    };
    let tasks = state.runs.count();
    edition::status(
        engine.edition(),
        &view,
        &state.queued,
        tasks,
        live.is_admin(),
    )
}

/// The answer of a method that only shows what is there.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    live: &Live,
    method: &str,
    params: &Value,
) -> Option<Reply> {
    let now = engine.clock.now_ms();
    let edition = engine.edition();
    let is_new = matches!(edition, Edition::V2026_9_6);
    Some(Ok(match method {
        "health" => {
            let mut health = health(engine, state);
            if is_new {
                health["modelRuntime"] = edition::model_runtime();
            }
            health
        }
        "status" => status(engine, state, live),
        "system-presence" => state.presence.list(now),
        "config.get" => config(engine, state),
        "gateway.identity.get" => identity(state),
        "tools.effective" => {
            let key = params["sessionKey"].as_str().unwrap_or_default();
            return Some(Err(ErrorShape::invalid(format!(
                "unknown session key {key:?}"
            ))));
        }
        "users.self" => {
            let text = "users.self requires an authenticated user";
            return Some(Err(ErrorShape::new("FORBIDDEN", text)));
        }
        _ => {
            let mut answer = edition::answer(edition, method)?;
            fill_in(engine, state, method, params, &mut answer);
            answer
        }
    }))
}

/// Puts what is so now into an answer that is the same otherwise.
fn fill_in(engine: &Engine, state: &mut State, method: &str, params: &Value, answer: &mut Value) {
    let now: Value = engine.clock.now_ms().into();
    let dir = state.disk.shown_path();
    match method {
        "node.list" | "channels.status" => answer["ts"] = now,
        "usage.status" | "usage.cost" | "sessions.usage" => answer["updatedAt"] = now,
        "logs.tail" => answer["file"] = format!("{dir}/openclaw.log").into(),
        "skills.status" => {
            answer["workspaceDir"] = format!("{dir}/workspace").into();
            answer["managedSkillsDir"] = format!("{dir}/skills").into();
        }
        "agents.list" => {
            if let Some(workspace) = answer.pointer_mut("/agents/0/workspace") {
                *workspace = format!("{dir}/workspace").into();
            }
        }
        // Measured on 2026.9.6.
        "models.list" if params["view"] == "configured" => {
            answer["defaultModels"] = json!({"automaticUtilityModel": null});
        }
        "system.info" => {
            answer["pid"] = std::process::id().into();
            answer["processInstanceId"] = state.boot_id.as_str().into();
            answer["uptimeMs"] = crate::model::clock::millis(state.started.elapsed()).into();
            answer["diskPath"] = dir.into();
        }
        "wake" | "system-event" => {
            if let Some(text) = params["text"]
                .as_str()
                .filter(|_| state.queued.len() < MAX_QUEUED)
            {
                state.queued.push(text.to_owned());
            }
        }
        _ => {}
    }
    if matches!(method, "channels.status" | "system.info") && engine.facts().open_health {
        answer["eventLoop"] = health(engine, state)["eventLoop"].clone();
    }
}

/// The gateway's own device, which lives as long as its process here.
fn identity(state: &State) -> Value {
    use base64::Engine as _;
    let public_key = Sha256::digest(&state.boot_id);
    let shown = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(public_key);
    json!({"deviceId": hex(&Sha256::digest(public_key)), "publicKey": shown})
}

/// The configuration as `config.get` shows it: with the secrets replaced.
fn config(engine: &Engine, state: &State) -> Value {
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
    let revision: Value = format!("hmac-sha256:v1:{}", state.boot_id).into();
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
    if engine.edition() == Edition::V2026_9_6 {
        for (name, value) in [
            ("includedPaths", json!([])),
            ("includeProvenance", json!([])),
            ("agentRosterIncludeOwned", false.into()),
            ("bindingsIncludeOwned", false.into()),
            ("sourceConfig", config.clone()),
            ("resolved", config.clone()),
            ("runtimeConfig", config),
            ("configRevisionHash", revision.clone()),
            ("appliedConfigHash", revision),
        ] {
            answer[name] = value;
        }
    }
    answer
}
