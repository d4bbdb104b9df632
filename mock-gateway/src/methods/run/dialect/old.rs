//! Runs in 2026.2.9.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::methods::run::dialect::call::Call;
use crate::methods::run::dialect::common::{
    Closing, Dialect, Said, answer_parts, assistant_row, call_parts, chat_message, local_message,
    refused, tool_meta, tool_row,
};
use crate::methods::run::dialect::place::{self, Place};
use crate::methods::run::dialect::result;
use crate::model::runs::{Kind, Record, Waited};
use crate::model::script::{Cause, RunRequest};
use crate::wire::{ErrorShape, Reply};

/// `chat` deltas come no faster than this; the last one is often left out.
const CHAT_INTERVAL: Duration = Duration::from_millis(150);

pub(super) struct Old;

/// An `agent` event.
fn agent(run: &mut Record, stream: &str, data: &Value, now: u64) -> Value {
    let mut payload = json!({
        "runId": run.run_id, "stream": stream, "data": data, "seq": run.next_seq(), "ts": now,
    });
    if let Some(key) = &run.shown_key {
        payload["sessionKey"] = key.as_str().into();
    }
    payload
}

fn said(run: &mut Record, stream: &str, data: &Value, now: u64) -> Said {
    Said::All("agent", agent(run, stream, data, now))
}

/// A `chat` event, where the run has them.
fn chat(run: &Record, seq: u64, more: Value) -> Option<Said> {
    if !run.has_chat {
        return None;
    }
    let mut payload = Map::new();
    payload.insert("runId".into(), run.run_id.as_str().into());
    let key = run.shown_key.as_ref().unwrap_or(&run.session_key);
    payload.insert("sessionKey".into(), key.as_str().into());
    payload.insert("seq".into(), seq.into());
    if let Value::Object(more) = more {
        payload.extend(more);
    }
    Some(Said::All("chat", Value::Object(payload)))
}

fn waited(run: &Record, now: u64) -> Waited {
    let payload = json!({
        "runId": run.run_id, "status": "ok", "startedAt": run.started_at, "endedAt": now,
    });
    Waited {
        at_end: payload.clone(),
        later: payload,
    }
}

fn user_row(run: &Record) -> Value {
    json!({
        "role": "user", "content": [{"type": "text", "text": run.message}],
        "timestamp": run.started_at,
    })
}

fn error_row(message: &str, now: u64) -> Value {
    let mut row = assistant_row(&json!([]), (0, 0), "error", now);
    row["errorMessage"] = message.into();
    row
}

fn reply(
    run: &Record,
    payloads: &Value,
    aborted: bool,
    usage: Option<(u64, u64)>,
    now: u64,
) -> Value {
    match run.kind {
        Kind::Agent => json!({
            "runId": run.run_id, "status": "ok", "summary": "completed",
            "result": {"payloads": payloads, "meta": result::old_meta(run, aborted, usage, now)},
        }),
        Kind::Chat => json!({"runId": run.run_id, "status": "ok"}),
    }
}

fn with_message(state: &str, text: &str, now: u64) -> Value {
    let mut more = json!({"state": state});
    if !text.is_empty() {
        more["message"] = chat_message(text, now);
    }
    more
}

/// The first failure looks like an end: the events and the waits say so.
fn looks_over(run: &mut Record, now: u64) -> Closing {
    let mut events = vec![said(
        run,
        "lifecycle",
        &json!({"phase": "end", "endedAt": now}),
        now,
    )];
    if run.waited.is_some() {
        return Closing {
            events,
            ..Closing::default()
        };
    }
    let seq = run.seq;
    events.extend(chat(run, seq, json!({"state": "final"})));
    Closing {
        waited: Some(waited(run, now)),
        events,
        ..Closing::default()
    }
}

impl Dialect for Old {
    fn attempts(&self, _: Cause) -> u32 {
        4
    }

    fn aborts_agent_runs(&self) -> bool {
        false
    }

    fn aborts_need_owner(&self) -> bool {
        false
    }

    fn checks_message(&self) -> bool {
        false
    }

    fn steers_messages(&self) -> bool {
        false
    }

