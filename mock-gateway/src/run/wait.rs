//! `agent.wait`.

use std::time::Duration;

use serde_json::{Value, json};

use super::book::Waiter;
use super::calls::{Next, Turn};
use super::frames::{dialect, not_yet};
use super::saying::answer_later;
use crate::rpc::Request;
use crate::state::{Inner, State};

const DEFAULT_WAIT_MS: u64 = 30_000;

/// Answers at once, or as soon as the run is over or the time is up.
pub(super) fn wait(inner: &Inner, state: &mut State, connection: u64, request: &Request) -> Turn {
    let params = &request.params;
    let run_id = params["runId"].as_str().unwrap_or_default().trim();
    let known = state.runs.by_run_id(run_id);
    if let Some(waited) = known.and_then(|record| record.waited.as_ref()) {
        return Turn::reply(Ok(waited.later.clone()));
    }
    // A message that waits for another run to end is not waited for.
    if known.is_some_and(|record| record.is_queued && record.over.is_some())
        && dialect(inner.edition()).steers_messages()
    {
        return Turn::reply(Ok(unfinished(inner, state, run_id)));
    }
    let limit = params["timeoutMs"].as_u64().unwrap_or(DEFAULT_WAIT_MS);
    if limit == 0 {
        return Turn::reply(Ok(unfinished(inner, state, run_id)));
    }
    let id = state.runs.next_id();
    state.runs.waiters.push(Waiter {
        id,
        connection,
        request_id: request.id.clone(),
        run_id: run_id.to_owned(),
    });
    Turn {
        reply: None,
        next: vec![Next::Expire(id, Duration::from_millis(limit))],
    }
}

/// Measured on 2026.9.6: a message that waits in another run is told apart.
fn unfinished(inner: &Inner, state: &State, run_id: &str) -> Value {
    let known = state.runs.by_run_id(run_id);
    let tells = dialect(inner.edition()).steers_messages();
    if tells && known.is_some_and(|record| record.is_queued) {
        return json!({
            "runId": run_id, "status": "pending", "timeoutPhase": "queue", "providerStarted": false,
        });
    }
    not_yet(run_id)
}

/// Tells everybody who waits for this run.
pub(super) fn told(inner: &Inner, state: &mut State, run_id: &str, payload: &Value) {
    let waiters = std::mem::take(&mut state.runs.waiters);
    for waiter in waiters {
        if waiter.run_id == run_id {
            let reply = Ok(payload.clone());
            answer_later(inner, state, waiter.connection, &waiter.request_id, &reply);
        } else {
            state.runs.waiters.push(waiter);
        }
    }
}

/// Tells one that it waited in vain.
pub(super) fn expire(inner: &Inner, id: u64) {
    let mut guard = inner.lock();
    let state = &mut *guard;
    let found = state.runs.waiters.iter().position(|waiter| waiter.id == id);
    let Some(found) = found else { return };
    let waiter = state.runs.waiters.swap_remove(found);
    let reply = Ok(unfinished(inner, state, &waiter.run_id));
    answer_later(inner, state, waiter.connection, &waiter.request_id, &reply);
}
