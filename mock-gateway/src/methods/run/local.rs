//! What the gateway says itself, without a model: `chat.inject`, and messages that are commands.

use serde_json::{Value, json};

use crate::edition::Edition;
use crate::engine::Engine;
use crate::engine::answer::{Answer, Request};
use crate::engine::state::State;
use crate::methods::run::dialect::common::local_message;
use crate::methods::sessions;
use crate::model::script::RunScript;
use crate::model::sessions::canonical;
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

/// Returns what is to be played for a command, and what the model is told if it comes to that.
pub(super) fn script(
    edition: Edition,
    command: Command,
    script: RunScript,
) -> (RunScript, Option<&'static str>) {
    match (command, edition) {
        (Command::StartsOver, Edition::V2026_2_9) => (script, Some(GREET)),
        (Command::StartsOver, Edition::V2026_9_6) => (RunScript::text(NEW_SESSION).local(), None),
        (Command::Answered(name), _) => {
            let text = format!("OpenClaw {edition}, a mock: there is nothing to say to {name}.");
            (RunScript::text(text).local(), None)
        }
    }
}

/// `chat.inject`
pub(super) fn inject(engine: &Engine, state: &mut State, request: &Request) -> Answer {
    let text = |name: &str| request.params.get(name).and_then(Value::as_str);
    let key = canonical(text("sessionKey").unwrap_or_default());
    if state.books.get(&key).is_none() {
        return Answer::from(Err(ErrorShape::invalid("session not found")));
    }
    let now = engine.clock.now_ms();
    let is_new = engine.edition() == Edition::V2026_9_6;
    let id = uuid::Uuid::new_v4().to_string();
    let id = if is_new { id } else { id[..8].to_owned() };
    let said = text("message").unwrap_or_default();
    let said =
        text("label").map_or_else(|| said.to_owned(), |label| format!("[{label}]\n\n{said}"));
    let message = local_message(&said, now);
    let mut event = json!({
        "runId": format!("inject-{id}"), "sessionKey": key, "seq": 0, "state": "final",
        "message": message,
    });
    let mut row = message;
    if is_new {
        event["agentId"] = "main".into();
        row["__openclaw"] = json!({"id": id, "recordTimestampMs": now});
    }
    engine.broadcast(state, "chat", &event);
    if let Some((number, row)) = state.books.write(&key, row) {
        sessions::message(engine, state, &key, None, &row, number);
    }
    Answer::from(Ok(json!({"ok": true, "messageId": id})))
}
