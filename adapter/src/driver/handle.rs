//! What the handles of a client share: the way to its task, and what a call needs to know.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{TraceHook, WhenDown};
use crate::driver::call::{Call, Control};
use crate::driver::in_flight::InFlight;
use crate::driver::shared::Shared;
use crate::driver::subscriptions::Watched;
use crate::logic::error::Error;
use crate::logic::state::{ConnectionState, StopReason};
use crate::protocol::Hello;
use crate::telemetry::spans::Server;
use crate::telemetry::trace_context::{self, TraceParent};

pub(crate) struct Handle {
    /// Unbounded, because dropping a call must not wait; what is in it is bounded by the calls
    /// that are dropped and by what the backend asks for.
    pub(crate) control: mpsc::UnboundedSender<Control>,
    pub(crate) calls: mpsc::Sender<Call>,
    pub(crate) state: watch::Receiver<ConnectionState>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) load: Arc<InFlight>,
    pub(crate) request_timeout: Duration,
    pub(crate) when_down: WhenDown,
    pub(crate) watched: Arc<Watched>,
    pub(crate) trace_context: Option<TraceHook>,
    pub(crate) server: Server,
    pub(crate) last_id: AtomicU64,
}

impl Handle {
    /// An id that no other call of this client has.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The trace that this task is in, if the backend told how to find it.
    pub(crate) fn traceparent(&self) -> Option<TraceParent> {
        let hook = self.trace_context.as_ref()?;
        match trace_context::INHERITED.try_with(Clone::clone) {
            Ok(inherited) => inherited,
            Err(_) => TraceParent::parse(&hook()?),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
    }
}

impl Handle {
    /// As [`Client::ready`](crate::Client::ready).
    pub(crate) async fn ready(&self) -> Result<Arc<Hello>, Error> {
        let mut state = self.state.clone();
        loop {
            let stop = match &*state.borrow_and_update() {
                ConnectionState::Ready { hello } => return Ok(Arc::clone(hello)),
                ConnectionState::Stopped {
                    reason: StopReason::Closed,
                } => return Err(Error::Closed),
                ConnectionState::Stopped { reason } => Some(reason.clone()),
                _ => None,
            };
            if let Some(reason) = stop {
                match self.is_stopped().await {
                    Some(true) => return Err(reason.to_error()),
                    Some(false) => continue,
                    None => {}
                }
            }
            if state.changed().await.is_err() {
                return Err(Error::Closed);
            }
        }
    }

    /// Whether the client is stopped, once it has taken what was asked of it before; `None` if it is
    /// being closed.
    async fn is_stopped(&self) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        self.control.send(Control::IsStopped(answer)).ok()?;
        answered.await.ok()
    }
}
