//! `cron.*`.

use serde_json::{Map, Value, json};

use super::{Job, MAX_JOBS, Start, not_found, schedule, shown};
use crate::rpc::{Outcome, Request, Then};
use crate::state::{Inner, State};
use crate::wire::{ErrorShape, Reply};

/// What an answer names by itself.
const OWN: [&str; 5] = ["id", "enabled", "createdAtMs", "updatedAtMs", "state"];

/// The answer of a method that is about jobs.
pub(crate) fn answer(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    call: &Request,
) -> Option<Outcome> {
    let id = call.params["id"]
        .as_str()
        .or_else(|| call.params["jobId"].as_str())
        .unwrap_or_default();
    Some(match call.method.as_str() {
        "cron.status" => Ok(status(inner, state)).into(),
        "cron.list" => Ok(list(inner, state, &call.params)).into(),
        "cron.get" => match state.jobs.get(id) {
            Some(job) => Ok(shown::answered(job)).into(),
            None => Err(not_found(id)).into(),
        },
        "cron.add" => add(inner, state, &call.params),
        "cron.update" => update(inner, state, id, &call.params["patch"]),
        "cron.remove" => remove(inner, state, id).into(),
        "cron.run" => run(inner, state, connection, call, id),
        "cron.runs" => Ok(runs(inner, state, id, &call.params)).into(),
        _ => return None,
    })
}

fn is_new(inner: &Inner) -> bool {
    inner.facts().shows_cron_jobs
}

fn status(inner: &Inner, state: &State) -> Value {
    let dir = state.disk.shown_path();
    let own = usize::from(is_new(inner));
    let mut status = json!({
        "enabled": true, "storePath": format!("{dir}/cron/jobs.json"),
        "jobs": state.jobs.all.len() + own, "nextWakeAtMs": state.jobs.next(),
    });
    if is_new(inner) {
        status["triggersEnabled"] = true.into();
        status["storage"] = "sqlite".into();
        status["sqlitePath"] = format!("{dir}/state/openclaw.sqlite").into();
        let heartbeat = heartbeat(inner, state)["nextRunAtMs"].as_u64();
        let next = state.jobs.next().into_iter().chain(heartbeat).min();
        status["nextWakeAtMs"] = next.into();
    }
    status
}

fn heartbeat(inner: &Inner, state: &State) -> Value {
    let up = crate::clock::millis(state.started.elapsed());
    let started = inner.clock.now_ms().saturating_sub(up);
    shown::heartbeat(&state.jobs.heartbeat_id, started)
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

fn list(inner: &Inner, state: &State, params: &Value) -> Value {
    let all = params["includeDisabled"] == true;
    let jobs = state.jobs.all.iter().filter(|job| all || job.enabled);
    if !is_new(inner) {
        return json!({"jobs": jobs.map(shown::job).collect::<Value>()});
    }
    let own = heartbeat(inner, state);
    let mut previews = Map::new();
    previews.insert(
        state.jobs.heartbeat_id.clone(),
        json!({"label": "not requested", "detail": "not requested"}),
    );
    let mut shown: Vec<Value> = vec![own];
    for job in jobs {
        previews.insert(job.id.clone(), shown::preview(job));
        let mut job = shown::answered(job);
        job["effectiveAgentId"] = "main".into();
        shown.push(job);
    }
    shown.sort_by_key(|job| job["nextRunAtMs"].as_u64().unwrap_or(u64::MAX));
    let revision = shown::revision(&shown.iter().map(|job| job["updatedAtMs"].clone()).collect());
    let mut answer = page(shown, params, "jobs");
    answer["snapshotRevision"] = revision.into();
    answer["deliveryPreviews"] = previews.into();
    answer
}

fn event(inner: &Inner, state: &mut State, job: &Job, action: &str) {
    let mut payload = json!({"jobId": job.id, "action": action});
    if is_new(inner) {
        payload["job"] = shown::job(job);
    }
    if let Some(next) = job.next.filter(|_| matches!(action, "added" | "updated")) {
        payload["nextRunAtMs"] = next.into();
    }
    inner.broadcast(state, "cron", &payload);
}

fn add(inner: &Inner, state: &mut State, params: &Value) -> Outcome {
    let now = inner.clock.now_ms();
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
        fill_in(inner, &mut job.spec);
    }
    job.plan(now);
    if enabled && job.next.is_none() {
        return Err(ErrorShape::invalid(
            "invalid cron.add params: at /schedule: no next run",
        ))
        .into();
    }
    event(inner, state, &job, "added");
    let mut answer = shown::job(&job);
    if is_new(inner) {
        answer = shown::answered(&job);
        answer["deliveryPreview"] = shown::preview(&job);
    }
    state.jobs.all.push(job);
    inner.touched();
    Outcome::Later(Some(Ok(answer)), Some(Then::KeepJobs))
}

