//! The task that follows a run: it carries out the actions of the [`Tracker`].

mod actions;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::Span;

pub(crate) use self::actions::Request;
use self::actions::{ActionResult, Read, call, own_terms, read, value};
use super::answer::{self, Ack};
use super::event;
use super::item::{LostReason, RunItem, RunOutcome};
use super::json;
use super::queue::Queue;
use super::session::SessionKey;
use super::tracker::Tracker;
use crate::client::Client;
use crate::config::WhenDown;
use crate::driver::in_flight::InFlightGuard;
use crate::driver::send::{Begun, First, Last};
use crate::event::{EventItem, EventStream, ResyncReason};
use crate::logic::error::{Delivery, Error, TransportErrorKind};
use crate::logic::session::Answer;
use crate::logic::state::ConnectionState;
use crate::protocol::Hello;
use crate::telemetry::spans;

/// The reason that a run is lost whose task ended without an outcome.
pub(crate) const TASK_ENDED: LostReason = LostReason::ClientStopped;

/// A command of a handle to the task.
#[derive(Debug)]
pub(crate) enum Command {
    Abort(oneshot::Sender<Result<bool, Error>>),
}

/// The parts that a task is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) tracker: Tracker,
    pub(crate) session_key: SessionKey,
    pub(crate) run_id: Arc<str>,
    pub(crate) request: Option<Request>,
    pub(crate) events: EventStream,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) busy: InFlightGuard,
    /// The connection that the tracker knows of.
    pub(crate) conn_id: Option<String>,
    /// Resolved when the gateway has accepted the run, or has refused it.
    pub(crate) accepted: Option<oneshot::Sender<Result<(), Error>>>,
}

/// Ends the consumer's stream when the task ends, also by a panic.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Driver {
    client: Client,
    tracker: Tracker,
    session_key: SessionKey,
    run_id: Arc<str>,
    request: Option<Arc<Request>>,
    state: watch::Receiver<ConnectionState>,
    conn_id: Option<String>,
    /// A new connection, to the old process or to another one.
    new_connection: Option<Arc<Hello>>,
    resync: Option<ResyncReason>,
    /// The gateway has announced its shutdown; the next connection leads to another process, even if
    /// its uptime does not show it.
    is_shutting_down: bool,
    pending: Option<BoxFuture<'static, ActionResult>>,
    last: Option<Last>,
    protocol: u32,
    /// Callers that want the run stopped.
    aborts: Vec<oneshot::Sender<Result<bool, Error>>>,
    aborting: Option<BoxFuture<'static, Result<Value, Error>>>,
}

/// Follows a run to its end. Dropping the future ends the following, not the run.
pub(crate) async fn follow(parts: Parts) {
    let Parts {
        client,
        tracker,
        session_key,
        run_id,
        request,
        mut events,
        mut commands,
        queue,
        busy: _busy,
        conn_id,
        mut accepted,
    } = parts;
    let closing = Closing(queue);
    let mut state = client.state();
    state.mark_changed();
    let mut driver = Driver {
        state,
        client,
        tracker,
        session_key,
        run_id,
        request: request.map(Arc::new),
        conn_id,
        new_connection: None,
        resync: None,
        is_shutting_down: false,
        pending: None,
        last: None,
        protocol: 0,
        aborts: Vec::new(),
        aborting: None,
    };
    loop {
        if driver.tracker.is_accepted() {
            // An event of the run may come before the answer to its request.
            driver.settle_session();
        }
        while let Some(item) = driver.tracker.next_item() {
            let end = match &item {
                RunItem::Ended(outcome) => {
                    if !matches!(
                        outcome,
                        RunOutcome::Done { .. }
                            | RunOutcome::Queued
                            | RunOutcome::Superseded { .. }
                    ) {
                        spans::failed(&Span::current(), outcome.kind());
                    }
                    Some(matches!(outcome, RunOutcome::Aborted { .. }))
                }
                _ => None,
            };
            if let Some(acceptance) = acceptance(&item)
                && let Some(accepted) = accepted.take()
            {
                // Not every caller waits for it.
                let _ = accepted.send(acceptance);
            }
            closing.0.push(item);
            if let Some(stopped) = end {
                driver.leave(stopped);
                return;
            }
        }
        let now = Instant::now().into_std();
        if !driver.tracker.is_busy() {
            driver.pending = None;
        }
        if let Some(action) = driver.tracker.next_action(now) {
            driver.pending = Some(driver.start(action));
        }
        driver.abort_if_requested();
        let wake = driver.tracker.wake_at(now).map(Instant::from_std);
        tokio::select! {
            // In the order in which things happen: terminal events come before the answers that wait
            // for the end.
            biased;
            Some(Command::Abort(reply)) = commands.recv() => driver.aborts.push(reply),
            item = events.next() => driver.on_item(item),
            _ = driver.state.changed() => driver.on_state(),
            answer = final_answer(&mut driver.last) => driver.on_final_answer(answer),
            result = resolved(&mut driver.pending) => driver.on_result(result),
            aborted = resolved(&mut driver.aborting) => driver.on_aborted(aborted),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                driver.tracker.on_tick(Instant::now().into_std());
            }
        }
    }
}

