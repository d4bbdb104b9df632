//! The state of a gateway while it runs.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::approvals::Approvals;
use crate::model::connection::{Live, Session};
use crate::model::expect::Mounts;
use crate::model::fault::Armed;
use crate::model::jobs::Jobs;
use crate::model::pairing::store::{PairingStore, Stored};
use crate::model::presence::Presence;
use crate::model::rate_limit::RateLimiter;
use crate::model::recorder::Recorder;
use crate::model::runs::{Record, Runs};
use crate::model::secret::AuthMode;
use crate::model::sessions::SessionRecords;
use crate::model::settings::Settings;
use crate::model::state_dir::Disk;

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
    pub(crate) books: SessionRecords,
    pub(crate) approvals: Approvals,
    pub(crate) jobs: Jobs,
    /// Texts that wait to be told to the agent.
    pub(crate) queued: Vec<String>,
}

impl State {
    pub(crate) fn new(settings: &Settings, now: u64, auth: AuthMode, disk: Disk) -> Self {
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
            books: SessionRecords::default(),
            approvals: Approvals::default(),
            jobs: Jobs::default(),
            queued: Vec::new(),
        }
    }

    /// Starts a new process: counters start again, the store and the sessions stay. Returns the interrupted runs.
    pub(crate) fn boot(&mut self, settings: &Settings, now: u64) -> Vec<Record> {
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
        self.runs.boot()
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

    /// Returns whether a client that comes now is told to come back later.
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
