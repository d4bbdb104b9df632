//! `cron.*`.

use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::cron::view;
use crate::model::jobs::{Job, MAX_JOBS, Start};
use crate::model::schedule;
use crate::wire::{ErrorShape, Reply};

/// What an answer names by itself.
const OWN: [&str; 5] = ["id", "enabled", "createdAtMs", "updatedAtMs", "state"];

/// The answer of a method that is about jobs.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    call: &Request,
) -> Option<Answer> {
    let id = call.params["id"]
        .as_str()
        .or_else(|| call.params["jobId"].as_str())
        .unwrap_or_default();
    Some(match call.method.as_str() {
        "cron.status" => Ok(status(engine, state)).into(),
        "cron.list" => Ok(list(engine, state, &call.params)).into(),
        "cron.get" => match state.jobs.get(id) {
            Some(job) => Ok(view::answered(job)).into(),
            None => Err(not_found(id)).into(),
        },
        "cron.add" => add(engine, state, &call.params),
        "cron.update" => update(engine, state, id, &call.params["patch"]),
        "cron.remove" => remove(engine, state, id).into(),
        "cron.run" => run(engine, state, connection, call, id),
        "cron.runs" => Ok(runs(engine, state, id, &call.params)).into(),
        _ => return None,
    })
}

fn is_new(engine: &Engine) -> bool {
    engine.facts().shows_cron_jobs
}

fn status(engine: &Engine, state: &State) -> Value {
    let dir = state.disk.shown_path();
    let own = usize::from(is_new(engine));
    let mut status = json!({
        "enabled": true, "storePath": format!("{dir}/cron/jobs.json"),
        "jobs": state.jobs.all.len() + own, "nextWakeAtMs": state.jobs.next(),
    });
    if is_new(engine) {
        status["triggersEnabled"] = true.into();
        status["storage"] = "sqlite".into();
        status["sqlitePath"] = format!("{dir}/state/openclaw.sqlite").into();
        let heartbeat = heartbeat(engine, state)["nextRunAtMs"].as_u64();
        let next = state.jobs.next().into_iter().chain(heartbeat).min();
        status["nextWakeAtMs"] = next.into();
    }
    status
}

fn heartbeat(engine: &Engine, state: &State) -> Value {
    let up = crate::model::clock::millis(state.started.elapsed());
    let started = engine.clock.now_ms().saturating_sub(up);
    view::heartbeat(&state.jobs.heartbeat_id, started)
}

