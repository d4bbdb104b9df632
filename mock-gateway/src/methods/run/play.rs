//! Playing a run: its events, its pauses, its end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::run::dialect::call::Call;
use crate::methods::run::dialect::common::{Closing, Dialect, Said, refused};
use crate::methods::run::dialect::dialect;
use crate::methods::run::dialect::result::tool_text;
use crate::methods::run::emit::{close, emit, verbose};
use crate::methods::run::{approval, notify, recovery};
use crate::model::runs::{Kind, Record};
use crate::model::script::{Ending, RunScript, Tool};

/// Measured on 2026.9.6: how often a message that was answered is tried, and how fast.
const TIMES_TURNED_AWAY: u32 = 4;
const TURNED_AWAY_PAUSE: Duration = Duration::from_millis(100);

/// Why a run does not go on as its script says.
pub(super) enum Stop {
    /// The process that ran it is gone.
    Gone,
    Aborted,
    TimedOut,
}

/// One run may bring about the next.
type Playing = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Player {
    pub(super) engine: Arc<Engine>,
    pub(super) dialect: &'static dyn Dialect,
    id: u64,
    script: Arc<RunScript>,
    pub(super) stop: Arc<Notify>,
    timeout: Option<Duration>,
    pub(super) deadline: Option<Instant>,
}

/// Plays a run to its end.
pub(crate) fn play(engine: Arc<Engine>, id: u64) -> Playing {
    Box::pin(play_one(engine, id))
}

async fn play_one(engine: Arc<Engine>, id: u64) {
    let player = {
        let state = engine.lock();
        let Some(record) = state.runs.get(id) else {
            return;
        };
        Player {
            dialect: dialect(engine.edition()),
            id,
            script: Arc::clone(&record.script),
            stop: Arc::clone(&record.stop),
            timeout: record.timeout_ms.map(Duration::from_millis),
            deadline: None,
            engine: Arc::clone(&engine),
        }
    };
    let stray = player.play().await;
    for id in stray {
        engine.spawn(play(Arc::clone(&engine), id));
    }
}

impl Player {
    /// Changes the record of a run that goes on, and says what comes of it.
    pub(super) fn act<T>(
        &self,
        act: impl FnOnce(&Engine, &mut State, &mut Record, u64) -> T,
    ) -> Result<T, Stop> {
        self.change(false, act)
    }

    fn change<T>(
        &self,
        even_aborted: bool,
        act: impl FnOnce(&Engine, &mut State, &mut Record, u64) -> T,
    ) -> Result<T, Stop> {
        let engine = &self.engine;
        let mut guard = engine.lock();
        let state = &mut *guard;
        let mut record = state.runs.take(self.id).ok_or(Stop::Gone)?;
        if record.aborted.is_some() && !even_aborted {
            state.runs.put(record);
            return Err(Stop::Aborted);
        }
        let result = act(engine, state, &mut record, engine.clock.now_ms());
        state.runs.put(record);
        Ok(result)
    }

    fn emit_all(
        &self,
        say_what: impl FnOnce(&dyn Dialect, &mut Record, u64) -> Vec<Said>,
    ) -> Result<(), Stop> {
        self.act(|engine, state, record, now| {
            for said in say_what(self.dialect, record, now) {
                emit(engine, state, record, &said);
            }
        })
    }

    fn end(
        &self,
        closing: impl FnOnce(&dyn Dialect, &mut Record, u64) -> Closing,
    ) -> Result<(), Stop> {
        self.act(|engine, state, record, now| {
            let closing = closing(self.dialect, record, now);
            close(engine, state, record, closing, true);
        })
    }

