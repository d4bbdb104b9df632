//! Rows of history in 2026.9.6.

use serde_json::{Value, json};

use crate::methods::run::dialect::common::{answer_parts, assistant_row};
use crate::model::runs::{Kind, Record};

/// Returns what the gateway adds to a row of history.
pub(super) fn openclaw(run: &Record, mut row: Value, now: u64) -> Value {
    row["__openclaw"] = json!({
        "id": uuid::Uuid::new_v4().to_string(), "runId": run.run_id, "recordTimestampMs": now,
    });
    row
}

pub(super) fn keyed(mut row: Value, key: String) -> Value {
    row["__openclaw"]["idempotencyKey"] = key.as_str().into();
    row["idempotencyKey"] = key.into();
    row
}

pub(super) fn user_row(run: &Record, now: u64) -> Value {
    let row = json!({"role": "user", "content": run.message, "timestamp": run.accepted_at});
    let mut row = keyed(openclaw(run, row, now), run.input_key.clone());
    let more = &mut row["__openclaw"];
    if let Some(more) = more.as_object_mut() {
        more.remove("runId");
    }
    if run.kind == Kind::Agent || run.from_admin || run.collects {
        more["senderIsOwner"] = run.from_admin.into();
    }
    if run.is_recovery {
        row["provenance"] = json!({
            "kind": "internal_system", "sourceSessionKey": run.session_key,
            "sourceTool": "main_session_restart_recovery",
        });
        return row;
    }
    if run.kind == Kind::Chat {
        more["transport"] = run.transport.clone();
    }
    if let Some(target) = &run.steered_into {
        more["steerTargetRunId"] = target.as_str().into();
    }
    row
}

pub(super) fn answer_row(run: &Record, now: u64) -> Value {
    let row = assistant_row(&answer_parts(run), run.script.usage, "stop", now);
    openclaw(run, responded(row), now)
}

/// Rows of a provider's answer carry the provider's id of it.
pub(super) fn responded(mut row: Value) -> Value {
    row["responseId"] = format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()).into();
    row
}