    fn tools_need_verbose(&self) -> bool {
        true
    }

    fn waits_for_an_answer(&self) -> bool {
        true
    }

    fn remembers_turns(&self) -> bool {
        false
    }

    fn counts_on(&self) -> bool {
        true
    }

    fn place(&self, kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape> {
        place::old(kind, wanted)
    }

    fn timeout_ms(&self, kind: Kind, params: &Value) -> Option<u64> {
        match kind {
            Kind::Agent => Some(params.get("timeout")?.as_u64()?.saturating_mul(1000)),
            Kind::Chat => None,
        }
    }

    fn accepted(&self, run: &Record) -> Value {
        json!({"runId": run.run_id, "status": "accepted", "acceptedAt": run.accepted_at})
    }

    fn again(&self, run: &Record) -> Value {
        self.accepted(run)
    }

    fn chat_replay(&self, run: &Record, _: Reply) -> Reply {
        Ok(json!({"runId": run.run_id, "status": "ok"}))
    }

    fn opening(&self, run: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>) {
        run.turn = 1;
        let events = self.attempt_begins(run, now);
        (events, vec![user_row(run)])
    }

    fn waits(&self, _: &mut Record, _: u64) -> Vec<Said> {
        Vec::new()
    }

    fn delta(&self, run: &mut Record, piece: &str, now: u64) -> Vec<Said> {
        run.text.push_str(piece);
        run.turn_text.push_str(piece);
        let data = json!({"text": run.text, "delta": piece});
        let mut events = vec![said(run, "assistant", &data, now)];
        let due = run
            .last_chat
            .is_none_or(|last| last.elapsed() >= CHAT_INTERVAL);
        if due {
            run.last_chat = Some(Instant::now());
            let more = with_message("delta", &run.text, now);
            events.extend(chat(run, run.seq, more));
        }
        events
    }

    fn tool_begins(&self, run: &mut Record, call: &Call, now: u64) -> (Vec<Said>, Vec<Value>) {
        let data = json!({
            "phase": "start", "name": call.tool.name, "toolCallId": call.id, "args": call.tool.args,
        });
        (vec![Said::Tool(agent(run, "tool", &data, now))], Vec::new())
    }

    fn tool_ends(
        &self,
        run: &mut Record,
        call: &Call,
        verbose: &str,
        now: u64,
    ) -> (Vec<Said>, Vec<Value>) {
        let mut data = json!({
            "phase": "result", "name": call.tool.name, "toolCallId": call.id,
            "isError": call.tool.is_error,
        });
        if let Some(meta) = tool_meta(&call.tool) {
            data["meta"] = meta.into();
        }
        if verbose == "full" {
            let works = call.tool.is_command() && !call.tool.is_error && call.verdict.is_none();
            data["result"] = if works {
                result::command_result(call, false, now)
            } else {
                result::tool_result(call)
            };
        }
        let mut events = Vec::new();
        if call.tool.is_command() && call.verdict.is_none() {
            let mut update = json!({
                "phase": "update", "name": call.tool.name, "toolCallId": call.id,
            });
            if verbose == "full" {
                update["partialResult"] = result::command_so_far(call);
            }
            events.push(Said::Tool(agent(run, "tool", &update, now)));
        }
        events.push(Said::Tool(agent(run, "tool", &data, now)));
        run.tools.push(call.tool.name.clone());
        run.turn += 1;
        let rows = vec![
            assistant_row(
                &call_parts(call),
                run.script.usage,
                "toolUse",
                call.started_at,
            ),
            tool_row(call, now),
        ];
        (events, rows)
    }

    fn turn_ends(&self, _: &mut Record, _: u64) -> Vec<Said> {
        Vec::new()
    }

    fn steers(&self, _: &mut Record, _: &mut Record, _: u64) -> (Vec<Said>, Vec<Value>) {
        (Vec::new(), Vec::new())
    }

    fn done(&self, run: &mut Record, now: u64) -> Closing {
        let mut events = vec![said(
            run,
            "lifecycle",
            &json!({"phase": "end", "endedAt": now}),
            now,
        )];
        let more = with_message("final", &run.text, now);
        events.extend(chat(run, run.seq, more));
        let payloads = if run.text.is_empty() {
            json!([])
        } else {
            json!([{"text": run.text, "mediaUrl": null}])
        };
        let reply = match run.undelivered {
            Some(error) => refused(run, error),
            None => Ok(reply(run, &payloads, false, Some(run.tokens()), now)),
        };
        Closing {
            events,
            waited: Some(waited(run, now)),
            last_events: Vec::new(),
            reply: Some(reply),
            rows: vec![assistant_row(
                &answer_parts(run),
                run.script.usage,
                "stop",
                now,
            )],
        }
    }

    fn attempt_fails(&self, run: &mut Record, _: (u32, u32), message: &str, now: u64) -> Closing {
        let mut closing = looks_over(run, now);
        closing.rows = vec![error_row(message, now)];
        run.shown_key = None;
        closing
    }

    fn attempt_begins(&self, run: &mut Record, now: u64) -> Vec<Said> {
        run.started_at = now;
        vec![said(
            run,
            "lifecycle",
            &json!({"phase": "start", "startedAt": now}),
            now,
        )]
    }

    fn local(&self, run: &mut Record, now: u64) -> Closing {
        let message = local_message(&run.text, now);
        let more = json!({"state": "final", "message": message});
        Closing {
            events: chat(run, 1, more).into_iter().collect(),
            waited: Some(waited(run, now)),
            last_events: Vec::new(),
            reply: Some(Ok(json!({"runId": run.run_id, "status": "ok"}))),
            rows: Vec::new(),
        }
    }

    fn cannot_begin(&self, run: &mut Record, error: &str, now: u64) -> Vec<Said> {
        let data = json!({
            "phase": "error", "startedAt": run.started_at, "endedAt": now, "error": error,
        });
        let mut events = vec![said(run, "lifecycle", &data, now)];
        let more = json!({"state": "error", "errorMessage": error});
        events.extend(chat(run, run.seq, more));
        events
    }

    fn turned_away_once(&self, _: &mut Record, _: u64) -> Vec<Said> {
        Vec::new()
    }

    fn turned_away(&self, run: &mut Record, now: u64) -> Closing {
        self.done(run, now)
    }

    fn failed(&self, run: &mut Record, _: u32, message: &str, now: u64) -> Closing {
        let mut closing = looks_over(run, now);
        closing.rows = vec![error_row(message, now)];
        let payloads = json!([{"text": message, "mediaUrl": null}]);
        closing.reply = Some(Ok(reply(run, &payloads, false, None, now)));
        closing
    }

    fn timed_out(&self, run: &mut Record, now: u64) -> Closing {
        let data = json!({
            "phase": "end", "startedAt": run.began_at, "endedAt": now, "aborted": true,
        });
        let mut events = vec![said(run, "lifecycle", &data, now)];
        let more = with_message("final", &run.text, now);
        events.extend(chat(run, run.seq, more));
        run.started_at = run.began_at;
        Closing {
            events,
            waited: Some(waited(run, now)),
            last_events: Vec::new(),
            reply: Some(Ok(reply(run, &json!([]), true, None, now))),
            rows: Vec::new(),
        }
    }

    fn aborted(&self, run: &mut Record, reason: &'static str, _: u64) -> Closing {
        let more = json!({"state": "aborted", "stopReason": reason});
        Closing {
            events: chat(run, run.seq + 1, more).into_iter().collect(),
            reply: Some(Ok(json!({"runId": run.run_id, "status": "ok"}))),
            ..Closing::default()
        }
    }

    fn settled(&self, _: &mut Record, _: u64) -> Closing {
        Closing::default()
    }

    fn queued_elsewhere(&self, run: &mut Record, _: u64) -> Closing {
        Closing {
            events: chat(run, 1, json!({"state": "final"}))
                .into_iter()
                .collect(),
            reply: Some(Ok(json!({"runId": run.run_id, "status": "ok"}))),
            ..Closing::default()
        }
    }

    fn answered_elsewhere(&self, _: &Record) -> Option<Waited> {
        None
    }
}
