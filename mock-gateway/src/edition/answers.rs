//! What a gateway says about itself: its health, its status, and the lists that are short on a mock.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::edition::{Edition, hello};

static OLD: LazyLock<Value> = LazyLock::new(|| parse(include_str!("data/2026.2.9.answers.json")));
static NEW: LazyLock<Value> = LazyLock::new(|| parse(include_str!("data/2026.9.6.answers.json")));

/// How many sessions are shown.
const RECENT_IN_HEALTH: usize = 5;
const RECENT_IN_STATUS: usize = 10;
const CONTEXT: u64 = 128_000;
const MODEL: &str = "mock-1";

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

/// The answer of a method that shows the same to everybody, as a gateway gives it that has nothing to show.
pub(crate) fn answer(edition: Edition, method: &str) -> Option<Value> {
    data(edition).get(method).cloned()
}

/// A session as the gateway counts it.
#[derive(Clone, Debug)]
pub(crate) struct SessionSummary {
    pub(crate) key: String,
    pub(crate) session_id: String,
    pub(crate) updated_at: u64,
    /// The tokens of its last run.
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// The moment at which the gateway looks at itself.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) now_ms: u64,
    pub(crate) state_dir: &'a str,
    /// The latest first.
    pub(crate) sessions: &'a [SessionSummary],
}

/// The answer of `health` and the payload of its event.
pub(crate) fn health(edition: Edition, view: &View<'_>) -> Value {
    let mut health = hello::health(edition, view.now_ms, view.state_dir);
    let recent = view.sessions.iter().take(RECENT_IN_HEALTH).map(|session| {
        let age = view.now_ms.saturating_sub(session.updated_at);
        json!({"key": session.key, "updatedAt": session.updated_at, "age": age})
    });
    let recent: Value = recent.collect();
    for pointer in ["/sessions", "/agents/0/sessions"] {
        if let Some(place) = health.pointer_mut(pointer) {
            place["count"] = view.sessions.len().into();
            place["recent"] = recent.clone();
        }
    }
    health
}

/// Returns what 2026.9.6 adds to the answer of `health`, but not to every event.
pub(crate) fn model_runtime() -> Value {
    json!({"degraded": false, "pendingAgents": []})
}

fn row(edition: Edition, session: &SessionSummary, now: u64) -> Value {
    let is_new = matches!(edition, Edition::V2026_9_6);
    let total = session.input;
    let mut row = json!({
        "agentId": session.key.split(':').nth(1).unwrap_or("main"),
        "key": session.key, "kind": "direct", "sessionId": session.session_id,
        "updatedAt": session.updated_at, "age": now.saturating_sub(session.updated_at),
        "abortedLastRun": false, "inputTokens": session.input, "outputTokens": session.output,
        "totalTokens": total, "remainingTokens": CONTEXT.saturating_sub(total),
        "percentUsed": total * 100 / CONTEXT, "model": MODEL, "contextTokens": CONTEXT,
        "flags": [format!("id:{}", session.session_id)],
    });
    if is_new {
        row["systemSent"] = true.into();
        row["cacheRead"] = 0.into();
        row["cacheWrite"] = 0.into();
        row["totalTokensFresh"] = true.into();
        row["configuredModel"] = format!("mock/{MODEL}").into();
        row["selectedModel"] = row["configuredModel"].clone();
        row["modelSelectionReason"] = Value::Null;
        row["runtime"] = "OpenClaw Default".into();
        row["flags"] = json!(["system", format!("id:{}", session.session_id)]);
    }
    row
}

/// The answer of `status`. Measured on 2026.9.6: only admins see paths, models and sessions.
pub(crate) fn status(
    edition: Edition,
    view: &View<'_>,
    queued: &[String],
    tasks: (u64, u64),
    admin: bool,
) -> Value {
    let is_new = matches!(edition, Edition::V2026_9_6);
    let health = hello::health(edition, view.now_ms, view.state_dir);
    let path = health["sessions"]["path"].clone();
    let count = view.sessions.len();
    let mut agent = json!({
        "agentId": "main", "enabled": true, "every": "30m", "everyMs": 1_800_000,
    });
    if is_new {
        agent["waitingForRoute"] = true.into();
    }
    let mut status = data(edition)["status"].clone();
    status["heartbeat"] = json!({"defaultAgentId": "main", "agents": [agent]});
    status["channelSummary"] = json!([]);
    status["queuedSystemEvents"] = json!(queued);
    status["sessions"] = if is_new && !admin {
        json!({
            "paths": [], "count": count, "recent": [],
            "defaults": {"model": null, "contextTokens": null},
            "byAgent": [{
                "agentId": "main", "path": "[redacted]", "count": count, "recent": [],
            }],
        })
    } else {
        let rows = view.sessions.iter().take(RECENT_IN_STATUS);
        let recent: Value = rows
            .map(|row_of| row(edition, row_of, view.now_ms))
            .collect();
        json!({
            "paths": [path], "count": count, "recent": recent,
            "defaults": {"model": MODEL, "contextTokens": CONTEXT},
            "byAgent": [{"agentId": "main", "path": path, "count": count, "recent": recent}],
        })
    };
    if is_new {
        let (total, active) = tasks;
        status["tasks"]["total"] = total.into();
        status["tasks"]["active"] = active.into();
        status["tasks"]["terminal"] = (total - active).into();
        status["tasks"]["byStatus"]["running"] = active.into();
        status["tasks"]["byStatus"]["succeeded"] = (total - active).into();
        status["tasks"]["byRuntime"]["cli"] = total.into();
        status["runtimeVersion"] = edition.version().into();
        status["eventLoop"] = health["eventLoop"].clone();
        status["pid"] = std::process::id().into();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_can_be_read() {
        for edition in Edition::ALL {
            let methods = data(edition).as_object().map_or(0, serde_json::Map::len);
            assert!(methods > 10, "{edition}: {methods}");
        }
        assert!(answer(Edition::V2026_2_9, "tools.catalog").is_none());
    }

    #[test]
    fn what_only_admins_see_is_withheld_from_others() {
        let sessions = [SessionSummary {
            key: "agent:main:a".into(),
            session_id: "s".into(),
            updated_at: 5,
            input: 11,
            output: 7,
        }];
        let view = View {
            now_ms: 9,
            state_dir: "/s",
            sessions: &sessions,
        };
        let of = |edition, admin| status(edition, &view, &[], (1, 0), admin)["sessions"].take();
        assert_eq!(of(Edition::V2026_9_6, false)["recent"], json!([]));
        assert_eq!(of(Edition::V2026_9_6, false)["count"], 1);
        for (edition, admin) in [(Edition::V2026_9_6, true), (Edition::V2026_2_9, false)] {
            let recent = of(edition, admin)["recent"].take();
            assert_eq!(
                (&recent[0]["age"], &recent[0]["inputTokens"]),
                (&4.into(), &11.into())
            );
        }
        let health = health(Edition::V2026_2_9, &view);
        assert_eq!(health["agents"][0]["sessions"]["recent"][0]["age"], 4);
    }
}
