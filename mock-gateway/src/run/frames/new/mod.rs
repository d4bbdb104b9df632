//! Runs in 2026.9.6.

mod ends;
mod events;
mod rows;

use serde_json::{Value, json};

use self::events::{
    chat, finishing_badly, item, local_chat, model, running, said, start, status, task, tool_event,
};
use self::rows::{answer_row, openclaw, responded, user_row};
use super::super::book::{Kind, Record, Waited};
use super::super::script::RunRequest;
use super::{
    Call, Closing, Dialect, Place, Said, View, assistant_row, call_parts, chat_message, place,
    result, session_row, tool_meta, tool_row,
};
use crate::wire::{ErrorShape, Reply};

pub(super) struct New;

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
            &call_parts(call),
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
        queued.waited = Some(ends::waited(queued, now, "ok", &json!({}), &json!({})));
        queued.over = Some((now, Ok(json!({"runId": queued.run_id, "status": "ok"}))));
        (events, rows)
    }

    fn done(&self, run: &mut Record, now: u64) -> Closing {
        ends::done(run, now)
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
        ends::failed(run, message, now)
    }

    fn timed_out(&self, run: &mut Record, now: u64) -> Closing {
        ends::timed_out(run, now)
    }

    fn aborted(&self, run: &mut Record, reason: &'static str, now: u64) -> Closing {
        ends::aborted(run, reason, now)
    }

    fn settled(&self, run: &mut Record, now: u64) -> Closing {
        ends::settled(run, now)
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
        Some(ends::waited(run, *at, "ok", &json!({}), &json!({})))
    }

    fn history(&self, view: &View<'_>) -> Value {
        session_row::history(view)
    }
}
