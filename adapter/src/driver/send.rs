//! The path of a call on the caller's side: breaker, queue, deadline, answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument as _, Span};

use crate::config::WhenDown;
use crate::driver::call::{Call, Claim, Control, unwritable};
use crate::driver::handle::Handle;
use crate::logic::error::{Delivery, Error};
use crate::logic::session::Answer;
use crate::logic::state::ConnectionState;
use crate::protocol::GatewayError;
use crate::protocol::method::AnswerMode;
use crate::telemetry::metrics;
use crate::telemetry::spans;

/// The shortest pause before a draining gateway is asked again.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The pause where it names none; 2026.9.6 names 1 s.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// A deadline beyond the clock's end is none.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// How a call is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// `None` for the client's own.
    pub(crate) within: Option<Duration>,
    /// `None` for the client's own.
    pub(crate) when_down: Option<WhenDown>,
    /// Whether it belongs to something that is under way, and so may be made during a drain.
    pub(crate) is_inner: bool,
}

impl CallOptions {
    pub(crate) const DEFAULT: Self = Self {
        within: None,
        when_down: None,
        is_inner: false,
    };
}

/// A call that is ready to go out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    id: u64,
    method: Arc<str>,
    mode: AnswerMode,
    params: Arc<RawValue>,
    deadline: Instant,
    within: Duration,
    when_down: WhenDown,
    is_inner: bool,
    only_on: Option<Arc<str>>,
}

impl Outgoing {
    /// Lets the call go out on this connection only; on any other it fails as not sent.
    pub(crate) fn only_on(mut self, conn_id: Option<String>) -> Self {
        self.only_on = conn_id.map(Arc::from);
        self
    }

    pub(crate) const fn method(&self) -> &Arc<str> {
        &self.method
    }

    pub(crate) const fn when_down(&self) -> WhenDown {
        self.when_down
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn timed_out(&self, delivery: Delivery) -> Error {
        Error::Timeout {
            method: Arc::clone(&self.method),
            after: self.within,
            delivery,
        }
    }

    /// How long to wait before a gateway that drains is asked again. It refuses before it begins,
    /// so that the same call once more is no repetition. `None` if the answer stands.
    fn pause(&self, answer: &Answer) -> Option<Duration> {
        let error = answer.error.as_ref()?;
        if self.when_down == WhenDown::Fail || !is_draining(error) {
            return None;
        }
        let pause = error.retry_after().unwrap_or(USUAL_PAUSE).max(LEAST_PAUSE);
        (Instant::now() + pause < self.deadline).then_some(pause)
    }
}

/// Measured on 2026.9.6 after a SIGTERM: every request is refused with this reason until the runs are
/// over and the connection closes.
fn is_draining(error: &GatewayError) -> bool {
    error.code == "UNAVAILABLE"
        && error.retryable == Some(true)
        && error.detail("reason") == Some("gateway-restarting")
}

/// The first of the answers to a request that may have two.
#[derive(Debug)]
pub(crate) enum First {
    /// It has begun; the answer proper comes later, unless the connection is lost.
    Accepted(Box<RawValue>),
    /// There will be no other.
    Answered(Answer),
}

/// A request that was answered at least once.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) first: First,
    /// The answer proper; `None` if the first was the only one.
    pub(crate) last: Option<Last>,
}

/// What a call came to, as far as it is counted.
trait Outcome {
    fn is_refused(&self) -> bool;
}

impl Outcome for Answer {
    fn is_refused(&self) -> bool {
        self.error.is_some()
    }
}

impl Outcome for Begun {
    fn is_refused(&self) -> bool {
        matches!(&self.first, First::Answered(answer) if answer.is_refused())
    }
}

/// The second answer to a request, under way. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Last(Waiting);

impl Last {
    /// The answer proper; [`Error::Disconnected`] if the connection is lost before. Not to be asked
    /// again after it has come.
    ///
    /// Cancel safe.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Error> {
        self.0.answer().await
    }
}

/// A call that was put into the queue.
#[derive(Debug)]
struct Waiting {
    reply: oneshot::Receiver<Result<Answer, Error>>,
    claim: Claim,
    forget: Forget,
}

impl Waiting {
    async fn answer(&mut self) -> Result<Answer, Error> {
        let answer = (&mut self.reply).await.unwrap_or(Err(Error::Closed));
        self.forget.disarm();
        answer
    }
}

/// Tells the task that a caller has gone, so that no entry stays behind.
#[derive(Debug)]
struct Forget {
    control: mpsc::UnboundedSender<Control>,
    id: Option<u64>,
}

impl Forget {
    /// The entry is gone already.
    const fn disarm(&mut self) {
        self.id = None;
    }
}

impl Drop for Forget {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = self.control.send(Control::Forget(id));
        }
    }
}

/// Counts how a call ended. No future around the call's own, which would hold that one twice: a thousand
/// calls in flight are a thousand futures, and the processor's caches are small.
fn count<T: Outcome>(call: &Outgoing, span: &Span, began: Instant, answer: &Result<T, Error>) {
    let outcome = match answer {
        Ok(answer) if answer.is_refused() => "refused",
        Ok(_) => "ok",
        Err(error) => error.kind(),
    };
    if outcome != "ok" {
        spans::failed(span, outcome);
    }
    metrics::call(&call.method, outcome, began.elapsed());
}