/// Reads from an item whether the request was accepted.
fn acceptance(item: &RunItem) -> Option<Result<(), Error>> {
    match item {
        RunItem::Ended(RunOutcome::NotStarted { error }) => Some(Err(error.clone())),
        RunItem::Accepted { .. } | RunItem::Ended(_) => Some(Ok(())),
        _ => None,
    }
}

async fn final_answer(last: &mut Option<Last>) -> Result<Answer, Error> {
    match last {
        Some(last) => last.answer().await,
        None => std::future::pending().await,
    }
}

async fn resolved<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Driver {
    fn on_item(&mut self, item: Option<EventItem>) {
        let now = Instant::now().into_std();
        match item {
            Some(EventItem::Event(event)) => {
                let Some(payload) = value(event.raw_payload()) else {
                    self.tracker.on_unreadable_event(now);
                    return;
                };
                if let Some(run_event) = event::read(event.name(), &payload) {
                    let seq = payload.get("seq").and_then(Value::as_i64);
                    self.tracker.on_event(now, seq, run_event);
                }
            }
            Some(EventItem::Lagged(events)) => self.tracker.on_lagged(events),
            Some(EventItem::Gap { .. }) => self.tracker.on_gap(),
            Some(EventItem::Resync(reason)) => self.on_resync(reason),
            None => self.tracker.on_client_stopped(Error::Closed),
        }
    }

    /// The events that follow come by a new connection.
    fn on_resync(&mut self, reason: ResyncReason) {
        if let Some(hello) = self.new_connection.take() {
            self.connected(&hello, reason);
            return;
        }
        let is_known = match &*self.state.borrow() {
            ConnectionState::Ready { hello } => self.conn_id.as_ref() == Some(&hello.conn_id),
            _ => false,
        };
        // Nothing was missed before the first connection.
        if !is_known {
            self.resync = Some(match self.resync {
                Some(ResyncReason::GatewayRestarted) => ResyncReason::GatewayRestarted,
                _ => reason,
            });
        }
    }

    /// The state of the client has changed.
    fn on_state(&mut self) {
        let now = Instant::now().into_std();
        let state = self.state.borrow_and_update().clone();
        match state {
            ConnectionState::Ready { hello } => {
                self.protocol = hello.protocol;
                if self.conn_id.is_none() {
                    self.conn_id = Some(hello.conn_id.clone());
                    self.resync = None;
                    self.is_shutting_down = false;
                    self.tracker.on_first_connected(now, hello.protocol);
                } else if self.conn_id.as_ref() != Some(&hello.conn_id) {
                    match self.resync.take() {
                        Some(reason) => self.connected(&hello, reason),
                        // The mark in the stream of events comes next.
                        None => self.new_connection = Some(hello),
                    }
                }
            }
            ConnectionState::Stopped { reason } => {
                self.tracker.on_client_stopped(reason.to_error());
            }
            ConnectionState::BackingOff { cause, .. } => {
                self.is_shutting_down |= matches!(
                    &*cause,
                    Error::Transport(error) if error.kind() == TransportErrorKind::Restarting
                );
                let code = match &*cause {
                    Error::Transport(error) => error.close_code(),
                    _ => None,
                };
                self.tracker.on_disconnected(now, code);
            }
            _ => self.tracker.on_disconnected(now, None),
        }
    }

    fn connected(&mut self, hello: &Hello, reason: ResyncReason) {
        let went_down = std::mem::take(&mut self.is_shutting_down);
        let restarted = reason == ResyncReason::GatewayRestarted || went_down;
        self.conn_id = Some(hello.conn_id.clone());
        self.protocol = hello.protocol;
        self.tracker
            .on_connected(Instant::now().into_std(), hello.protocol, restarted);
    }

    fn on_result(&mut self, result: ActionResult) {
        self.pending = None;
        let now = Instant::now().into_std();
        match result {
            ActionResult::Sent(Ok(begun)) => {
                self.settle_session();
                self.on_begun(begun);
            }
            ActionResult::Sent(Err(error)) => {
                if let Error::Timeout { delivery, .. }
                | Error::Disconnected { delivery, .. }
                | Error::Data { delivery, .. } = &error
                    && *delivery == Delivery::Unknown
                {
                    self.settle_session();
                }
                let usual = self.client.inner().when_down;
                let may_repeat = self
                    .request
                    .as_ref()
                    .is_some_and(|request| request.when_down.unwrap_or(usual) != WhenDown::Fail);
                self.tracker.on_send_failed(now, error, may_repeat);
            }
            ActionResult::WaitAnswer(answer) => match read(answer) {
                Read::Answer(payload) => self
                    .tracker
                    .on_wait_answer(now, answer::wait_answer(&payload)),
                Read::Lost => self.tracker.on_action_lost(now),
                Read::Refused => self.tracker.on_wait_failed(now),
            },
            ActionResult::History(answer) => match read(answer) {
                Read::Answer(payload) => self.tracker.on_history(now, &payload),
                Read::Lost => self.tracker.on_action_lost(now),
                Read::Refused => self.tracker.on_history_failed(now),
            },
        }
    }

    /// Records the session of a request that may have arrived.
    fn settle_session(&self) {
        if let Some(key) = self.session_key.settle() {
            spans::in_session(&Span::current(), key);
        }
    }

    fn on_begun(&mut self, begun: Begun) {
        let now = Instant::now().into_std();
        let (payload, error) = match begun.first {
            First::Accepted(payload) => (Some(payload), None),
            First::Answered(answer) => (answer.payload, answer.error),
        };
        let value = value(payload.as_deref()).unwrap_or_default();
        if let Some(ack) = answer::ack(&value, error.as_deref(), self.protocol) {
            self.last = begun.last;
            let final_due = self.last.is_some() && ack == Ack::Accepted;
            self.tracker.on_ack(now, ack, final_due);
            return;
        }
        let method = self.request.as_ref().map_or("", |request| request.method);
        let error = match error {
            Some(error) => Error::Call {
                method: method.into(),
                error,
                payload: payload.map(|_| Arc::new(value)),
            },
            None => Error::Data {
                method: method.into(),
                what: "the answer names no run".into(),
                delivery: Delivery::Unknown,
            },
        };
        self.tracker.on_send_failed(now, error, false);
    }

    fn on_final_answer(&mut self, answer: Result<Answer, Error>) {
        self.last = None;
        let now = Instant::now().into_std();
        match answer {
            Ok(answer) => {
                let payload = value(answer.payload.as_deref()).unwrap_or_default();
                let verdict =
                    answer::final_answer(&payload, answer.error.as_deref(), self.protocol);
                self.tracker.on_final_answer(now, verdict);
            }
            Err(_) => self.tracker.on_final_answer_lost(now),
        }
    }

    /// Asks the gateway to stop the run, as soon as it has it. `chat.abort` is idempotent, so it is
    /// repeated after a reconnect.
    fn abort_if_requested(&mut self) {
        if self.aborts.is_empty() || self.aborting.is_some() || !self.tracker.is_accepted() {
            return;
        }
        self.tracker.on_abort_requested();
        let client = self.client.clone();
        let params = json!({"sessionKey": self.session_key.get(), "runId": &*self.run_id});
        self.aborting = Some(Box::pin(async move {
            loop {
                match call(&client, "chat.abort", &params, own_terms(None)).await {
                    Err(Error::Disconnected { .. }) => {}
                    answer => return answer?.read(&"chat.abort".into()),
                }
            }
        }));
    }

    fn on_aborted(&mut self, answer: Result<Value, Error>) {
        self.aborting = None;
        let answer = answer.map(|payload| json::flag(&payload, "aborted"));
        if let Ok(true) = answer {
            self.tracker.on_aborted(Instant::now().into_std());
        }
        for reply in self.aborts.drain(..) {
            // The caller may be gone.
            let _ = reply.send(answer.clone());
        }
    }

    /// The run is over, and the answer to `chat.abort` may come after its last event.
    fn leave(self, stopped: bool) {
        for reply in self.aborts {
            let _ = reply.send(Ok(stopped));
        }
    }
}