/// A page of something.
fn page(items: Vec<Value>, params: &Value, name: &str) -> Value {
    let number = |name: &str| params[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let total = items.len();
    let offset = number("offset").unwrap_or(0).min(total);
    let limit = number("limit").unwrap_or(total - offset).max(1);
    let page: Vec<Value> = items.into_iter().skip(offset).take(limit).collect();
    let end = offset + page.len();
    let mut answer = json!({
        "total": total, "offset": offset, "limit": limit, "hasMore": end < total,
        "nextOffset": (end < total).then_some(end),
    });
    answer[name] = page.into();
    answer
}

fn list(engine: &Engine, state: &State, params: &Value) -> Value {
    let all = params["includeDisabled"] == true;
    let jobs = state.jobs.all.iter().filter(|job| all || job.enabled);
    if !is_new(engine) {
        return json!({"jobs": jobs.map(view::job).collect::<Value>()});
    }
    let own = heartbeat(engine, state);
    let mut previews = Map::new();
    previews.insert(
        state.jobs.heartbeat_id.clone(),
        json!({"label": "not requested", "detail": "not requested"}),
    );
    let mut shown: Vec<Value> = vec![own];
    for job in jobs {
        previews.insert(job.id.clone(), view::preview(job));
        let mut job = view::answered(job);
        job["effectiveAgentId"] = "main".into();
        shown.push(job);
    }
    shown.sort_by_key(|job| job["nextRunAtMs"].as_u64().unwrap_or(u64::MAX));
    let revision = view::revision(&shown.iter().map(|job| job["updatedAtMs"].clone()).collect());
    let mut answer = page(shown, params, "jobs");
    answer["snapshotRevision"] = revision.into();
    answer["deliveryPreviews"] = previews.into();
    answer
}

fn event(engine: &Engine, state: &mut State, job: &Job, action: &str) {
    let mut payload = json!({"jobId": job.id, "action": action});
    if is_new(engine) {
        payload["job"] = view::job(job);
    }
    if let Some(next) = job.next.filter(|_| matches!(action, "added" | "updated")) {
        payload["nextRunAtMs"] = next.into();
    }
    engine.broadcast(state, "cron", &payload);
}

fn add(engine: &Engine, state: &mut State, params: &Value) -> Answer {
    let now = engine.clock.now_ms();
    if state.jobs.all.len() >= MAX_JOBS {
        return Err(ErrorShape::new("UNAVAILABLE", "too many cron jobs")).into();
    }
    let mut spec = params.as_object().cloned().unwrap_or_default();
    let enabled = spec.get("enabled") != Some(&false.into());
    spec.retain(|name, _| !OWN.contains(&name.as_str()));
    spec.insert(
        "schedule".to_owned(),
        schedule::normalized(&params["schedule"], now),
    );
    let mut job = Job {
        id: uuid::Uuid::new_v4().to_string(),
        spec,
        enabled,
        created_at: now,
        updated_at: now,
        next: None,
        running_since: None,
        last: Map::new(),
        errors: 0,
    };
    // Measured on neither; read in the code of both editions.
    if !job.spec.contains_key("wakeMode") {
        job.spec.insert("wakeMode".to_owned(), "now".into());
    }
    if job.is_turn() {
        fill_in(engine, &mut job.spec);
    }
    job.plan(now);
    if enabled && job.next.is_none() {
        return Err(ErrorShape::invalid(
            "invalid cron.add params: at /schedule: no next run",
        ))
        .into();
    }
    event(engine, state, &job, "added");
    let mut answer = view::job(&job);
    if is_new(engine) {
        answer = view::answered(&job);
        answer["deliveryPreview"] = view::preview(&job);
    }
    state.jobs.all.push(job);
    engine.touched();
    Answer::from(Ok(answer)).then(AfterAnswer::KeepJobs)
}

/// What a turn of an agent gets that does not say it.
fn fill_in(engine: &Engine, spec: &mut Map<String, Value>) {
    if !spec.contains_key("delivery") {
        spec.insert("delivery".to_owned(), json!({"mode": "announce"}));
    }
    if !is_new(engine) {
        return;
    }
    if let Some(payload) = spec.get_mut("payload")
        && payload["toolsAllow"].is_null()
    {
        payload["toolsAllow"] = json!(["*"]);
    }
    spec.entry("scheduledToolPolicy")
        .or_insert_with(|| json!({"version": 1, "mode": "trusted"}));
}

fn unknown(engine: &Engine, id: &str) -> ErrorShape {
    if is_new(engine) {
        not_found(id)
    } else {
        ErrorShape::new("UNAVAILABLE", format!("Error: unknown cron job id: {id}"))
    }
}

fn update(engine: &Engine, state: &mut State, id: &str, patch: &Value) -> Answer {
    let now = engine.clock.now_ms();
    let Some(job) = state.jobs.get_mut(id) else {
        return Err(unknown(engine, id)).into();
    };
    for (name, value) in patch.as_object().into_iter().flatten() {
        match name.as_str() {
            "enabled" => job.enabled = value != &Value::Bool(false),
            "schedule" => {
                let kept = schedule::normalized(value, now);
                job.spec.insert(name.clone(), kept);
            }
            name if OWN.contains(&name) => {}
            _ if value.is_null() => drop(job.spec.remove(name)),
            _ => drop(job.spec.insert(name.clone(), value.clone())),
        }
    }
    job.updated_at = now;
    job.plan(now);
    if is_new(engine) {
        job.last
            .insert("scheduleActivatedAtMs".to_owned(), now.into());
    }
    let job = job.clone();
    event(engine, state, &job, "updated");
    engine.touched();
    let answer = if is_new(engine) {
        view::answered(&job)
    } else {
        view::job(&job)
    };
    Answer::from(Ok(answer)).then(AfterAnswer::KeepJobs)
}

fn remove(engine: &Engine, state: &mut State, id: &str) -> Reply {
    match state.jobs.remove(id) {
        Some(job) => {
            event(engine, state, &job, "removed");
            engine.touched();
            Ok(json!({"ok": true, "removed": true}))
        }
        None if is_new(engine) => Err(not_found(id)),
        None => Ok(json!({"ok": true, "removed": false})),
    }
}

fn run(engine: &Engine, state: &mut State, connection: u64, call: &Request, id: &str) -> Answer {
    let now = engine.clock.now_ms();
    let Some(job) = state.jobs.get_mut(id) else {
        return Err(unknown(engine, id)).into();
    };
    let process = state.boot_id.clone();
    let refused = |reason: &str| {
        let mut answer = json!({"ok": true, "ran": false, "reason": reason});
        if is_new(engine) {
            answer["processInstanceId"] = process.as_str().into();
        }
        Ok(answer).into()
    };
    if call.params["mode"] == "due" && job.next.is_none_or(|next| next > now) {
        return refused("not-due");
    }
    if job.running_since.is_some() {
        return refused("already-running");
    }
    job.running_since = Some(now);
    state.jobs.manual += 1;
    let manual = format!("manual:{id}:{now}:{}", state.jobs.manual);
    if !is_new(engine) {
        let start = Start {
            job_id: id.to_owned(),
            manual: Some(manual),
            answer: Some((connection, call.id.clone())),
        };
        return Answer::default().then(AfterAnswer::RunJob(start));
    }
    let answer = json!({
        "ok": true, "enqueued": true, "runId": manual, "processInstanceId": process,
    });
    let start = Start {
        job_id: id.to_owned(),
        manual: Some(manual),
        answer: None,
    };
    Answer::from(Ok(answer)).then(AfterAnswer::RunJob(start))
}

fn runs(engine: &Engine, state: &State, id: &str, params: &Value) -> Value {
    let meant = |entry: &&Value| id.is_empty() || entry["jobId"] == id;
    let entries = state.jobs.entries.iter().rev().filter(meant);
    let entries: Vec<Value> = entries.cloned().collect();
    let page = page(entries, params, "entries");
    if is_new(engine) {
        page
    } else {
        json!({"entries": page["entries"]})
    }
}

/// The answer for a job that is not there (measured on 2026.9.6).
fn not_found(id: &str) -> ErrorShape {
    let text = format!(
        "Automation not found: {id}. List automations and retry with a current job id. For cross-session \
         management, use a fresh authenticated configured channel owner or Control UI administrator turn or \
         the Automations page."
    );
    ErrorShape::invalid(text).with_details(Some(json!({"code": "CRON_JOB_NOT_FOUND", "jobId": id})))
}
