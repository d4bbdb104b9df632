//! hello-ok.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::edition::{Edition, methods};

static OLD: LazyLock<Value> = LazyLock::new(|| parse(include_str!("data/2026.2.9.hello.json")));
static NEW: LazyLock<Value> = LazyLock::new(|| parse(include_str!("data/2026.9.6.hello.json")));

fn parse(text: &str) -> Value {
    // The files are part of the crate; a test reads both.
    serde_json::from_str(text).unwrap_or_default()
}

fn data(edition: Edition) -> &'static Value {
    match edition {
        Edition::V2026_2_9 => &OLD,
        Edition::V2026_9_6 => &NEW,
    }
}

/// What hello-ok says that is not the same for everybody.
#[derive(Debug)]
pub(crate) struct HelloContext<'a> {
    pub(crate) conn_id: &'a str,
    pub(crate) boot_id: &'a str,
    pub(crate) host_name: &'a str,
    /// `host:port` under which the client reached the gateway.
    pub(crate) authority: &'a str,
    pub(crate) role: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) auth: Option<Value>,
    pub(crate) auth_mode: &'a str,
    pub(crate) presence: Value,
    pub(crate) state_version: Value,
    pub(crate) config_hash: &'a str,
    pub(crate) state_dir: &'a str,
    pub(crate) uptime_ms: u64,
    pub(crate) now_ms: u64,
    pub(crate) tick_ms: u64,
}

/// The payload of the response to a connect that was accepted.
pub(crate) fn hello_ok(edition: Edition, context: &HelloContext<'_>) -> Value {
    match edition {
        Edition::V2026_2_9 => hello_old(edition, context),
        Edition::V2026_9_6 => hello_new(edition, context),
    }
}

fn hello_old(edition: Edition, context: &HelloContext<'_>) -> Value {
    let facts = edition.facts();
    let mut hello = json!({
        "type": "hello-ok",
        "protocol": facts.protocol,
        "server": {"version": "dev", "host": context.host_name, "connId": context.conn_id},
        "features": {"methods": methods::advertised(edition), "events": data(edition)["events"]},
        "snapshot": {
            "presence": context.presence,
            "health": health(edition, context.now_ms, context.state_dir),
            "stateVersion": context.state_version,
            "uptimeMs": context.uptime_ms,
            "configPath": format!("{}/openclaw.json", context.state_dir),
            "stateDir": context.state_dir,
            "sessionDefaults": session_defaults(edition),
        },
        "canvasHostUrl": format!("http://{}", context.authority),
        "policy": {
            "maxPayload": facts.max_payload,
            "maxBufferedBytes": facts.max_buffered,
            "tickIntervalMs": context.tick_ms,
        },
    });
    if let Some(auth) = &context.auth {
        hello["auth"] = auth.clone();
    }
    hello
}

