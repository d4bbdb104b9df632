//! How runs end in 2026.9.6.

use serde_json::{Value, json};

use crate::methods::run::dialect::common::{
    Closing, Said, assistant_row, chat_message, local_message,
};
use crate::methods::run::dialect::new::events::{
    chat, failed_task, finished, finishing_badly, local_chat, model, observation, release, running,
    said, start, task, without_agent,
};
use crate::methods::run::dialect::new::rows::{answer_row, keyed, openclaw, user_row};
use crate::methods::run::dialect::repeats::without_repeats;
use crate::methods::run::dialect::result;
use crate::model::runs::{Kind, Record, Waited};
use crate::model::script::{Cause, MODEL, PROVIDER, Tool};
use crate::wire::{ErrorShape, Reply};

/// Why a run ends that makes way for another message.
const INTERRUPTED: &str = "aborted";
const BY_USER: &str = "Reply operation aborted by user";
const ABORTED: &str = "This operation was aborted";
const RATE_LIMITED: &str =
    "⚠️ The model request was rate-limited. Please try again in a few minutes.";
const TIMED_OUT: &str = "Request timed out before a response was generated. Please try again, or increase \
                         `agents.defaults.timeoutSeconds` in your config.";

/// Returns what the model said last, however much it said before.
fn terminal_reply(run: &Record) -> Value {
    if run.turn_text.is_empty() {
        json!({"disposition": "empty"})
    } else {
        json!({"disposition": "visible", "text": without_repeats(&run.turn_text)})
    }
}

/// Returns what a wait says: more to those who were there at the end.
pub(super) fn waited(
    run: &Record,
    now: u64,
    status: &str,
    more: &Value,
    chat_more: &Value,
) -> Waited {
    let base = json!({"runId": run.run_id, "status": status, "endedAt": now});
    let with = |more: &Value, started: bool| {
        let mut payload = base.clone();
        if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
            payload.extend(more.clone());
        }
        if started {
            payload["startedAt"] = run.began_at.into();
        }
        payload
    };
    let at_end = match run.kind {
        Kind::Agent => with(more, true),
        Kind::Chat => with(chat_more, run.aborted.is_some()),
    };
    let later = match run.kind {
        Kind::Agent => with(more, status == "error"),
        Kind::Chat => with(chat_more, run.aborted == Some(INTERRUPTED)),
    };
    Waited { at_end, later }
}

fn ok_waited(run: &Record, now: u64) -> Waited {
    let receipt = result::receipt(run, true);
    let chat_more = json!({"terminalReceipt": receipt, "terminalReply": terminal_reply(run)});
    let mut more = chat_more.clone();
    more["stopReason"] = "stop".into();
    more["livenessState"] = "working".into();
    waited(run, now, "ok", &more, &chat_more)
}

fn failure(run: &Record, message: &str) -> Reply {
    let payload = json!({"runId": run.run_id, "status": "error", "summary": message});
    Err(ErrorShape::new("UNAVAILABLE", message).with_payload(payload))
}

/// The last event of a run that answers for another one: made by whoever brings the answer.
fn dispatched(run: &mut Record, now: u64) -> Said {
    let mut more = json!({"state": "final"});
    if !run.text.is_empty() {
        let mut message = chat_message(&run.text, now);
        message["text"] = run.text.as_str().into();
        message["stopReason"] = "stop".into();
        let (input, output) = run.script.usage;
        message["usage"] = json!({"input": input, "output": output, "totalTokens": input + output});
        more["message"] = message;
        more["stopReason"] = "stop".into();
    }
    let seq = run.next_seq();
    without_agent(chat(run, seq, more))
}

pub(super) fn done(run: &mut Record, now: u64) -> Closing {
    let mut data = json!({
        "phase": "finishing", "stopReason": "stop", "aborted": false, "livenessState": "working",
        "endedAt": now,
    });
    // What a command did cannot be done again.
    let has_command = run.script.tools.iter().any(Tool::is_command);
    if has_command {
        data["replayInvalid"] = true.into();
    }
    let mut events = vec![said(run, "lifecycle", data, now)];
    events.extend(running(run, now));
    events.push(release(run, now));
    events.extend(finished(run, now));
    let mut data = json!({
        "phase": "end", "startedAt": run.began_at, "endedAt": now, "aborted": false,
        "stopReason": "stop", "livenessState": "working", "executionSettled": true,
        "terminalReceipt": result::receipt(run, true), "terminalReply": terminal_reply(run),
    });
    if run.kind == Kind::Chat {
        data["startedAt"] = run.started_at.into();
        data["replayInvalid"] = false.into();
    }
    if has_command {
        data["replayInvalid"] = true.into();
    }
    events.push(said(run, "lifecycle", data, now));
    if run.leaves_out {
        let more = json!({
            "state": "delta", "deltaText": run.text, "replace": true,
            "message": chat_message(&run.text, now),
        });
        events.push(chat(run, run.seq, more));
    }
    let mut more = json!({"state": "final", "stopReason": "stop"});
    if !run.text.is_empty() {
        more["message"] = chat_message(&run.text, now);
    }
    events.push(if run.stands_for.is_some() {
        dispatched(run, now)
    } else {
        chat(run, run.seq, more)
    });
    let completed = json!({"terminalSummary": "completed"});
    Closing {
        events,
        waited: Some(ok_waited(run, now)),
        last_events: task(run, "completed", "finished", completed, now)
            .into_iter()
            .collect(),
        reply: Some(Ok(match run.kind {
            Kind::Agent => result::new_result(run, now),
            Kind::Chat => json!({"runId": run.run_id, "status": "ok"}),
        })),
        rows: vec![answer_row(run, now)],
    }
}

