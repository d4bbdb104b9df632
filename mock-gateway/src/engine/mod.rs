//! The parts of one gateway that all its connections share, and the delivery of events.

pub(crate) mod answer;
pub(crate) mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::edition::{Edition, Facts};
use crate::engine::state::State;
use crate::model::clock::ShiftedClock;
use crate::model::connection::{Live, Session};
use crate::model::pairing::store::PairingStore;
use crate::model::secret::AuthMode;
use crate::model::settings::Settings;
use crate::model::state_dir::Disk;
use crate::wire::ws::outbox::{Out, text_frame};
use crate::wire::{self, Reply};

/// Everything that the parts of one gateway share.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) clock: ShiftedClock,
    state: Mutex<State>,
    /// Counts up whenever something happened that a test may wait for.
    changed: watch::Sender<u64>,
    /// Counts up whenever every connection is to end at once.
    kills: watch::Sender<u64>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Engine {
    pub(crate) fn new(settings: Settings, clock: ShiftedClock, auth: AuthMode, disk: Disk) -> Self {
        let state = State::new(&settings, clock.now_ms(), auth, disk);
        Self {
            settings,
            clock,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            kills: watch::Sender::new(0),
            tasks: Mutex::default(),
        }
    }

    pub(crate) fn edition(&self) -> Edition {
        self.settings.edition
    }

    pub(crate) fn facts(&self) -> &'static Facts {
        self.settings.edition.facts()
    }

    /// The state, for as long as no `await` comes in between.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `task` until it is done or the gateway is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle);
    }

    /// Ends all tasks that were spawned.
    pub(crate) fn end_tasks(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.drain(..) {
            task.abort();
        }
    }

    pub(crate) fn touched(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends every connection at once.
    pub(crate) fn kill_all(&self) {
        self.kills
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn kills(&self) -> watch::Receiver<u64> {
        self.kills.subscribe()
    }

    /// Runs `change` on the pairing store as it is on disk, and writes it back if it changed.
    pub(crate) fn with_store<T>(
        &self,
        state: &mut State,
        change: impl FnOnce(&mut PairingStore, u64) -> T,
    ) -> T {
        let now = self.clock.now_ms();
        if let Some(stored) = state.disk.read_devices(state.store.stored()) {
            state.store.replace(stored);
        }
        state.store.prune(now);
        let result = change(&mut state.store, now);
        if state.store.take_dirty() {
            state.disk.write_devices(state.store.stored());
            self.touched();
        }
        result
    }

    /// Sends an answer that comes later, if the caller is still connected.
    pub(crate) fn reply_later(
        &self,
        state: &mut State,
        connection: u64,
        id: &Value,
        reply: &Reply,
    ) {
        let Some(session) = state.sessions.get(&connection) else {
            return;
        };
        let text = wire::response(id, reply);
        state.recorder.sent(connection, &text, self.clock.now_ms());
        session.outbox.send(Out::Text(text));
    }

    /// Sends an event to every client that may see it.
    pub(crate) fn broadcast(&self, state: &mut State, name: &str, payload: &Value) {
        // Measured on 2026.9.6: a client can ask for the runs of sessions that it follows only.
        let of_session = payload["sessionKey"]
            .as_str()
            .filter(|_| self.facts().tells_about_sessions && matches!(name, "agent" | "chat"));
        self.broadcast_to(state, name, payload, |session, live| {
            let is_scoped = live.caps.iter().any(|cap| cap == SESSION_SCOPED_EVENTS);
            of_session
                .filter(|_| is_scoped)
                .is_none_or(|key| session.subscriptions.follows(key))
        });
    }

    /// Sends an event to those that are wanted of the clients that may see it; how many there are.
    pub(crate) fn broadcast_to(
        &self,
        state: &mut State,
        name: &str,
        payload: &Value,
        wanted: impl Fn(&Session, &Live) -> bool,
    ) -> usize {
        self.deliver(state, name, |session, live| {
            wanted(session, live).then_some(payload)
        })
    }

    /// Sends an event, as `what` gives it for each client, to those who may see events of this name; how many
    /// there are.
    pub(crate) fn deliver<'a>(
        &self,
        state: &mut State,
        name: &str,
        what: impl Fn(&Session, &Live) -> Option<&'a Value>,
    ) -> usize {
        let facts = self.facts();
        state.global_seq += 1;
        let versions = matches!(name, "presence" | "health").then(|| state.versions());
        let now = self.clock.now_ms();
        let mut made: Vec<Shared<'a>> = Vec::new();
        let mut receivers = 0;
        for session in state.sessions.values_mut() {
            let Some(live) = &session.live else { continue };
            if !may_see(facts, live, name) {
                continue;
            }
            let Some(payload) = what(session, live) else {
                continue;
            };
            receivers += 1;
            let seq = if facts.seq_per_connection {
                session.seq += 1;
                session.seq
            } else {
                state.global_seq
            };
            if session.outbox.waiting() > self.settings.max_buffered {
                if !is_droppable(name) {
                    session.outbox.close(1008, "slow consumer");
                }
                continue;
            }
            let known = made
                .iter()
                .position(|shared| std::ptr::eq(shared.payload, payload));
            let at = known.unwrap_or_else(|| {
                let event = wire::Event::new(name, payload, versions.as_ref());
                made.push(Shared::new(payload, event));
                made.len() - 1
            });
            let (text, frame) = made[at].of(seq);
            state.recorder.sent(session.id, text, now);
            session.outbox.send(Out::Shared(frame));
        }
        receivers
    }
}

/// A client with this capability sees the runs of sessions that it follows, and no others.
const SESSION_SCOPED_EVENTS: &str = "session-scoped-events";

/// A payload that goes to several, and the frame that went to the last of them, for the next one if it has
/// the same number.
struct Shared<'a> {
    payload: &'a Value,
    event: wire::Event,
    seq: u64,
    text: String,
    frame: Option<Arc<[u8]>>,
}

impl<'a> Shared<'a> {
    fn new(payload: &'a Value, event: wire::Event) -> Self {
        Self {
            payload,
            event,
            seq: 0,
            text: String::new(),
            frame: None,
        }
    }

    fn of(&mut self, seq: u64) -> (&str, Arc<[u8]>) {
        if let Some(frame) = self.frame.as_ref().filter(|_| self.seq == seq) {
            return (&self.text, Arc::clone(frame));
        }
        self.seq = seq;
        self.text = self.event.text(Some(seq));
        let frame = text_frame(&self.text);
        self.frame = Some(Arc::clone(&frame));
        (&self.text, frame)
    }
}

/// Measured on both editions: these are left out for a client that reads too slowly, not a reason to close.
fn is_droppable(name: &str) -> bool {
    name.starts_with("device.pair.") || matches!(name, "presence" | "health")
}

fn may_see(facts: &Facts, live: &Live, name: &str) -> bool {
    if name.starts_with("device.pair.") || name.starts_with("node.pair.") {
        return live.role == "operator" && (live.is_admin() || live.has("operator.pairing"));
    }
    if name.starts_with("exec.approval.") {
        return live.role == "operator" && (live.is_admin() || live.has("operator.approvals"));
    }
    !facts.events_need_read
        || matches!(name, "tick" | "shutdown")
        || ["operator.admin", "operator.read", "operator.write"]
            .into_iter()
            .any(|scope| live.has(scope))
}
