//! The methods that show sessions, and the subscriptions to them.

use serde_json::{Value, json};

use crate::edition::Edition;
use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::sessions::row::{Sight, View, agent_of, text_of};
use crate::methods::sessions::{change, list};
use crate::model::connection::Live;
use crate::model::sessions::{SessionRecord, canonical};
use crate::wire::{ErrorShape, Reply};

/// What `sessions.get` and `sessions.preview` give when they are not told.
const DEFAULT_MESSAGES: usize = 200;
const DEFAULT_ITEMS: usize = 12;
const DEFAULT_ITEM_CHARS: usize = 240;

/// A call about sessions.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Engine,
    pub(super) connection: u64,
    pub(super) live: &'a Live,
    pub(super) params: &'a Value,
}

impl Call<'_> {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        usize::try_from(self.params.get(name)?.as_u64()?).ok()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.params[name] == true
    }

    /// The full key of the session that is meant.
    pub(super) fn key(&self) -> String {
        canonical(self.text("key").unwrap_or_default())
    }

    pub(super) fn now(&self) -> u64 {
        self.engine.clock.now_ms()
    }

    pub(super) fn is_old(&self) -> bool {
        self.engine.edition() == Edition::V2026_2_9
    }
}

/// The answer of a method about sessions, if this is one that needs no run.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    live: &Live,
    request: &Request,
) -> Option<Answer> {
    let call = Call {
        engine,
        connection,
        live,
        params: &request.params,
    };
    let reply = match request.method.as_str() {
        "sessions.list" => Ok(list::list(engine, state, live, call.params)),
        "sessions.describe" => Ok(describe(&call, state)),
        "sessions.get" => Ok(get(&call, state)),
        "sessions.preview" => Ok(preview(&call, state)),
        "sessions.resolve" => resolve(&call, state),
        "sessions.subscribe" => Ok(subscribe(&call, state)),
        "sessions.messages.subscribe" => Ok(follow(&call, state, true)),
        "sessions.messages.unsubscribe" => Ok(follow(&call, state, false)),
        "sessions.create" => return change::create_again(&call, state),
        "sessions.patch" => return Some(change::patch(&call, state)),
        "sessions.reset" => return Some(change::reset(&call, state)),
        "sessions.delete" => return Some(change::delete(&call, state)),
        "sessions.compact" => Ok(change::compact(&call, state)),
        _ => return None,
    };
    Some(Answer::from(reply))
}

/// An answer, and the event that follows it.
pub(super) fn then(reply: Reply, next: AfterAnswer) -> Answer {
    Answer {
        reply: Some(reply),
        after: vec![next],
    }
}

fn describe(call: &Call<'_>, state: &State) -> Value {
    let key = call.key();
    let sight = Sight::Alone {
        titles: call.flag("includeDerivedTitles"),
        last: call.flag("includeLastMessage"),
    };
    let row = state.books.get(&key).map(|book| {
        let view = View {
            key: &key,
            book,
            active: state.runs.shown(&key),
            is_admin: call.live.is_admin(),
            now: call.now(),
        };
        view.row(sight)
    });
    json!({"session": row})
}

fn get(call: &Call<'_>, state: &State) -> Value {
    let limit = call.number("limit").unwrap_or(DEFAULT_MESSAGES);
    let messages: Vec<&Value> = match state.books.get(&call.key()) {
        None => Vec::new(),
        Some(book) => {
            let mut latest: Vec<&Value> = book
                .messages()
                .rev()
                .take(limit)
                .map(|(_, row)| row)
                .collect();
            latest.reverse();
            latest
        }
    };
    json!({"messages": messages})
}

fn preview_items(call: &Call<'_>, book: &SessionRecord) -> Vec<Value> {
    let limit = call.number("limit").unwrap_or(DEFAULT_ITEMS);
    let most = call.number("maxChars").unwrap_or(DEFAULT_ITEM_CHARS);
    let shorten = |text: &str| {
        if text.chars().count() <= most {
            return text.to_owned();
        }
        let start: String = text.chars().take(most.saturating_sub(3)).collect();
        format!("{start}...")
    };
    let mut items: Vec<Value> = book
        .messages()
        .rev()
        .map(|(_, message)| (message["role"].clone(), text_of(message)))
        .filter(|(_, text)| !text.is_empty())
        .take(limit)
        .map(|(role, text)| json!({"role": role, "text": shorten(&text)}))
        .collect();
    items.reverse();
    items
}

fn preview(call: &Call<'_>, state: &State) -> Value {
    let keys = call.params["keys"].as_array().cloned().unwrap_or_default();
    let previews: Vec<Value> = keys
        .iter()
        .filter_map(Value::as_str)
        .map(|key| match state.books.get(&canonical(key)) {
            None => json!({"key": key, "status": "missing", "items": []}),
            Some(book) => json!({"key": key, "status": "ok", "items": preview_items(call, book)}),
        })
        .collect();
    json!({"ts": call.now(), "previews": previews})
}

fn resolve(call: &Call<'_>, state: &State) -> Reply {
    let books = &state.books;
    let (found, complaint) = match (call.text("key"), call.text("sessionId"), call.text("label")) {
        (Some(key), ..) => {
            let full = canonical(key);
            let found = books.get(&full).map(|_| full);
            (found, format!("No session found: {key}"))
        }
        (_, Some(id), _) => {
            let found = books.by_id(id).map(str::to_owned);
            (found, format!("No session found: {id}"))
        }
        (_, _, Some(label)) => {
            let found = books.by_label(label).map(str::to_owned);
            (found, format!("No session found with label: {label}"))
        }
        _ => {
            let text = if call.is_old() {
                "Either key, sessionId or label is required"
            } else {
                "Either key, sessionId, label, shortId, or reference is required"
            };
            return Err(ErrorShape::invalid(text));
        }
    };
    match found {
        Some(key) if call.is_old() => Ok(json!({"ok": true, "key": key})),
        Some(key) => Ok(json!({"ok": true, "key": key, "agentId": agent_of(&key)})),
        None if call.flag("allowMissing") => Ok(json!({"ok": false})),
        None => Err(ErrorShape::invalid(complaint)),
    }
}

/// With any parameters the list comes along: what it shows and what events tell later fit together.
fn subscribe(call: &Call<'_>, state: &mut State) -> Value {
    if let Some(session) = state.sessions.get_mut(&call.connection) {
        session.subscriptions.all = true;
    }
    let asks = call
        .params
        .as_object()
        .is_some_and(|params| !params.is_empty());
    let mut answer = json!({"subscribed": true});
    if asks {
        answer["list"] = list::list(call.engine, state, call.live, call.params);
    }
    answer
}

fn follow(call: &Call<'_>, state: &mut State, follows: bool) -> Value {
    let key = call.key();
    if let Some(session) = state.sessions.get_mut(&call.connection) {
        if follows {
            session.subscriptions.follow(&key);
        } else {
            session.subscriptions.leave(&key);
        }
    }
    json!({"subscribed": follows, "key": key})
}