/// What a turn of an agent gets that does not say it.
fn fill_in(inner: &Inner, spec: &mut Map<String, Value>) {
    if !spec.contains_key("delivery") {
        spec.insert("delivery".to_owned(), json!({"mode": "announce"}));
    }
    if !is_new(inner) {
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

fn unknown(inner: &Inner, id: &str) -> ErrorShape {
    if is_new(inner) {
        not_found(id)
    } else {
        ErrorShape::new("UNAVAILABLE", format!("Error: unknown cron job id: {id}"))
    }
}

fn update(inner: &Inner, state: &mut State, id: &str, patch: &Value) -> Outcome {
    let now = inner.clock.now_ms();
    let Some(job) = state.jobs.get_mut(id) else {
        return Err(unknown(inner, id)).into();
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
    if is_new(inner) {
        job.last
            .insert("scheduleActivatedAtMs".to_owned(), now.into());
    }
    let job = job.clone();
    event(inner, state, &job, "updated");
    inner.touched();
    let answer = if is_new(inner) {
        shown::answered(&job)
    } else {
        shown::job(&job)
    };
    Outcome::Later(Some(Ok(answer)), Some(Then::KeepJobs))
}

fn remove(inner: &Inner, state: &mut State, id: &str) -> Reply {
    match state.jobs.remove(id) {
        Some(job) => {
            event(inner, state, &job, "removed");
            inner.touched();
            Ok(json!({"ok": true, "removed": true}))
        }
        None if is_new(inner) => Err(not_found(id)),
        None => Ok(json!({"ok": true, "removed": false})),
    }
}

fn run(inner: &Inner, state: &mut State, connection: u64, call: &Request, id: &str) -> Outcome {
    let now = inner.clock.now_ms();
    let Some(job) = state.jobs.get_mut(id) else {
        return Err(unknown(inner, id)).into();
    };
    let process = state.boot_id.clone();
    let refused = |reason: &str| {
        let mut answer = json!({"ok": true, "ran": false, "reason": reason});
        if is_new(inner) {
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
    if !is_new(inner) {
        let start = Start {
            job_id: id.to_owned(),
            manual: Some(manual),
            answer: Some((connection, call.id.clone())),
        };
        return Outcome::Later(None, Some(Then::RunJob(start)));
    }
    let answer = json!({
        "ok": true, "enqueued": true, "runId": manual, "processInstanceId": process,
    });
    let start = Start {
        job_id: id.to_owned(),
        manual: Some(manual),
        answer: None,
    };
    Outcome::Later(Some(Ok(answer)), Some(Then::RunJob(start)))
}

fn runs(inner: &Inner, state: &State, id: &str, params: &Value) -> Value {
    let meant = |entry: &&Value| id.is_empty() || entry["jobId"] == id;
    let entries = state.jobs.entries.iter().rev().filter(meant);
    let entries: Vec<Value> = entries.cloned().collect();
    let page = page(entries, params, "entries");
    if is_new(inner) {
        page
    } else {
        json!({"entries": page["entries"]})
    }
}