impl Handle {
    /// Serialises a call.
    pub(crate) fn prepare(
        &self,
        method: &str,
        mode: AnswerMode,
        params: impl Serialize,
        terms: CallOptions,
    ) -> Result<Outgoing, Error> {
        let params = to_raw_value(&params).map_err(|error| unwritable(method, &error))?;
        let within = terms.within.unwrap_or(self.request_timeout);
        Ok(Outgoing {
            id: self.next_id(),
            method: method.into(),
            mode,
            params: params.into(),
            deadline: Instant::now() + within.min(FAR),
            within,
            when_down: terms.when_down.unwrap_or(self.when_down),
            is_inner: terms.is_inner,
            only_on: None,
        })
    }

    /// Makes a call and waits for its only or last answer; a gateway that drains is waited for.
    ///
    /// Cancel safe: dropping it gives the call up.
    pub(crate) async fn exchange(&self, call: &Outgoing) -> Result<Answer, Error> {
        let _in_flight = self.load.call();
        let span = self.server.call(&call.method);
        let began = Instant::now();
        let answer = self.asked(call).instrument(span.clone()).await;
        count(call, &span, began, &answer);
        answer
    }

    async fn asked(&self, call: &Outgoing) -> Result<Answer, Error> {
        loop {
            let mut waiting = self.enqueue(call, None).await?;
            let Ok(answer) = timeout_at(call.deadline, waiting.answer()).await else {
                return Err(call.timed_out(waiting.claim.abandon()));
            };
            let answer = self.note(call, answer?);
            match call.pause(&answer) {
                Some(pause) => sleep(pause).await,
                None => return Ok(answer),
            }
        }
    }

    /// Makes a call that may be answered twice, and waits for the first answer; the deadline is for
    /// this one.
    ///
    /// Cancel safe: dropping it gives the call up.
    pub(crate) async fn begin(&self, call: &Outgoing) -> Result<Begun, Error> {
        let _in_flight = self.load.call();
        let span = self.server.call(&call.method);
        let began = Instant::now();
        let answer = self.begun(call).instrument(span.clone()).await;
        count(call, &span, began, &answer);
        answer
    }

    async fn begun(&self, call: &Outgoing) -> Result<Begun, Error> {
        loop {
            let (sender, mut accepted) = oneshot::channel();
            let mut waiting = self.enqueue(call, Some(sender)).await?;
            let first = async {
                tokio::select! {
                    biased;
                    Ok(payload) = &mut accepted => Ok(First::Accepted(payload)),
                    answer = waiting.answer() => answer.map(First::Answered),
                }
            };
            let Ok(first) = timeout_at(call.deadline, first).await else {
                return Err(call.timed_out(waiting.claim.abandon()));
            };
            let answer = match first? {
                first @ First::Accepted(_) => {
                    let last = Some(Last(waiting));
                    return Ok(Begun { first, last });
                }
                First::Answered(answer) => self.note(call, answer),
            };
            let Some(pause) = call.pause(&answer) else {
                let first = First::Answered(answer);
                return Ok(Begun { first, last: None });
            };
            sleep(pause).await;
        }
    }

    /// Puts a call into the queue, unless it is clear that it would be in vain.
    async fn enqueue(
        &self,
        call: &Outgoing,
        accepted: Option<oneshot::Sender<Box<RawValue>>>,
    ) -> Result<Waiting, Error> {
        let inner = self;
        if inner.load.is_draining() && !call.is_inner {
            return Err(Error::Draining {
                method: Arc::clone(&call.method),
            });
        }
        let held = inner.shared.breaker(|breaker| {
            if breaker.is_empty() {
                return Ok(());
            }
            let now = Instant::now().into_std();
            breaker.check(now, &breaker.key(&call.method, call.params.get()))
        });
        if let Err(held) = held {
            return Err(Error::HeldBack {
                method: Arc::clone(&call.method),
                error: held.error,
                retry_in: held.retry_in,
            });
        }
        match &*inner.state.borrow() {
            ConnectionState::Ready { .. } => {}
            ConnectionState::Stopped { reason } => return Err(reason.to_error()),
            _ if call.when_down == WhenDown::Fail => {
                return Err(Error::Disconnected {
                    method: Arc::clone(&call.method),
                    delivery: Delivery::NotSent,
                });
            }
            _ => {}
        }
        let claim = Claim::default();
        let (sender, reply) = oneshot::channel();
        let queued = Call {
            id: call.id,
            method: Arc::clone(&call.method),
            mode: call.mode,
            params: Arc::clone(&call.params),
            // Here, inside the call's own span.
            traceparent: inner.traceparent(),
            when_down: call.when_down,
            only_on: call.only_on.clone(),
            claim: claim.clone(),
            accepted,
            reply: sender,
        };
        match inner.calls.try_send(queued) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(Error::Closed),
            // Those who wait have their turn before anybody who comes later. Boxed, because it is rare.
            Err(TrySendError::Full(queued)) => {
                let sent = Box::pin(timeout_at(call.deadline, inner.calls.send(queued)));
                match sent.await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(Error::Closed),
                    Err(_) => return Err(call.timed_out(Delivery::NotSent)),
                }
            }
        }
        Ok(Waiting {
            reply,
            claim,
            forget: Forget {
                control: inner.control.clone(),
                id: Some(call.id),
            },
        })
    }

    /// Remembers a refusal that repeating cannot heal, and forgets it when the method is granted.
    fn note(&self, call: &Outgoing, answer: Answer) -> Answer {
        self.shared.breaker(|breaker| {
            if answer.error.is_some() || !breaker.is_empty() {
                let key = breaker.key(&call.method, call.params.get());
                let now = Instant::now().into_std();
                breaker.answered(now, &key, answer.error.as_ref());
            }
        });
        answer
    }
}
