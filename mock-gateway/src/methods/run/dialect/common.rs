//! The frames of runs that differ between editions, and those that do not.

use serde_json::{Value, json};

use crate::methods::run::dialect::call::{Call, Verdict};
use crate::methods::run::dialect::place::Place;
use crate::methods::run::dialect::result::tool_text;
use crate::model::runs::{Kind, Record, Waited};
use crate::model::script::{Cause, MODEL, PROVIDER, RunRequest, Tool};
use crate::wire::{ErrorShape, Reply};

/// An event, and who gets it.
#[derive(Debug)]
pub(crate) enum Said {
    /// Every client that may see events of this name.
    All(&'static str, Value),
    /// A tool event, for the connection that started the run if it asked for them.
    Tool(Value),
}

/// The end of a run.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// Events before those who wait are told.
    pub(crate) events: Vec<Said>,
    pub(crate) waited: Option<Waited>,
    /// Events after that.
    pub(crate) last_events: Vec<Said>,
    /// What the key is answered from now on, and for `agent` the final answer of the run.
    pub(crate) reply: Option<Reply>,
    /// The rows that history gets.
    pub(crate) rows: Vec<Value>,
}

/// Everything about runs that differs between editions.
pub(crate) trait Dialect: Sync {
    /// Returns how often a provider that has an internal error, or is asked too often, is tried.
    fn attempts(&self, cause: Cause) -> u32;
    /// Returns whether `agent` runs can be aborted.
    fn aborts_agent_runs(&self) -> bool;
    /// Returns whether only the starter, its device and administrators may abort.
    fn aborts_need_owner(&self) -> bool;
    /// Returns whether another message under the same key of `chat.send` is an error.
    fn checks_message(&self) -> bool;
    /// Returns whether a message for a busy session is answered in the run that works there.
    fn steers_messages(&self) -> bool;
    /// Returns whether tool events need a `verboseLevel`.
    fn tools_need_verbose(&self) -> bool;
    /// Returns whether history shows nothing of a session before the model said something there.
    fn waits_for_an_answer(&self) -> bool;
    /// Returns whether the transcript remembers keys over a restart, and interrupted chats are taken up again.
    fn remembers_turns(&self) -> bool;
    /// Returns whether events of a key that was used before count on.
    fn counts_on(&self) -> bool;

    /// Returns whether a run fails whose model was cut off.
    fn notices_cuts(&self) -> bool {
        false
    }
    /// Returns whether a run fails whose model says that it has no answer.
    fn insists_on_answers(&self, kind: Kind) -> bool {
        let _ = kind;
        false
    }

    /// Returns where a run happens.
    fn place(&self, kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape>;
    /// Returns how long it may take.
    fn timeout_ms(&self, kind: Kind, params: &Value) -> Option<u64>;
    /// The first answer of `agent`.
    fn accepted(&self, run: &Record) -> Value;
    /// A word about how a run goes on, where the edition says it.
    fn lifecycle(&self, run: &mut Record, data: Value, now: u64) -> Vec<Said> {
        let _ = (run, data, now);
        Vec::new()
    }
    /// The answer to a key whose `agent` run goes on.
    fn again(&self, run: &Record) -> Value;
    /// The answer to a key whose `chat.send` run is over.
    fn chat_replay(&self, run: &Record, reply: Reply) -> Reply;

    /// Its session is busy.
    fn waits(&self, run: &mut Record, now: u64) -> Vec<Said>;
    /// Up to the model's first word. The rows go to history.
    fn opening(&self, run: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>);
    fn delta(&self, run: &mut Record, piece: &str, now: u64) -> Vec<Said>;
    fn tool_begins(&self, run: &mut Record, call: &Call, now: u64) -> (Vec<Said>, Vec<Value>);
    fn tool_ends(
        &self,
        run: &mut Record,
        call: &Call,
        verbose: &str,
        now: u64,
    ) -> (Vec<Said>, Vec<Value>);
    /// The model has said its text.
    fn turn_ends(&self, run: &mut Record, now: u64) -> Vec<Said>;
    /// The next message of the session is answered in the same run.
    fn steers(&self, run: &mut Record, queued: &mut Record, now: u64) -> (Vec<Said>, Vec<Value>);
    fn done(&self, run: &mut Record, now: u64) -> Closing;
    /// One of several attempts failed; another one begins after a pause.
    fn attempt_fails(
        &self,
        run: &mut Record,
        attempt: (u32, u32),
        message: &str,
        now: u64,
    ) -> Closing;
    fn attempt_begins(&self, run: &mut Record, now: u64) -> Vec<Said>;
    /// The gateway answers by itself.
    fn local(&self, run: &mut Record, now: u64) -> Closing;
    /// Returns what events say of a run that cannot begin.
    fn cannot_begin(&self, run: &mut Record, error: &str, now: u64) -> Vec<Said>;
    /// A message is not taken because it was answered already; the last time, the run ends.
    fn turned_away_once(&self, run: &mut Record, now: u64) -> Vec<Said>;
    fn turned_away(&self, run: &mut Record, now: u64) -> Closing;
    /// The model has no answer and is asked again; the second time, the run ends.
    fn silent_once(&self, run: &mut Record, now: u64) -> Vec<Said> {
        let _ = (run, now);
        Vec::new()
    }
    fn silent(&self, run: &mut Record, now: u64) -> Closing {
        self.done(run, now)
    }
    fn failed(&self, run: &mut Record, attempts: u32, message: &str, now: u64) -> Closing;
    fn timed_out(&self, run: &mut Record, now: u64) -> Closing;
    /// Returns what an abort says before it is answered.
    fn aborted(&self, run: &mut Record, reason: &'static str, now: u64) -> Closing;
    /// Returns what it says after that.
    fn settled(&self, run: &mut Record, now: u64) -> Closing;
    /// A second message for a session that is busy, answered under a new run id later.
    fn queued_elsewhere(&self, run: &mut Record, now: u64) -> Closing;
    /// Returns what waits for such a message are told once it is answered, if ever.
    fn answered_elsewhere(&self, run: &Record) -> Option<Waited>;
}

/// An assistant's message in a `chat` event.
pub(super) fn chat_message(text: &str, now: u64) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now})
}

