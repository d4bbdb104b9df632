//! Jobs and their runs as answers and events show them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::jobs::Job;
use crate::model::script::{MODEL, PROVIDER};

/// What keeps an answer from being sent where no channel is set up. Measured on 2026.9.6.
const NO_CHANNEL: &str = "Channel is required (no configured channels detected). Run openclaw channels add to \
    configure one, or pass --channel <channel> after enabling a channel. Use openclaw channels list --all to \
    see available channel ids. Set delivery.channel explicitly or use a main session with a previous channel.";
/// The same, measured on 2026.2.9.
const NO_TARGET: &str = "cron delivery target is missing";

/// How a run of a job ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) run_at: u64,
    pub(super) at: u64,
    pub(super) summary: String,
    pub(super) error: Option<String>,
    /// Whether the error is that the answer could not be sent.
    pub(super) is_undelivered: bool,
    /// Session, its full key and the tokens of a turn of the agent.
    pub(super) turn: Option<(String, String, (u64, u64))>,
    /// The run's name, if somebody started it by hand.
    pub(super) manual: Option<String>,
}

pub(super) fn no_delivery(is_new: bool) -> String {
    if is_new { NO_CHANNEL } else { NO_TARGET }.to_owned()
}

pub(super) fn revision(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest))
}

/// A job in an event.
pub(super) fn job(job: &Job) -> Value {
    let mut state = Map::new();
    if let Some(next) = job.next {
        state.insert("nextRunAtMs".to_owned(), next.into());
    }
    if let Some(since) = job.running_since {
        state.insert("runningAtMs".to_owned(), since.into());
    }
    state.extend(job.last.clone());
    let mut shown = Map::new();
    shown.insert("id".to_owned(), job.id.as_str().into());
    shown.extend(job.spec.clone());
    shown.insert("enabled".to_owned(), job.enabled.into());
    shown.insert("createdAtMs".to_owned(), job.created_at.into());
    shown.insert("updatedAtMs".to_owned(), job.updated_at.into());
    shown.insert("state".to_owned(), state.into());
    shown.into()
}

/// A job in an answer of 2026.9.6: with its revision, and parts of its state beside it.
pub(super) fn answered(of: &Job) -> Value {
    const BESIDE: [(&str, &str); 7] = [
        ("lastRunAtMs", "lastRunAtMs"),
        ("lastRunStatus", "lastRunStatus"),
        ("lastError", "lastRunError"),
        ("lastDelivered", "lastDelivered"),
        ("lastDeliveryStatus", "lastDeliveryStatus"),
        ("lastDeliveryError", "lastDeliveryError"),
        (
            "lastFailureNotificationDeliveryStatus",
            "lastFailureNotificationDeliveryStatus",
        ),
    ];
    let mut shown = job(of);
    shown["configRevision"] = revision(&Value::Object(of.spec.clone())).into();
    if let Some(next) = of.next {
        shown["nextRunAtMs"] = next.into();
    }
    for (name, beside) in BESIDE {
        if let Some(value) = of.last.get(name) {
            shown[beside] = value.clone();
        }
    }
    shown
}

/// Returns where the answer of a job would go.
pub(super) fn preview(job: &Job) -> Value {
    if job.delivers() {
        let detail = format!("last -> no route, will fail-closed: {NO_CHANNEL}");
        json!({"label": "announce -> last", "detail": detail})
    } else {
        json!({"label": "not requested", "detail": "not requested"})
    }
}

/// The job that 2026.9.6 has of its own.
pub(super) fn heartbeat(id: &str, started_at: u64) -> Value {
    const EVERY_MS: u64 = 1_800_000;
    let next = started_at + EVERY_MS;
    let mut job = json!({
        "id": id, "declarationKey": "heartbeat:main", "displayName": "Heartbeat (main)",
        "agentId": "main", "name": "heartbeat-main", "enabled": true, "createdAtMs": started_at,
        "schedule": {"kind": "every", "everyMs": EVERY_MS, "anchorMs": started_at % EVERY_MS},
        "sessionTarget": "main", "wakeMode": "next-heartbeat", "payload": {"kind": "heartbeat"},
        "state": {"nextRunAtMs": next}, "updatedAtMs": started_at, "nextRunAtMs": next,
        "effectiveAgentId": "main",
    });
    job["configRevision"] = revision(&job["schedule"]).into();
    job
}

