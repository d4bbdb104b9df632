//! What a run says to its clients, and what its end brings about.

use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::run::dialect::common::{Closing, Said};
use crate::methods::run::dialect::dialect;
use crate::methods::run::notify;
use crate::model::runs::{Kind, Record};
use crate::wire::ws::outbox::Out;
use crate::wire::{self, Reply};

const TOOL_EVENTS: &str = "tool-events";

/// Sends an event to whom it is for.
pub(super) fn emit(engine: &Engine, state: &mut State, record: &Record, said: &Said) {
    match said {
        Said::All(name, payload) => engine.broadcast(state, name, payload),
        Said::Tool(payload) => {
            let payload = notify::tool_event(engine, state, record, payload);
            if dialect(engine.edition()).tools_need_verbose() && verbose(state, record) == "off" {
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
            let seq = engine.facts().seq_per_connection.then(|| {
                session.seq += 1;
                session.seq
            });
            let frame = wire::event("agent", &payload, seq);
            state
                .recorder
                .sent(session.id, &frame, engine.clock.now_ms());
            session.outbox.send(Out::Text(frame));
        }
    }
}

pub(super) fn verbose(state: &State, record: &Record) -> String {
    let book = state.books.get(&record.session_key);
    let level = book.and_then(|book| book.settings.get("verboseLevel")?.as_str());
    level.unwrap_or("off").to_owned()
}

/// Does what the end of a run, or of one attempt, brings about.
pub(super) fn close(
    engine: &Engine,
    state: &mut State,
    record: &mut Record,
    closing: Closing,
    answers: bool,
) {
    let now = engine.clock.now_ms();
    let dialect = dialect(engine.edition());
    record.rows.extend(closing.rows);
    notify::written(engine, state, record);
    for said in &closing.events {
        emit(engine, state, record, said);
    }
    if let Some(waited) = closing.waited {
        super::wait::told(engine, state, &record.run_id, &waited.at_end);
        record.waited = Some(waited);
    }
    for said in &closing.last_events {
        emit(engine, state, record, said);
    }
    if let Some(reply) = closing.reply {
        let reply = as_asked(record, reply);
        if answers && record.kind == Kind::Agent {
            engine.reply_later(state, record.connection, &record.request_id, &reply);
        }
        record.over = Some((now, reply));
    }
    let original = record.stands_for.filter(|_| record.over.is_some());
    if let Some(mut original) = original.and_then(|id| state.runs.take(id)) {
        original.is_queued = false;
        original.waited = dialect.answered_elsewhere(&original);
        if let Some(waited) = &original.waited {
            super::wait::told(engine, state, &original.run_id, &waited.at_end);
        }
        state.runs.put(original);
    }
    if record.over.is_some() {
        notify::over(engine, state, record);
    }
}

/// An answer with the run's id as the client wrote it.
pub(super) fn as_asked(record: &Record, mut reply: Reply) -> Reply {
    let payload = match &mut reply {
        Ok(payload) => Some(payload),
        Err(error) => error.payload.as_deref_mut(),
    };
    if let Some(payload) = payload.filter(|payload| payload["runId"].is_string()) {
        payload["runId"] = record.given_id.as_str().into();
    }
    reply
}
