//! `chat.history`: what was said in a session, from the end, from an offset or from a cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::edition::Edition;
use crate::engine::Engine;
use crate::engine::answer::Request;
use crate::engine::state::State;
use crate::methods::sessions::notify::message_payload;
use crate::methods::sessions::row::{Sight, View, agent_of};
use crate::model::connection::Live;
use crate::model::runs::Kind;
use crate::model::script::{MODEL, PROVIDER};
use crate::model::sessions::{SessionRecord, canonical};

const DEFAULT_LIMIT: usize = 200;
/// What ends a text that is cut off.
const CUT: &str = "\n...(truncated)...";

/// The place after the latest message, for who wants to know what came after it.
fn cursor(key: &str, book: &SessionRecord) -> String {
    let place = json!({
        "agentId": agent_of(key), "generation": book.generation, "lastSeq": book.total,
        "sessionId": book.id, "version": 1,
    });
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// Returns how many messages were there when a cursor was given; `None` when it says nothing any more.
fn place(cursor: &str, book: &SessionRecord) -> Option<usize> {
    let place: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let fits =
        place["generation"] == book.generation.as_str() && place["sessionId"] == book.id.as_str();
    let seen = usize::try_from(place["lastSeq"].as_u64().filter(|_| fits)?).ok()?;
    let first = book.messages().next().map_or(1, |(number, _)| number);
    (seen <= book.total && seen + 1 >= first).then_some(seen)
}

/// Shortens the texts of a message.
fn shorten(message: &mut Value, most: usize) {
    let cut = |text: &str| {
        let start: String = text.chars().take(most).collect();
        format!("{start}{CUT}")
    };
    let is_long = |text: &str| text.chars().count() > most;
    let mut did = false;
    match &mut message["content"] {
        Value::String(text) if is_long(text) => {
            *text = cut(text);
            did = true;
        }
        Value::Array(parts) => {
            for part in parts {
                if let Some(text) = part["text"].as_str().filter(|text| is_long(text)) {
                    part["text"] = cut(text).into();
                    did = true;
                }
            }
        }
        _ => {}
    }
    if did && message["__openclaw"].is_object() {
        message["__openclaw"]["truncated"] = true.into();
        message["__openclaw"]["reason"] = "display-cap".into();
    }
}

/// Messages that wait for their turn.
fn pending(state: &State, key: &str) -> Vec<Value> {
    state
        .runs
        .iter()
        .filter(|run| run.session_key == key && run.waits_as_input())
        .map(|run| {
            json!({
                "id": run.input_id, "acceptedAt": run.accepted_at, "state": "queued",
                "runId": run.run_id,
                "message": {
                    "role": "user", "content": run.message, "timestamp": run.accepted_at,
                    "__openclaw": {
                        "transport": run.transport, "id": format!("pending:{}", run.input_id),
                    },
                },
            })
        })
        .collect()
}

/// The run that answers now; of several the one that was asked for last.
fn in_flight(state: &State, key: &str) -> Option<Value> {
    let waiting = state
        .runs
        .iter()
        .rfind(|run| run.session_key == key && run.waits_as_input());
    if let Some(run) = waiting {
        return Some(json!({"runId": run.run_id, "text": "", "startedAt": run.accepted_at}));
    }
    let run = state.runs.shown(key)?;
    let mut shown = json!({"runId": run.run_id, "text": run.text, "startedAt": run.began_at});
    match run.kind {
        Kind::Agent => shown["sessionAbortable"] = true.into(),
        Kind::Chat if !run.text.is_empty() => {
            shown["events"] = json!([{
                "runId": run.run_id, "seq": run.seq, "stream": "assistant",
                "ts": run.last_event_at, "sessionKey": key, "agentId": run.agent_id, "data": {},
            }]);
        }
        Kind::Chat => {}
    }
    Some(shown)
}

/// Returns which tools the messages called.
fn activity(messages: &[Value]) -> Vec<Value> {
    let failed = |id: &Value| {
        let is = |row: &&Value| row["role"] == "toolResult" && row["toolCallId"] == *id;
        messages
            .iter()
            .find(is)
            .is_some_and(|row| row["isError"] == true)
    };
    let item = |id: &Value, name: &str| {
        let status = if failed(id) { "failed" } else { "completed" };
        json!({
            "itemId": format!("tool:{}", id.as_str().unwrap_or_default()), "toolCallId": id,
            "name": name, "kind": "tool", "phase": "end", "title": title(name),
            "status": status, "commandBearing": false,
        })
    };
    messages
        .iter()
        .filter_map(|row| {
            let items: Vec<Value> = match row["role"].as_str()? {
                "toolResult" => vec![item(&row["toolCallId"], row["toolName"].as_str()?)],
                _ => row["content"]
                    .as_array()?
                    .iter()
                    .filter(|part| part["type"] == "toolCall")
                    .map(|part| item(&part["id"], part["name"].as_str().unwrap_or_default()))
                    .collect(),
            };
            (!items.is_empty())
                .then(|| json!({"messageId": row["__openclaw"]["id"], "items": items}))
        })
        .collect()
}

/// A tool's name as a title.
pub(crate) fn title(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        first.chain(chars).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The answer of `chat.history`.
pub(crate) fn history(engine: &Engine, state: &State, live: &Live, request: &Request) -> Value {
    let params = &request.params;
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let number = |name: &str| {
        let number = params.get(name).and_then(Value::as_u64)?;
        usize::try_from(number).ok()
    };
    let shown_key = text("sessionKey").unwrap_or_default();
    let key = canonical(shown_key);
    let book = state.books.get(&key);
    let limit = number("limit").unwrap_or(DEFAULT_LIMIT);
    let offset = number("offset").unwrap_or(0);
    let rows = |skip: usize| -> Vec<Value> {
        let Some(book) = book else { return Vec::new() };
        let rows = book.messages().rev().skip(skip).take(limit);
        let mut rows: Vec<Value> = rows
            .map(|(number, row)| {
                let mut row = row.clone();
                if row["__openclaw"].is_object() {
                    row["__openclaw"]["seq"] = number.into();
                }
                if let Some(most) = params.get("maxChars").and_then(Value::as_u64) {
                    shorten(&mut row, usize::try_from(most).unwrap_or(usize::MAX));
                }
                row
            })
            .collect();
        rows.reverse();
        rows
    };
    if engine.edition() == Edition::V2026_2_9 {
        return old(shown_key, book, &rows(0));
    }
    let view = book.map(|book| View {
        key: &key,
        book,
        active: state.runs.shown(&key),
        is_admin: live.is_admin(),
        now: engine.clock.now_ms(),
    });
    if let Some(given) = text("cursor") {
        let seen = view.and_then(|view| Some((view, place(given, view.book)?)));
        return match seen {
            None => json!({"kind": "reset"}),
            Some((view, seen)) => delta(state, &view, seen),
        };
    }
    let messages = rows(offset);
    let total = book.map_or(0, |book| book.total);
    let mut payload = json!({
        "sessionKey": shown_key, "hasMore": offset + messages.len() < total,
        "totalMessages": total, "defaults": defaults(),
    });
    let waiting = pending(state, &key);
    payload["pendingInputs"] = json!({"total": waiting.len(), "items": waiting});
    if offset > 0 {
        payload["offset"] = offset.into();
    }
    if offset + messages.len() < total {
        payload["nextOffset"] = (offset + messages.len()).into();
    }
    if params.get("inputRunIds").is_some() {
        // Measured: also of runs that were answered long ago there is nothing in them.
        payload["inputReceipts"] = json!([]);
        payload["inputConsumptions"] = json!([]);
    }
    let calls = activity(&messages);
    if !calls.is_empty() {
        payload["activity"] = calls.into();
    }
    payload["sessionInfo"] = info(&key, view.as_ref(), offset, engine.clock.now_ms());
    if let Some(book) = book {
        payload["sessionId"] = book.id.as_str().into();
        let is_error = |row: &Value| {
            let key = row["idempotencyKey"].as_str();
            key.is_some_and(|key| key.ends_with(":terminal-error"))
        };
        if offset == 0 && !messages.iter().any(is_error) {
            payload["deltaCursor"] = cursor(&key, book).into();
        }
    }
    if let Some(run) = in_flight(state, &key) {
        payload["inFlightRun"] = run;
    }
    payload["messages"] = messages.into();
    payload
}

/// Returns what a new session would use.
pub(super) fn defaults() -> Value {
    json!({
        "modelProvider": PROVIDER, "model": MODEL, "contextTokens": 128_000,
        "agentRuntime": no_runtime(),
        "modelSelectionTarget": "session",
    })
}

/// Returns what is said where no session has chosen one.
fn no_runtime() -> Value {
    json!({
        "id": "auto", "cloudPlacementSupported": false, "devicePlacementSupported": false,
        "source": "implicit",
    })
}

/// Returns what the history says about the session itself; of one that is not there as well.
fn info(key: &str, view: Option<&View<'_>>, offset: usize, now: u64) -> Value {
    let Some(view) = view else {
        return json!({
            "key": key, "permissionModePending": false, "kind": "direct",
            "classification": "custom", "agentId": agent_of(key), "isMain": key.ends_with(":main"),
            "isBackground": false, "updatedAt": null, "archived": false, "pinned": false,
            "unread": false, "effectiveFastMode": false, "effectiveFastModeSource": "default",
            "fastAutoOnSeconds": 60, "totalTokensFresh": false, "effectiveResponseUsage": "off",
            "effectiveQueueMode": "steer", "modelProvider": PROVIDER, "model": MODEL,
            "modelOverrideSource": null, "runtimeSelectionLocked": false,
            "agentRuntime": no_runtime(),
            "contextTokens": 128_000, "snapshotAt": now,
            "hasActiveRun": false, "activeRunIds": [], "activeLeafEntryId": null,
        });
    };
    let mut row = view.row(Sight::History);
    if offset > 0 {
        row.remove("activeLeafEntryId");
    }
    row.into()
}

/// Returns what was said after a cursor.
fn delta(state: &State, view: &View<'_>, seen: usize) -> Value {
    let sight = Sight::Full { shares: true };
    let messages: Vec<Value> = view
        .book
        .messages()
        .filter(|(number, _)| *number > seen)
        .map(|(number, message)| {
            let mut message = message.clone();
            message["__openclaw"]["seq"] = number.into();
            let mut payload = message_payload(view, &message, number, sight);
            if let Some(fields) = payload.as_object_mut() {
                fields.remove("sharingRole");
                fields.remove("ancestorSessions");
            }
            payload
        })
        .collect();
    let waiting = pending(state, view.key);
    let mut payload = json!({
        "kind": "delta", "messages": messages, "deltaCursor": cursor(view.key, view.book),
        "pendingInputs": {"total": waiting.len(), "items": waiting},
        "sessionInfo": view.row(Sight::History),
    });
    if let Some(run) = in_flight(state, view.key) {
        payload["inFlightRun"] = run;
    }
    payload
}

fn old(shown_key: &str, book: Option<&SessionRecord>, messages: &[Value]) -> Value {
    let mut payload = json!({
        "sessionKey": shown_key, "messages": messages, "thinkingLevel": "off",
    });
    if let Some(book) = book {
        payload["sessionId"] = book.id.as_str().into();
        for name in ["thinkingLevel", "verboseLevel"] {
            if let Some(level) = book.settings.get(name) {
                payload[name] = level.clone();
            }
        }
    }
    payload
}