pub(super) fn failed(run: &mut Record, message: &str, now: u64) -> Closing {
    let mut events = vec![finishing_badly(run, message, now), release(run, now)];
    let mut data = json!({
        "phase": "error", "startedAt": run.began_at, "endedAt": now, "error": message,
        "errorObservation": observation(run), "executionSettled": true,
    });
    let mut last_events = Vec::new();
    let mut summary = message.to_owned();
    if run.kind == Kind::Chat {
        let step = json!({
            "phase": "fallback_step", "fallbackStepType": "fallback_step",
            "fallbackStepFromModel": format!("{PROVIDER}/{MODEL}"),
            "fallbackStepFromFailureReason": observation(run)["failoverReason"],
            "fallbackStepFromFailureDetail": message, "fallbackStepChainPosition": 1,
            "fallbackStepFinalOutcome": "chain_exhausted",
        });
        events.push(said(run, "lifecycle", step, now));
        data["startedAt"] = run.started_at.into();
        data["aborted"] = false.into();
        data["livenessState"] = "blocked".into();
        summary = if run.script.cause() == Some(Cause::Limit) {
            RATE_LIMITED.to_owned()
        } else {
            format!(
                "⚠️ Agent failed before reply: {message}\nTo view logs, run `openclaw logs --follow` in \
                 a terminal."
            )
        };
        last_events.push(local_chat(
            run,
            json!({"state": "error", "errorMessage": summary}),
        ));
    }
    events.extend(finished(run, now));
    events.push(said(run, "lifecycle", data, now));
    let mut more = json!({
        "state": "error", "errorMessage": message, "errorDetail": observation(run),
    });
    let is_cut = run.script.cause() == Some(Cause::Cut);
    match run.script.cause() {
        Some(Cause::Limit) => more["errorKind"] = "rate_limit".into(),
        Some(Cause::Cut) => more["errorKind"] = "timeout".into(),
        _ => {}
    }
    events.push(chat(run, run.seq, more));
    last_events.extend(finished(run, now));
    let status = if is_cut { "timed_out" } else { "failed" };
    last_events.extend(failed_task(run, status, message, now));
    let error = json!({"error": message});
    let row = assistant_row(
        &json!([{"type": "text", "text": message}]),
        (0, 0),
        "error",
        now,
    );
    let key = format!("{}:terminal-error", run.run_id);
    let mut waits = waited(run, now, "error", &error, &json!({"error": summary}));
    if run.kind == Kind::Agent {
        waits.later = waits.at_end.clone();
    }
    Closing {
        events,
        waited: Some(waits),
        last_events,
        reply: Some(failure(run, &summary)),
        rows: vec![keyed(openclaw(run, row, now), key)],
    }
}

pub(super) fn timed_out(run: &mut Record, now: u64) -> Closing {
    let common = json!({
        "startedAt": run.began_at, "endedAt": now, "aborted": false, "replayInvalid": true,
        "livenessState": "paused", "timeoutPhase": "provider", "providerStarted": true,
        "error": TIMED_OUT, "terminalReceipt": result::receipt(run, true),
        "terminalReply": terminal_reply(run),
    });
    let with = |more: Value| {
        let mut data = common.clone();
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        data
    };
    let mut events: Vec<Said> = running(run, now).into_iter().collect();
    events.extend([model(run, now), release(run, now)]);
    if run.kind == Kind::Agent {
        events.push(said(
            run,
            "lifecycle",
            with(json!({"phase": "finishing"})),
            now,
        ));
    }
    events.extend(finished(run, now));
    let error = with(json!({"phase": "error", "executionSettled": true}));
    events.push(said(run, "lifecycle", error, now));
    let more = json!({"state": "error", "errorMessage": TIMED_OUT, "errorKind": "timeout"});
    events.push(chat(run, run.seq, more));
    let mut last_events = Vec::new();
    if run.kind == Kind::Chat {
        last_events.push(local_chat(
            run,
            json!({"state": "error", "errorMessage": TIMED_OUT}),
        ));
    }
    last_events.extend(finished(run, now));
    last_events.extend(failed_task(run, "timed_out", TIMED_OUT, now));
    let mut payload = common.clone();
    payload["runId"] = run.run_id.as_str().into();
    payload["status"] = "timeout".into();
    if let Some(payload) = payload.as_object_mut() {
        payload.remove("aborted");
        payload.remove("replayInvalid");
    }
    Closing {
        events,
        waited: Some(Waited {
            at_end: payload.clone(),
            later: payload,
        }),
        last_events,
        reply: Some(Ok(result::new_timeout(run, TIMED_OUT, now))),
        rows: vec![answer_row(run, now)],
    }
}

