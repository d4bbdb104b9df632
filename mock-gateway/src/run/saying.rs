//! What a run says to its clients, and what its end brings about.

use serde_json::Value;

use super::book::{Kind, Record};
use super::calls::as_asked;
use super::frames::{Closing, Said, dialect};
use super::telling;
use crate::state::{Inner, State};
use crate::wire::{self, Reply};
use crate::ws::Out;

const TOOL_EVENTS: &str = "tool-events";

/// Sends an event to whom it is for.
pub(super) fn say(inner: &Inner, state: &mut State, record: &Record, said: &Said) {
    match said {
        Said::All(name, payload) => inner.broadcast(state, name, payload),
        Said::Tool(payload) => {
            let payload = telling::tool_event(inner, state, record, payload);
            if dialect(inner.edition()).tools_need_verbose() && verbose(state, record) == "off" {
                return;
            }
            let Some(session) = state.sessions.get_mut(&record.connection) else {
                return;
            };
            let wants = |cap: &String| cap == TOOL_EVENTS;
            if !session
                .live
                .as_ref()
                .is_some_and(|live| live.caps.iter().any(wants))
            {
                return;
            }
            let seq = inner.facts().seq_per_connection.then(|| {
                session.seq += 1;
                session.seq
            });
            let frame = wire::event("agent", &payload, seq);
            state
                .recorder
                .sent(session.id, &frame, inner.clock.now_ms());
            session.outbox.send(Out::Text(frame));
        }
    }
}

pub(super) fn verbose(state: &State, record: &Record) -> String {
    let book = state.books.get(&record.session_key);
    let level = book.and_then(|book| book.settings.get("verboseLevel")?.as_str());
    level.unwrap_or("off").to_owned()
}

/// Sends an answer that comes later, if whoever asked is still there.
pub(crate) fn answer_later(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    id: &Value,
    reply: &Reply,
) {
    let Some(session) = state.sessions.get(&connection) else {
        return;
    };
    let text = wire::response(id, reply);
    state.recorder.sent(connection, &text, inner.clock.now_ms());
    session.outbox.send(Out::Text(text));
}

/// Does what the end of a run, or of one attempt, brings about.
pub(super) fn close(
    inner: &Inner,
    state: &mut State,
    record: &mut Record,
    closing: Closing,
    answers: bool,
) {
    let now = inner.clock.now_ms();
    let dialect = dialect(inner.edition());
    record.rows.extend(closing.rows);
    telling::written(inner, state, record);
    for said in &closing.events {
        say(inner, state, record, said);
    }
    if let Some(waited) = closing.waited {
        super::wait::told(inner, state, &record.run_id, &waited.at_end);
        record.waited = Some(waited);
    }
    for said in &closing.last_events {
        say(inner, state, record, said);
    }
    if let Some(reply) = closing.reply {
        let reply = as_asked(record, reply);
        if answers && record.kind == Kind::Agent {
            answer_later(inner, state, record.connection, &record.request_id, &reply);
        }
        record.over = Some((now, reply));
    }
    let original = record.stands_for.filter(|_| record.over.is_some());
    if let Some(mut original) = original.and_then(|id| state.runs.take(id)) {
        original.is_queued = false;
        original.waited = dialect.answered_elsewhere(&original);
        if let Some(waited) = &original.waited {
            super::wait::told(inner, state, &original.run_id, &waited.at_end);
        }
        state.runs.put(original);
    }
    if record.over.is_some() {
        telling::over(inner, state, record);
    }
}