/// A row of history about something the model said.
pub(super) fn assistant_row(
    content: &Value,
    tokens: (u64, u64),
    stop_reason: &str,
    now: u64,
) -> Value {
    json!({
        "role": "assistant", "content": content, "api": "openai-completions", "provider": PROVIDER,
        "model": MODEL, "stopReason": stop_reason, "timestamp": now,
        "usage": usage(tokens),
    })
}

pub(crate) fn usage((input, output): (u64, u64)) -> Value {
    json!({
        "input": input, "output": output, "cacheRead": 0, "cacheWrite": 0,
        "totalTokens": input + output,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0},
    })
}

/// The parts of an answer, with what was thought before it.
pub(super) fn answer_parts(run: &Record) -> Value {
    let thought = run
        .script
        .reasoning
        .iter()
        .map(|reasoning| json!({"type": "thinking", "thinking": reasoning}));
    let text = Some(&run.turn_text).filter(|text| !text.is_empty());
    thought
        .chain(text.map(|text| json!({"type": "text", "text": text})))
        .collect()
}

/// A row about a call of a tool.
pub(super) fn call_parts(call: &Call) -> Value {
    json!([{
        "type": "toolCall", "id": call.id, "name": call.tool.name, "arguments": call.tool.args,
    }])
}

/// A row about what a tool gave.
pub(super) fn tool_row(call: &Call, now: u64) -> Value {
    let mut row = json!({
        "role": "toolResult", "toolCallId": call.id, "toolName": call.tool.name,
        "content": [{"type": "text", "text": tool_text(call)}],
        "isError": call.tool.is_error,
        "timestamp": now,
    });
    if let Some(pending @ Verdict::Pending { .. }) = &call.verdict {
        row["details"] = pending.details(call);
    }
    row
}

/// Returns what both editions show about the arguments of a tool that they know.
pub(super) fn tool_meta(tool: &Tool) -> Option<String> {
    let argument = |name: &str| tool.args.get(name).and_then(Value::as_str);
    match tool.name.as_str() {
        "read" => argument("path").map(|path| format!("from {path}")),
        "exec" => argument("command").map(str::to_owned),
        _ => None,
    }
}

/// The answer of `agent.wait` that says nothing.
pub(crate) fn not_yet(run_id: &str) -> Value {
    json!({"runId": run_id, "status": "timeout"})
}

/// The answer to a run that came to nothing.
pub(crate) fn refused(run: &Record, error: impl Into<String>) -> Reply {
    let error = error.into();
    let payload = json!({"runId": run.run_id, "status": "error", "summary": error});
    Err(ErrorShape::new("UNAVAILABLE", error).with_payload(payload))
}

/// A message that no model made.
pub(crate) fn local_message(text: &str, now: u64) -> Value {
    json!({
        "role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now,
        "stopReason": "stop", "usage": usage((0, 0)), "api": "openai-responses",
        "provider": "openclaw", "model": "gateway-injected",
    })
}
