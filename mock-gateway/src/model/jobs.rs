//! The jobs of a gateway.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::model::schedule;

/// Runs of jobs that are remembered.
pub(crate) const MAX_ENTRIES: usize = 2000;
/// More jobs than this are refused.
pub(crate) const MAX_JOBS: usize = 5000;

/// One job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// What it is, as it was added and changed.
    pub(crate) spec: Map<String, Value>,
    pub(crate) enabled: bool,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    /// When it is due.
    pub(crate) next: Option<u64>,
    pub(crate) running_since: Option<u64>,
    /// What the last runs left in its state.
    pub(crate) last: Map<String, Value>,
    pub(crate) errors: u64,
}

impl Job {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.spec
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn schedule(&self) -> &Value {
        self.spec.get("schedule").unwrap_or(&Value::Null)
    }

    pub(crate) fn payload(&self, name: &str) -> &str {
        let payload = self.spec.get("payload").unwrap_or(&Value::Null);
        payload[name].as_str().unwrap_or_default()
    }

    pub(crate) fn is_turn(&self) -> bool {
        self.payload("kind") == "agentTurn"
    }

    /// Returns whether its answer is to be sent somewhere.
    pub(crate) fn delivers(&self) -> bool {
        let delivery = self.spec.get("delivery").unwrap_or(&Value::Null);
        delivery["mode"] == "announce"
    }

    pub(crate) fn plan(&mut self, now: u64) {
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
    pub(crate) all: Vec<Job>,
    /// The latest runs, newest last.
    pub(crate) entries: VecDeque<Value>,
    /// Runs by hand so far.
    pub(crate) manual: u64,
    /// Whether somebody looks at the clock for them.
    pub(crate) is_kept: bool,
    pub(crate) heartbeat_id: String,
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

    pub(crate) fn get(&self, id: &str) -> Option<&Job> {
        self.all.iter().find(|job| job.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.all.iter_mut().find(|job| job.id == id)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Job> {
        let found = self.all.iter().position(|job| job.id == id)?;
        Some(self.all.remove(found))
    }

    /// Returns when the first of them is due.
    pub(crate) fn next(&self) -> Option<u64> {
        let idle = self.all.iter().filter(|job| job.running_since.is_none());
        idle.filter_map(|job| job.next).min()
    }

    pub(crate) fn due(&self, now: u64) -> Option<String> {
        let due =
            |job: &&Job| job.running_since.is_none() && job.next.is_some_and(|next| next <= now);
        self.all.iter().find(due).map(|job| job.id.clone())
    }

    pub(crate) fn note(&mut self, entry: Value) {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

/// A run of a job that begins now.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) job_id: String,
    /// What the run is called, if somebody starts it by hand.
    pub(crate) manual: Option<String>,
    /// The call that is answered when it is over.
    pub(crate) answer: Option<(u64, Value)>,
}
