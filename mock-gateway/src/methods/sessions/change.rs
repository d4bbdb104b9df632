//! The methods that make and change sessions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::edition::Edition;
use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::sessions::calls::{Call, then};
use crate::methods::sessions::old;
use crate::methods::sessions::row::entry;
use crate::model::connection::Live;
use crate::model::script::{MODEL, PROVIDER};
use crate::model::sessions::{SessionRecord, Turns, Via, canonical};
use crate::wire::ErrorShape;

/// Measured on 2026.2.9: this is what is left of a transcript that is compacted without a number.
const COMPACTED_LINES: usize = 400;

/// What `sessions.create` made.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) key: String,
    pub(crate) answer: Value,
}

fn resolved() -> Value {
    json!({"modelProvider": PROVIDER, "model": MODEL})
}

fn label_taken(state: &State, label: &str, key: Option<&str>) -> Result<(), ErrorShape> {
    match state.books.by_label(label) {
        Some(owner) if Some(owner) != key => Err(ErrorShape::invalid(format!(
            "label already in use: {label}"
        ))),
        _ => Ok(()),
    }
}

/// Returns what a first message is to do, if there is one.
fn first_message(params: &Value) -> Option<&str> {
    ["message", "task"]
        .into_iter()
        .filter_map(|name| params.get(name).and_then(Value::as_str))
        .find(|text| !text.trim().is_empty())
}

/// The answer to a `sessions.create` that needs no run: an old one, a refusal, or a session without a message.
pub(super) fn create_again(call: &Call<'_>, state: &mut State) -> Option<Answer> {
    if let Some(key) = call.text("idempotencyKey") {
        let Some(device_id) = &call.live.device_id else {
            let text = "idempotent session creation requires an authenticated principal or device \
                        identity";
            return Some(Answer::from(Err(ErrorShape::invalid(text))));
        };
        if let Some(known) = state.books.created(device_id, key, call.params) {
            let reused = "session creation idempotency key was reused with different parameters";
            return Some(Answer::from(
                known.map_err(|()| ErrorShape::invalid(reused)),
            ));
        }
    }
    if let Err(error) = allowed(state, call.params) {
        return Some(Answer::from(Err(error)));
    }
    if first_message(call.params).is_some() {
        return None;
    }
    Some(
        match create(call.engine, state, call.live, call.params, None) {
            Err(error) => Answer::from(Err(error)),
            Ok(created) => then(
                Ok(created.answer),
                AfterAnswer::SessionChanged(created.key, "create"),
            ),
        },
    )
}

fn allowed(state: &State, params: &Value) -> Result<(), ErrorShape> {
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    if let Some(agent) = text("agentId").filter(|agent| !agent.eq_ignore_ascii_case("main")) {
        return Err(ErrorShape::invalid(format!("Unknown agent id \"{agent}\"")));
    }
    let key = text("key").map(canonical);
    match text("label") {
        Some(label) => label_taken(state, label, key.as_deref()),
        None => Ok(()),
    }
}

/// Makes a session, or adopts the one that has this key; with a run, its id goes into the answer.
pub(crate) fn create(
    engine: &Engine,
    state: &mut State,
    live: &Live,
    params: &Value,
    run_id: Option<&str>,
) -> Result<Created, ErrorShape> {
    allowed(state, params)?;
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let key = text("key").map_or_else(
        || format!("agent:main:dashboard:{}", uuid::Uuid::new_v4()),
        canonical,
    );
    let now = engine.clock.now_ms();
    let root = state.disk.shown_path();
    let (book, _) = state.books.open(&key, Via::Created, now);
    book.updated_at = now;
    if let Some(label) = text("label") {
        book.label = Some(label.to_owned());
    }
    let mut answer = json!({
        "ok": true, "key": key, "sessionId": book.id, "entry": entry(book, &root),
        "runStarted": run_id.is_some(), "resolved": resolved(),
    });
    if let Some(run_id) = run_id {
        answer["runId"] = run_id.into();
        answer["status"] = "started".into();
    }
    if let (Some(idempotency), Some(device_id)) = (text("idempotencyKey"), &live.device_id) {
        state
            .books
            .remember(device_id, idempotency, params, &answer);
    }
    Ok(Created { key, answer })
}

/// The request for a run that a `sessions.create` with a message is.
pub(crate) fn first_turn(request: &Request) -> Option<String> {
    (request.method == "sessions.create")
        .then(|| first_message(&request.params))
        .flatten()
        .map(str::to_owned)
}

/// What is neither a setting nor a condition.
const NO_SETTINGS: [&str; 7] = [
    "key",
    "agentId",
    "label",
    "expectedSessionId",
    "expectedLifecycleRevision",
    "expectedPermissionMode",
    "expectedMarkedUnreadAt",
];

/// Changes the settings as told; null takes one back.
fn apply(settings: &mut BTreeMap<String, Value>, params: &Value) {
    let fields = params.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str())) {
        if value.is_null() {
            settings.remove(name);
        } else {
            settings.insert(name.clone(), value.clone());
        }
    }
}

