//! Listening, starting, stopping: what happens to all connections at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, sleep, timeout};

use crate::engine::Engine;
use crate::engine::state::Phase;
use crate::methods::info::health;
use crate::methods::{after, run};
use crate::model::fault::{Fault, What};
use crate::model::peer::Locality;
use crate::model::secret::Secret;
use crate::model::settings::ReloadMode;
use crate::net::connection;
use crate::net::listen::listen;

/// How long a stop waits for clients to answer the close frame.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// After a failed accept, which a full file table gives again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// From where the clients of a listener are taken to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListenerKind {
    Remote,
    Local,
    /// By their address.
    ByPeer,
}

impl ListenerKind {
    fn locality(self, peer: SocketAddr) -> Locality {
        match self {
            Self::Remote => Locality::Remote,
            Self::Local => Locality::Local,
            Self::ByPeer => Locality::Peer(peer.ip()),
        }
    }
}

#[derive(Debug)]
struct Listening {
    kind: ListenerKind,
    address: SocketAddr,
    /// Set to true to stop accepting; closed when the listener is gone.
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

/// The cause for which everything is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StopCause {
    Stopping,
    Restarting,
}

pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    listening: Mutex<Vec<Listening>>,
    timers: Mutex<Option<AbortHandle>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) fn new(engine: Engine) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::new(engine),
            listening: Mutex::default(),
            timers: Mutex::default(),
        })
    }

    /// Begins to accept on a listener.
    pub(crate) fn listen(
        self: &Arc<Self>,
        listener: TcpListener,
        kind: ListenerKind,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(Arc::clone(self), listener, kind, stopped)).abort_handle();
        let mut listening = locked(&self.listening);
        listening.retain(|known| known.address != address);
        listening.push(Listening {
            kind,
            address,
            stop,
            task,
        });
        Ok(())
    }

    pub(crate) fn address(&self, kind: ListenerKind) -> Option<SocketAddr> {
        locked(&self.listening)
            .iter()
            .find(|known| known.kind == kind)
            .map(|known| known.address)
    }

    /// Opens the gateway to clients.
    pub(crate) fn boot(self: &Arc<Self>) {
        let now = self.engine.clock.now_ms();
        let after = {
            let mut guard = self.engine.lock();
            let interrupted = guard.boot(&self.engine.settings, now);
            run::recover(self.engine.edition(), &mut guard, interrupted, now)
        };
        self.start_timers();
        after::perform(&self.engine, after);
        self.engine.touched();
    }

    /// Starts ticks and reloads, where there is a runtime to run them.
    pub(crate) fn start_timers(self: &Arc<Self>) {
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut timers = locked(&self.timers);
        if timers.as_ref().is_none_or(AbortHandle::is_finished) {
            *timers = Some(tokio::spawn(keep_time(Arc::clone(self))).abort_handle());
        }
    }

    /// Tells every client why, and closes all with 1012.
    fn close_all(&self, why: StopCause) {
        let facts = self.engine.facts();
        let mut guard = self.engine.lock();
        let state = &mut *guard;
        state.phase = Phase::Closing;
        let mut notice = match why {
            StopCause::Stopping => json!({"reason": "gateway stopping"}),
            StopCause::Restarting => {
                json!({"reason": "gateway restarting", "restartExpectedMs": 1500})
            }
        };
        if why == StopCause::Stopping && facts.names_restart_when_stopping {
            notice["restartExpectedMs"] = Value::Null;
        }
        self.engine.broadcast(state, "shutdown", &notice);
    }

    fn close_sockets(&self) {
        let everyone = self.engine.facts().protocol >= 4;
        let state = self.engine.lock();
        for session in state
            .sessions
            .values()
            .filter(|session| everyone || session.live.is_some())
        {
            session.outbox.close(1012, "service restart");
        }
    }

    /// Ends every connection in the gateway's own way and stops listening.
    pub(crate) async fn stop(&self, why: StopCause, notice: Duration) {
        if why == StopCause::Stopping {
            self.drain().await;
        }
        self.close_all(why);
        if !notice.is_zero() {
            sleep(notice).await;
        }
        self.close_sockets();
        self.stop_listening().await;
        let mut changes = self.engine.changes();
        let _ = timeout(STOP_PATIENCE, async {
            while !self.engine.lock().sessions.is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
        .await;
        self.engine.kill_all();
        self.engine.lock().phase = Phase::Stopped;
        self.engine.touched();
    }

    /// Waits for the runs that go on, where the edition does. Their events still arrive.
    async fn drain(&self) {
        let Some(limit) = self.engine.facts().drains_for else {
            return;
        };
        let mut changes = self.engine.changes();
        {
            let mut state = self.engine.lock();
            if !state.runs.any_live() {
                return;
            }
            state.phase = Phase::Draining;
        }
        self.engine.touched();
        // A run that outlives the limit is lost with the process, as on the real one.
        let _ = timeout(limit, async {
            while self.engine.lock().runs.any_live() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
        .await;
    }

    async fn stop_listening(&self) {
        let stops: Vec<watch::Sender<bool>> = locked(&self.listening)
            .iter()
            .map(|known| known.stop.clone())
            .collect();
        for stop in stops {
            stop.send_replace(true);
            stop.closed().await;
        }
    }

    /// Drops every socket and every listener, without a word.
    pub(crate) fn kill(&self) {
        self.engine.lock().phase = Phase::Stopped;
        for known in locked(&self.listening).iter() {
            known.task.abort();
        }
        self.engine.kill_all();
        self.engine.touched();
    }

    /// Listens again on the same addresses.
    pub(crate) async fn start_again(self: &Arc<Self>) -> io::Result<()> {
        let kinds: Vec<(ListenerKind, SocketAddr)> = locked(&self.listening)
            .iter()
            .map(|known| (known.kind, known.address))
            .collect();
        let mut listeners = Vec::new();
        for (kind, address) in kinds {
            listeners.push((kind, bind_again(address).await?));
        }
        self.boot();
        for (kind, listener) in listeners {
            self.listen(listener, kind)?;
        }
        Ok(())
    }

    /// Takes the secret that is on disk now, the way the edition does.
    async fn reload(self: &Arc<Self>, secret: Secret) {
        let facts = self.engine.facts();
        sleep(facts.reload_delay).await;
        if !facts.hot_reloads_secret {
            self.stop(StopCause::Restarting, facts.restart_notice).await;
            sleep(facts.restart_pause).await;
            if let Err(error) = self.start_again().await {
                tracing::warn!(%error, "the gateway could not listen again");
            }
            return;
        }
        let now = self.engine.clock.now_ms();
        let mut guard = self.engine.lock();
        let state = &mut *guard;
        state.auth = state.auth.with(secret);
        for (session, live) in state.live() {
            if !live.by_device_token {
                session.outbox.close(4001, "gateway auth changed");
            }
        }
        let path = format!("{}/openclaw.json", state.disk.shown_path());
        let payload = json!({"path": path, "hash": uuid::Uuid::new_v4().to_string(), "ts": now});
        self.engine.broadcast(state, "config.changed", &payload);
        drop(guard);
        self.engine.touched();
    }

    /// Arms a fault, or lets it strike.
    pub(crate) fn inject(&self, fault: Fault) {
        if !fault.is_now() {
            self.engine.lock().faults.add(fault);
            return;
        }
        if matches!(fault.what, What::RefuseTcp) {
            for known in locked(&self.listening).iter() {
                known.stop.send_replace(true);
            }
            return;
        }
        let mut guard = self.engine.lock();
        let state = &mut *guard;
        if let What::SeqGap(numbers) = fault.what {
            state.global_seq += numbers;
        }
        for session in state
            .sessions
            .values_mut()
            .filter(|session| session.live.is_some())
        {
            session.inject(&fault.what);
        }
    }

    /// Disarms every fault.
    pub(crate) fn clear_faults(self: &Arc<Self>) -> io::Result<()> {
        self.engine.lock().faults.clear();
        if matches!(self.engine.lock().phase, Phase::Stopped | Phase::Closing) {
            return Ok(());
        }
        let deaf: Vec<(ListenerKind, SocketAddr)> = locked(&self.listening)
            .iter()
            .filter(|known| *known.stop.borrow())
            .map(|known| (known.kind, known.address))
            .collect();
        for (kind, address) in deaf {
            self.listen(listen(address)?, kind)?;
        }
        Ok(())
    }

    /// Ends everything that this gateway runs.
    pub(crate) fn end(&self) {
        self.kill();
        self.engine.end_tasks();
        if let Some(timers) = locked(&self.timers).take() {
            timers.abort();
        }
    }
}

/// A port that was left a moment ago may take a moment to be free.
async fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match listen(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 40 => {
                tries += 1;
                sleep(Duration::from_millis(25)).await;
            }
            bound => return bound,
        }
    }
}

async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    kind: ListenerKind,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(welcome(Arc::clone(&server), stream, kind.locality(peer)));
                }
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = told_to_stop(&mut stopped) => break,
        }
    }
    drop(listener);
    drop(stopped);
    while connections.join_next().await.is_some() {}
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the gateway is gone, which ends the listening as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn welcome(server: Arc<Server>, stream: TcpStream, locality: Locality) {
    // Only latency depends on it.
    let _ = stream.set_nodelay(true);
    connection::run(Arc::clone(&server.engine), stream, locality).await;
}

/// Ticks, the minute's health event, and reloads.
async fn keep_time(server: Arc<Server>) {
    let engine = &server.engine;
    let settings = &engine.settings;
    let every = |period: Duration| {
        let mut interval = tokio::time::interval(period.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval.reset();
        interval
    };
    let mut ticks = every(settings.tick_interval);
    let mut healths = every(settings.health_interval);
    let mut watches = every(WATCH_INTERVAL);
    let follows = settings.reload == ReloadMode::AsTheEdition;
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => {
                let mut state = engine.lock();
                engine.broadcast(&mut state, "tick", &json!({"ts": engine.clock.now_ms()}));
            }
            _ = healths.tick() => {
                let mut state = engine.lock();
                state.health_version += 1;
                let payload = health(engine, &state);
                engine.broadcast(&mut state, "health", &payload);
            }
            _ = watches.tick(), if follows => {
                let edited = {
                    let state = engine.lock();
                    let running = matches!(state.phase, Phase::Running | Phase::Starting(_));
                    state.disk.read_secret().filter(|secret| running && secret != state.auth.secret())
                };
                if let Some(secret) = edited {
                    server.reload(secret).await;
                }
            }
        }
    }
}
