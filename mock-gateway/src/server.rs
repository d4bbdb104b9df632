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

use crate::approvals;
use crate::connection;
use crate::cron;
use crate::fault::{Fault, What};
use crate::listen::listen;
use crate::peer::Locality;
use crate::rpc::{Closed, Then, health};
use crate::run;
use crate::secret::Secret;
use crate::settings::ReloadMode;
use crate::state::{Inner, Phase, Session};
use crate::ws::Out;

/// How long a stop waits for clients to answer the close frame.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// After a failed accept, which a full file table gives again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// From where the clients of a listener are taken to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    Remote,
    Local,
    /// By their address.
    Honest,
}

impl Door {
    fn locality(self, peer: SocketAddr) -> Locality {
        match self {
            Self::Remote => Locality::Remote,
            Self::Local => Locality::Local,
            Self::Honest => Locality::Peer(peer.ip()),
        }
    }
}

#[derive(Debug)]
struct Listening {
    door: Door,
    address: SocketAddr,
    /// Set to true to stop accepting; closed when the listener is gone.
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

/// Why everything is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Stopping,
    Restarting,
}

pub(crate) struct Server {
    pub(crate) inner: Arc<Inner>,
    listening: Mutex<Vec<Listening>>,
    tasks: Mutex<Vec<AbortHandle>>,
    timers: Mutex<Option<AbortHandle>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) fn new(inner: Inner) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(inner),
            listening: Mutex::default(),
            tasks: Mutex::default(),
            timers: Mutex::default(),
        })
    }

    /// Runs `task` until it is done or the gateway is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = locked(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle);
    }

    /// Lets happen what happens later.
    pub(crate) fn then(self: &Arc<Self>, then: Option<Then>) {
        match then {
            None => {}
            Some(Then::KeepJobs) => self.spawn(cron::keep(Arc::clone(self))),
            Some(Then::RunJob(start)) => self.spawn(cron::run(Arc::clone(self), start)),
            Some(Then::Expire(id, after)) => {
                let inner = Arc::clone(&self.inner);
                self.spawn(async move {
                    sleep(after).await;
                    approvals::expire(&inner, &mut inner.lock(), &id, "timeout");
                });
            }
        }
    }

    /// Begins to accept on a listener.
    pub(crate) fn listen(self: &Arc<Self>, listener: TcpListener, door: Door) -> io::Result<()> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(Arc::clone(self), listener, door, stopped)).abort_handle();
        let mut listening = locked(&self.listening);
        listening.retain(|known| known.address != address);
        listening.push(Listening {
            door,
            address,
            stop,
            task,
        });
        Ok(())
    }

    pub(crate) fn address(&self, door: Door) -> Option<SocketAddr> {
        locked(&self.listening)
            .iter()
            .find(|known| known.door == door)
            .map(|known| known.address)
    }

    /// Opens the gateway to clients.
    pub(crate) fn boot(self: &Arc<Self>) {
        let now = self.inner.clock.now_ms();
        let next = self.inner.lock().boot(&self.inner.settings, now);
        self.start_timers();
        run::go_on(self, next);
        self.inner.touched();
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
    fn close_all(&self, why: Why) {
        let facts = self.inner.facts();
        let mut guard = self.inner.lock();
        let state = &mut *guard;
        state.phase = Phase::Closing;
        let mut notice = match why {
            Why::Stopping => json!({"reason": "gateway stopping"}),
            Why::Restarting => json!({"reason": "gateway restarting", "restartExpectedMs": 1500}),
        };
        if why == Why::Stopping && facts.names_restart_when_stopping {
            notice["restartExpectedMs"] = Value::Null;
        }
        self.inner.broadcast(state, "shutdown", &notice);
    }

    fn close_sockets(&self) {
        let everyone = self.inner.facts().protocol >= 4;
        let state = self.inner.lock();
        for session in state
            .sessions
            .values()
            .filter(|session| everyone || session.live.is_some())
        {
            session.outbox.close(1012, "service restart");
        }
    }

    /// Ends every connection in the gateway's own way and stops listening.
    pub(crate) async fn stop(&self, why: Why, notice: Duration) {
        if why == Why::Stopping {
            self.drain().await;
        }
        self.close_all(why);
        if !notice.is_zero() {
            sleep(notice).await;
        }
        self.close_sockets();
        self.stop_listening().await;
        let mut changes = self.inner.changes();
        let _ = timeout(STOP_PATIENCE, async {
            while !self.inner.lock().sessions.is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
        .await;
        self.inner.kill_all();
        self.inner.lock().phase = Phase::Stopped;
        self.inner.touched();
    }

    /// Waits for the runs that go on, where the edition does. Their events still arrive.
    async fn drain(&self) {
        let Some(limit) = self.inner.facts().drains_for else {
            return;
        };
        let mut changes = self.inner.changes();
        {
            let mut state = self.inner.lock();
            if !state.runs.any_live() {
                return;
            }
            state.phase = Phase::Draining;
        }
        self.inner.touched();
        // A run that outlives the limit is lost with the process, as on the real one.
        let _ = timeout(limit, async {
            while self.inner.lock().runs.any_live() {
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
        self.inner.lock().phase = Phase::Stopped;
        for known in locked(&self.listening).iter() {
            known.task.abort();
        }
        self.inner.kill_all();
        self.inner.touched();
    }

    /// Listens again on the same addresses.
    pub(crate) async fn start_again(self: &Arc<Self>) -> io::Result<()> {
        let doors: Vec<(Door, SocketAddr)> = locked(&self.listening)
            .iter()
            .map(|known| (known.door, known.address))
            .collect();
        let mut listeners = Vec::new();
        for (door, address) in doors {
            listeners.push((door, bind_again(address).await?));
        }
        self.boot();
        for (door, listener) in listeners {
            self.listen(listener, door)?;
        }
        Ok(())
    }

    /// Closes the live sessions of devices, after the answer that did it.
    pub(crate) fn close_devices(&self, closed: &[Closed]) {
        if closed.is_empty() {
            return;
        }
        let state = self.inner.lock();
        for (session, live) in state.live() {
            let hit = closed.iter().any(|closed| {
                live.device_id.as_ref() == Some(&closed.device_id)
                    && closed.role.as_ref().is_none_or(|role| *role == live.role)
            });
            if hit {
                session.outbox.close(4001, "device removed");
            }
        }
    }

    /// Takes the secret that is on disk now, the way the edition does.
    async fn reload(self: &Arc<Self>, secret: Secret) {
        let facts = self.inner.facts();
        sleep(facts.reload_delay).await;
        if !facts.hot_reloads_secret {
            self.stop(Why::Restarting, facts.restart_notice).await;
            sleep(facts.restart_pause).await;
            if let Err(error) = self.start_again().await {
                tracing::warn!(%error, "the gateway could not listen again");
            }
            return;
        }
        let now = self.inner.clock.now_ms();
        let mut guard = self.inner.lock();
        let state = &mut *guard;
        state.auth = state.auth.with(secret);
        for (session, live) in state.live() {
            if !live.by_device_token {
                session.outbox.close(4001, "gateway auth changed");
            }
        }
        let path = format!("{}/openclaw.json", state.disk.shown_path());
        let payload = json!({"path": path, "hash": uuid::Uuid::new_v4().to_string(), "ts": now});
        self.inner.broadcast(state, "config.changed", &payload);
        drop(guard);
        self.inner.touched();
    }

    /// Arms a fault, or lets it strike.
    pub(crate) fn inject(&self, fault: Fault) {
        if !fault.is_now() {
            self.inner.lock().faults.add(fault);
            return;
        }
        if matches!(fault.what, What::RefuseTcp) {
            for known in locked(&self.listening).iter() {
                known.stop.send_replace(true);
            }
            return;
        }
        let mut guard = self.inner.lock();
        let state = &mut *guard;
        if let What::SeqGap(numbers) = fault.what {
            state.global_seq += numbers;
        }
        for session in state
            .sessions
            .values_mut()
            .filter(|session| session.live.is_some())
        {
            strike(session, &fault.what);
        }
    }

    /// Disarms every fault.
    pub(crate) fn clear_faults(self: &Arc<Self>) -> io::Result<()> {
        self.inner.lock().faults.clear();
        if matches!(self.inner.lock().phase, Phase::Stopped | Phase::Closing) {
            return Ok(());
        }
        let deaf: Vec<(Door, SocketAddr)> = locked(&self.listening)
            .iter()
            .filter(|known| *known.stop.borrow())
            .map(|known| (known.door, known.address))
            .collect();
        for (door, address) in deaf {
            self.listen(listen(address)?, door)?;
        }
        Ok(())
    }

    /// Ends everything that this gateway runs.
    pub(crate) fn end(&self) {
        self.kill();
        for task in locked(&self.tasks).drain(..) {
            task.abort();
        }
        if let Some(timers) = locked(&self.timers).take() {
            timers.abort();
        }
    }
}

/// Lets a fault strike a connection that is open. What only concerns answers does nothing here.
pub(crate) fn strike(session: &mut Session, what: &What) {
    let outbox = &session.outbox;
    match what {
        What::Close(1005, _) => outbox.send(Out::Close(None, String::new())),
        What::Close(1006, _) | What::Drop => outbox.send(Out::Abort),
        What::Close(code, reason) => outbox.close(*code, reason.as_str()),
        What::DropMidFrame => {
            // The header promises more than what follows.
            outbox.send(Out::Raw(b"\x81\x64{\"type\":\"ev".to_vec()));
            outbox.send(Out::Abort);
        }
        What::StopReading => session.deafen.notify_one(),
        What::StopWriting => outbox.send(Out::Stall),
        What::Silence => {
            session.deafen.notify_one();
            outbox.send(Out::Stall);
        }
        What::SeqGap(numbers) => session.seq += numbers,
        What::Garbage(garbage) => {
            let (first, payload) = garbage.frame();
            outbox.send(Out::Frame(first, payload));
        }
        What::RefuseTcp
        | What::Http { .. }
        | What::NoChallenge
        | What::ChallengeWithoutTs
        | What::ChallengeWithoutNonce
        | What::Delay(_)
        | What::Never
        | What::Duplicate
        | What::Reorder
        | What::UnknownId
        | What::ApproveMeanwhile => {}
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
    door: Door,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(welcome(Arc::clone(&server), stream, door.locality(peer)));
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
    connection::run(server, stream, locality).await;
}

/// Ticks, the minute's health event, and reloads.
async fn keep_time(server: Arc<Server>) {
    let inner = &server.inner;
    let settings = &inner.settings;
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
                let mut state = inner.lock();
                inner.broadcast(&mut state, "tick", &json!({"ts": inner.clock.now_ms()}));
            }
            _ = healths.tick() => {
                let mut state = inner.lock();
                state.health_version += 1;
                let payload = health(inner, &state);
                inner.broadcast(&mut state, "health", &payload);
            }
            _ = watches.tick(), if follows => {
                let edited = {
                    let state = inner.lock();
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
