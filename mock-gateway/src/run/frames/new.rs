//! Runs in 2026.9.6.

use serde_json::{Map, Value, json};

use super::super::book::{Kind, Record, Waited};
use super::super::script::RunRequest;
use super::{
    Call, Closing, Dialect, MODEL, PROVIDER, Place, Said, View, answer_parts, assistant_row,
    call_parts, chat_message, place, result, session_row, tool_meta, tool_row,
};
use crate::wire::{ErrorShape, Reply};

pub(super) struct New;

const ABORTED: &str = "This operation was aborted";
const TIMED_OUT: &str = "Request timed out before a response was generated. Please try again, or increase \
                         `agents.defaults.timeoutSeconds` in your config.";

/// An `agent` event.
fn agent(run: &mut Record, stream: &str, data: Value, now: u64) -> Map<String, Value> {
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
        payload.insert("sessionId".into(), run.session_id.as_str().into());
    }
    if run.kind == Kind::Chat {
        payload.insert("isHeartbeat".into(), false.into());
    }
    payload
}

fn said(run: &mut Record, stream: &str, data: Value, now: u64) -> Said {
    Said::All("agent", agent(run, stream, data, now).into())
}

fn chat(run: &Record, seq: u64, more: Value) -> Said {
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
fn local_chat(run: &Record, more: Value) -> Said {
    match chat(run, 1, more) {
        Said::All(name, Value::Object(mut payload)) => {
            payload.remove("agentId");
            Said::All(name, payload.into())
        }
        other => other,
    }
}

/// How far the preparation is; only `chat.send` tells.
fn status(run: &mut Record, phase: &str, now: u64) -> Vec<Said> {
    if run.kind == Kind::Agent {
        return Vec::new();
    }
    let event = said(run, "run_status", json!({"phase": phase}), now);
    let state = json!({"state": "status", "phase": phase});
    vec![chat(run, run.seq, state), event]
}

fn model(run: &mut Record, now: u64) -> Said {
    let data = json!({"phase": "model", "provider": PROVIDER, "model": MODEL});
    said(run, "lifecycle", data, now)
}

/// The model is let go.
fn release(run: &mut Record, now: u64) -> Said {
    let data = json!({"phase": "model", "provider": null, "model": null});
    let mut payload = agent(run, "lifecycle", data, now);
    if run.kind == Kind::Chat {
        payload.insert("lane".into(), "main".into());
    }
    Said::All("agent", payload.into())
}

/// The `task` event that shows an `agent` run as background work.
fn task(run: &Record, status: &str, state: &str, more: Value, now: u64) -> Option<Said> {
    if run.kind == Kind::Chat {
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

fn running(run: &Record, now: u64) -> Option<Said> {
    task(run, "running", "running", json!({}), now)
}

fn finished(run: &Record, now: u64) -> Option<Said> {
    task(run, "running", "finished", json!({}), now)
}

fn failed_task(run: &Record, status: &str, error: &str, now: u64) -> Option<Said> {
    let more = json!({"terminalSummary": error, "error": error});
    task(run, status, "finished", more, now)
}

fn terminal_reply(run: &Record) -> Value {
    if run.text.is_empty() {
        json!({"disposition": "empty"})
    } else {
        json!({"disposition": "visible", "text": run.text})
    }
}

fn observation() -> Value {
    json!({
        "provider": PROVIDER, "model": MODEL, "failoverReason": "server_error",
        "providerRuntimeFailureKind": "timeout",
    })
}

/// What a wait says: more to those who were there at the end.
fn waited(run: &Record, now: u64, status: &str, more: &Value, chat_more: &Value) -> Waited {
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
    Waited {
        at_end: with(more, true),
        later: match run.kind {
            Kind::Agent => with(more, status == "error"),
            Kind::Chat => with(chat_more, false),
        },
    }
}

fn ok_waited(run: &Record, now: u64) -> Waited {
    let receipt = result::receipt(run, true);
    let chat_more = json!({"terminalReceipt": receipt, "terminalReply": terminal_reply(run)});
    let mut more = chat_more.clone();
    more["stopReason"] = "stop".into();
    more["livenessState"] = "working".into();
    waited(run, now, "ok", &more, &chat_more)
}

/// What the gateway adds to a row of history.
fn openclaw(run: &Record, mut row: Value, now: u64) -> Value {
    row["__openclaw"] = json!({
        "id": uuid::Uuid::new_v4().to_string(), "runId": run.run_id, "recordTimestampMs": now,
    });
    row
}

fn keyed(mut row: Value, key: String) -> Value {
    row["__openclaw"]["idempotencyKey"] = key.as_str().into();
    row["idempotencyKey"] = key.into();
    row
}

fn user_row(run: &Record, now: u64) -> Value {
    let row = json!({"role": "user", "content": run.message, "timestamp": run.accepted_at});
    let mut row = keyed(openclaw(run, row, now), format!("{}:user", run.run_id));
    if let Some(more) = row["__openclaw"].as_object_mut() {
        more.remove("runId");
    }
    row
}

fn answer_row(run: &Record, now: u64) -> Value {
    let row = assistant_row(answer_parts(run), run.script.usage, "stop", now);
    openclaw(run, responded(row), now)
}

/// Rows of a provider's answer carry the provider's id of it.
fn responded(mut row: Value) -> Value {
    row["responseId"] = format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()).into();
    row
}

fn failure(run: &Record, message: &str) -> Reply {
    let payload = json!({"runId": run.run_id, "status": "error", "summary": message});
    Err(ErrorShape::new("UNAVAILABLE", message).with_payload(payload))
}

impl Dialect for New {
    fn attempts(&self) -> u32 {
        8
    }

    fn aborts_agent_runs(&self) -> bool {
        true
    }

    fn aborts_need_owner(&self) -> bool {
        true
    }

    fn checks_message(&self) -> bool {
        true
    }

    fn steers_messages(&self) -> bool {
        true
    }

    fn tools_need_verbose(&self) -> bool {
        false
    }

    fn writes_history_at_the_end(&self) -> bool {
        false
    }

    fn place(&self, kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape> {
        place::new(kind, wanted)
    }

    fn timeout_ms(&self, kind: Kind, params: &Value) -> Option<u64> {
        match kind {
            Kind::Agent => Some(params.get("timeout")?.as_u64()?.saturating_mul(1000)),
            Kind::Chat => params.get("timeoutMs")?.as_u64(),
        }
    }

    fn accepted(&self, run: &Record) -> Value {
        let mut payload = json!({
            "runId": run.run_id, "agentId": run.agent_id, "status": "accepted",
            "acceptedAt": run.accepted_at,
        });
        if run.names_session {
            payload["sessionKey"] = run.session_key.as_str().into();
        }
        payload
    }

    fn again(&self, run: &Record) -> Value {
        json!({
            "runId": run.run_id, "status": "in_flight", "sessionKey": run.session_key,
            "agentId": run.agent_id,
        })
    }

    fn chat_replay(&self, _: &Record, reply: Reply) -> Reply {
        reply
    }

    fn opening(&self, run: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>) {
        run.turn = 1;
        run.began_at = now;
        run.started_at = now;
        let mut events = Vec::new();
        events.extend(task(run, "running", "unknown", json!({}), now));
        events.extend(running(run, now));
        events.extend(status(run, "preparing_workspace", now));
        events.extend(status(run, "preparing_context", now));
        events.extend(start(run, now));
        (events, vec![user_row(run, now)])
    }

    fn delta(&self, run: &mut Record, piece: &str, now: u64) -> Vec<Said> {
        let is_first = run.text.is_empty();
        let gap = if !is_first && run.turn_text.is_empty() {
            "\n\n"
        } else {
            ""
        };
        let delta = format!("{gap}{piece}");
        run.text.push_str(&delta);
        run.turn_text.push_str(piece);
        let item = format!("{}:{}", run.item_id, run.turn);
        let data = json!({"text": run.turn_text, "delta": piece, "itemId": item});
        let mut events = vec![said(run, "assistant", data, now)];
        let message = chat_message(&run.text, now);
        let more = json!({"state": "delta", "deltaText": delta, "message": message});
        events.push(chat(run, run.seq, more));
        events.extend(running(run, now).filter(|_| is_first));
        events
    }

    fn tool_begins(&self, run: &mut Record, call: &Call, now: u64) -> Vec<Said> {
        let mut events = self.turn_ends(run, now);
        events.push(said(run, "item", item(call, "start", "running"), now));
        let data = json!({
            "phase": "start", "name": call.tool.name, "toolCallId": call.id, "args": call.tool.args,
        });
        events.push(tool_event(run, data, now));
        events
    }

    fn tool_ends(
        &self,
        run: &mut Record,
        call: &Call,
        _: &str,
        now: u64,
    ) -> (Vec<Said>, Vec<Value>) {
        let mut data = json!({
            "phase": "result", "name": call.tool.name, "toolCallId": call.id,
            "isError": call.tool.is_error, "commandBearing": false,
            "result": result::tool_result(call),
        });
        if let Some(meta) = tool_meta(&call.tool) {
            data["meta"] = meta.into();
        }
        let mut events = vec![tool_event(run, data, now)];
        let ending = if call.tool.is_error {
            "failed"
        } else {
            "completed"
        };
        let mut data = item(call, "end", ending);
        data["endedAt"] = now.into();
        if call.tool.is_error {
            data["error"] = call.tool.result.as_str().into();
        }
        events.push(said(run, "item", data, now));
        events.extend(running(run, now));
        let called = assistant_row(
            call_parts(call),
            run.script.usage,
            "toolUse",
            call.started_at,
        );
        let rows = vec![
            openclaw(run, responded(called), now),
            openclaw(run, tool_row(call, now), now),
        ];
        if call.tool.is_error {
            run.failed_tools += 1;
        } else {
            run.tools.push(call.tool.name.clone());
        }
        run.turn += 1;
        events.push(model(run, now));
        (events, rows)
    }

    fn turn_ends(&self, run: &mut Record, now: u64) -> Vec<Said> {
        let (_, output) = run.tokens();
        vec![said(run, "usage", json!({"outputTokens": output}), now)]
    }

    fn steers(&self, run: &mut Record, queued: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>) {
        let rows = vec![answer_row(run, now), user_row(queued, now)];
        let events = vec![local_chat(queued, json!({"state": "final"})), {
            run.turn += 1;
            run.turn_text.clear();
            model(run, now)
        }];
        queued.waited = Some(waited(queued, now, "ok", &json!({}), &json!({})));
        queued.over = Some((now, Ok(json!({"runId": queued.run_id, "status": "ok"}))));
        (events, rows)
    }

    fn done(&self, run: &mut Record, now: u64) -> Closing {
        let data = json!({
            "phase": "finishing", "stopReason": "stop", "aborted": false, "livenessState": "working",
            "endedAt": now,
        });
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
        events.push(said(run, "lifecycle", data, now));
        let mut more = json!({"state": "final", "stopReason": "stop"});
        if !run.text.is_empty() {
            more["message"] = chat_message(&run.text, now);
        }
        events.push(chat(run, run.seq, more));
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

    fn attempt_fails(
        &self,
        run: &mut Record,
        attempt: (u32, u32),
        message: &str,
        now: u64,
    ) -> Closing {
        // One more is announced than comes.
        let (attempt, of) = attempt;
        let delay = crate::clock::millis(run.script.delay_per_delta);
        let mut events = vec![finishing_badly(run, message, now)];
        let data = json!({
            "phase": "retrying", "retryAttempt": attempt, "maxRetries": of, "delayMs": delay,
            "attempt": attempt + 1, "maxAttempts": of + 1, "reason": "server_error",
            "message": format!(
                "Provider temporarily unavailable. Retrying in {}s ({attempt}/{}).",
                delay.div_ceil(1000),
                of,
            ),
        });
        let event = said(run, "run_status", data, now);
        if run.kind == Kind::Chat {
            let state = json!({"state": "status", "phase": "starting_model"});
            events.push(chat(run, run.seq, state));
        }
        events.push(event);
        events.extend(running(run, now));
        Closing {
            events,
            ..Closing::default()
        }
    }

    fn attempt_begins(&self, run: &mut Record, now: u64) -> Vec<Said> {
        let retracts = !run.text.is_empty();
        run.text.clear();
        run.turn_text.clear();
        run.started_at = now;
        let item = format!("{}:{}", run.item_id, run.turn);
        let data = json!({"itemId": item, "text": "", "delta": "", "replace": true});
        let mut events = vec![said(run, "assistant", data, now)];
        if retracts {
            let message = chat_message("", now);
            let more =
                json!({"state": "delta", "deltaText": "", "replace": true, "message": message});
            events.push(chat(run, run.seq, more));
        }
        events.extend(status(run, "preparing_context", now));
        events.extend(start(run, now));
        events
    }

    fn failed(&self, run: &mut Record, _: u32, message: &str, now: u64) -> Closing {
        let mut events = vec![finishing_badly(run, message, now), release(run, now)];
        let mut data = json!({
            "phase": "error", "startedAt": run.began_at, "endedAt": now, "error": message,
            "errorObservation": observation(), "executionSettled": true,
        });
        let mut last_events = Vec::new();
        let mut summary = message.to_owned();
        if run.kind == Kind::Chat {
            let step = json!({
                "phase": "fallback_step", "fallbackStepType": "fallback_step",
                "fallbackStepFromModel": format!("{PROVIDER}/{MODEL}"),
                "fallbackStepFromFailureReason": "server_error",
                "fallbackStepFromFailureDetail": message, "fallbackStepChainPosition": 1,
                "fallbackStepFinalOutcome": "chain_exhausted",
            });
            events.push(said(run, "lifecycle", step, now));
            data["startedAt"] = run.started_at.into();
            data["aborted"] = false.into();
            data["livenessState"] = "blocked".into();
            summary = format!(
                "⚠️ Agent failed before reply: {message}\nTo view logs, run `openclaw logs --follow` in a \
                 terminal."
            );
            last_events.push(local_chat(
                run,
                json!({"state": "error", "errorMessage": summary}),
            ));
        }
        events.extend(finished(run, now));
        events.push(said(run, "lifecycle", data, now));
        let more = json!({"state": "error", "errorMessage": message, "errorDetail": observation()});
        events.push(chat(run, run.seq, more));
        last_events.extend(finished(run, now));
        last_events.extend(failed_task(run, "failed", message, now));
        let error = json!({"error": message});
        let row = assistant_row(
            json!([{"type": "text", "text": message}]),
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

    fn timed_out(&self, run: &mut Record, now: u64) -> Closing {
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

    fn aborted(&self, run: &mut Record, reason: &'static str, now: u64) -> Closing {
        let mut events: Vec<Said> = running(run, now).into_iter().collect();
        let mut more = json!({"state": "aborted", "stopReason": reason});
        if !run.text.is_empty() {
            more["message"] = chat_message(&run.text, now);
        }
        events.push(chat(run, run.seq + 1, more));
        events.extend(task(run, "running", "unknown", json!({}), now));
        let data = json!({
            "phase": "end", "status": "cancelled", "aborted": true, "stopReason": reason,
            "startedAt": run.began_at, "endedAt": now,
        });
        events.push(said(run, "lifecycle", data, now));
        let more = json!({"stopReason": reason});
        let chat_more = json!({"error": "aborted", "stopReason": reason});
        let waits = waited(run, now, "error", &more, &chat_more);
        let mut reply = json!({
            "runId": run.run_id, "status": "timeout", "summary": "aborted", "stopReason": reason,
        });
        let mut last_events = Vec::new();
        match run.kind {
            // Its late error counts from 1 again.
            Kind::Agent => run.seq = 0,
            Kind::Chat => {
                last_events.push(model(run, now));
                reply["endedAt"] = now.into();
            }
        }
        let mut rows = Vec::new();
        if !run.text.is_empty() {
            let parts = json!([{"type": "text", "text": run.text}]);
            let mut row = assistant_row(parts, (0, 0), "stop", now);
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

    fn settled(&self, run: &mut Record, now: u64) -> Closing {
        let mut events = Vec::new();
        if run.kind == Kind::Chat {
            events.push(release(run, now));
        }
        events.extend(finished(run, now));
        let data = json!({
            "phase": "error", "startedAt": run.began_at, "endedAt": now, "error": ABORTED,
            "aborted": true, "stopReason": "aborted", "executionSettled": true,
        });
        events.push(said(run, "lifecycle", data, now));
        let error = format!("{ABORTED} | 20");
        events.extend(failed_task(run, "cancelled", &error, now));
        Closing {
            events,
            ..Closing::default()
        }
    }

    fn queued_elsewhere(&self, run: &mut Record, _: u64) -> Closing {
        Closing {
            events: vec![local_chat(run, json!({"state": "final"}))],
            reply: Some(Ok(json!({"runId": run.run_id, "status": "ok"}))),
            ..Closing::default()
        }
    }

    fn answered_elsewhere(&self, run: &Record) -> Option<Waited> {
        let (at, _) = run.over.as_ref()?;
        Some(waited(run, *at, "ok", &json!({}), &json!({})))
    }

    fn history(&self, view: &View<'_>) -> Value {
        session_row::history(view)
    }
}

fn start(run: &mut Record, now: u64) -> Vec<Said> {
    let data = json!({"phase": "start", "startedAt": now});
    let mut events = vec![said(run, "lifecycle", data, now)];
    events.extend(running(run, now));
    events.extend(status(run, "starting_model", now));
    events.push(model(run, now));
    events
}

fn finishing_badly(run: &mut Record, message: &str, now: u64) -> Said {
    let data = json!({
        "phase": "finishing", "error": message, "errorObservation": observation(), "aborted": false,
        "livenessState": "blocked", "endedAt": now,
    });
    said(run, "lifecycle", data, now)
}

fn item(call: &Call, phase: &str, status: &str) -> Value {
    let mut title: String = call
        .tool
        .name
        .split('_')
        .map(|word| {
            let mut chars = word.chars();
            let first = chars.next().into_iter().flat_map(char::to_uppercase);
            first.chain(chars).collect::<String>()
        })
        .collect::<Vec<_>>()
        .join(" ");
    let mut data = json!({
        "itemId": format!("tool:{}", call.id), "toolCallId": call.id, "name": call.tool.name,
        "kind": "tool", "phase": phase, "status": status, "commandBearing": false,
        "startedAt": call.started_at,
    });
    if let Some(meta) = tool_meta(&call.tool) {
        title = format!("{title} {meta}");
        data["meta"] = meta.into();
    }
    data["title"] = title.into();
    data
}

fn tool_event(run: &mut Record, data: Value, now: u64) -> Said {
    let mut payload = agent(run, "tool", data, now);
    payload.extend(session_row::flattened(run, now));
    Said::Starter("agent", payload.into())
}
