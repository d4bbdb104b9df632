//! Runs in 2026.9.6.

pub(crate) mod ends;
pub(crate) mod events;
pub(crate) mod rows;
pub(crate) mod tools;

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::methods::run::dialect::call::Call;
use crate::methods::run::dialect::common::{
    Closing, Dialect, Said, assistant_row, call_parts, chat_message, tool_row,
};
use crate::methods::run::dialect::new::events::{
    chat, failed_task, finishing_badly, local_chat, model, running, said, start, status, task,
};
use crate::methods::run::dialect::new::rows::{answer_row, openclaw, responded, user_row};
use crate::methods::run::dialect::place::{self, Place};
use crate::methods::run::dialect::repeats::without_repeats;
use crate::model::runs::{Kind, Record, Waited};
use crate::model::script::{Cause, RunRequest};
use crate::wire::{ErrorShape, Reply};

pub(super) struct New;

impl Dialect for New {
    fn attempts(&self, cause: Cause) -> u32 {
        match cause {
            Cause::Broken | Cause::Cut => 8,
            Cause::Limit => 10,
        }
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

    fn waits_for_an_answer(&self) -> bool {
        false
    }

    fn remembers_turns(&self) -> bool {
        true
    }

    fn counts_on(&self) -> bool {
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

    fn lifecycle(&self, run: &mut Record, data: Value, now: u64) -> Vec<Said> {
        vec![said(run, "lifecycle", data, now)]
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
        if !run.has_waited {
            events.extend(task(run, "running", "unknown", json!({}), now));
        }
        events.extend(running(run, now));
        events.extend(status(run, "preparing_workspace", now));
        events.extend(status(run, "preparing_context", now));
        events.extend(start(run, now));
        (events, vec![user_row(run, now)])
    }

    fn waits(&self, run: &mut Record, now: u64) -> Vec<Said> {
        run.has_waited = true;
        ["unknown", "queued"]
            .into_iter()
            .filter_map(|state| task(run, "running", state, json!({}), now))
            .collect()
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

    fn tool_begins(&self, run: &mut Record, call: &Call, now: u64) -> (Vec<Said>, Vec<Value>) {
        let mut events = self.turn_ends(run, now);
        events.extend(tools::begun(run, call, now));
        let called = assistant_row(&call_parts(call), run.script.usage, "toolUse", now);
        (events, vec![openclaw(run, responded(called), now)])
    }

    fn tool_ends(
        &self,
        run: &mut Record,
        call: &Call,
        _: &str,
        now: u64,
    ) -> (Vec<Said>, Vec<Value>) {
        let mut events = tools::ended(run, call, now);
        events.extend(running(run, now));
        let rows = vec![openclaw(run, tool_row(call, now), now)];
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
        let mut events = vec![said(run, "usage", json!({"outputTokens": output}), now)];
        if let Cow::Owned(shown) = without_repeats(&run.turn_text) {
            let earlier = run.text.len() - run.turn_text.len();
            run.text.truncate(earlier);
            run.text.push_str(&shown);
            run.leaves_out = true;
            let item = format!("{}:{}", run.item_id, run.turn);
            let data = json!({"itemId": item, "text": shown, "delta": "", "replace": true});
            events.push(said(run, "assistant", data, now));
        }
        events
    }

    fn steers(&self, run: &mut Record, queued: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>) {
        queued.has_begun = true;
        queued.steered_into = Some(run.run_id.clone());
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
        let (attempt, attempts) = attempt;
        let delay = crate::model::clock::millis(run.script.delay_per_delta);
        let mut events = vec![finishing_badly(run, message, now)];
        let cause = run.script.cause();
        let is_limited = cause == Some(Cause::Limit);
        // Except after a limit one more attempt is announced than comes.
        let retries = if is_limited { attempts - 1 } else { attempts };
        let (next, of) = (attempt + 1, retries + 1);
        let (reason, text) = if is_limited {
            ("rate_limit", format!("Retrying… {next}/{of}"))
        } else {
            let seconds = delay.div_ceil(1000);
            let text = format!(
                "Provider temporarily unavailable. Retrying in {seconds}s ({attempt}/{retries}).",
            );
            let is_cut = cause == Some(Cause::Cut);
            let reason = if is_cut { "timeout" } else { "server_error" };
            (reason, text)
        };
        let data = json!({
            "phase": "retrying", "retryAttempt": attempt, "maxRetries": retries, "delayMs": delay,
            "attempt": next, "maxAttempts": of, "reason": reason, "message": text,
        });
        let event = said(run, "run_status", data, now);
        if run.kind == Kind::Chat {
            let mut state = json!({"state": "status", "phase": "starting_model"});
            if is_limited {
                state["retry"] = json!({"attempt": next, "maxAttempts": of, "reason": reason});
            }
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
        run.leaves_out = false;
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
        if !run.script.is_turned_away() {
            events.extend(status(run, "preparing_context", now));
        }
        events.extend(start(run, now));
        events
    }

    fn local(&self, run: &mut Record, now: u64) -> Closing {
        ends::local(run, now)
    }

    fn cannot_begin(&self, run: &mut Record, error: &str, now: u64) -> Vec<Said> {
        let begun = task(run, "running", "unknown", json!({}), now);
        let failed = failed_task(run, "failed", error, now);
        begun.into_iter().chain(failed).collect()
    }

    fn turned_away_once(&self, run: &mut Record, now: u64) -> Vec<Said> {
        vec![ends::turned_away_once(run, now)]
    }

    fn turned_away(&self, run: &mut Record, now: u64) -> Closing {
        ends::turned_away(run, now)
    }

    fn notices_cuts(&self) -> bool {
        true
    }

    fn insists_on_answers(&self, kind: Kind) -> bool {
        kind == Kind::Agent
    }

    fn silent_once(&self, run: &mut Record, now: u64) -> Vec<Said> {
        ends::silent_once(run, now)
    }

    fn silent(&self, run: &mut Record, now: u64) -> Closing {
        ends::silent(run, now)
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
}
