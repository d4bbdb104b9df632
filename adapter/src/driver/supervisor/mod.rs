//! The one task of a client: it carries out what [`Lifecycle`] decides.
//!
//! At most one socket exists at any time, because only this task opens one and it holds it in the
//! phase it is in.

mod ready;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{Instrument as _, Span, debug, field, info, warn};

use crate::base::identity::{DeviceId, DeviceIdentity};
use crate::config::Config;
use crate::driver::attempt::{self, Opened};
use crate::driver::backlog::Backlog;
use crate::driver::call::Call;
pub(crate) use crate::driver::call::Control;
use crate::driver::clock::{now, now_ms};
use crate::driver::disk::Disk;
use crate::driver::shared::Shared;
use crate::logic::breaker::Breaker;
use crate::logic::credentials::Secret;
use crate::logic::error::Error;
use crate::logic::lifecycle::{FollowUp, Lifecycle, Next, Rules};
use crate::logic::process::GatewayProcess;
use crate::logic::state::{ConnectionState, StopReason};
use crate::net::{Dialer, Socket};
use crate::protocol::Hello;
use crate::telemetry::metrics;
use crate::telemetry::spans::{self, Server};

/// The log target of what the state tells as well, so that whoever shows the state can leave it out.
const STATE: &str = "openclaw_adapter::state";
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// What is left after it, before the end no longer waits for a disk.
const GRACE: Duration = Duration::from_millis(50);
const CLOSED: ConnectionState = ConnectionState::Stopped {
    reason: StopReason::Closed,
};
/// How often a token file is looked at while the client is stopped for its token.
const TOKEN_FILE_POLL: Duration = Duration::from_secs(1);

/// What a control message means for whoever waits.
#[derive(Debug, Eq, PartialEq)]
enum ControlOutcome {
    Nothing,
    Hurry,
    NewSecret,
    /// The caller of this call has gone.
    Forget(u64),
    Close,
}

/// Where the client is.
#[derive(Debug)]
enum Phase {
    /// Loads the identity: without it there is nothing to offer to a gateway.
    Load,
    Connect,
    Wait {
        until: Instant,
    },
    Ready {
        socket: Box<Socket>,
        hello: Arc<Hello>,
        /// Of the connection, from its attempt on.
        span: Span,
    },
    Stopped {
        reason: StopReason,
    },
}

/// The ends that the task holds.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) state: watch::Sender<ConnectionState>,
    pub(crate) shared: Arc<Shared>,
}

/// Runs a client until it is closed.
pub(crate) async fn run(config: Config, ends: Ends) {
    metrics::describe();
    metrics::state(None, &ends.state.borrow());
    let shared = Arc::clone(&ends.shared);
    let state = ends.state.clone();
    let hook = config.on_state.clone();
    let overdue = async {
        shared.closing.notified().await;
        sleep(GOODBYE + GRACE).await;
    };
    tokio::select! {
        biased;
        () = Supervisor::new(config, ends).run() => {}
        // It hangs in a store. The calls it held fail when it is dropped; what it was writing is
        // written, or not, by the thread that does it.
        () = overdue => {
            warn!(target: STATE, "closed while the store does not answer");
            shared.hub.close();
            publish(hook.as_deref(), &state, CLOSED);
        }
    }
}

/// Answers whoever asked, if they are still there.
fn reply(answer: oneshot::Sender<bool>, is_stopped: bool) {
    let _ = answer.send(is_stopped);
}

type Hook = dyn Fn(&ConnectionState) + Send + Sync;

fn publish(hook: Option<&Hook>, sender: &watch::Sender<ConnectionState>, state: ConnectionState) {
    if let Some(hook) = hook {
        hook(&state);
    }
    let next = state.clone();
    let before = sender.send_replace(state);
    metrics::state(Some(&before), &next);
}

