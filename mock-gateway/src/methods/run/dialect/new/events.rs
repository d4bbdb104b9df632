//! Events of 2026.9.6.

use serde_json::{Map, Value, json};

use crate::methods::run::dialect::common::Said;
use crate::model::runs::{Kind, Record};
use crate::model::script::{Cause, MODEL, PROVIDER};

/// An `agent` event.
pub(super) fn agent(run: &mut Record, stream: &str, data: Value, now: u64) -> Map<String, Value> {
    run.last_event_at = now;
    let mut payload = Map::new();
    let fields = [
        ("runId", run.run_id.as_str().into()),
        ("stream", stream.into()),
        ("data", data),
        ("agentId", run.agent_id.as_str().into()),
        ("seq", run.next_seq().into()),
        ("ts", now.into()),
    ];
    payload.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    if let Some(key) = &run.shown_key {
        payload.insert("sessionKey".into(), key.as_str().into());
    }
    if stream == "lifecycle" {
        if run.stands_for.is_some() {
            payload["data"]["completionSource"] = "reply-dispatch".into();
        }
        payload.insert("sessionId".into(), run.session_id.as_str().into());
    }
    if run.kind == Kind::Chat {
        payload.insert("isHeartbeat".into(), false.into());
    }
    payload
}

pub(super) fn said(run: &mut Record, stream: &str, data: Value, now: u64) -> Said {
    Said::All("agent", agent(run, stream, data, now).into())
}

pub(super) fn chat(run: &Record, seq: u64, more: Value) -> Said {
    let mut payload = Map::new();
    payload.insert("runId".into(), run.run_id.as_str().into());
    payload.insert("sessionKey".into(), run.session_key.as_str().into());
    payload.insert("agentId".into(), run.agent_id.as_str().into());
    payload.insert("seq".into(), seq.into());
    if let Value::Object(more) = more {
        payload.extend(more);
    }
    Said::All("chat", payload.into())
}

/// A `chat` event that the gateway makes up itself.
pub(super) fn local_chat(run: &Record, more: Value) -> Said {
    without_agent(chat(run, 1, more))
}

pub(super) fn without_agent(said: Said) -> Said {
    match said {
        Said::All(name, Value::Object(mut payload)) => {
            payload.remove("agentId");
            Said::All(name, payload.into())
        }
        other => other,
    }
}

/// Returns how far the preparation is; only `chat.send` tells.
pub(super) fn status(run: &mut Record, phase: &str, now: u64) -> Vec<Said> {
    if run.kind == Kind::Agent {
        return Vec::new();
    }
    let event = said(run, "run_status", json!({"phase": phase}), now);
    if run.stands_for.is_some() {
        return vec![event];
    }
    let state = json!({"state": "status", "phase": phase});
    vec![chat(run, run.seq, state), event]
}

pub(super) fn model(run: &mut Record, now: u64) -> Said {
    let data = json!({"phase": "model", "provider": PROVIDER, "model": MODEL});
    said(run, "lifecycle", data, now)
}

/// The model is let go.
pub(super) fn release(run: &mut Record, now: u64) -> Said {
    let data = json!({"phase": "model", "provider": null, "model": null});
    let mut payload = agent(run, "lifecycle", data, now);
    if run.kind == Kind::Chat {
        payload.insert("lane".into(), "main".into());
    }
    Said::All("agent", payload.into())
}

/// The `task` event that shows an `agent` run as background work.
pub(super) fn task(run: &Record, status: &str, state: &str, more: Value, now: u64) -> Option<Said> {
    // Nor is a run in a session of its own shown.
    if run.kind == Kind::Chat || !run.names_session {
        return None;
    }
    let over = status != "running";
    let mut execution = json!({"state": state});
    if !over && run.seq > 0 {
        execution["lastActivityAt"] = now.into();
    }
    let mut task = json!({
        "id": run.task_id, "taskId": run.task_id, "kind": "cli", "runtime": "cli", "status": status,
        "execution": execution, "title": run.message, "agentId": run.agent_id,
        "sessionKey": run.session_key, "childSessionKey": run.session_key, "hasTranscript": true,
        "ownerKey": run.session_key, "runId": run.run_id, "sourceId": run.run_id,
        "createdAt": run.accepted_at, "updatedAt": now, "startedAt": run.started_at,
        "deliveryStatus": "not_applicable",
    });
    if let Some(tool) = run.tools.last() {
        task["toolUseCount"] = run.tools.len().into();
        task["lastToolName"] = tool.as_str().into();
    }
    if !over && !run.text.is_empty() {
        task["lastActivity"] = run.text.as_str().into();
    }
    if over {
        task["endedAt"] = now.into();
    }
    if let (Value::Object(task), Value::Object(more)) = (&mut task, more) {
        task.extend(more);
    }
    Some(Said::All(
        "task",
        json!({"action": "upserted", "task": task}),
    ))
}

pub(super) fn running(run: &Record, now: u64) -> Option<Said> {
    task(run, "running", "running", json!({}), now)
}

pub(super) fn finished(run: &Record, now: u64) -> Option<Said> {
    task(run, "running", "finished", json!({}), now)
}

pub(super) fn failed_task(run: &Record, status: &str, error: &str, now: u64) -> Option<Said> {
    let more = json!({"terminalSummary": error, "error": error});
    task(run, status, "finished", more, now)
}

pub(super) fn observation(run: &Record) -> Value {
    let (reason, kind) = match run.script.cause() {
        Some(Cause::Limit) => ("rate_limit", "rate_limit"),
        Some(Cause::Cut) => ("timeout", "timeout"),
        _ => ("server_error", "timeout"),
    };
    json!({
        "provider": PROVIDER, "model": MODEL, "failoverReason": reason,
        "providerRuntimeFailureKind": kind,
    })
}

pub(super) fn start(run: &mut Record, now: u64) -> Vec<Said> {
    let data = json!({"phase": "start", "startedAt": now});
    let mut events = vec![said(run, "lifecycle", data, now)];
    events.extend(running(run, now));
    if !run.script.is_turned_away() {
        events.extend(status(run, "starting_model", now));
    }
    events.push(model(run, now));
    events
}

pub(super) fn finishing_badly(run: &mut Record, message: &str, now: u64) -> Said {
    let data = json!({
        "phase": "finishing", "error": message, "errorObservation": observation(run), "aborted": false,
        "livenessState": "blocked", "endedAt": now,
    });
    said(run, "lifecycle", data, now)
}
