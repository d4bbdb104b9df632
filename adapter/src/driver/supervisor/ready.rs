//! A connection in use: frames in, calls out, until it ends.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::FutureExt as _;
use serde_json::value::RawValue;
use tokio::task::yield_now;
use tokio::time::sleep_until;
use tracing::{Span, debug, info};

use super::{ControlOutcome, GOODBYE, Phase, Supervisor};
use crate::base::sanitize::quoted;
use crate::driver::call::Call;
use crate::driver::clock::now;
use crate::driver::shared::Shared;
use crate::logic::error::{Error, TransportError, TransportErrorKind};
use crate::logic::lifecycle::{Loss, Next};
use crate::logic::redact::Redactor;
use crate::logic::session::{Gap, Output, Session};
use crate::net::{Inbound, Socket};
use crate::protocol::Hello;
use crate::telemetry::metrics;
use crate::telemetry::spans;

/// How many frames are taken before calls and controls have their turn.
const BATCH: usize = 64;

/// What is left on the socket after a batch.
enum Rest {
    Nothing,
    Perhaps,
}

impl Supervisor {
    /// Serves one connection. `None` when the client is to be closed.
    pub(super) async fn serve(&mut self, mut socket: Socket, hello: Arc<Hello>) -> Option<Phase> {
        let since = now();
        let _ready = metrics::Ready::new();
        let mut session: Session<Call> = Session::new(&hello, since);
        let mut watchdog = pin!(sleep_until(session.dead_at().into()));
        let loss = loop {
            while socket.has_room()
                && let Some(call) = self.backlog.next()
            {
                send(&mut session, &mut socket, &hello, call);
            }
            // What is waiting goes out before more is read, and in one write: neither direction has
            // to fall silent before the other gets its turn.
            while socket.has_room()
                && let Ok(call) = self.ends.calls.try_recv()
            {
                send(&mut session, &mut socket, &hello, call);
            }
            let has_room = socket.has_room();
            let unanswered = &self.ends.shared.counters.unanswered;
            unanswered.store(session.waiting(), Ordering::Relaxed);
            tokio::select! {
                biased;
                control = self.ends.control.recv() => match self.handle_control(control) {
                    ControlOutcome::Forget(id) => session.forget(id),
                    // The connection is good; a new token or password is for the next one.
                    ControlOutcome::Hurry | ControlOutcome::NewSecret | ControlOutcome::Nothing => {}
                    ControlOutcome::Close => {
                        self.ends.shared.counters.unanswered.store(0, Ordering::Relaxed);
                        for call in session.end() {
                            call.fail(Error::Closed);
                        }
                        socket.close(GOODBYE).await;
                        return None;
                    }
                },
                inbound = socket.next() => match self.drain_frames(&mut session, &mut socket, inbound) {
                    ControlFlow::Continue(Rest::Nothing) => {}
                    // Whoever waits for these frames may be on this thread. Without a turn of theirs
                    // a burst would overflow the queues of those who read fast enough.
                    ControlFlow::Continue(Rest::Perhaps) => yield_now().await,
                    ControlFlow::Break(loss) => break loss,
                },
                () = &mut watchdog => {
                    // Set anew only when it goes off, not with each frame.
                    if session.dead_at() > now() {
                        watchdog.as_mut().reset(session.dead_at().into());
                        continue;
                    }
                    let silence = hello.policy.tick_interval * 2;
                    break Loss::Broken(TransportError::new(
                        TransportErrorKind::Silent,
                        format!("nothing came from the gateway for {silence:?}"),
                    ));
                }
                Some(call) = self.ends.calls.recv(), if has_room => send(&mut session, &mut socket, &hello, call),
            }
        };
        drop(socket);
        self.ends
            .shared
            .counters
            .unanswered
            .store(0, Ordering::Relaxed);
        for call in session.end() {
            call.disconnected();
        }
        let lived = now().saturating_duration_since(since);
        let lived_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
        let (conn_id, error) = (&hello.conn_id, loss.error().clone());
        spans::failed(&Span::current(), error.kind().word());
        let next = self.life.connection_lost(lived, loss);
        // One line for one change of state: a wait says the same by itself.
        if matches!(next, Next::BackOff { .. }) {
            debug!(target: super::STATE, %conn_id, lived_ms, "the connection ended: {error}");
        } else {
            info!(target: super::STATE, %conn_id, lived_ms, "the connection ended: {error}");
        }
        self.follow(next, None).await
    }

    /// Takes what has arrived, and what else is there already, up to a batch; the loss, if it was the last.
    fn drain_frames(
        &self,
        session: &mut Session<Call>,
        socket: &mut Socket,
        first: Inbound,
    ) -> ControlFlow<Loss, Rest> {
        let mut inbound = first;
        let now = now();
        for left in (0..BATCH).rev() {
            match inbound {
                Inbound::Text(text) => self.handle_frame(session, now, &text, socket.redactor()),
                Inbound::Other => session.alive(now),
                Inbound::Closed(close) => {
                    let loss = Loss::of_close(&close, session.is_shutdown_announced());
                    return ControlFlow::Break(loss);
                }
            }
            if left == 0 {
                break;
            }
            match socket.next().now_or_never() {
                Some(next) => inbound = next,
                None => return ControlFlow::Continue(Rest::Nothing),
            }
        }
        ControlFlow::Continue(Rest::Perhaps)
    }

    fn handle_frame(
        &self,
        session: &mut Session<Call>,
        now: Instant,
        text: &str,
        redactor: &Redactor,
    ) {
        let Shared { hub, counters, .. } = &*self.ends.shared;
        match session.on_text(now, text) {
            Output::Answered { caller, mut answer } => {
                if let Some(error) = &mut answer.error {
                    redactor.error(Arc::make_mut(error));
                }
                caller.answer(answer);
            }
            Output::Accepted { caller, payload } => caller.accept(payload),
            Output::Event { event, gap } => {
                metrics::event();
                if let Some(Gap { expected, got }) = gap {
                    metrics::missing(got - expected);
                    debug!(expected, got, "the gateway dropped events");
                    hub.gap(expected, got);
                }
                if event.name == "shutdown" {
                    let said = event.payload.map_or("", RawValue::get);
                    debug!("the gateway says that it goes down: {}", quoted(said));
                }
                hub.publish(&event);
            }
            Output::Stray => {
                counters.strays.fetch_add(1, Ordering::Relaxed);
                debug!("an answer that nobody waits for");
            }
            Output::Nothing => {}
        }
    }
}

fn send(session: &mut Session<Call>, socket: &mut Socket, hello: &Hello, call: Call) {
    if !call.is_wanted() {
        return;
    }
    if call
        .only_on
        .as_ref()
        .is_some_and(|only| **only != *hello.conn_id)
    {
        call.disconnected();
        return;
    }
    let limit = session.max_payload();
    let frame = call
        .frame(hello.protocol)
        .and_then(|frame| match frame.len() {
            size if size > limit => Err(Error::TooLarge {
                method: Arc::clone(&call.method),
                size,
                limit,
            }),
            _ => Ok(frame),
        });
    match frame {
        Ok(frame) if call.claim() => {
            session.begin(call.id, call.mode, call);
            socket.queue(frame);
        }
        Ok(_) => {}
        Err(error) => call.fail(error),
    }
}
