//! What a gateway does about the turns that its last process did not end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::edition::Edition;
use crate::engine::answer::AfterAnswer;
use crate::engine::state::State;
use crate::methods::run::dialect::dialect;
use crate::model::runs::{Kind, Record};

/// Measured on 2026.9.6: about so long after the gateway is ready.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// What the agent is told.
const MESSAGE: &str = "[System] Your previous turn was interrupted by a gateway restart. Continue from \
                       what is there, and finish the task.";

/// Takes up what was interrupted, as far as the edition does. Measured on 2026.9.6: turns of `chat.send` are
/// finished under another run id; those of `agent` begin anew when their key is sent again. 2026.2.9 forgets
/// all of them.
pub(crate) fn recover(
    edition: Edition,
    state: &mut State,
    interrupted: Vec<Record>,
    now: u64,
) -> Vec<AfterAnswer> {
    if !dialect(edition).remembers_turns() {
        return Vec::new();
    }
    let mut next = Vec::new();
    for before in interrupted {
        if let Some(book) = state.books.get_mut(&before.session_key) {
            book.turns.last_aborted = true;
        }
        if before.kind == Kind::Agent {
            continue;
        }
        let run_id = uuid::Uuid::new_v4().to_string();
        let run = Record {
            id: state.runs.next_id(),
            kind: Kind::Agent,
            method: "agent".to_owned(),
            input_key: format!("{run_id}:user"),
            given_id: run_id.clone(),
            run_id,
            message: MESSAGE.to_owned(),
            opens_session: false,
            connection: 0,
            device_id: None,
            accepted_at: now,
            began_at: now,
            started_at: now,
            seq: 0,
            last_event_at: now,
            has_begun: false,
            has_model: false,
            is_admitted: false,
            is_told: false,
            from_admin: false,
            is_recovery: true,
            turn: 0,
            item_id: uuid::Uuid::new_v4().to_string(),
            task_id: uuid::Uuid::new_v4().to_string(),
            text: String::new(),
            turn_text: String::new(),
            leaves_out: false,
            tools: Vec::new(),
            failed_tools: 0,
            rows: Vec::new(),
            last_chat: None,
            steered: std::collections::VecDeque::new(),
            stop: Arc::new(Notify::new()),
            is_queued: false,
            stands_for: None,
            ..before
        };
        state.runs.enter(&run.session_key, run.id);
        next.push(AfterAnswer::PlayRun(run.id));
        state.runs.put(run);
    }
    next
}