/// `sessions.patch`; a session that is not there is made.
pub(super) fn patch(call: &Call<'_>, state: &mut State) -> Answer {
    let key = call.key();
    if let Some(label) = call.text("label")
        && let Err(error) = label_taken(state, label, Some(&key))
    {
        return Answer::from(Err(error));
    }
    let path = state.disk.shown_path();
    let (book, _) = state.books.open(&key, Via::Created, call.now());
    book.updated_at = call.now();
    if let Some(label) = call.params.get("label") {
        book.label = label.as_str().map(str::to_owned);
    }
    if let Some(unread) = call.params.get("unread").and_then(Value::as_bool) {
        book.turns.is_unread = unread;
    }
    apply(&mut book.settings, call.params);
    let entry = if call.is_old() {
        old::entry(book)
    } else {
        entry(book, &path)
    };
    let mut resolved = resolved();
    if !call.is_old() {
        resolved["agentRuntime"] = json!({"id": "openclaw", "source": "implicit"});
        resolved["runtimeSelectionLocked"] = false.into();
    }
    let answer = json!({
        "ok": true, "path": path, "key": key, "entry": entry, "resolved": resolved,
    });
    then(Ok(answer), AfterAnswer::SessionChanged(key, "patch"))
}

/// Begins a session over because somebody said so in it; 2026.9.6 notes that in its history.
pub(crate) fn start_over(engine: &Engine, state: &mut State, key: &str) {
    let now = engine.clock.now_ms();
    let is_old = engine.edition() == Edition::V2026_2_9;
    state.books.rewrite(key, |book| {
        let placed_at = book.turns.placed_at;
        clear(book, is_old, now);
        if !is_old {
            book.turns.was_reset = false;
            book.turns.was_told_to_reset = true;
            book.turns.is_chat = true;
            book.turns.is_unread = true;
            book.turns.asked_at = Some(now);
            book.turns.placed_at = placed_at;
        }
    });
    if !is_old {
        let id: String = uuid::Uuid::new_v4().to_string().chars().take(8).collect();
        let row = json!({
            "role": "system", "content": [{"type": "text", "text": "Reset"}], "timestamp": now,
            "__openclaw": {"kind": "reset", "id": id},
        });
        state.books.write(key, row);
    }
}

/// Measured: 2026.9.6 keeps its id, 2026.2.9 gives it a new one.
fn clear(book: &mut SessionRecord, is_old: bool, now: u64) {
    book.empty();
    book.turns = Turns {
        was_reset: true,
        has_participants: book.turns.has_participants,
        is_chat: book.turns.is_chat,
        ..Turns::default()
    };
    book.revision = uuid::Uuid::new_v4().to_string();
    if is_old {
        book.id = uuid::Uuid::new_v4().to_string();
    }
    book.updated_at = now;
}

/// `sessions.reset`
pub(super) fn reset(call: &Call<'_>, state: &mut State) -> Answer {
    let (key, now, is_old) = (call.key(), call.now(), call.is_old());
    let root = state.disk.shown_path();
    state.books.open(&key, Via::Created, now);
    state.books.rewrite(&key, |book| clear(book, is_old, now));
    let entry = state.books.get(&key).map(|book| {
        if is_old {
            old::entry(book)
        } else {
            entry(book, &root)
        }
    });
    let mut answer = json!({"ok": true, "key": key, "entry": entry});
    if !is_old {
        answer["resolved"] = resolved();
    }
    then(Ok(answer), AfterAnswer::SessionChanged(key, "reset"))
}

/// `sessions.delete`
pub(super) fn delete(call: &Call<'_>, state: &mut State) -> Answer {
    let key = call.key();
    if key == canonical("main") {
        let text = format!("Cannot delete the main session ({key}).");
        return Answer::from(Err(ErrorShape::invalid(text)));
    }
    let path = state.disk.shown_path();
    let Some(book) = state.books.remove(&key) else {
        let answer = json!({"ok": true, "key": key, "deleted": false, "archived": []});
        return Answer::from(Ok(answer));
    };
    // What was never written cannot be archived.
    let has_file = !call.is_old() || book.total > 0;
    let archived: Vec<String> = has_file.then_some(path).into_iter().collect();
    let answer = json!({"ok": true, "key": key, "deleted": true, "archived": archived});
    then(Ok(answer), AfterAnswer::SessionDeleted(key, book.id))
}

/// `sessions.compact`: only by lines; there is no model to sum up what is left out.
pub(super) fn compact(call: &Call<'_>, state: &mut State) -> Value {
    let key = call.key();
    if state.books.get(&key).is_none() {
        return json!({"ok": true, "key": key, "compacted": false, "reason": "no sessionId"});
    }
    let lines = match call.number("maxLines") {
        None if !call.is_old() => {
            return json!({
                "ok": false, "key": key, "compacted": false,
                "reason": "Nothing to compact (session too small)",
            });
        }
        lines => lines.unwrap_or(COMPACTED_LINES),
    };
    let mut cut = false;
    let mut kept = 0;
    state.books.rewrite(&key, |book| {
        cut = book.keep(lines);
        kept = book.messages().count();
    });
    json!({"ok": true, "key": key, "compacted": cut, "kept": kept})
}
