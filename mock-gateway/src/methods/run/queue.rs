//! How a run waits for a busy session.

use std::sync::Arc;

use crate::engine::state::State;
use crate::methods::run::emit::{close, emit};
use crate::methods::run::play::{Player, Stop};
use crate::model::runs::Record;
use crate::model::script::RunScript;

impl Player {
    /// Ends the run without an answer, and begins one that nobody asked for.
    pub(super) fn elsewhere(&self) -> Result<u64, Stop> {
        self.act(|engine, state, record, now| {
            let mut other = record.clone();
            other.id = state.runs.next_id();
            other.run_id = uuid::Uuid::new_v4().to_string();
            other.is_queued = false;
            other.stands_for = Some(record.id);
            other.seq = 0;
            if record.collects {
                other.message = collected(record);
                let id = uuid::Uuid::new_v4().simple();
                other.input_key = format!("followup-collect:{}:{id}", record.session_id);
            }
            let id = other.id;
            state.runs.enter(&other.session_key, id);
            state.runs.put(other);
            let closing = self.dialect.queued_elsewhere(record, now);
            close(engine, state, record, closing, false);
            id
        })
    }

    /// Returns whether the message of a run that waited is there already, with an answer.
    pub(super) fn was_answered(&self, state: &State, record: &mut Record) -> bool {
        let book = state.books.get(&record.session_key);
        let answered = record.stands_for.is_some()
            && self.dialect.remembers_turns()
            && book.is_some_and(|book| book.has_answered(&record.input_key));
        if answered {
            record.script = Arc::new(RunScript::clone(&record.script).turned_away());
        }
        answered
    }

    pub(super) async fn its_turn(&self) -> Result<(), Stop> {
        let mut changes = self.engine.changes();
        self.act(|engine, state, record, now| {
            if !state.runs.is_first(record) {
                for said in self.dialect.waits(record, now) {
                    emit(engine, state, record, &said);
                }
            }
        })?;
        loop {
            changes.borrow_and_update();
            if self.act(|_, state, record, _| state.runs.is_first(record))? {
                return self.check();
            }
            tokio::select! {
                biased;
                () = self.stop.notified() => return Err(self.aborted()),
                seen = changes.changed() => seen.map_err(|_| Stop::Gone)?,
            }
        }
    }
}

/// Messages that waited, put together for the model.
fn collected(record: &Record) -> String {
    let from = &record.transport["clients"][0];
    let from = from["displayName"].as_str().or_else(|| from["id"].as_str());
    format!(
        "[Queued messages while agent was busy]\n\n---\nQueued #1 (from {})\n{}",
        from.unwrap_or_default(),
        record.message
    )
}
