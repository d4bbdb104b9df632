//! `chat.history`, and the one setting of a session that runs depend on.

use serde_json::{Value, json};

use super::calls::canonical;
use super::frames::{View, dialect};
use crate::rpc::Request;
use crate::state::{Inner, State};
use crate::wire::Reply;

const DEFAULT_LIMIT: usize = 200;

/// The latest messages of a session, oldest first.
pub(super) fn history(inner: &Inner, state: &State, request: &Request) -> Value {
    let key = request.params["sessionKey"].as_str().unwrap_or_default();
    let session_key = canonical(key);
    let limit = request.params["limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(DEFAULT_LIMIT);
    let session = state.runs.session(&session_key);
    let last = state
        .runs
        .iter()
        .filter(|record| record.session_key == session_key)
        .last();
    dialect(inner.edition()).history(&View {
        session_key: &session_key,
        session,
        messages: session
            .map(|session| session.latest(limit))
            .unwrap_or_default(),
        total: session.map_or(0, |session| session.total),
        active: state.runs.working(&session_key),
        last,
        now: inner.clock.now_ms(),
    })
}

/// `sessions.patch`, as far as runs care: which tool events a session gives.
pub(super) fn patch(inner: &Inner, state: &mut State, request: &Request) -> Option<Reply> {
    let level = request.params.get("verboseLevel")?;
    let key = canonical(request.params["key"].as_str().unwrap_or_default());
    let now = inner.clock.now_ms();
    let path = state.disk.shown_path();
    let session = state.runs.session_mut(&key, now);
    session.verbose = level.as_str().map(str::to_owned);
    let mut entry = json!({"sessionId": session.session_id, "updatedAt": now});
    if level != &Value::Null {
        entry["verboseLevel"] = level.clone();
    }
    Some(Ok(
        json!({"ok": true, "path": path, "key": key, "entry": entry}),
    ))
}
