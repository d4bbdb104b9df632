//! What the gateway knows while it runs, and how it tells its clients.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::approvals::Approvals;
use crate::clock::ShiftedClock;
use crate::cron::Jobs;
use crate::edition::{Edition, Facts};
use crate::expect::Mounts;
use crate::fault::Armed;
use crate::pairing::{PairingStore, Stored};
use crate::peer::Client;
use crate::presence::Presence;
use crate::rate_limit::RateLimiter;
use crate::record::Recorder;
use crate::run::{Next, Runs, recover};
use crate::secret::AuthMode;
use crate::sessions::{Books, Subscriptions};
use crate::settings::Settings;
use crate::state_dir::Disk;
use crate::wire;
use crate::ws::{Out, Outbox, text_frame};

/// Everything that the parts of one gateway share.
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) clock: ShiftedClock,
    state: Mutex<State>,
    /// Counts up whenever something happened that a test may wait for.
    changed: watch::Sender<u64>,
    /// Counts up whenever every connection is to end at once.
    kills: watch::Sender<u64>,
}

impl Inner {
    pub(crate) fn new(settings: Settings, clock: ShiftedClock, auth: AuthMode, disk: Disk) -> Self {
        let state = State::new(&settings, clock.now_ms(), auth, disk);
        Self {
            settings,
            clock,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            kills: watch::Sender::new(0),
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

/// How far the gateway is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    Stopped,
    /// Listening, but not ready for clients before this instant.
    Starting(Instant),
    Running,
    /// Told to stop while runs go on: neither new clients nor new calls.
    Draining,
    /// No new clients.
    Closing,
}

/// One connection, from its upgrade to its end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) conn_id: String,
    pub(crate) nonce: String,
    pub(crate) client: Client,
    pub(crate) outbox: Outbox,
    /// Stops the reading for good.
    pub(crate) deafen: Arc<Notify>,
    /// An answer that is to follow the next one.
    pub(crate) held: Option<String>,
    pub(crate) live: Option<Live>,
    pub(crate) seq: u64,
    pub(crate) unauthorized_calls: u32,
    /// What it asked to be told about sessions.
    pub(crate) subscriptions: Subscriptions,
}

/// A client that has had its hello-ok.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) by_device_token: bool,
    /// What the client is, of the ids that gateways know, and what it calls itself.
    pub(crate) client_id: String,
    pub(crate) client_mode: String,
    pub(crate) display_name: Option<String>,
    /// What the client says it can do with, in `connect.caps`.
    pub(crate) caps: Vec<String>,
    pub(crate) presence_key: Option<String>,
}

impl Live {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.has("operator.admin")
    }

    /// How a message says which client it came from.
    pub(crate) fn transport(&self) -> Value {
        let mut client = json!({"id": self.client_id, "mode": self.client_mode});
        if let Some(name) = &self.display_name {
            client["displayName"] = name.as_str().into();
        }
        json!({"clients": [client]})
    }

    /// The name under which others see what this client did.
    pub(crate) fn shown_name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.client_id)
    }
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) auth: AuthMode,
    pub(crate) disk: Disk,
    pub(crate) store: PairingStore,
    pub(crate) limiter: RateLimiter,
    pub(crate) sessions: BTreeMap<u64, Session>,
    pub(crate) next_session: u64,
    /// Sockets accepted since the mock was made.
    pub(crate) accepted: u64,
    /// Sockets that are open now, however far they are.
    pub(crate) open: usize,
    /// Sockets per address that have not authenticated yet.
    pub(crate) unauthenticated: HashMap<IpAddr, usize>,
    pub(crate) global_seq: u64,
    pub(crate) boot_id: String,
    pub(crate) started: Instant,
    pub(crate) presence: Presence,
    pub(crate) health_version: u64,
    /// Refusals per device, for [`Pairing::AfterTries`](crate::Pairing::AfterTries).
    pub(crate) refusals: HashMap<String, u32>,
    pub(crate) recorder: Recorder,
    pub(crate) mounts: Mounts,
    pub(crate) faults: Armed,
    pub(crate) runs: Runs,
    /// The sessions of the agent; those of clients are `sessions`.
    pub(crate) books: Books,
    pub(crate) approvals: Approvals,
    pub(crate) jobs: Jobs,
    /// Texts that wait to be told to the agent.
    pub(crate) queued: Vec<String>,
}

impl State {
    fn new(settings: &Settings, now: u64, auth: AuthMode, disk: Disk) -> Self {
        let boot_id = uuid::Uuid::new_v4().to_string();
        let stored = disk.read_devices(&Stored::default()).unwrap_or_default();
        Self {
            phase: Phase::Stopped,
            auth,
            disk,
            store: PairingStore::new(settings.edition, stored),
            limiter: RateLimiter::default(),
            sessions: BTreeMap::new(),
            next_session: 0,
            accepted: 0,
            open: 0,
            unauthenticated: HashMap::new(),
            global_seq: 0,
            presence: Presence::new(settings.edition, &boot_id, now),
            boot_id,
            started: Instant::now(),
            health_version: 1,
            refusals: HashMap::new(),
            recorder: Recorder::new(settings.recording),
            mounts: Mounts::default(),
            faults: Armed::default(),
            runs: Runs::default(),
            books: Books::default(),
            approvals: Approvals::default(),
            jobs: Jobs::default(),
            queued: Vec::new(),
        }
    }

    /// A new process: counters start again, the store and the sessions stay. Gives the runs to go on with.
    pub(crate) fn boot(&mut self, settings: &Settings, now: u64) -> Vec<Next> {
        self.boot_id = uuid::Uuid::new_v4().to_string();
        self.started = Instant::now();
        self.presence = Presence::new(settings.edition, &self.boot_id, now);
        self.limiter = RateLimiter::default();
        self.global_seq = 0;
        self.health_version = 1;
        self.approvals.boot();
        self.jobs.boot();
        self.queued.clear();
        if let Some(secret) = self.disk.read_secret() {
            self.auth = self.auth.with(secret);
        }
        self.phase = if settings.startup_delay.is_zero() {
            Phase::Running
        } else {
            Phase::Starting(Instant::now() + settings.startup_delay)
        };
        let interrupted = self.runs.boot();
        recover(settings.edition, self, interrupted, now)
    }

    pub(crate) fn versions(&self) -> Value {
        json!({"presence": self.presence.version, "health": self.health_version})
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = (&Session, &Live)> {
        self.sessions
            .values()
            .filter_map(|session| Some((session, session.live.as_ref()?)))
    }

    pub(crate) fn is_connected(&self, device_id: &str) -> bool {
        self.live().any(|(session, live)| {
            live.device_id.as_deref() == Some(device_id) && !session.outbox.is_closing()
        })
    }

    /// Whether a client that comes now is told to come back later.
    pub(crate) fn is_starting(&mut self) -> bool {
        match self.phase {
            Phase::Starting(until) if Instant::now() < until => true,
            Phase::Starting(_) => {
                self.phase = Phase::Running;
                false
            }
            _ => false,
        }
    }
}