struct Supervisor {
    config: Config,
    dialer: Dialer,
    disk: Disk,
    /// Loaded once: it does not change under a running client.
    identity: Option<DeviceIdentity>,
    life: Lifecycle,
    ends: Ends,
    /// Calls that wait for a connection.
    backlog: Backlog,
    /// The gateway's process behind the last connection.
    process: Option<GatewayProcess>,
    server: Server,
    /// The last warning, so that the same one is not logged every few seconds.
    last_warning: String,
}

impl Supervisor {
    fn new(config: Config, ends: Ends) -> Self {
        let rules = Rules {
            profile: Arc::clone(&config.profile),
            pairing: config.pairing,
            retry: config.retry.clone(),
            may_fall_back: config.may_fall_back,
            token_origin: config.source.origin.clone(),
            token_is_file: config.source.file.is_some(),
        };
        let life = Lifecycle::new(
            rules,
            config.secret.clone(),
            now(),
            config.seed.unwrap_or_else(|| fastrand::u64(..)),
        );
        let config_capacity = config.command_capacity;
        let dialer = Dialer {
            endpoint: config.endpoint.clone(),
            connector: Arc::clone(&config.connector),
            headers: config.headers.clone(),
            max_message: config.max_message,
            #[cfg(feature = "tls")]
            tls: config.tls.clone(),
        };
        Self {
            server: Server::of(&config.endpoint),
            disk: Disk::new(&config),
            config,
            dialer,
            identity: None,
            life,
            backlog: Backlog::new(config_capacity),
            process: None,
            ends,
            last_warning: String::new(),
        }
    }

    async fn run(mut self) {
        let mut phase = Phase::Load;
        loop {
            let next = match phase {
                Phase::Load => Some(self.load().await),
                Phase::Connect => self.connect().await,
                Phase::Wait { until } => self.wait(until).await,
                Phase::Ready {
                    socket,
                    hello,
                    span,
                } => self.serve(*socket, hello).instrument(span).await,
                Phase::Stopped { reason } => self.stopped(reason).await,
            };
            match next {
                Some(next) => phase = next,
                None => break,
            }
        }
        info!(target: STATE, "closed");
        self.backlog.end(|call| call.fail(Error::Closed));
        self.ends.calls.close();
        while let Some(call) = self.ends.calls.recv().await {
            call.fail(Error::Closed);
        }
        self.ends.shared.hub.close();
        self.publish(CLOSED);
    }

    async fn load(&mut self) -> Phase {
        match self.disk.identity().await {
            Ok(identity) => {
                self.identity = Some(identity);
                Phase::Connect
            }
            Err(error) => Phase::Stopped {
                reason: StopReason::Identity(Arc::new(error)),
            },
        }
    }

    /// Makes one attempt; returns `None` when the client is to be closed.
    async fn connect(&mut self) -> Option<Phase> {
        let Some(identity) = self.identity.clone() else {
            return Some(Phase::Load);
        };
        let memo = self.disk.memo(identity.id()).await;
        self.life.remember(memo.signature, memo.device);
        let number = self.life.count_attempt();
        metrics::attempt();
        // Asking again while a person is awaited is no news.
        let waiting = self.life.is_waiting_for_approval()
            && matches!(
                *self.ends.state.borrow(),
                ConnectionState::AwaitingApproval { .. }
            );
        if !waiting {
            debug!(target: STATE, attempt = number, endpoint = %self.config.endpoint, "connecting");
            self.publish(ConnectionState::Connecting { attempt: number });
        }
        let (auth, signature) = self.life.begin();
        let span = self.server.connection(number);
        let attempt = attempt::run(
            self.dialer.clone(),
            identity.clone(),
            Arc::clone(&self.config.profile),
            auth,
            signature,
            self.config.connect_timeout,
        )
        .instrument(span.clone());
        tokio::pin!(attempt);
        let (opened, outcome) = loop {
            tokio::select! {
                biased;
                control = self.ends.control.recv() => {
                    match self.handle_control(control) {
                        ControlOutcome::Close => return None,
                        // What this attempt offers is outdated, and so is its outcome.
                        ControlOutcome::NewSecret => return Some(Phase::Connect),
                        // A hurry during an attempt is answered by the attempt itself.
                        ControlOutcome::Hurry | ControlOutcome::Forget(_) | ControlOutcome::Nothing => {}
                    }
                }
                Some(call) = self.ends.calls.recv(), if self.backlog.has_room() => self.backlog.hold(call),
                ended = &mut attempt => break ended,
            }
        };
        if let Some(how) = attempt::failure(&outcome) {
            spans::failed(&span, how);
        }
        let next = self
            .life
            .attempt_ended(now(), now_ms(), identity.id(), outcome);
        self.write_down(identity.id()).await;
        self.follow(next, opened.map(|opened| (opened, span))).await
    }

