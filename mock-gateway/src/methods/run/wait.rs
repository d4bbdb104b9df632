//! `agent.wait`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::run::dialect::common::not_yet;
use crate::methods::run::dialect::dialect;
use crate::model::runs::Waiter;

const DEFAULT_WAIT_MS: u64 = 30_000;

/// Answers at once, or as soon as the run is over or the time is up.
pub(super) fn wait(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    request: &Request,
) -> Answer {
    let params = &request.params;
    let run_id = params["runId"].as_str().unwrap_or_default().trim();
    let known = state.runs.by_run_id(run_id);
    if let Some(waited) = known.and_then(|record| record.waited.as_ref()) {
        return Answer::from(Ok(waited.later.clone()));
    }
    // A message that waits for another run to end is not waited for.
    if known.is_some_and(|record| record.is_queued && record.over.is_some())
        && dialect(engine.edition()).steers_messages()
    {
        return Answer::from(Ok(unfinished(engine, state, run_id)));
    }
    let limit = params["timeoutMs"].as_u64().unwrap_or(DEFAULT_WAIT_MS);
    if limit == 0 {
        return Answer::from(Ok(unfinished(engine, state, run_id)));
    }
    let id = state.runs.next_id();
    state.runs.waiters.push(Waiter {
        id,
        connection,
        request_id: request.id.clone(),
        run_id: run_id.to_owned(),
    });
    Answer {
        reply: None,
        after: vec![AfterAnswer::ExpireWait(id, Duration::from_millis(limit))],
    }
}

/// Measured on 2026.9.6: a message that waits in another run is told apart.
fn unfinished(engine: &Engine, state: &State, run_id: &str) -> Value {
    let known = state.runs.by_run_id(run_id);
    let tells = dialect(engine.edition()).steers_messages();
    if tells && known.is_some_and(|record| record.is_queued) {
        return json!({
            "runId": run_id, "status": "pending", "timeoutPhase": "queue", "providerStarted": false,
        });
    }
    not_yet(run_id)
}

/// Tells everybody who waits for this run.
pub(super) fn told(engine: &Engine, state: &mut State, run_id: &str, payload: &Value) {
    let waiters = std::mem::take(&mut state.runs.waiters);
    for waiter in waiters {
        if waiter.run_id == run_id {
            let reply = Ok(payload.clone());
            engine.reply_later(state, waiter.connection, &waiter.request_id, &reply);
        } else {
            state.runs.waiters.push(waiter);
        }
    }
}

/// Tells one that it waited in vain.
pub(crate) fn expire(engine: &Engine, id: u64) {
    let mut guard = engine.lock();
    let state = &mut *guard;
    let found = state.runs.waiters.iter().position(|waiter| waiter.id == id);
    let Some(found) = found else { return };
    let waiter = state.runs.waiters.swap_remove(found);
    let reply = Ok(unfinished(engine, state, &waiter.run_id));
    engine.reply_later(state, waiter.connection, &waiter.request_id, &reply);
}
