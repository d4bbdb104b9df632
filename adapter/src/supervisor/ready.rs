//! A connection in use: frames in, calls out, until it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::sleep_until;
use tracing::{debug, info};

use super::{Control, Phase, Supervisor, now};
use crate::call::Call;
use crate::error::{Error, TransportError, TransportErrorKind};
use crate::lifecycle::Loss;
use crate::protocol::Hello;
use crate::session::{Gap, Output, Session};
use crate::shared::Shared;
use crate::text::printable;
use crate::transport::{Inbound, Socket};
use crate::veil::Veil;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Serves one connection. `None` when the client is to be closed.
    pub(super) async fn serve(&mut self, mut socket: Socket, hello: Arc<Hello>) -> Option<Phase> {
        let since = now();
        let mut session: Session<Call> = Session::new(&hello, since);
        let loss = loop {
            let dead_at = session.dead_at();
            while socket.has_room()
                && let Some(call) = self.backlog.next()
            {
                send(&mut session, &mut socket, call);
            }
            let has_room = socket.has_room();
            let unanswered = &self.ends.shared.counters.unanswered;
            unanswered.store(session.waiting(), Ordering::Relaxed);
            tokio::select! {
                control = self.ends.control.recv() => match control {
                    Some(Control::Forget(id)) => session.forget(id),
                    // The connection is good; the new token is for the next one.
                    Some(Control::SetToken(token)) => self.life.set_token(token),
                    Some(Control::RetryNow) => {}
                    None | Some(Control::Close) => {
                        self.ends.shared.counters.unanswered.store(0, Ordering::Relaxed);
                        for call in session.end() {
                            call.fail(Error::Closed);
                        }
                        socket.close(GOODBYE).await;
                        return None;
                    }
                },
                inbound = socket.next() => match inbound {
                    Inbound::Text(text) => self.hear(&mut session, &text, socket.veil()),
                    Inbound::Other => session.alive(now()),
                    Inbound::Closed(close) => {
                        break Loss::of_close(&close, session.is_shutdown_announced());
                    }
                },
                Some(call) = self.ends.calls.recv(), if has_room => send(&mut session, &mut socket, call),
                () = sleep_until(dead_at.into()) => {
                    let silence = hello.policy.tick_interval * 2;
                    break Loss::Broken(TransportError::new(
                        TransportErrorKind::Silent,
                        format!("nothing came from the gateway for {silence:?}"),
                    ));
                }
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
        info!(
            target: super::STATE,
            conn_id = %hello.conn_id,
            lived_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX),
            "the connection ended: {}",
            loss.error()
        );
        let next = self.life.connection_lost(now(), lived, loss);
        self.follow(next, None).await
    }

    fn hear(&self, session: &mut Session<Call>, text: &str, veil: &Veil) {
        let Shared { hub, counters, .. } = &*self.ends.shared;
        match session.on_text(now(), text) {
            Output::Answered { caller, mut answer } => {
                if let Some(error) = &mut answer.error {
                    veil.error(Arc::make_mut(error));
                }
                caller.answer(answer);
            }
            Output::Accepted { caller, payload } => caller.accept(payload),
            Output::Event { event, gap } => {
                if let Some(Gap { expected, got }) = gap {
                    debug!(expected, got, "the gateway dropped events");
                    hub.gap(expected, got);
                }
                if event.name == "shutdown" {
                    let said = event.payload.map_or("", RawValue::get);
                    debug!("the gateway says that it goes down: {}", printable(said));
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

fn send(session: &mut Session<Call>, socket: &mut Socket, mut call: Call) {
    let size = call.frame.len();
    let limit = session.max_payload();
    if size > limit {
        let method = Arc::clone(&call.method);
        call.fail(Error::TooLarge {
            method,
            size,
            limit,
        });
        return;
    }
    if let Some(frame) = call.take_frame() {
        session.begin(call.id, call.mode, call);
        socket.queue(frame);
    }
}
