//! What the gateway says itself, without a model: `chat.inject`, and messages that are commands.

use serde_json::{Value, json};

use super::calls::{Turn, canonical};
use super::script::Run;
use crate::edition::Edition;
use crate::rpc::Request;
use crate::sessions;
use crate::state::{Inner, State};
use crate::wire::ErrorShape;

/// What a client is told when it begins a session over.
const NEW_SESSION: &str = "✅ New session started.";
/// What 2026.2.9 tells the model instead of the command.
const GREET: &str = "A new session was started via /new or /reset. Greet the user.";

/// Commands that the mock knows. Measured on both editions: others go to the model.
const COMMANDS: [&str; 4] = ["/status", "/help", "/commands", "/whoami"];

/// A message that is a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Command {
    /// Answered by the gateway.
    Answered(&'static str),
    /// Begins the session over.
    StartsOver,
}

/// The command that a message of `chat.send` is; messages of `agent` are none.
pub(super) fn command(message: &str) -> Option<Command> {
    let word = message.split_whitespace().next()?;
    if matches!(word, "/new" | "/reset") {
        return Some(Command::StartsOver);
    }
    let known = COMMANDS.into_iter().find(|known| *known == word);
    known.map(Command::Answered)
}

/// What is to be played for a command, and what the model is told if it comes to that.
pub(super) fn script(
    edition: Edition,
    command: Command,
    script: Run,
) -> (Run, Option<&'static str>) {
    match (command, edition) {
        (Command::StartsOver, Edition::V2026_2_9) => (script, Some(GREET)),
        (Command::StartsOver, Edition::V2026_9_6) => (Run::text(NEW_SESSION).local(), None),
        (Command::Answered(name), _) => {
            let text = format!("OpenClaw {edition}, a mock: there is nothing to say to {name}.");
            (Run::text(text).local(), None)
        }
    }
}

/// A message that no model made.
pub(super) fn message(text: &str, now: u64) -> Value {
    json!({
        "role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now,
        "stopReason": "stop", "usage": super::frames::usage((0, 0)), "api": "openai-responses",
        "provider": "openclaw", "model": "gateway-injected",
    })
}

/// `chat.inject`
pub(super) fn inject(inner: &Inner, state: &mut State, request: &Request) -> Turn {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let key = canonical(text("sessionKey").unwrap_or_default());
    if state.books.get(&key).is_none() {
        return Turn::reply(Err(ErrorShape::invalid("session not found")));
    }
    let now = inner.clock.now_ms();
    let is_new = inner.edition() == Edition::V2026_9_6;
    let id = uuid::Uuid::new_v4().to_string();
    let id = if is_new { id } else { id[..8].to_owned() };
    let said = text("message").unwrap_or_default();
    let said =
        text("label").map_or_else(|| said.to_owned(), |label| format!("[{label}]\n\n{said}"));
    let message = message(&said, now);
    let mut event = json!({
        "runId": format!("inject-{id}"), "sessionKey": key, "seq": 0, "state": "final",
        "message": message,
    });
    let mut row = message;
    if is_new {
        event["agentId"] = "main".into();
        row["__openclaw"] = json!({"id": id, "recordTimestampMs": now});
    }
    inner.broadcast(state, "chat", &event);
    if let Some((number, row)) = state.books.write(&key, row) {
        sessions::message(inner, state, &key, None, &row, number);
    }
    Turn::reply(Ok(json!({"ok": true, "messageId": id})))
}
