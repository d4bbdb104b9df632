//! Jobs that the gateway runs at their time.

mod calls;
mod play;
mod schedule;
mod shown;
mod turn;

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

pub(crate) use calls::answer;
pub(crate) use play::{Start, heartbeat, keep, run};

/// Runs of jobs that are remembered.
const MAX_ENTRIES: usize = 2000;
/// More jobs than this are refused.
const MAX_JOBS: usize = 5000;

/// One job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    id: String,
    /// What it is, as it was added and changed.
    spec: Map<String, Value>,
    enabled: bool,
    created_at: u64,
    updated_at: u64,
    /// When it is due.
    next: Option<u64>,
    running_since: Option<u64>,
    /// What the last runs left in its state.
    last: Map<String, Value>,
    errors: u64,
}

impl Job {
    fn text(&self, name: &str) -> &str {
        self.spec
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn schedule(&self) -> &Value {
        self.spec.get("schedule").unwrap_or(&Value::Null)
    }

    fn payload(&self, name: &str) -> &str {
        let payload = self.spec.get("payload").unwrap_or(&Value::Null);
        payload[name].as_str().unwrap_or_default()
    }

    fn is_turn(&self) -> bool {
        self.payload("kind") == "agentTurn"
    }

    /// Whether its answer is to be sent somewhere.
    fn delivers(&self) -> bool {
        let delivery = self.spec.get("delivery").unwrap_or(&Value::Null);
        delivery["mode"] == "announce"
    }

    fn plan(&mut self, now: u64) {
        self.next = if self.enabled {
            schedule::next(self.schedule(), now)
        } else {
            None
        };
    }
}

/// All jobs of a gateway. They outlive a restart.
#[derive(Debug)]
pub(crate) struct Jobs {
    all: Vec<Job>,
    /// The latest runs, newest last.
    entries: VecDeque<Value>,
    /// Runs by hand so far.
    manual: u64,
    /// Whether somebody looks at the clock for them.
    is_kept: bool,
    heartbeat_id: String,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            entries: VecDeque::new(),
            manual: 0,
            is_kept: false,
            heartbeat_id: uuid::Uuid::new_v4().to_string(),
        }
    }
}

impl Jobs {
    /// What ran is gone with the process.
    pub(crate) fn boot(&mut self) {
        for job in &mut self.all {
            job.running_since = None;
        }
    }

    fn get(&self, id: &str) -> Option<&Job> {
        self.all.iter().find(|job| job.id == id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.all.iter_mut().find(|job| job.id == id)
    }

    fn remove(&mut self, id: &str) -> Option<Job> {
        let found = self.all.iter().position(|job| job.id == id)?;
        Some(self.all.remove(found))
    }

    /// When the first of them is due.
    fn next(&self) -> Option<u64> {
        let idle = self.all.iter().filter(|job| job.running_since.is_none());
        idle.filter_map(|job| job.next).min()
    }

    fn due(&self, now: u64) -> Option<String> {
        let due =
            |job: &&Job| job.running_since.is_none() && job.next.is_some_and(|next| next <= now);
        self.all.iter().find(due).map(|job| job.id.clone())
    }

    fn note(&mut self, entry: Value) {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

/// The answer for a job that is not there (measured on 2026.9.6).
fn not_found(id: &str) -> crate::wire::ErrorShape {
    let text = format!(
        "Automation not found: {id}. List automations and retry with a current job id. For cross-session \
         management, use a fresh authenticated configured channel owner or Control UI administrator turn or \
         the Automations page."
    );
    crate::wire::ErrorShape::invalid(text)
        .with_details(Some(json!({"code": "CRON_JOB_NOT_FOUND", "jobId": id})))
}
