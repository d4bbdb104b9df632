//! `chat.abort` and `sessions.abort`.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::run::dialect::dialect;
use crate::methods::run::emit::close;
use crate::model::connection::Live;
use crate::model::runs::Kind;
use crate::model::sessions::canonical;
use crate::wire::ErrorShape;

/// Who wants to abort.
pub(super) struct Caller<'a> {
    pub(super) connection: u64,
    pub(super) live: &'a Live,
}

/// Which runs are meant: one, or all of a session.
struct Meant {
    ids: Vec<u64>,
    /// There are some, but they are somebody else's.
    forbidden: bool,
}

fn meant(
    engine: &Engine,
    state: &State,
    caller: &Caller<'_>,
    session_key: Option<&str>,
    run_id: Option<&str>,
) -> Meant {
    let dialect = dialect(engine.edition());
    let mut meant = Meant {
        ids: Vec::new(),
        forbidden: false,
    };
    for record in state.runs.iter().filter(|record| record.is_live()) {
        let is_meant = run_id.is_none_or(|run_id| record.run_id == run_id)
            && session_key.is_none_or(|key| record.session_key == key)
            && (record.kind == Kind::Chat || dialect.aborts_agent_runs());
        if !is_meant {
            continue;
        }
        let same_device = record.device_id.is_some() && record.device_id == caller.live.device_id;
        let may = !dialect.aborts_need_owner()
            || caller.live.is_admin()
            || same_device
            || record.connection == caller.connection;
        if may {
            meant.ids.push(record.id);
        } else {
            meant.forbidden = true;
        }
    }
    meant
}

/// Aborts them; what they are called, and what is to be done next.
fn abort_all(
    engine: &Engine,
    state: &mut State,
    ids: &[u64],
    reason: &'static str,
) -> (Vec<String>, Vec<AfterAnswer>) {
    let dialect = dialect(engine.edition());
    let (mut run_ids, mut next) = (Vec::new(), Vec::new());
    for id in ids {
        let Some(mut record) = state.runs.take(*id) else {
            continue;
        };
        record.aborted = Some(reason);
        let closing = dialect.aborted(&mut record, reason, engine.clock.now_ms());
        close(engine, state, &mut record, closing, false);
        next.push(AfterAnswer::ReleaseRun(record.stop.clone()));
        run_ids.push(record.run_id.clone());
        state.runs.put(record);
    }
    (run_ids, next)
}

/// Aborts them, with the answer of `chat.abort`.
fn abort_and_tell(engine: &Engine, state: &mut State, ids: &[u64], reason: &'static str) -> Answer {
    let (run_ids, next) = abort_all(engine, state, ids, reason);
    let payload = json!({"ok": true, "aborted": !run_ids.is_empty(), "runIds": run_ids});
    Answer {
        reply: Some(Ok(payload)),
        after: next,
    }
}

fn unauthorized() -> Answer {
    Answer::from(Err(ErrorShape::invalid("unauthorized")))
}

/// Aborts the runs of a session as a message `/stop` does, or for one that interrupts.
pub(super) fn stop_session(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    session_key: &str,
    reason: &'static str,
) -> Answer {
    let meant = meant(engine, state, caller, Some(session_key), None);
    abort_and_tell(engine, state, &meant.ids, reason)
}

/// `chat.abort`
pub(super) fn chat(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    request: &Request,
) -> Answer {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let session_key = canonical(text("sessionKey").unwrap_or_default());
    if let Some(run_id) = text("runId") {
        let elsewhere = state.runs.by_run_id(run_id).is_some_and(|record| {
            record.is_live() && record.kind == Kind::Chat && record.session_key != session_key
        });
        if elsewhere {
            return Answer::from(Err(ErrorShape::invalid("runId does not match sessionKey")));
        }
    }
    let meant = meant(engine, state, caller, Some(&session_key), text("runId"));
    if meant.ids.is_empty() && meant.forbidden {
        return unauthorized();
    }
    abort_and_tell(engine, state, &meant.ids, "rpc")
}

/// `sessions.abort`, which only 2026.9.6 has.
pub(super) fn sessions(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    request: &Request,
) -> Answer {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let session_key = text("key").map(canonical);
    let meant = meant(engine, state, caller, session_key.as_deref(), text("runId"));
    if meant.ids.is_empty() && meant.forbidden {
        return unauthorized();
    }
    let (run_ids, next) = abort_all(engine, state, &meant.ids, "rpc");
    let first = run_ids.first().cloned();
    let status = if first.is_some() {
        "aborted"
    } else {
        "no-active-run"
    };
    Answer {
        reply: Some(Ok(
            json!({"ok": true, "abortedRunId": first, "status": status}),
        )),
        after: next,
    }
}
