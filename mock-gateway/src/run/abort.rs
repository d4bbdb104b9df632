//! `chat.abort` and `sessions.abort`.

use serde_json::{Value, json};

use super::book::Kind;
use super::calls::{Next, Turn, canonical};
use super::frames::dialect;
use super::saying::close;
use crate::rpc::Request;
use crate::state::{Inner, Live, State};
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
    inner: &Inner,
    state: &State,
    caller: &Caller<'_>,
    session_key: Option<&str>,
    run_id: Option<&str>,
) -> Meant {
    let dialect = dialect(inner.edition());
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
    inner: &Inner,
    state: &mut State,
    ids: &[u64],
    reason: &'static str,
) -> (Vec<String>, Vec<Next>) {
    let dialect = dialect(inner.edition());
    let (mut run_ids, mut next) = (Vec::new(), Vec::new());
    for id in ids {
        let Some(mut record) = state.runs.take(*id) else {
            continue;
        };
        record.aborted = Some(reason);
        let closing = dialect.aborted(&mut record, reason, inner.clock.now_ms());
        close(inner, state, &mut record, closing, false);
        next.push(Next::Release(record.stop.clone()));
        run_ids.push(record.run_id.clone());
        state.runs.put(record);
    }
    (run_ids, next)
}

/// Aborts them, with the answer of `chat.abort`.
fn abort_and_tell(inner: &Inner, state: &mut State, ids: &[u64], reason: &'static str) -> Turn {
    let (run_ids, next) = abort_all(inner, state, ids, reason);
    let payload = json!({"ok": true, "aborted": !run_ids.is_empty(), "runIds": run_ids});
    Turn {
        reply: Some(Ok(payload)),
        next,
    }
}

fn unauthorized() -> Turn {
    Turn::reply(Err(ErrorShape::invalid("unauthorized")))
}

/// Aborts the runs of a session as a message `/stop` does, or for one that interrupts.
pub(super) fn stop_session(
    inner: &Inner,
    state: &mut State,
    caller: &Caller<'_>,
    session_key: &str,
    reason: &'static str,
) -> Turn {
    let meant = meant(inner, state, caller, Some(session_key), None);
    abort_and_tell(inner, state, &meant.ids, reason)
}

/// `chat.abort`
pub(super) fn chat(
    inner: &Inner,
    state: &mut State,
    caller: &Caller<'_>,
    request: &Request,
) -> Turn {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let session_key = canonical(text("sessionKey").unwrap_or_default());
    if let Some(run_id) = text("runId") {
        let elsewhere = state.runs.by_run_id(run_id).is_some_and(|record| {
            record.is_live() && record.kind == Kind::Chat && record.session_key != session_key
        });
        if elsewhere {
            return Turn::reply(Err(ErrorShape::invalid("runId does not match sessionKey")));
        }
    }
    let meant = meant(inner, state, caller, Some(&session_key), text("runId"));
    if meant.ids.is_empty() && meant.forbidden {
        return unauthorized();
    }
    abort_and_tell(inner, state, &meant.ids, "rpc")
}

/// `sessions.abort`, which only 2026.9.6 has.
pub(super) fn sessions(
    inner: &Inner,
    state: &mut State,
    caller: &Caller<'_>,
    request: &Request,
) -> Turn {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let session_key = text("key").map(canonical);
    let meant = meant(inner, state, caller, session_key.as_deref(), text("runId"));
    if meant.ids.is_empty() && meant.forbidden {
        return unauthorized();
    }
    let (run_ids, next) = abort_all(inner, state, &meant.ids, "rpc");
    let first = run_ids.first().cloned();
    let status = if first.is_some() {
        "aborted"
    } else {
        "no-active-run"
    };
    Turn {
        reply: Some(Ok(
            json!({"ok": true, "abortedRunId": first, "status": status}),
        )),
        next,
    }
}
