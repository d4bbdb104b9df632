//! The two paths that are taken most, without their socket and their runtime, so that instructions can
//! be counted: nothing in here depends on the time, on chance or on other threads.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::task::noop_waker_ref;
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::oneshot;

use crate::config::{Config, WhenDown};
use crate::driver::call::{Call, Claim};
use crate::event::{Bounds, EventFilter, EventItem, EventStream, Hub};
use crate::logic::session::{Output, Session};
use crate::protocol::Hello;
use crate::protocol::method::AnswerMode;

/// A connection that is in use, and one stream of its events.
#[derive(Debug)]
pub struct Hot {
    session: Session<Call>,
    hub: Arc<Hub>,
    stream: EventStream,
    now: Instant,
}

impl Hot {
    /// Begins with a payload of `hello-ok`; `None` if it is none.
    #[must_use]
    pub fn new(hello: &str) -> Option<Self> {
        let hello = Hello::parse(hello, &Config::builder().profile()).ok()?;
        let hub = Hub::new(Bounds {
            events: 4096,
            bytes: 1 << 20,
        });
        let now = Instant::now();
        Some(Self {
            session: Session::new(&hello, now),
            stream: hub.subscribe(EventFilter::named(["agent"])),
            hub,
            now,
        })
    }

    /// One call: its frame is written and noted, the answer is read, matched and handed over, and its
    /// payload is read as JSON. `None` if the answer is another call's.
    pub fn call(&mut self, id: u64, params: &Value, answer: &str) -> Option<Value> {
        let (reply, mut heard) = oneshot::channel();
        let call = Call {
            id,
            method: "health".into(),
            mode: AnswerMode::Once,
            params: to_raw_value(params).ok()?.into(),
            traceparent: None,
            when_down: WhenDown::default(),
            only_on: None,
            claim: Claim::default(),
            accepted: None,
            reply,
        };
        let sent = call.frame(4).ok()?;
        if sent.len() > self.session.max_payload() || !call.claim() {
            return None;
        }
        self.session.begin(id, call.mode, call);
        if let Output::Answered { caller, answer } = self.session.on_text(self.now, answer) {
            caller.answer(answer);
        }
        drop(sent);
        let answer = heard.try_recv().ok()?.ok()?;
        serde_json::from_str(answer.payload?.get()).ok()
    }

    /// One event: read, counted, put into the stream's queue, taken out, and its payload read as JSON.
    /// `None` if the stream does not carry it.
    pub fn event(&mut self, text: &str) -> Option<Value> {
        if let Output::Event { event, .. } = self.session.on_text(self.now, text) {
            self.hub.publish(&event);
        }
        let mut context = Context::from_waker(noop_waker_ref());
        match self.stream.poll_next_unpin(&mut context) {
            Poll::Ready(Some(EventItem::Event(event))) => event.payload().ok(),
            _ => None,
        }
    }
}
