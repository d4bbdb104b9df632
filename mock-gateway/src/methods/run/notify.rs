//! What a run does to its session, and what those who follow it hear of that.

use serde_json::Value;

use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::run::dialect::dialect;
use crate::methods::sessions;
use crate::methods::sessions::notify::Cause;
use crate::methods::sessions::row::{Sight, View, beside};
use crate::model::runs::{Kind, Record};
use crate::model::subscriptions::Subscriptions;

/// So much of the first answer is the title of a session without a name.
const TITLE_CHARS: usize = 80;

fn changed(engine: &Engine, state: &mut State, run: &Record, reason: &'static str) {
    let cause = Cause::Reason(reason);
    sessions::changed(engine, state, &run.session_key, Some(run), cause);
}

fn phase(engine: &Engine, state: &mut State, run: &Record, phase: &'static str, active: bool) {
    let cause = Cause::Phase(phase, run);
    let active = active.then_some(run);
    sessions::changed(engine, state, &run.session_key, active, cause);
}

fn is_created(run: &Record) -> bool {
    run.method == "sessions.create"
}

/// The message was accepted.
pub(super) fn accepted(engine: &Engine, state: &mut State, run: &mut Record) {
    let now = engine.clock.now_ms();
    let Some(book) = state.books.get_mut(&run.session_key) else {
        return;
    };
    book.updated_at = now;
    book.turns.status = Some("running");
    let sent = run.method.starts_with("sessions.");
    if sent && run.stands_for.is_none() {
        book.turns.is_unread |= is_created(run);
    }
    if is_created(run) || run.kind == Kind::Agent {
        book.turns.asked_at = Some(now);
        book.turns.is_chat |= is_created(run);
    }
    run.is_admitted = is_created(run);
    if sent && run.stands_for.is_none() {
        changed(engine, state, run, "send");
        if is_created(run) {
            changed(engine, state, run, "send");
        }
        run.is_admitted = true;
    }
    if run.kind == Kind::Agent && run.opens_session {
        changed(engine, state, run, "create");
    }
    if let Some(book) = state.books.get_mut(&run.session_key) {
        book.turns.asked_at = Some(now);
        book.turns.has_participants = true;
        book.turns.is_unread |= sent;
        book.turns.is_chat |= run.kind == Kind::Chat;
    }
    changed(engine, state, run, "participants");
}

/// The work begins; `rows` are what was said.
pub(super) fn begun(engine: &Engine, state: &mut State, run: &mut Record) {
    let now = engine.clock.now_ms();
    run.has_begun = true;
    run.is_admitted = true;
    if let Some(mut original) = run.stands_for.and_then(|id| state.runs.take(id)) {
        original.has_begun = true;
        state.runs.put(original);
    }
    let title = (is_created(run) && run.stands_for.is_none()).then(|| {
        let text = run.script.text.trim();
        text.chars().take(TITLE_CHARS).collect::<String>()
    });
    let Some(book) = state.books.get_mut(&run.session_key) else {
        return;
    };
    book.turns.placed_at.get_or_insert(now);
    run.messages_before = book.total;
    book.turns.is_chat |= run.kind == Kind::Chat;
    let names = book.label.is_none() && book.title.is_none();
    if let Some(title) = title.filter(|title| names && !title.is_empty()) {
        book.title = Some(title);
        changed(engine, state, run, "chat.title");
    }
    if run.kind == Kind::Chat {
        written(engine, state, run);
    }
    if run.method == "sessions.send" {
        changed(engine, state, run, "send");
    }
    attempt_begun(state, run);
    if run.kind == Kind::Agent {
        written(engine, state, run);
    }
    phase(engine, state, run, "start", true);
    changed(engine, state, run, "agent.run.started");
    run.has_model = true;
    phase(engine, state, run, "model", true);
}

/// A model begins to work on it, not necessarily for the first time.
pub(super) fn attempt_begun(state: &mut State, run: &Record) {
    if let Some(book) = state.books.get_mut(&run.session_key) {
        book.updated_at = run.started_at;
        let turns = &mut book.turns;
        turns.status = Some("running");
        turns.started_at = Some(run.started_at);
        turns.ended_at = None;
        turns.last_run_id = None;
        turns.last_error = None;
        turns.last_aborted = false;
    }
}