/// Returns what a run leaves in the state of its job.
pub(super) fn state(ended: &Ended, errors: u64, is_new: bool) -> Map<String, Value> {
    let status = status(ended);
    let mut state = Map::new();
    let mut put = |name: &str, value: Value| {
        state.insert(name.to_owned(), value);
    };
    put("lastRunAtMs", ended.run_at.into());
    put("lastStatus", status.into());
    put("lastDurationMs", (ended.at - ended.run_at).into());
    put("consecutiveErrors", errors.into());
    if let Some(error) = &ended.error {
        put("lastError", error.as_str().into());
    }
    if !is_new {
        return state;
    }
    put("lastRunStatus", status.into());
    put("consecutiveSkipped", 0.into());
    put(
        "lastFailureNotificationDeliveryStatus",
        "not-requested".into(),
    );
    if let Some(error) = ended.error.as_ref().filter(|_| ended.is_undelivered) {
        put("lastDiagnostics", diagnostics(error, ended.at));
        put("lastDiagnosticSummary", error.as_str().into());
        put("lastDelivered", false.into());
        put("lastDeliveryStatus", "not-delivered".into());
        put("lastDeliveryError", error.as_str().into());
    } else {
        put("lastDeliveryStatus", "not-requested".into());
    }
    state
}

fn status(ended: &Ended) -> &'static str {
    if ended.error.is_some() { "error" } else { "ok" }
}

fn diagnostics(error: &str, at: u64) -> Value {
    json!({
        "summary": error,
        "entries": [{"ts": at, "source": "delivery", "severity": "error", "message": error}],
    })
}

/// The event of an end, without the job; the entry of `cron.runs` is made of it.
pub(super) fn finished(id: &str, next: Option<u64>, ended: &Ended, is_new: bool) -> Value {
    let mut shown = json!({
        "jobId": id, "action": "finished", "status": status(ended), "summary": ended.summary,
        "runAtMs": ended.run_at, "durationMs": ended.at - ended.run_at,
    });
    if let Some(next) = next {
        shown["nextRunAtMs"] = next.into();
    }
    if let Some(error) = &ended.error {
        shown["error"] = error.as_str().into();
    }
    if let Some((session_id, session_key, _)) = &ended.turn {
        shown["sessionId"] = session_id.as_str().into();
        shown["sessionKey"] = session_key.as_str().into();
    }
    if !is_new {
        return shown;
    }
    let failed = ended.error.is_some();
    shown["completionStatus"] = if failed { "failed" } else { "succeeded" }.into();
    if let Some((_, _, (input, output))) = &ended.turn {
        shown["model"] = MODEL.into();
        shown["provider"] = PROVIDER.into();
        shown["usage"] = json!({
            "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        });
    }
    if let Some(manual) = &ended.manual {
        shown["runId"] = manual.as_str().into();
    }
    if let Some(error) = ended.error.as_ref().filter(|_| ended.is_undelivered) {
        shown["diagnostics"] = diagnostics(error, ended.at);
        shown["delivered"] = false.into();
        shown["deliveryStatus"] = "not-delivered".into();
        shown["deliveryError"] = error.as_str().into();
        shown["delivery"] = json!({
            "intended": {"channel": "last", "to": null, "source": "last"},
            "resolved": {"ok": false, "to": null, "source": "last", "error": error},
            "fallbackUsed": false, "delivered": false,
        });
    } else {
        shown["deliveryStatus"] = "not-requested".into();
    }
    shown
}
