//! The row that 2026.9.6 keeps of a session, which it shows in tool events and in `chat.history`.

use serde_json::{Map, Value, json};

use super::super::book::Record;
use super::{MODEL, PROVIDER, View};

/// The fields of a row that tool events carry on their top level as well.
const FLATTENED: [&str; 60] = [
    "updatedAt",
    "sessionId",
    "createdActor",
    "owner",
    "participants",
    "participantCount",
    "kind",
    "visibility",
    "archived",
    "archivedAt",
    "archivedBy",
    "archiveReason",
    "pinned",
    "pinnedAt",
    "unread",
    "markedUnreadAt",
    "agentStatus",
    "observerDigest",
    "activitySummary",
    "controlOwnerSessionKey",
    "swarm",
    "permissionMode",
    "permissionModePending",
    "createdVia",
    "createdAt",
    "label",
    "autoLabel",
    "icon",
    "color",
    "channelAvatarUrl",
    "category",
    "boardPresentation",
    "displayName",
    "thinkingLevel",
    "effectiveFastMode",
    "effectiveFastModeSource",
    "fastAutoOnSeconds",
    "toolOverrides",
    "abortedLastRun",
    "restartRecoveryStatus",
    "totalTokensFresh",
    "goal",
    "contextTokens",
    "contextBudgetStatus",
    "effectiveResponseUsage",
    "modelProvider",
    "model",
    "activeModelProvider",
    "activeModel",
    "modelOverrideSource",
    "agentRuntime",
    "runtimeSelectionLocked",
    "status",
    "lastRunError",
    "providerReview",
    "lastRunId",
    "hasAutomation",
    "startedAt",
    "endedAt",
    "runtimeMs",
];

/// What of a row is there but empty while a run works.
const EMPTY: [&str; 30] = [
    "swarm",
    "controlOwnerSessionKey",
    "permissionMode",
    "createdActor",
    "owner",
    "archivedBy",
    "label",
    "autoLabel",
    "icon",
    "color",
    "channelAvatarUrl",
    "category",
    "boardPresentation",
    "archivedAt",
    "archiveReason",
    "pinnedAt",
    "markedUnreadAt",
    "agentStatus",
    "observerDigest",
    "restartRecoveryStatus",
    "thinkingLevel",
    "toolOverrides",
    "goal",
    "endedAt",
    "runtimeMs",
    "lastRunError",
    "providerReview",
    "lastRunId",
    "modelOverrideSource",
    "contextBudgetStatus",
];

fn name_of(session_key: &str) -> &str {
    session_key.rsplit(':').next().unwrap_or(session_key)
}

fn agent_of(session_key: &str) -> &str {
    session_key.split(':').nth(1).unwrap_or("main")
}

fn runtime() -> Value {
    json!({
        "id": "openclaw", "cloudPlacementSupported": true,
        "cloudPlacementExecutionMode": "worker-turn",
        "devicePlacement": {"requiredNodeCommands": [], "consumesWorkerSlot": true},
        "devicePlacementSupported": true, "source": "implicit",
    })
}

fn base(session_key: &str, session_id: &str, created_at: u64, now: u64) -> Value {
    let participant = json!([{"identity": {
        "type": "observation", "pluginId": null, "accountId": null, "senderKind": "unknown",
        "id": "gateway-client",
    }}]);
    json!({
        "key": session_key, "visibility": "shared", "permissionModePending": false,
        "createdVia": "run", "participants": participant, "expandedParticipants": participant,
        "participantCount": 1, "createdAt": created_at, "kind": "direct",
        "classification": "custom", "agentId": agent_of(session_key),
        "isMain": session_key.ends_with(":main"), "isBackground": false,
        "displayName": name_of(session_key), "updatedAt": now, "archived": false, "pinned": false,
        "unread": false, "lastInteractionAt": created_at, "sessionId": session_id,
        "abortedLastRun": false, "effectiveFastMode": false, "effectiveFastModeSource": "default",
        "fastAutoOnSeconds": 60, "totalTokensFresh": false, "effectiveResponseUsage": "off",
        "effectiveQueueMode": "steer", "modelProvider": PROVIDER, "model": MODEL,
        "modelOverrideSource": null, "runtimeSelectionLocked": false, "agentRuntime": runtime(),
        "contextTokens": 128_000, "snapshotAt": now,
        "placement": {
            "state": "local", "generation": 0, "createdAtMs": created_at, "updatedAtMs": now,
            "stateChangedAtMs": created_at,
        },
        "activitySummary": {"state": "unavailable"},
    })
}

/// What a tool event says about its session.
pub(super) fn flattened(run: &Record, now: u64) -> Map<String, Value> {
    let mut row = base(&run.session_key, &run.session_id, run.accepted_at, now);
    for name in EMPTY {
        row[name] = Value::Null;
    }
    row["status"] = "running".into();
    row["startedAt"] = run.started_at.into();
    row["hasAutomation"] = false.into();
    row["activeModelProvider"] = PROVIDER.into();
    row["activeModel"] = MODEL.into();
    let mut fields = Map::new();
    for name in FLATTENED {
        fields.insert(name.to_owned(), row[name].clone());
    }
    fields.insert("session".into(), row);
    fields
}

fn status_of(run: &Record) -> &'static str {
    match &run.over {
        _ if run.aborted.is_some() => "killed",
        None => "running",
        Some((_, Ok(_))) => "done",
        Some((_, Err(_))) => "failed",
    }
}

/// The answer of `chat.history`.
pub(super) fn history(view: &View<'_>) -> Value {
    let mut payload = json!({
        "sessionKey": view.session_key, "messages": view.messages,
        "pendingInputs": {"items": [], "total": 0}, "hasMore": view.messages.len() < view.total,
        "totalMessages": view.total,
        "defaults": {
            "modelProvider": PROVIDER, "model": MODEL, "contextTokens": 128_000,
            "agentRuntime": {
                "id": "auto", "cloudPlacementSupported": false, "devicePlacementSupported": false,
                "source": "implicit",
            },
            "modelSelectionTarget": "session",
        },
    });
    let Some(session) = view.session else {
        return payload;
    };
    payload["sessionId"] = session.session_id.as_str().into();
    let mut row = base(
        view.session_key,
        &session.session_id,
        session.created_at,
        view.now,
    );
    row["sharingRole"] = "owner".into();
    row["hasActiveRun"] = view.active.is_some().into();
    row["activeRunIds"] = view.active.iter().map(|run| run.run_id.as_str()).collect();
    if let Some(last) = view.last {
        row["status"] = status_of(last).into();
        row["startedAt"] = last.started_at.into();
        row["abortedLastRun"] = last.aborted.is_some().into();
        if let Some((ended_at, _)) = &last.over {
            row["endedAt"] = (*ended_at).into();
            row["runtimeMs"] = ended_at.saturating_sub(last.started_at).into();
            row["lastRunId"] = last.run_id.as_str().into();
        }
        let (input, output) = last.tokens();
        row["inputTokens"] = input.into();
        row["outputTokens"] = output.into();
    }
    payload["sessionInfo"] = row;
    if let Some(run) = view.active {
        payload["inFlightRun"] = json!({
            "runId": run.run_id, "text": run.text, "startedAt": run.started_at,
        });
    }
    payload
}
