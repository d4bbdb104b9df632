//! A turn of the agent that no call started, as its events show it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::engine::Engine;
use crate::engine::state::State;
use crate::model::script::{Ending, MODEL, PROVIDER, RunScript};

/// Measured on 2026.2.9: `chat` deltas come no faster.
const CHAT_PACE: Duration = Duration::from_millis(150);

/// Who says it, and where.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) run_id: String,
    pub(super) session_id: String,
    pub(super) session_key: String,
    /// Whether `chat` events come, too.
    pub(super) shows_chat: bool,
    /// What scripts see as the method.
    pub(super) method: &'static str,
    pub(super) message: String,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) usage: (u64, u64),
    pub(super) error: Option<String>,
}

struct Stage<'a> {
    turn: &'a Turn,
    engine: &'a Engine,
    boot_id: String,
    is_new: bool,
    seq: u64,
    item_id: String,
    last_chat: Option<Instant>,
}

impl Turn {
    /// Plays it by the test's script, or says nothing; `None` if the process that ran it is gone.
    pub(super) async fn play(&self, engine: &Engine) -> Option<Said> {
        let (boot_id, script) = {
            let state = engine.lock();
            (state.boot_id.clone(), state.runs.script())
        };
        let script = script.map_or_else(RunScript::silent, |script| script(&self.request()));
        let stage = Stage {
            turn: self,
            engine,
            boot_id,
            is_new: engine.facts().shows_cron_jobs,
            seq: 0,
            item_id: uuid::Uuid::new_v4().to_string(),
            last_chat: None,
        };
        stage.play(&script).await
    }
}

impl Stage<'_> {
    /// Runs `say` if the process is still the one in which the turn began.
    fn act<T>(&mut self, say: impl FnOnce(&mut Self, &mut State, u64) -> T) -> Option<T> {
        let engine = self.engine;
        let mut guard = engine.lock();
        let state = &mut *guard;
        let now = engine.clock.now_ms();
        (state.boot_id == self.boot_id).then(|| say(self, state, now))
    }

    fn payload(&mut self, stream: &str, data: &Value, now: u64) -> Value {
        self.seq += 1;
        let mut payload = json!({
            "runId": self.turn.run_id, "sessionKey": self.turn.session_key, "stream": stream,
            "data": data, "seq": self.seq, "ts": now,
        });
        if self.is_new {
            payload["agentId"] = "main".into();
            if stream == "lifecycle" {
                payload["sessionId"] = self.turn.session_id.as_str().into();
            }
        }
        payload
    }

    fn agent(&mut self, state: &mut State, stream: &str, data: &Value, now: u64) {
        let mut payload = self.payload(stream, data, now);
        if self.is_new && data["model"].is_null() && data["phase"] == "model" {
            payload["lane"] = "cron-nested".into();
        }
        self.engine.broadcast(state, "agent", &payload);
    }

    fn chat(&mut self, state: &mut State, kind: &str, text: &str, delta: Option<&str>, now: u64) {
        if !self.turn.shows_chat {
            return;
        }
        let mut payload = json!({
            "runId": self.turn.run_id, "sessionKey": self.turn.session_key, "seq": self.seq,
            "state": kind,
        });
        if !text.is_empty() {
            payload["message"] = json!({
                "role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": now,
            });
        }
        if self.is_new {
            payload["agentId"] = "main".into();
            match delta {
                Some(delta) => payload["deltaText"] = delta.into(),
                None => payload["stopReason"] = "stop".into(),
            }
        }
        self.engine.broadcast(state, "chat", &payload);
    }

    async fn play(mut self, script: &RunScript) -> Option<Said> {
        let started = self.engine.clock.now_ms();
        self.act(|stage, state, now| {
            stage.agent(
                state,
                "lifecycle",
                &json!({"phase": "start", "startedAt": now}),
                now,
            );
            if stage.is_new {
                let model = json!({"phase": "model", "provider": PROVIDER, "model": MODEL});
                stage.agent(state, "lifecycle", &model, now);
            }
        })?;
        sleep(script.delay_first).await;
        let mut text = String::new();
        for piece in script.pieces() {
            text.push_str(&piece);
            self.act(|stage, state, now| stage.piece(state, &text, &piece, now))?;
            sleep(script.delay_per_delta).await;
        }
        text.clone_from(&script.text);
        let error = match &script.ending {
            Ending::Fails(failure) => Some(failure.message.clone()),
            Ending::Answers
            | Ending::Hangs
            | Ending::Silent
            | Ending::TurnedAway
            | Ending::Local => None,
        };
        let usage = script.usage;
        self.act(|stage, state, now| match &error {
            None => stage.ends(state, &text, usage.1, (started, now)),
            Some(error) => stage.fails(state, error, (started, now)),
        })?;
        Some(Said { text, usage, error })
    }

    fn piece(&mut self, state: &mut State, text: &str, piece: &str, now: u64) {
        let mut data = json!({"text": text, "delta": piece});
        if self.is_new {
            data["itemId"] = format!("{}:1", self.item_id).into();
        }
        self.agent(state, "assistant", &data, now);
        let soon = self
            .last_chat
            .is_some_and(|last| last.elapsed() < CHAT_PACE);
        if self.is_new || !soon {
            self.last_chat = Some(Instant::now());
            self.chat(state, "delta", text, Some(piece), now);
        }
    }

    fn ends(&mut self, state: &mut State, text: &str, output: u64, (started, now): (u64, u64)) {
        if self.is_new {
            self.agent(state, "usage", &json!({"outputTokens": output}), now);
            let finishing = json!({
                "phase": "finishing", "stopReason": "stop", "aborted": false,
                "livenessState": "working", "endedAt": now,
            });
            self.agent(state, "lifecycle", &finishing, now);
            let released = json!({"phase": "model", "provider": null, "model": null});
            self.agent(state, "lifecycle", &released, now);
            let end = json!({
                "phase": "end", "stopReason": "stop", "aborted": false, "livenessState": "working",
                "startedAt": started, "endedAt": now, "replayInvalid": false,
                "executionSettled": true,
            });
            self.agent(state, "lifecycle", &end, now);
        } else {
            let end = json!({"phase": "end", "endedAt": now});
            self.agent(state, "lifecycle", &end, now);
        }
        self.chat(state, "final", text, None, now);
    }

    /// As 2026.9.6 shows it; 2026.2.9 says that all went well.
    fn fails(&mut self, state: &mut State, error: &str, (started, now): (u64, u64)) {
        if !self.is_new {
            return self.ends(state, "", 0, (started, now));
        }
        let end = json!({
            "phase": "error", "error": error, "startedAt": started, "endedAt": now,
            "executionSettled": true,
        });
        self.agent(state, "lifecycle", &end, now);
        if self.turn.shows_chat {
            let payload = json!({
                "runId": self.turn.run_id, "sessionKey": self.turn.session_key, "seq": self.seq,
                "agentId": "main", "state": "error", "errorMessage": error,
            });
            self.engine.broadcast(state, "chat", &payload);
        }
    }
}
