//! Jobs at work, and the clock that starts them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Job;
use super::shown::{self, Ended};
use super::turn::{Said, Turn};
use crate::run::{RunRequest, answer_later};
use crate::server::Server;
use crate::state::{Inner, Phase, State};

const MAIN: &str = "agent:main:main";
/// Between the end of something and the heartbeat that it wakes (measured on 2026.2.9: about a third of a
/// second).
const WAKE: Duration = Duration::from_millis(300);

/// A run of a job that begins now.
#[derive(Debug)]
pub(crate) struct Start {
    pub(super) job_id: String,
    /// What the run is called, if somebody starts it by hand.
    pub(super) manual: Option<String>,
    /// The call that is answered when it is over.
    pub(super) answer: Option<(u64, Value)>,
}

/// Looks at the clock for the jobs, until there is nothing more to come.
pub(crate) async fn keep(server: Arc<Server>) {
    let inner = &server.inner;
    {
        let mut state = inner.lock();
        if std::mem::replace(&mut state.jobs.is_kept, true) {
            return;
        }
    }
    let mut changes = inner.changes();
    loop {
        changes.borrow_and_update();
        let pause = {
            let mut guard = inner.lock();
            let state = &mut *guard;
            let now = inner.clock.now_ms();
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
                    server.spawn(run(Arc::clone(&server), start));
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

fn event(inner: &Inner, state: &mut State, job: &Job, mut payload: Value) {
    if inner.facts().shows_cron_jobs {
        payload["job"] = shown::job(job);
    }
    inner.broadcast(state, "cron", &payload);
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
        inner: &Inner,
        state: &mut State,
        job: &Job,
        session: &str,
        end: Option<&Ended>,
    ) {
        if !inner.facts().shows_cron_jobs {
            return;
        }
        let status = match end {
            None => "running",
            Some(ended) if ended.error.is_some() => "failed",
            Some(_) => "completed",
        };
        let now = inner.clock.now_ms();
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
        inner.broadcast(state, "task", &payload);
    }
}

/// Runs a job to its end.
pub(crate) async fn run(server: Arc<Server>, start: Start) {
    let inner = &server.inner;
    let begin = inner.clock.now_ms();
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
        let mut guard = inner.lock();
        let state = &mut *guard;
        let Some(job) = state.jobs.get(&start.job_id).cloned() else {
            return;
        };
        let payload = json!({"jobId": job.id, "action": "started", "runAtMs": begin});
        event(inner, state, &job, payload);
        task.tell(inner, state, &job, "", None);
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
        let turn = turn_of(inner, &job);
        session.clone_from(&turn.session_key);
        task.tell(inner, &mut inner.lock(), &job, &session, None);
        let (session_id, full_key) = (turn.session_id.clone(), full_key(&job, &turn));
        let Some(said) = turn.play(&server).await else {
            return;
        };
        ended.turn = Some((session_id, full_key, said.usage));
        ended.summary = said.text;
        ended.error = said.error;
        if ended.error.is_none() && job.delivers() {
            ended.error = Some(shown::no_delivery(inner.facts().shows_cron_jobs));
            ended.is_undelivered = true;
        }
    }
    ended.at = inner.clock.now_ms();
    let finished = {
        let mut state = inner.lock();
        let goes_on = state.boot_id == boot_id;
        if goes_on {
            task.tell(inner, &mut state, &job, &session, Some(&ended));
            settle(inner, &mut state, &job.id, &ended);
            if let Some((connection, id)) = &start.answer {
                let reply = Ok(json!({"ok": true, "ran": true}));
                answer_later(inner, &mut state, *connection, id, &reply);
            }
        }
        goes_on
    };
    inner.touched();
    if finished && inner.facts().wakes_after_jobs {
        heartbeat(server, ended.summary).await;
    }
}

/// Notes what a run left behind, and tells of its end.
fn settle(inner: &Inner, state: &mut State, id: &str, ended: &Ended) {
    let is_new = inner.facts().shows_cron_jobs;
    let Some(job) = state.jobs.get_mut(id) else {
        return;
    };
    job.errors = if ended.error.is_some() {
        job.errors + 1
    } else {
        0
    };
    job.last = shown::state(ended, job.errors, is_new);
    job.updated_at = ended.at;
    job.running_since = None;
    let once = job.text("name").to_owned();
    let finished = shown::finished(id, job.next, ended, is_new);
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
    event(inner, state, &shown, finished);
    if is_removed {
        state.jobs.remove(id);
        event(
            inner,
            state,
            &shown,
            json!({"jobId": id, "action": "removed"}),
        );
    }
}

fn turn_of(inner: &Inner, job: &Job) -> Turn {
    let session_id = uuid::Uuid::new_v4().to_string();
    let is_new = inner.facts().shows_cron_jobs;
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
pub(crate) async fn heartbeat(server: Arc<Server>, about: String) {
    sleep(WAKE).await;
    let turn = Turn {
        run_id: uuid::Uuid::new_v4().to_string(),
        session_id: uuid::Uuid::new_v4().to_string(),
        session_key: MAIN.to_owned(),
        shows_chat: false,
        method: "heartbeat",
        message: about,
    };
    let _: Option<Said> = turn.play(&server).await;
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