fn hello_new(edition: Edition, context: &HelloContext<'_>) -> Value {
    let facts = edition.facts();
    let data = data(edition);
    let has = |scope: &str| context.scopes.iter().any(|held| held == scope);
    let admin = has("operator.admin");
    let reads =
        context.role == "operator" && (admin || has("operator.read") || has("operator.write"));
    let mut snapshot = json!({
        "suspension": {"phase": "accepting"},
        "presence": context.presence,
        "health": if reads { health(edition, context.now_ms, context.state_dir) } else { json!({}) },
        "stateVersion": context.state_version,
        "uptimeMs": context.uptime_ms,
        "appliedConfigHash": context.config_hash,
        "sessionDefaults": session_defaults(edition),
    });
    if reads {
        snapshot["updateSchedule"] =
            json!({"channel": "stable", "autoEnabled": false, "install": {"kind": "package"}});
    }
    if admin {
        snapshot["configPath"] = format!("{}/openclaw.json", context.state_dir).into();
        snapshot["stateDir"] = context.state_dir.into();
        snapshot["authMode"] = context.auth_mode.into();
    }
    let mut hello = json!({
        "type": "hello-ok",
        "protocol": facts.protocol,
        "server": {
            "version": edition.version(),
            "buildId": format!("{}-release-mock", edition.version()),
            "bootId": context.boot_id,
            "controlUiBuildSource": "bundled",
            "connId": context.conn_id,
        },
        "features": {
            "methods": methods::advertised(edition),
            "events": data["events"],
            "capabilities": data["capabilities"],
        },
        "snapshot": snapshot,
        "policy": {
            "maxPayload": facts.max_payload,
            "maxBufferedBytes": facts.max_buffered,
            "tickIntervalMs": context.tick_ms,
            "attachments": {"maxBytes": 19_464_192, "maxImageBytes": 6_291_456},
            "allowedSessionVisibilities": ["shared", "read-only", "suggest", "draft"],
            "hasMultipleSessionSharingIdentities": false,
        },
    });
    if context.role == "operator" {
        hello["pluginSurfaceUrls"] = json!({
            "canvas": format!("http://{}/__openclaw__/cap/{}", context.authority, context.conn_id),
        });
    }
    if reads {
        for name in ["controlUiWidgetKinds", "controlUiLinkReaders"] {
            hello[name] = data[name].clone();
        }
    }
    if let Some(auth) = &context.auth {
        hello["auth"] = auth.clone();
    }
    hello
}

fn session_defaults(edition: Edition) -> Value {
    let mut defaults = Map::new();
    let mut put = |name: &str, value: Value| defaults.insert(name.to_owned(), value);
    put("defaultAgentId", "main".into());
    put("mainKey", "main".into());
    put("mainSessionKey", "agent:main:main".into());
    put("scope", "per-sender".into());
    if matches!(edition, Edition::V2026_9_6) {
        put("modelConfigured", false.into());
        put("ownership", "sole".into());
        put("selectionRequired", false.into());
    }
    Value::Object(defaults)
}

/// The health snapshot that hello-ok shows; the method and the event add what is there now.
pub(super) fn health(edition: Edition, now_ms: u64, state_dir: &str) -> Value {
    let mut health = data(edition)["health"].clone();
    health["ts"] = now_ms.into();
    let path = sessions_path(edition, state_dir);
    for pointer in ["/sessions/path", "/agents/0/sessions/path"] {
        if let Some(place) = health.pointer_mut(pointer) {
            *place = path.clone().into();
        }
    }
    health
}

fn sessions_path(edition: Edition, state_dir: &str) -> String {
    match edition {
        Edition::V2026_2_9 => format!("{state_dir}/agents/main/sessions/sessions.json"),
        Edition::V2026_9_6 => format!("{state_dir}/agents/main/agent/openclaw-agent.sqlite"),
    }
}

/// The gateway's own row in presence.
pub(crate) fn presence_self(edition: Edition, host: &str, boot_id: &str, now_ms: u64) -> Value {
    let version = match edition {
        Edition::V2026_2_9 => "unknown",
        Edition::V2026_9_6 => edition.version(),
    };
    let text = format!("Gateway: {host} (127.0.0.1) · app {version} · mode gateway · reason self");
    let mut row = json!({
        "host": host, "ip": "127.0.0.1", "version": version, "platform": "linux",
        "deviceFamily": "Linux", "mode": "gateway", "reason": "self", "text": text, "ts": now_ms,
    });
    match edition {
        Edition::V2026_2_9 => row["modelIdentifier"] = "x64".into(),
        Edition::V2026_9_6 => row["instanceId"] = boot_id.into(),
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_lists_can_be_read() {
        for (edition, events) in [(Edition::V2026_2_9, 18), (Edition::V2026_9_6, 64)] {
            assert_eq!(
                data(edition)["events"].as_array().map(Vec::len),
                Some(events)
            );
            assert_eq!(health(edition, 7, "/s")["ts"], 7);
            assert!(
                health(edition, 7, "/s")["sessions"]["path"]
                    .to_string()
                    .contains("/s/agents")
            );
        }
    }
}