    /// Turns a decision into the next phase.
    async fn follow(&mut self, mut next: Next, opened: Option<(Opened, Span)>) -> Option<Phase> {
        if let Next::ReadToken { refusal, otherwise } = next {
            let token = self.disk.token().await;
            next = self.life.token_read(token, refusal, otherwise);
        }
        Some(match next {
            Next::Ready(hello) => match opened {
                Some((opened, span)) => self.welcome(opened, span, hello),
                // An accepted attempt always brings its socket.
                None => Phase::Connect,
            },
            Next::Again | Next::ReadToken { .. } => Phase::Connect,
            Next::BackOff { delay, cause } => self.back_off(delay, cause),
            Next::Await {
                pairing,
                since,
                delay,
                announce,
            } => {
                if announce {
                    warn!(
                        target: STATE,
                        device_id = %pairing.device_id,
                        request_id = pairing.request_id.as_deref().unwrap_or("unknown"),
                        reason = %pairing.reason,
                        role = %pairing.requested_role,
                        requested_scopes = %pairing.requested_scopes.join(" "),
                        approved_scopes = %pairing.approved_scopes.as_deref().map_or_else(|| "unknown".to_owned(), |scopes| scopes.join(" ")),
                        "waiting for approval: {} — run on the gateway's host: {}",
                        pairing,
                        pairing.approve_command(),
                    );
                    if let Some(hook) = &self.config.on_pairing {
                        hook(&pairing);
                    }
                }
                let is_waiting = matches!(
                    *self.ends.state.borrow(),
                    ConnectionState::AwaitingApproval { .. }
                );
                if announce || !is_waiting {
                    self.publish(ConnectionState::AwaitingApproval { pairing, since });
                }
                Phase::Wait {
                    until: now() + delay,
                }
            }
            Next::Stop(reason) => Phase::Stopped { reason },
        })
    }

    fn welcome(&mut self, opened: Opened, span: Span, hello: Arc<Hello>) -> Phase {
        let Opened { socket, asked } = opened;
        span.record("openclaw.connection.id", &*hello.conn_id);
        span.record("openclaw.protocol", hello.protocol);
        span.record("openclaw.server.version", &*hello.server_version);
        info!(
            target: STATE,
            conn_id = %hello.conn_id,
            protocol = hello.protocol,
            server_version = %hello.server_version,
            device_id = self.identity.as_ref().map(|identity| field::display(identity.id().short())),
            "ready"
        );
        self.last_warning.clear();
        let Shared { counters, hub, .. } = &*self.ends.shared;
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let process = GatewayProcess::of(&hello, asked, now());
        if let Some(before) = self.process.replace(process.clone()) {
            hub.resync(process.since(&before));
        }
        // What this connection grants may be more than what the last one did.
        self.ends.shared.breaker(Breaker::clear);
        self.publish(ConnectionState::Ready {
            hello: Arc::clone(&hello),
        });
        Phase::Ready {
            socket: Box::new(socket),
            hello,
            span,
        }
    }

    fn back_off(&mut self, delay: Duration, cause: Arc<Error>) -> Phase {
        let last_warning = cause.to_string();
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        if self.last_warning == last_warning {
            debug!(target: STATE, delay_ms, "still trying: {last_warning}");
        } else {
            warn!(target: STATE, delay_ms, "trying again: {last_warning}");
            self.last_warning = last_warning;
        }
        let retry_at = now() + delay;
        self.publish(ConnectionState::BackingOff {
            attempt: self.life.attempts().max(1),
            delay,
            retry_at,
            cause,
        });
        Phase::Wait { until: retry_at }
    }

