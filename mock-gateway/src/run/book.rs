//! Which runs there are and were, and which sessions they belong to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::script::{Run, RunRequest, ScriptOf};
use crate::edition::SessionSummary;
use crate::wire::Reply;

/// A finished run's key is known for so long; read in the code of both editions.
const KEY_TTL_MS: u64 = 5 * 60 * 1000;
/// A finished run can be waited for so long; read in the code of both editions.
const WAIT_TTL_MS: u64 = 10 * 60 * 1000;
/// More finished runs than this are not remembered.
const MAX_RUNS: usize = 5000;
/// Nor are more idle sessions, and more messages of one.
const MAX_SESSIONS: usize = 5000;
const MAX_MESSAGES: usize = 2000;

/// How a run was started. Each kind has idempotency keys of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Agent,
    Chat,
}

/// What `agent.wait` says of a run that is over.
#[derive(Clone, Debug)]
pub(crate) struct Waited {
    /// To those who waited for the end.
    pub(crate) at_end: Value,
    /// To those who ask later.
    pub(crate) later: Value,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// What the client calls it.
    pub(crate) run_id: String,
    pub(crate) message: String,
    pub(crate) session_key: String,
    /// The session key as `agent` events show it.
    pub(crate) shown_key: Option<String>,
    /// Whether `chat` events come, too.
    pub(crate) has_chat: bool,
    /// Whether the accepted answer names the session.
    pub(crate) names_session: bool,
    /// What it fails with before it begins.
    pub(crate) fails_at_once: Option<String>,
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    /// The connection that started it, its device and its request.
    pub(crate) connection: u64,
    pub(crate) device_id: Option<String>,
    pub(crate) request_id: Value,
    pub(crate) script: Arc<Run>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) accepted_at: u64,
    /// When the work began.
    pub(crate) began_at: u64,
    /// When the latest attempt began.
    pub(crate) started_at: u64,
    pub(crate) seq: u64,
    /// Turns of the model so far, from 1.
    pub(crate) turn: u32,
    pub(crate) item_id: String,
    pub(crate) task_id: String,
    /// All that was said, and in this turn.
    pub(crate) text: String,
    pub(crate) turn_text: String,
    /// Tools that worked.
    pub(crate) tools: Vec<String>,
    pub(crate) failed_tools: usize,
    /// Rows of history that are not shown yet.
    pub(crate) rows: Vec<Value>,
    pub(crate) last_chat: Option<Instant>,
    /// Runs whose messages are answered in this one.
    pub(crate) steered: VecDeque<u64>,
    pub(crate) stop: Arc<Notify>,
    /// Why it is aborted.
    pub(crate) aborted: Option<&'static str>,
    /// Whether it waits in another run.
    pub(crate) is_queued: bool,
    /// The run whose message is answered here instead.
    pub(crate) stands_for: Option<u64>,
    pub(crate) waited: Option<Waited>,
    /// When it was over, and what a repetition of its key is answered.
    pub(crate) over: Option<(u64, Reply)>,
}

impl Record {
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn is_live(&self) -> bool {
        self.over.is_none() && self.aborted.is_none()
    }

    /// Tokens so far.
    pub(crate) fn tokens(&self) -> (u64, u64) {
        let (input, output) = self.script.usage;
        (input * u64::from(self.turn), output * u64::from(self.turn))
    }
}

/// What is kept of a session.
#[derive(Debug)]
pub(crate) struct SessionBook {
    pub(crate) session_id: String,
    pub(crate) created_at: u64,
    messages: VecDeque<Value>,
    /// All messages so far.
    pub(crate) total: usize,
    /// Runs that work or wait for their turn.
    pub(crate) queue: VecDeque<u64>,
    pub(crate) verbose: Option<String>,
}

impl SessionBook {
    /// The latest messages, oldest first.
    pub(crate) fn latest(&self, limit: usize) -> Vec<Value> {
        let skipped = self.messages.len().saturating_sub(limit);
        self.messages.iter().skip(skipped).cloned().collect()
    }

    pub(crate) fn add(&mut self, message: Value) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.total += 1;
        self.messages.push_back(message);
    }
}

/// Somebody who waits for the end of a run.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) id: u64,
    pub(crate) connection: u64,
    pub(crate) request_id: Value,
    pub(crate) run_id: String,
}

/// All runs of a gateway process.
#[derive(Default)]
pub(crate) struct Runs {
    script: Option<ScriptOf>,
    records: BTreeMap<u64, Record>,
    sessions: HashMap<String, SessionBook>,
    pub(crate) waiters: Vec<Waiter>,
    next: u64,
}

impl Runs {
    /// A new process knows nothing of the runs of the last one.
    pub(crate) fn boot(&mut self) {
        self.records.clear();
        self.sessions.clear();
        self.waiters.clear();
    }