/// The model goes on after a tool.
pub(super) fn resumed(engine: &Engine, state: &mut State, run: &Record) {
    phase(engine, state, run, "model", true);
}

/// Writes what is to be written down.
pub(super) fn written(engine: &Engine, state: &mut State, run: &mut Record) {
    if dialect(engine.edition()).waits_for_an_answer() {
        let said = |row: &Value| row["role"] == "assistant";
        let book = state.books.get(&run.session_key);
        let before = book.is_some_and(|book| book.messages().any(|(_, row)| said(row)));
        if !before && !run.rows.iter().any(said) {
            return;
        }
    }
    for row in std::mem::take(&mut run.rows) {
        // A message that is there is not written a second time.
        let known = row["idempotencyKey"].as_str().is_some_and(|key| {
            let book = state.books.get(&run.session_key);
            book.is_some_and(|book| book.has_row(key))
        });
        if known {
            continue;
        }
        let Some((number, row)) = state.books.write(&run.session_key, row) else {
            continue;
        };
        // Measured on 2026.9.6: what a tool gave is not told.
        if row["role"] != "toolResult" {
            sessions::message(engine, state, &run.session_key, Some(run), &row, number);
        }
    }
}

/// The run is over.
pub(super) fn over(engine: &Engine, state: &mut State, run: &mut Record) {
    let now = engine.clock.now_ms();
    if !run.has_begun || run.is_told {
        return;
    }
    run.is_told = true;
    run.has_model = false;
    let (status, error) = match &run.over {
        _ if run.aborted.is_some() => ("killed", None),
        Some((_, Err(error))) => {
            let message = run.script.failure().unwrap_or(&error.message);
            ("failed", Some(message.to_owned()))
        }
        Some((_, Ok(reply))) if reply["status"] == "error" => {
            let error = run.waited.as_ref().map(|waited| &waited.later["error"]);
            let error = error.and_then(|error| error.as_str());
            ("failed", error.map(str::to_owned))
        }
        Some((_, Ok(reply))) if reply["status"] == "timeout" => ("failed", None),
        _ => ("done", None),
    };
    let Some(book) = state.books.get_mut(&run.session_key) else {
        return;
    };
    book.updated_at = now;
    let turns = &mut book.turns;
    turns.status = Some(status);
    turns.ended_at = Some(now);
    turns.last_run_id = Some(run.run_id.clone());
    turns.last_error = error;
    turns.last_aborted = run.aborted.is_some();
    turns.messages_before = run.messages_before;
    if status == "done" {
        turns.tokens = Some(run.script.usage);
        if run.kind == Kind::Agent {
            turns.answered_at = Some(now);
        }
        turns.is_unread |= run.kind == Kind::Agent || run.stands_for.is_some();
    }
    let last = if status == "failed" { "error" } else { "end" };
    phase(engine, state, run, "model", false);
    phase(engine, state, run, last, false);
    let cause = Cause::Reason("agent.input.settled");
    sessions::changed(engine, state, &run.session_key, None, cause);
}

/// A tool event with the row of its session, as 2026.9.6 sends it.
pub(super) fn tool_event(
    engine: &Engine,
    state: &mut State,
    run: &Record,
    payload: &Value,
) -> Value {
    let mut whole = payload.clone();
    if dialect(engine.edition()).tools_need_verbose() {
        return whole;
    }
    let Some(book) = state.books.get(&run.session_key) else {
        return whole;
    };
    let view = View {
        key: &run.session_key,
        book,
        active: Some(run),
        is_admin: false,
        now: engine.clock.now_ms(),
    };
    let row = view.row(Sight::Full { shares: false });
    if let Some(fields) = whole.as_object_mut() {
        fields.extend(beside(&row));
        fields.remove("activeRunIds");
        fields.insert("session".into(), row.into());
    }
    let follows = |subscriptions: &Subscriptions| {
        subscriptions.all || subscriptions.follows(&run.session_key)
    };
    let any = state
        .live()
        .any(|(session, _)| follows(&session.subscriptions));
    sessions::tool(engine, state, &run.session_key, &whole);
    // Nobody looked the row up yet when a tool begins, unless somebody follows the session.
    if payload["data"]["phase"] == "start" && !any {
        return payload.clone();
    }
    whole
}