    /// Waits for the next attempt. `None` when the client is to be closed.
    async fn wait(&mut self, until: Instant) -> Option<Phase> {
        let timer = sleep_until(until.into());
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                control = self.ends.control.recv() => match self.handle_control(control) {
                    ControlOutcome::Close => return None,
                    ControlOutcome::Hurry | ControlOutcome::NewSecret => return Some(Phase::Connect),
                    ControlOutcome::Forget(_) | ControlOutcome::Nothing => {}
                },
                Some(call) = self.ends.calls.recv(), if self.backlog.has_room() => self.backlog.hold(call),
                () = &mut timer => return Some(Phase::Connect),
            }
        }
    }

    /// Stopped: calls fail with the reason, until somebody says otherwise.
    async fn stopped(&mut self, reason: StopReason) -> Option<Phase> {
        warn!(
            target: STATE,
            kind = reason.kind(),
            fix = reason.fix(),
            "stopped: {reason}"
        );
        self.last_warning.clear();
        self.publish(ConnectionState::Stopped {
            reason: reason.clone(),
        });
        self.backlog.end(|call| call.fail(reason.to_error()));
        let watches_file = reason.is_credentials() && self.config.source.file.is_some();
        loop {
            tokio::select! {
                biased;
                control = self.ends.control.recv() => match self.handle_control(control) {
                    ControlOutcome::Close => return None,
                    ControlOutcome::Hurry | ControlOutcome::NewSecret => return Some(Phase::Connect),
                    ControlOutcome::Forget(_) | ControlOutcome::Nothing => {}
                },
                Some(call) = self.ends.calls.recv() => call.fail(reason.to_error()),
                () = sleep(TOKEN_FILE_POLL), if watches_file => {
                    if let Some(token) = self.disk.token().await
                        && self.life.is_new_token(&token)
                    {
                        info!(origin = %self.config.source.origin, "the token has changed");
                        let origin = self.config.source.origin.clone();
                        self.life.set_secret(Secret::Token(token), origin);
                        return Some(Phase::Connect);
                    }
                }
            }
        }
    }

    /// Does what a handle asks for.
    fn handle_control(&mut self, control: Option<Control>) -> ControlOutcome {
        match control {
            None | Some(Control::Close) => ControlOutcome::Close,
            Some(Control::RetryNow) => {
                self.life.hurry();
                ControlOutcome::Hurry
            }
            Some(Control::SetSecret(secret)) => {
                self.set_secret(secret);
                ControlOutcome::NewSecret
            }
            Some(Control::IsStopped(answer)) => {
                let is_stopped =
                    matches!(*self.ends.state.borrow(), ConnectionState::Stopped { .. });
                reply(answer, is_stopped);
                ControlOutcome::Nothing
            }
            Some(Control::Forget(id)) => ControlOutcome::Forget(id),
        }
    }

    /// The backend itself has given another token or password.
    fn set_secret(&mut self, secret: Secret) {
        let origin = secret.given_origin().to_owned();
        self.life.set_secret(secret, origin);
    }

    async fn write_down(&mut self, device: &DeviceId) {
        for follow_up in self.life.take_follow_ups() {
            if matches!(follow_up, FollowUp::WarnStaleSecret) {
                let hints = self.life.hints();
                warn!(
                    "{} is stale: the gateway refused it, and this device's own token had to serve; \
                     set it to {} of the gateway's openclaw.json",
                    hints.origin,
                    hints.place()
                );
            } else if let Err(error) = self.disk.write(device, follow_up).await {
                // What is in memory goes on serving; only the next start will miss it.
                warn!(
                    fix = error.fix(),
                    "a device token could not be saved: {error}"
                );
            }
        }
    }

    fn publish(&self, state: ConnectionState) {
        publish(self.config.on_state.as_deref(), &self.ends.state, state);
    }
}