    pub(crate) fn set_script(&mut self, script: ScriptOf) {
        self.script = Some(script);
    }

    pub(crate) fn script(&self) -> Option<ScriptOf> {
        self.script.clone()
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes a record out, to change it and more; [`put`](Self::put) brings it back.
    pub(crate) fn take(&mut self, id: u64) -> Option<Record> {
        self.records.remove(&id)
    }

    pub(crate) fn put(&mut self, record: Record) {
        self.records.insert(record.id, record);
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Record> {
        self.records.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Whether any run is still going on.
    pub(crate) fn any_live(&self) -> bool {
        self.iter().any(Record::is_live)
    }

    /// The run that a key stands for.
    pub(crate) fn by_key(&self, kind: Kind, key: &str, now: u64) -> Option<&Record> {
        self.records.values().rev().find(|record| {
            let known = |(over, _): &(u64, Reply)| now < over + KEY_TTL_MS;
            record.kind == kind && record.run_id == key && record.over.as_ref().is_none_or(known)
        })
    }

    /// The latest run of this id.
    pub(crate) fn by_run_id(&self, run_id: &str) -> Option<&Record> {
        let is = |record: &&Record| record.run_id == run_id;
        self.records.values().rev().find(is)
    }

    pub(crate) fn session(&self, key: &str) -> Option<&SessionBook> {
        self.sessions.get(key)
    }

    pub(crate) fn session_mut(&mut self, key: &str, now: u64) -> &mut SessionBook {
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(key) {
            let idle = |(_, session): &(&String, &SessionBook)| session.queue.is_empty();
            let oldest = self.sessions.iter().filter(idle);
            let oldest = oldest.min_by_key(|(_, session)| session.created_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.sessions.remove(&oldest);
            }
        }
        self.sessions
            .entry(key.to_owned())
            .or_insert_with(|| SessionBook {
                session_id: uuid::Uuid::new_v4().to_string(),
                created_at: now,
                messages: VecDeque::new(),
                total: 0,
                queue: VecDeque::new(),
                verbose: None,
            })
    }

    /// The sessions that there are, the latest first.
    pub(crate) fn summaries(&self) -> Vec<SessionSummary> {
        let mut summaries: Vec<SessionSummary> = self
            .sessions
            .iter()
            .map(|(key, session)| {
                let last = session.messages.back();
                let at = last.and_then(|message| message["timestamp"].as_u64());
                let run = self.records.values().rev();
                let run = run.into_iter().find(|record| record.session_key == *key);
                let (input, output) = run.map_or((0, 0), |record| record.script.usage);
                SessionSummary {
                    key: key.clone(),
                    session_id: session.session_id.clone(),
                    updated_at: at.unwrap_or(session.created_at),
                    input,
                    output,
                }
            })
            .collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.updated_at));
        summaries
    }

    /// All runs that are remembered, and those of them that go on.
    pub(crate) fn count(&self) -> (u64, u64) {
        let live = self.iter().filter(|record| record.is_live()).count();
        (self.records.len() as u64, live as u64)
    }

    /// The run that works in a session.
    pub(crate) fn working(&self, session_key: &str) -> Option<&Record> {
        let session = self.sessions.get(session_key)?;
        session
            .queue
            .iter()
            .filter_map(|id| self.get(*id))
            .find(|record| record.is_live())
    }

    /// Whether it is this run's turn in its session.
    pub(crate) fn is_first(&self, record: &Record) -> bool {
        let session = self.sessions.get(&record.session_key);
        session.is_none_or(|session| {
            session
                .queue
                .front()
                .is_none_or(|first| *first == record.id)
        })
    }

    /// Lets the next run of the session begin.
    pub(crate) fn leave(&mut self, session_key: &str, id: u64) {
        if let Some(session) = self.sessions.get_mut(session_key) {
            session.queue.retain(|queued| *queued != id);
        }
    }

    /// Forgets what a real gateway has forgotten.
    pub(crate) fn prune(&mut self, now: u64) {
        let over = |record: &Record| record.over.as_ref().map(|(at, _)| *at);
        self.records
            .retain(|_, record| over(record).is_none_or(|at| now < at + WAIT_TTL_MS));
        while self.records.len() > MAX_RUNS {
            let oldest = self
                .records
                .values()
                .find(|record| record.over.is_some())
                .map(|record| record.id);
            let Some(oldest) = oldest else { return };
            self.records.remove(&oldest);
        }
    }
}

/// A request for a run, as a script sees it.
pub(crate) fn run_request(method: &str, params: &Value) -> RunRequest {
    let text = |name: &str| params.get(name).and_then(Value::as_str).map(str::to_owned);
    RunRequest {
        method: method.to_owned(),
        message: text("message").unwrap_or_default(),
        run_id: text("idempotencyKey").unwrap_or_default(),
        session_key: text("sessionKey").or_else(|| text("key")),
        params: params.clone(),
    }
}