    /// Waits, unless the run is aborted or takes too long.
    async fn pause(&self, pause: Option<Duration>) -> Result<(), Stop> {
        if pause == Some(Duration::ZERO) {
            return self.check();
        }
        let over = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let late = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.notified() => Err(self.aborted()),
            () = late => Err(Stop::TimedOut),
            () = over => self.check(),
        }
    }

    /// Keeps the notice for whoever settles the run.
    pub(super) fn aborted(&self) -> Stop {
        self.stop.notify_one();
        Stop::Aborted
    }

    pub(super) fn check(&self) -> Result<(), Stop> {
        let state = self.engine.lock();
        match state.runs.get(self.id) {
            None => Err(Stop::Gone),
            Some(record) if record.aborted.is_some() => Err(Stop::Aborted),
            Some(_) => Ok(()),
        }
    }

    /// Plays it all; gives back runs that were to be answered in this one, but were not.
    async fn play(mut self) -> VecDeque<u64> {
        let played = self.follow().await;
        let ended = match played {
            Ok(()) => Ok(()),
            Err(Stop::Gone) => Err(Stop::Gone),
            Err(Stop::TimedOut) => self.end(|dialect, record, now| dialect.timed_out(record, now)),
            Err(Stop::Aborted) => {
                // The abort is answered before the late events.
                self.stop.notified().await;
                self.settle()
            }
        };
        if ended.is_err() {
            return VecDeque::new();
        }
        let stray = self.change(true, |_, state, record, _| {
            state.runs.leave(&record.session_key, record.id);
            let stray = std::mem::take(&mut record.steered);
            for id in &stray {
                if let Some(mut other) = state.runs.take(*id) {
                    other.is_queued = false;
                    state.runs.enter(&record.session_key, *id);
                    state.runs.put(other);
                }
            }
            stray
        });
        self.engine.touched();
        stray.unwrap_or_default()
    }

    fn settle(&self) -> Result<(), Stop> {
        self.change(true, |engine, state, record, now| {
            let closing = self.dialect.settled(record, now);
            close(engine, state, record, closing, true);
            if let (Kind::Agent, Some((_, reply))) = (record.kind, record.over.clone()) {
                engine.reply_later(state, record.connection, &record.request_id, &reply);
            }
        })
    }

    async fn follow(&mut self) -> Result<(), Stop> {
        if let Some(error) = self.act(|_, _, record, _| record.fails_at_once.clone())? {
            return self.end(move |dialect, record, now| {
                let events = if error.is_told {
                    dialect.cannot_begin(record, &error.message, now)
                } else {
                    Vec::new()
                };
                Closing {
                    events,
                    reply: Some(refused(record, error.message)),
                    ..Closing::default()
                }
            });
        }
        if self.script.is_local() {
            return self.end(|dialect, record, now| {
                record.text.clone_from(&record.script.text);
                dialect.local(record, now)
            });
        }
        if self.act(|_, _, record, _| record.is_queued)? {
            self.id = self.elsewhere()?;
        }
        self.its_turn().await?;
        if self.act(|_, state, record, _| self.was_answered(state, record))? {
            self.script = Arc::new(RunScript::clone(&self.script).turned_away());
        }
        if self.act(|_, _, record, _| record.is_recovery)? {
            let start = self.engine.settings.startup_delay;
            self.pause(Some(start + recovery::PAUSE)).await?;
        }
        self.deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        self.act(|engine, state, record, now| {
            notify::accepted(engine, state, record);
            let (events, rows) = self.dialect.opening(record, now);
            record.rows.extend(rows);
            for said in &events {
                emit(engine, state, record, said);
            }
            notify::begun(engine, state, record);
        })?;
        self.pause(Some(self.script.delay_first)).await?;
        let failure = match &self.script.ending {
            Ending::Fails(failure) => failure.clone(),
            Ending::TurnedAway => return self.turned_away().await,
            Ending::Silent => return self.silent().await,
            Ending::Answers | Ending::Hangs | Ending::Local => {
                self.work().await?;
                if self.script.ending == Ending::Hangs {
                    return self.pause(None).await;
                }
                self.pause(Some(self.script.delay_last)).await?;
                return self.answered().await;
            }
        };
        let attempts = self
            .script
            .attempts
            .unwrap_or_else(|| self.dialect.attempts(failure.cause));
        for attempt in 1..attempts {
            self.work().await?;
            self.end(|dialect, record, now| {
                dialect.attempt_fails(record, (attempt, attempts), &failure.message, now)
            })?;
            self.pause(Some(self.script.delay_per_delta)).await?;
            self.emit_all(|dialect, record, now| dialect.attempt_begins(record, now))?;
            self.act(|_, state, record, _| notify::attempt_begun(state, record))?;
        }
        self.work().await?;
        self.end(|dialect, record, now| dialect.failed(record, attempts, &failure.message, now))
    }

    /// The transcript has the message and its answer, and takes it no second time.
    async fn turned_away(&self) -> Result<(), Stop> {
        for _ in 1..TIMES_TURNED_AWAY {
            self.emit_all(|dialect, record, now| dialect.turned_away_once(record, now))?;
            self.pause(Some(TURNED_AWAY_PAUSE)).await?;
            self.emit_all(|dialect, record, now| dialect.attempt_begins(record, now))?;
            self.act(|_, state, record, _| notify::attempt_begun(state, record))?;
        }
        self.end(|dialect, record, now| dialect.turned_away(record, now))
    }

    /// The model has nothing to say, and is asked twice.
    async fn silent(&self) -> Result<(), Stop> {
        self.work().await?;
        self.emit_all(|dialect, record, now| dialect.silent_once(record, now))?;
        self.act(|_, state, record, _| notify::attempt_begun(state, record))?;
        self.pause(Some(self.script.delay_first)).await?;
        self.end(|dialect, record, now| dialect.silent(record, now))
    }

    /// The tools, and the text piece by piece.
    async fn work(&self) -> Result<(), Stop> {
        let mut given = String::new();
        for tool in &self.script.tools {
            given = self.call(tool).await?;
        }
        let Some(characters) = self.script.quotes else {
            return self.speak(&self.script).await;
        };
        let mut script = RunScript::clone(&self.script);
        let quoted: String = given.chars().take(characters).collect();
        script.text.push_str(quoted.trim_end());
        self.speak(&script).await
    }

    /// Writes rows of history down.
    fn write(engine: &Engine, state: &mut State, record: &mut Record, rows: Vec<Value>) {
        record.rows.extend(rows);
        notify::written(engine, state, record);
    }

    /// Lets a tool work; the text that it gives.
    async fn call(&self, tool: &Tool) -> Result<String, Stop> {
        let call = Call {
            id: format!("call_{}", uuid::Uuid::new_v4().simple()),
            tool: tool.clone(),
            started_at: self.engine.clock.now_ms(),
            verdict: None,
        };
        self.act(|engine, state, record, now| {
            let (events, rows) = self.dialect.tool_begins(record, &call, now);
            Self::write(engine, state, record, rows);
            for said in &events {
                emit(engine, state, record, said);
            }
        })?;
        self.pause(Some(self.script.delay_per_delta)).await?;
        let call = approval::judged(self, call).await?;
        self.act(|engine, state, record, now| {
            let verbose = verbose(state, record);
            let (events, rows) = self.dialect.tool_ends(record, &call, &verbose, now);
            for said in &events {
                emit(engine, state, record, said);
            }
            Self::write(engine, state, record, rows);
            notify::resumed(engine, state, record);
        })?;
        Ok(tool_text(&call))
    }

    async fn speak(&self, script: &RunScript) -> Result<(), Stop> {
        let pieces = script.pieces();
        for piece in &pieces {
            self.emit_all(|dialect, record, now| dialect.delta(record, piece, now))?;
            self.pause(Some(script.delay_per_delta)).await?;
        }
        if pieces.is_empty() && !script.text.is_empty() {
            self.act(|_, _, record, _| {
                record.text.push_str(&script.text);
                record.turn_text.push_str(&script.text);
            })?;
        }
        Ok(())
    }

    /// The model is done; messages that came meanwhile are answered as well.
    async fn answered(&self) -> Result<(), Stop> {
        loop {
            let next = self.act(|engine, state, record, now| {
                for said in self.dialect.turn_ends(record, now) {
                    emit(engine, state, record, &said);
                }
                let Some(mut queued) = record
                    .steered
                    .pop_front()
                    .and_then(|id| state.runs.take(id))
                else {
                    let closing = self.dialect.done(record, now);
                    close(engine, state, record, closing, true);
                    return None;
                };
                let (events, rows) = self.dialect.steers(record, &mut queued, now);
                for said in &events {
                    emit(engine, state, record, said);
                }
                record.rows.extend(rows);
                notify::written(engine, state, record);
                if let Some(book) = state.books.get_mut(&record.session_key) {
                    book.rewrite();
                }
                if let Some(waited) = &queued.waited {
                    super::wait::told(engine, state, &queued.run_id, &waited.at_end);
                }
                let script = Arc::clone(&queued.script);
                state.runs.put(queued);
                Some(script)
            })?;
            let Some(script) = next else { return Ok(()) };
            self.pause(Some(script.delay_first)).await?;
            self.speak(&script).await?;
        }
    }
}