pub(super) fn aborted(run: &mut Record, reason: &'static str, now: u64) -> Closing {
    let mut events: Vec<Said> = running(run, now).into_iter().collect();
    let mut more = json!({"state": "aborted", "stopReason": reason});
    if !run.text.is_empty() {
        more["message"] = chat_message(&run.text, now);
    }
    if reason == INTERRUPTED {
        events.push(model(run, now));
        events.push(release(run, now));
        events.push(said(run, "lifecycle", settled_data(run, now), now));
        events.push(chat(run, run.seq, more));
    } else {
        events.push(chat(run, run.seq + 1, more));
        events.extend(task(run, "running", "unknown", json!({}), now));
        let data = json!({
            "phase": "end", "status": "cancelled", "aborted": true, "stopReason": reason,
            "startedAt": run.began_at, "endedAt": now,
        });
        events.push(said(run, "lifecycle", data, now));
    }
    let more = json!({"stopReason": reason});
    let error = if reason == INTERRUPTED {
        BY_USER
    } else {
        "aborted"
    };
    let chat_more = json!({"error": error, "stopReason": reason});
    let waits = waited(run, now, "error", &more, &chat_more);
    let mut reply = json!({
        "runId": run.run_id, "status": "timeout", "summary": "aborted", "stopReason": reason,
    });
    let mut last_events = Vec::new();
    match run.kind {
        // Its late error counts from 1 again.
        Kind::Agent => run.seq = 0,
        Kind::Chat => {
            if reason != INTERRUPTED {
                last_events.push(model(run, now));
            }
            reply["endedAt"] = now.into();
        }
    }
    let mut rows = Vec::new();
    // What was said before another message interrupted is not kept.
    if !run.text.is_empty() && reason != INTERRUPTED {
        let parts = json!([{"type": "text", "text": run.text}]);
        let mut row = assistant_row(&parts, (0, 0), "stop", now);
        row["api"] = "openai-responses".into();
        row["provider"] = "openclaw".into();
        row["model"] = "gateway-injected".into();
        row["openclawAbort"] = json!({"aborted": true, "origin": reason, "runId": run.run_id});
        let key = format!("{}:assistant", run.run_id);
        rows.push(keyed(openclaw(run, row, now), key));
    }
    Closing {
        events,
        waited: Some(waits),
        last_events,
        reply: Some(Ok(reply)),
        rows,
    }
}

fn settled_data(run: &Record, now: u64) -> Value {
    let error = if run.aborted == Some(INTERRUPTED) {
        BY_USER
    } else {
        ABORTED
    };
    json!({
        "phase": "error", "startedAt": run.began_at, "endedAt": now, "error": error,
        "aborted": true, "stopReason": "aborted", "executionSettled": true,
    })
}

pub(super) fn settled(run: &mut Record, now: u64) -> Closing {
    let mut events = Vec::new();
    // An interrupted run said all when it was interrupted.
    if run.aborted != Some(INTERRUPTED) {
        if run.kind == Kind::Chat {
            events.push(release(run, now));
        }
        events.extend(finished(run, now));
        events.push(said(run, "lifecycle", settled_data(run, now), now));
        let error = format!("{ABORTED} | 20");
        events.extend(failed_task(run, "cancelled", &error, now));
    }
    Closing {
        events,
        ..Closing::default()
    }
}

/// The gateway answers by itself: one event, and a row with the key of the run.
pub(super) fn local(run: &mut Record, now: u64) -> Closing {
    let mut message = local_message(&run.text, now);
    message["idempotencyKey"] = run.run_id.as_str().into();
    let mut row = openclaw(run, local_message(&run.text, now), now);
    if let Some(more) = row["__openclaw"].as_object_mut() {
        more.remove("runId");
    }
    let more = json!({"state": "final", "message": message});
    let none = json!({});
    Closing {
        events: vec![local_chat(run, more)],
        waited: Some(waited(run, now, "ok", &none, &none)),
        last_events: Vec::new(),
        reply: Some(Ok(json!({"runId": run.run_id, "status": "ok"}))),
        rows: vec![user_row(run, now), keyed(row, run.run_id.clone())],
    }
}

