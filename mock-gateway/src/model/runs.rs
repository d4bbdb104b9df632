//! Which runs there are and were, and which sessions they belong to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::script::{RunRequest, RunScript, ScriptOf};
use crate::wire::Reply;

/// A finished run's key is known for so long; read in the code of both editions.
const KEY_TTL_MS: u64 = 5 * 60 * 1000;
/// A finished run can be waited for so long; read in the code of both editions.
const WAIT_TTL_MS: u64 = 10 * 60 * 1000;
/// More finished runs than this are not remembered.
const MAX_RUNS: usize = 5000;

/// The methods that start runs; `sessions.create` does with a message.
pub(crate) const RUNS: [&str; 3] = ["agent", "chat.send", "sessions.send"];

/// How a run was started. Each kind has idempotency keys of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Agent,
    Chat,
}

/// How a run fails that is accepted, but cannot begin.
#[derive(Clone, Debug)]
pub(crate) struct AtOnce {
    pub(crate) message: String,
    /// Whether events tell.
    pub(crate) is_told: bool,
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that happened to it"
)]
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    /// The method that started it.
    pub(crate) method: String,
    /// What the client calls it, and how it wrote that.
    pub(crate) run_id: String,
    pub(crate) given_id: String,
    pub(crate) message: String,
    pub(crate) session_key: String,
    /// Whether the session was not there before.
    pub(crate) opens_session: bool,
    /// The session key as `agent` events show it.
    pub(crate) shown_key: Option<String>,
    /// Whether `chat` events come, too.
    pub(crate) has_chat: bool,
    /// Whether the accepted answer names the session.
    pub(crate) names_session: bool,
    /// What it fails with before it begins.
    pub(crate) fails_at_once: Option<AtOnce>,
    pub(crate) undelivered: Option<&'static str>,
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    /// The connection that started it, its device and its request.
    pub(crate) connection: u64,
    pub(crate) device_id: Option<String>,
    pub(crate) request_id: Value,
    pub(crate) script: Arc<RunScript>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) accepted_at: u64,
    /// When the work began.
    pub(crate) began_at: u64,
    /// When the latest attempt began.
    pub(crate) started_at: u64,
    pub(crate) seq: u64,
    /// When its latest event was.
    pub(crate) last_event_at: u64,
    /// Whether its work began, and whether a model works on it.
    pub(crate) has_begun: bool,
    pub(crate) has_model: bool,
    /// Whether the session has it in hand; it is not shown among the runs that wait any more.
    pub(crate) is_admitted: bool,
    /// Whether its end was told to those who follow the session.
    pub(crate) is_told: bool,
    /// The message as an input that waits.
    pub(crate) input_id: String,
    /// How the message came, and whether an administrator sent it.
    pub(crate) transport: Value,
    pub(crate) from_admin: bool,
    /// Turns of the model so far, from 1.
    pub(crate) turn: u32,
    pub(crate) item_id: String,
    pub(crate) task_id: String,
    /// All that is shown, and what was said in this turn.
    pub(crate) text: String,
    pub(crate) turn_text: String,
    /// Whether the shown text has fewer paragraphs than what was said.
    pub(crate) leaves_out: bool,
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
    /// How many messages there were before its own.
    pub(crate) messages_before: usize,
    /// Whether it had to wait for its turn.
    pub(crate) has_waited: bool,
    /// The run in which its message was answered.
    pub(crate) steered_into: Option<String>,
    /// Whether it takes up what another process left.
    pub(crate) is_recovery: bool,
    /// Whether it is to be answered together with others.
    pub(crate) collects: bool,
    /// The run whose message is answered here instead.
    pub(crate) stands_for: Option<u64>,
    /// The key under which the message is written.
    pub(crate) input_key: String,
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

    /// Returns whether its message waits to be written.
    pub(crate) fn waits_as_input(&self) -> bool {
        let unanswered = self.over.is_none() || self.is_queued;
        self.kind == Kind::Chat
            && self.stands_for.is_none()
            && self.aborted.is_none()
            && !self.has_begun
            && unanswered
    }

    /// Tokens so far.
    pub(crate) fn tokens(&self) -> (u64, u64) {
        let (input, output) = self.script.usage;
        (input * u64::from(self.turn), output * u64::from(self.turn))
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
    /// Runs that work or wait for their turn, by session.
    queues: HashMap<String, VecDeque<u64>>,
    pub(crate) waiters: Vec<Waiter>,
    next: u64,
}

impl Runs {
    /// A new process knows nothing of the runs of the last one; gives those that were not done.
    pub(crate) fn boot(&mut self) -> Vec<Record> {
        let records = std::mem::take(&mut self.records);
        self.queues.clear();
        self.waiters.clear();
        let interrupted = |record: &Record| record.has_begun && record.is_live();
        records.into_values().filter(interrupted).collect()
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

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.values()
    }

    /// Returns whether any run is still going on.
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

    /// Lets a run work in its session as soon as those before it are done.
    pub(crate) fn enter(&mut self, session_key: &str, id: u64) {
        let queue = self.queues.entry(session_key.to_owned()).or_default();
        queue.push_back(id);
    }

    /// All runs that are remembered, and those of them that go on.
    pub(crate) fn count(&self) -> (u64, u64) {
        let live = self.iter().filter(|record| record.is_live()).count();
        (self.records.len() as u64, live as u64)
    }

    /// The run that works in a session.
    pub(crate) fn working(&self, session_key: &str) -> Option<&Record> {
        self.queues
            .get(session_key)?
            .iter()
            .filter_map(|id| self.get(*id))
            .find(|record| record.is_live())
    }

    /// The run that a session shows: one that takes up what another process left is not seen before it begins.
    pub(crate) fn shown(&self, session_key: &str) -> Option<&Record> {
        let working = self.working(session_key);
        working.filter(|run| run.has_begun || !run.is_recovery)
    }

    /// Returns whether it is this run's turn in its session.
    pub(crate) fn is_first(&self, record: &Record) -> bool {
        let first = self
            .queues
            .get(&record.session_key)
            .and_then(VecDeque::front);
        first.is_none_or(|first| *first == record.id)
    }

    /// Lets the next run of the session begin.
    pub(crate) fn leave(&mut self, session_key: &str, id: u64) {
        if let Some(queue) = self.queues.get_mut(session_key) {
            queue.retain(|queued| *queued != id);
            if queue.is_empty() {
                self.queues.remove(session_key);
            }
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
