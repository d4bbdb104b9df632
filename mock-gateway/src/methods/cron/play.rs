//! Jobs at work, and the clock that starts them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::engine::Engine;
use crate::engine::state::{Phase, State};
use crate::methods::cron::turn::{Said, Turn};
use crate::methods::cron::view::{self, Ended};
use crate::model::jobs::{Job, Start};
use crate::model::script::RunRequest;

const MAIN: &str = "agent:main:main";
/// Between the end of something and the heartbeat that it wakes (measured on 2026.2.9: about a third of a
/// second).
const WAKE: Duration = Duration::from_millis(300);

/// Looks at the clock for the jobs, until there is nothing more to come.
pub(crate) async fn keep(engine: Arc<Engine>) {
    {
        let mut state = engine.lock();
        if std::mem::replace(&mut state.jobs.is_kept, true) {
            return;
        }
    }
    let mut changes = engine.changes();
    loop {
        changes.borrow_and_update();
        let pause = {
            let mut guard = engine.lock();
            let state = &mut *guard;
            let now = engine.clock.now_ms();
            if state.jobs.all.is_empty() {
                state.jobs.is_kept = false;
                return;
            }
            let works = matches!(state.phase, Phase::Running | Phase::Starting(_));
            match state.jobs.due(now).filter(|_| works) {
                Some(id) => {
                    if let Some(job) = state.jobs.get_mut(&id) {
                        job.running_since = Some(now);
                    }
                    drop(guard);
                    let start = Start {
                        job_id: id,
                        manual: None,
                        answer: None,
                    };
                    engine.spawn(run(Arc::clone(&engine), start));
                    continue;
                }
                None => state
                    .jobs
                    .next()
                    .filter(|_| works)
                    .map(|next| next.saturating_sub(now)),
            }
        };
        let due = async {
            match pause {
                Some(pause) => sleep(Duration::from_millis(pause)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            seen = changes.changed() => if seen.is_err() { return },
        }
    }
}

fn event(engine: &Engine, state: &mut State, job: &Job, mut payload: Value) {
    if engine.facts().shows_cron_jobs {
        payload["job"] = view::job(job);
    }
    engine.broadcast(state, "cron", &payload);
}

/// The task that 2026.9.6 makes of a run.
struct Task {
    id: String,
    run_id: String,
    begin: u64,
}

impl Task {
    fn tell(
        &self,
        engine: &Engine,
        state: &mut State,
        job: &Job,
        session: &str,
        end: Option<&Ended>,
    ) {
        if !engine.facts().shows_cron_jobs {
            return;
        }
        let status = match end {
            None => "running",
            Some(ended) if ended.error.is_some() => "failed",
            Some(_) => "completed",
        };
        let now = engine.clock.now_ms();
        let finished = if end.is_some() { "finished" } else { "unknown" };
        let mut task = json!({
            "id": self.id, "taskId": self.id, "kind": "automation_run", "runtime": "cron",
            "status": status, "execution": {"state": finished}, "title": job.text("name"),
            "agentId": "main", "sessionKey": "", "hasTranscript": !session.is_empty(),
            "ownerKey": "", "runId": self.run_id, "sourceId": job.id, "createdAt": self.begin,
            "updatedAt": now, "startedAt": self.begin, "progressSummary": "Running automation.",
            "deliveryStatus": "not_applicable",
        });
        if !session.is_empty() {
            task["childSessionKey"] = session.into();
        }
        if let Some(ended) = end {
            task["endedAt"] = ended.at.into();
            task["terminalSummary"] = ended.summary.as_str().into();
            if let Some(error) = &ended.error {
                task["error"] = error.as_str().into();
            }
        }
        let payload = json!({"action": "upserted", "task": task});
        engine.broadcast(state, "task", &payload);
    }
}

/// Runs a job to its end.
pub(crate) async fn run(own: Arc<Engine>, start: Start) {
    let engine = &*own;
    let begin = engine.clock.now_ms();
    let suffix = start.manual.as_ref().map(|manual| format!(":{manual}"));
    let task = Task {
        id: uuid::Uuid::new_v4().to_string(),
        run_id: format!(
            "cron:{}:{begin}:{}{}",
            start.job_id,
            uuid::Uuid::new_v4(),
            suffix.unwrap_or_default()
        ),
        begin,
    };
    let (job, boot_id) = {
        let mut guard = engine.lock();
        let state = &mut *guard;
        let Some(job) = state.jobs.get(&start.job_id).cloned() else {
            return;
        };
        let payload = json!({"jobId": job.id, "action": "started", "runAtMs": begin});
        event(engine, state, &job, payload);
        task.tell(engine, state, &job, "", None);
        (job, state.boot_id.clone())
    };
    let mut ended = Ended {
        run_at: begin,
        summary: job.payload("text").to_owned(),
        manual: start.manual.clone(),
        ..Ended::default()
    };
    let mut session = String::new();
    if job.is_turn() {
        let turn = turn_of(engine, &job);
        session.clone_from(&turn.session_key);
        task.tell(engine, &mut engine.lock(), &job, &session, None);
        let (session_id, full_key) = (turn.session_id.clone(), full_key(&job, &turn));
        let Some(said) = turn.play(engine).await else {
            return;
        };
        ended.turn = Some((session_id, full_key, said.usage));
        ended.summary = said.text;
        ended.error = said.error;
        if ended.error.is_none() && job.delivers() {
            ended.error = Some(view::no_delivery(engine.facts().shows_cron_jobs));
            ended.is_undelivered = true;
        }
    }
    ended.at = engine.clock.now_ms();
    let finished = {
        let mut state = engine.lock();
        let goes_on = state.boot_id == boot_id;
        if goes_on {
            task.tell(engine, &mut state, &job, &session, Some(&ended));
            settle(engine, &mut state, &job.id, &ended);
            if let Some((connection, id)) = &start.answer {
                let reply = Ok(json!({"ok": true, "ran": true}));
                engine.reply_later(&mut state, *connection, id, &reply);
            }
        }
        goes_on
    };
    engine.touched();
    if finished && engine.facts().wakes_after_jobs {
        heartbeat(own, ended.summary).await;
    }
}

/// Notes what a run left behind, and tells of its end.
fn settle(engine: &Engine, state: &mut State, id: &str, ended: &Ended) {
    let is_new = engine.facts().shows_cron_jobs;
    let Some(job) = state.jobs.get_mut(id) else {
        return;
    };
    job.errors = if ended.error.is_some() {
        job.errors + 1
    } else {
        0
    };
    job.last = view::state(ended, job.errors, is_new);
    job.updated_at = ended.at;
    job.running_since = None;
    let once = job.text("name").to_owned();
    let finished = view::finished(id, job.next, ended, is_new);
    let mut entry = finished.clone();
    entry["ts"] = ended.at.into();
    if is_new {
        entry["jobName"] = once.into();
    }
    let is_over = job.schedule()["kind"] == "at" && job.next.is_some_and(|next| next <= ended.at);
    let is_removed = is_over && job.spec.get("deleteAfterRun") == Some(&true.into());
    let shown = job.clone();
    if is_over {
        job.enabled = false;
        job.next = None;
    } else if job.next.is_none_or(|next| next <= ended.at) {
        job.plan(ended.at);
    }
    state.jobs.note(entry);
    event(engine, state, &shown, finished);
    if is_removed {
        state.jobs.remove(id);
        event(
            engine,
            state,
            &shown,
            json!({"jobId": id, "action": "removed"}),
        );
    }
}

fn turn_of(engine: &Engine, job: &Job) -> Turn {
    let session_id = uuid::Uuid::new_v4().to_string();
    let is_new = engine.facts().shows_cron_jobs;
    let (run_id, session_key) = if is_new {
        let key = format!("agent:main:cron:{}:run:{session_id}", job.id);
        (uuid::Uuid::new_v4().to_string(), key)
    } else {
        (session_id.clone(), format!("agent:main:cron:{}", job.id))
    };
    Turn {
        run_id,
        session_id,
        session_key,
        shows_chat: true,
        method: "cron",
        message: job.payload("message").to_owned(),
    }
}

fn full_key(job: &Job, turn: &Turn) -> String {
    format!("agent:main:cron:{}:run:{}", job.id, turn.session_id)
}

/// A turn in the main session that nobody asked for (measured on 2026.2.9: after a job, and after a command
/// that was approved).
pub(crate) async fn heartbeat(engine: Arc<Engine>, about: String) {
    sleep(WAKE).await;
    let turn = Turn {
        run_id: uuid::Uuid::new_v4().to_string(),
        session_id: uuid::Uuid::new_v4().to_string(),
        session_key: MAIN.to_owned(),
        shows_chat: false,
        method: "heartbeat",
        message: about,
    };
    let _: Option<Said> = turn.play(&engine).await;
}

impl Turn {
    /// The request as scripts see it.
    pub(super) fn request(&self) -> RunRequest {
        RunRequest {
            method: self.method.to_owned(),
            message: self.message.clone(),
            run_id: self.run_id.clone(),
            session_key: Some(self.session_key.clone()),
            params: json!({"message": self.message, "sessionKey": self.session_key}),
        }
    }
}