const SILENT: &str = "⚠️ Agent couldn't generate a response. Please try again.";

/// The model said nothing that can be shown, and is asked once more.
pub(super) fn silent_once(run: &mut Record, now: u64) -> Vec<Said> {
    let mut events = said_nothing(run, now);
    run.started_at = now;
    run.turn += 1;
    events.extend(start(run, now));
    events
}

fn said_nothing(run: &mut Record, now: u64) -> Vec<Said> {
    let (_, output) = run.tokens();
    let data = json!({
        "phase": "finishing", "stopReason": "stop", "aborted": false, "livenessState": "working",
        "endedAt": now,
    });
    vec![
        said(run, "usage", json!({"outputTokens": output}), now),
        said(run, "lifecycle", data, now),
    ]
}

pub(super) fn silent(run: &mut Record, now: u64) -> Closing {
    let mut events = said_nothing(run, now);
    events.push(release(run, now));
    events.extend(finished(run, now));
    let mut receipt = result::receipt(run, true);
    receipt["terminalDisposition"] = "not-visible".into();
    let data = json!({
        "phase": "error", "startedAt": run.began_at, "endedAt": now, "aborted": false,
        "replayInvalid": true, "livenessState": "abandoned", "error": SILENT,
        "executionSettled": true, "terminalReceipt": receipt,
        "terminalReply": {"disposition": "silent"},
    });
    events.push(said(run, "lifecycle", data, now));
    let more = json!({"state": "error", "errorMessage": SILENT});
    events.push(chat(run, run.seq, more));
    let error = json!({"error": SILENT});
    let mut waits = waited(run, now, "error", &error, &error);
    waits.later = waits.at_end.clone();
    Closing {
        events,
        waited: Some(waits),
        last_events: failed_task(run, "failed", SILENT, now)
            .into_iter()
            .collect(),
        reply: Some(Ok(result::new_silent(run, SILENT, now))),
        rows: vec![answer_row(run, now)],
    }
}

const TURNED_AWAY: &str = "⚠️ Agent run failed (model: mock/mock-1).";
const SOMETHING_WRONG: &str = "⚠️ Something went wrong while processing your request. Please try again, \
                               or use /new to start a fresh session.";
const NO_REPLY: &str = "The agent run failed before producing a reply.";

fn unclassified() -> Value {
    json!({"provider": PROVIDER, "model": MODEL, "providerRuntimeFailureKind": "unclassified"})
}

/// One of the attempts to write a message that is there already.
pub(super) fn turned_away_once(run: &mut Record, now: u64) -> Said {
    let data = json!({
        "phase": "finishing", "error": TURNED_AWAY, "errorObservation": unclassified(),
        "aborted": false, "livenessState": "blocked", "endedAt": now,
    });
    said(run, "lifecycle", data, now)
}

/// The run under a key that was answered before a restart ends without another answer.
pub(super) fn turned_away(run: &mut Record, now: u64) -> Closing {
    let mut events = vec![turned_away_once(run, now), release(run, now)];
    events.extend(finished(run, now));
    let mut data = json!({
        "phase": "error", "startedAt": run.began_at, "endedAt": now, "aborted": false,
        "livenessState": "abandoned", "error": TURNED_AWAY, "errorObservation": unclassified(),
        "executionSettled": true,
    });
    if run.kind == Kind::Agent || run.stands_for.is_some() {
        data["replayInvalid"] = true.into();
        data["terminalReceipt"] = result::receipt(run, true);
        data["terminalReceipt"]["terminalDisposition"] = "not-visible".into();
        data["terminalReply"] = terminal_reply(run);
    }
    events.push(said(run, "lifecycle", data, now));
    events.push(if run.stands_for.is_some() {
        let more = json!({"state": "error", "errorMessage": SOMETHING_WRONG});
        let seq = run.next_seq();
        without_agent(chat(run, seq, more))
    } else {
        let more = json!({
            "state": "error", "errorMessage": TURNED_AWAY, "errorDetail": unclassified(),
        });
        chat(run, run.seq, more)
    });
    let mut last_events: Vec<Said> = finished(run, now).into_iter().collect();
    last_events.extend(failed_task(run, "failed", TURNED_AWAY, now));
    let error = json!({"error": TURNED_AWAY});
    let row = assistant_row(
        &json!([{"type": "text", "text": NO_REPLY}]),
        (0, 0),
        "error",
        now,
    );
    let key = format!("{}:terminal-error", run.run_id);
    Closing {
        events,
        waited: Some(waited(run, now, "error", &error, &error)),
        last_events,
        reply: Some(Ok(result::new_turned_away(run, TURNED_AWAY, now))),
        rows: vec![keyed(openclaw(run, row, now), key)],
    }
}
