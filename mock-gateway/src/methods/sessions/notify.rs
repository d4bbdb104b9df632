//! What 2026.9.6 tells those who subscribed: `sessions.changed`, `session.message`, `session.tool`.

use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::sessions::row::{Sight, View, agent_of, beside};
use crate::model::runs::Record;
use crate::model::subscriptions::Subscriptions;

/// What happened to a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause<'a> {
    Reason(&'static str),
    /// A run got this far.
    Phase(&'static str, &'a Record),
}

/// Fields that say nothing new at a run's start and end.
const OF_THE_MODEL: [&str; 7] = [
    "modelProvider",
    "model",
    "modelOverrideSource",
    "runtimeSelectionLocked",
    "agentRuntime",
    "activeModelProvider",
    "activeModel",
];

fn payload(view: &View<'_>, cause: Cause<'_>) -> Value {
    let row = view.row(Sight::Event);
    let mut fields = beside(&row);
    fields.insert("sessionKey".into(), view.key.into());
    fields.insert("agentId".into(), agent_of(view.key).into());
    fields.insert("ts".into(), view.now.into());
    match cause {
        Cause::Reason(reason) => {
            fields.insert("reason".into(), reason.into());
            if reason != "participants" {
                let placement = row.get("placement").cloned().unwrap_or_default();
                fields.insert("placement".into(), placement);
                fields.insert("placementMove".into(), Value::Null);
            }
        }
        Cause::Phase(phase, run) => {
            fields.insert("phase".into(), phase.into());
            fields.insert("runId".into(), run.run_id.as_str().into());
            if phase == "model" {
                fields.remove("updatedAt");
            } else {
                for name in OF_THE_MODEL {
                    fields.remove(name);
                }
            }
            if phase == "start" && !row.contains_key("totalTokens") {
                fields.remove("totalTokensFresh");
                fields.remove("contextTokens");
            }
        }
    }
    if !row.contains_key("parentSessionKey") {
        fields.insert("ancestorSessions".into(), json!([]));
    }
    fields.insert("session".into(), row.into());
    fields.into()
}

/// Sends what `make` gives for administrators and for others to whom `wants` it.
fn tell(
    engine: &Engine,
    state: &mut State,
    name: &str,
    wants: impl Fn(&Subscriptions) -> bool,
    make: impl Fn(&State, bool) -> Option<Value>,
) {
    if !engine.facts().tells_about_sessions {
        return;
    }
    let (mut any_admin, mut any_other) = (false, false);
    for (session, live) in state.live() {
        if wants(&session.subscriptions) {
            *(if live.is_admin() {
                &mut any_admin
            } else {
                &mut any_other
            }) = true;
        }
    }
    let for_admins = any_admin.then(|| make(state, true)).flatten();
    let for_others = any_other.then(|| make(state, false)).flatten();
    engine.deliver(state, name, |session, live| {
        let payload = if live.is_admin() {
            &for_admins
        } else {
            &for_others
        };
        payload.as_ref().filter(|_| wants(&session.subscriptions))
    });
}

/// Tells that something happened to a session; `active` is the run that works there.
pub(crate) fn changed(
    engine: &Engine,
    state: &mut State,
    key: &str,
    active: Option<&Record>,
    cause: Cause<'_>,
) {
    let now = engine.clock.now_ms();
    let wants = |subscriptions: &Subscriptions| subscriptions.all;
    tell(
        engine,
        state,
        "sessions.changed",
        wants,
        |state, is_admin| {
            let view = View {
                key,
                book: state.books.get(key)?,
                active,
                is_admin,
                now,
            };
            Some(payload(&view, cause))
        },
    );
}

/// Tells that a session is gone: once of the session, once of the list.
pub(crate) fn deleted(engine: &Engine, state: &mut State, key: &str, id: &str) {
    let now = engine.clock.now_ms();
    let of_session = json!({
        "sessionKey": key, "sessionId": id, "agentId": agent_of(key), "reason": "delete", "ts": now,
    });
    let of_list = json!({"reason": "delete", "ts": now});
    for payload in [of_session, of_list] {
        let wants = |subscriptions: &Subscriptions| subscriptions.all;
        tell(engine, state, "sessions.changed", wants, |_, _| {
            Some(payload.clone())
        });
    }
}

/// A message as `session.message` shows it, and the answer to a cursor.
pub(super) fn message_payload(
    view: &View<'_>,
    message: &Value,
    number: usize,
    sight: Sight,
) -> Value {
    let row = view.row(sight);
    let mut fields: Map<String, Value> = beside(&row);
    let more = &message["__openclaw"];
    fields.insert("sessionKey".into(), view.key.into());
    fields.insert("agentId".into(), agent_of(view.key).into());
    fields.insert("message".into(), message.clone());
    fields.insert("messageId".into(), more["id"].clone());
    fields.insert("messageSeq".into(), number.into());
    if let Some(is_owner) = more.get("senderIsOwner") {
        fields.insert("senderIsOwner".into(), is_owner.clone());
    }
    if !row.contains_key("parentSessionKey") {
        fields.insert("ancestorSessions".into(), json!([]));
    }
    fields.insert("session".into(), row.into());
    fields.into()
}

/// Tells of a message that was written.
pub(crate) fn message(
    engine: &Engine,
    state: &mut State,
    key: &str,
    active: Option<&Record>,
    message: &Value,
    number: usize,
) {
    let now = engine.clock.now_ms();
    let wants = |subscriptions: &Subscriptions| subscriptions.all || subscriptions.follows(key);
    tell(
        engine,
        state,
        "session.message",
        wants,
        |state, is_admin| {
            let view = View {
                key,
                book: state.books.get(key)?,
                active,
                is_admin,
                now,
            };
            let mut payload = message_payload(&view, message, number, Sight::Event);
            let run_id = &message["__openclaw"]["runId"];
            if run_id.is_string() && message["stopReason"] != "toolUse" {
                payload["runId"] = run_id.clone();
            }
            Some(payload)
        },
    );
}

/// Shows a tool event to those who follow sessions.
pub(crate) fn tool(engine: &Engine, state: &mut State, key: &str, payload: &Value) {
    let wants = |subscriptions: &Subscriptions| subscriptions.all || subscriptions.follows(key);
    tell(engine, state, "session.tool", wants, |_, _| {
        Some(payload.clone())
    });
}
