//! Distribution of events from the client's task to streams; no slow stream delays the task.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::queue::{Bounds, Queue};
use super::{Event, EventFilter, EventStream, ResyncReason};
use crate::protocol::frame;

#[derive(Debug)]
struct Subscriber {
    filter: EventFilter,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Subscribers {
    streams: Vec<Subscriber>,
    /// Queues of followed runs, by run id.
    runs: BTreeMap<Box<str>, Vec<Arc<Queue>>>,
    closed: bool,
}

/// All streams of a client.
#[derive(Debug)]
pub(crate) struct Hub {
    bounds: Bounds,
    subscribers: Mutex<Subscribers>,
}

impl Hub {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            subscribers: Mutex::default(),
        })
    }

    /// A stream of all events that the filter lets through.
    pub(crate) fn subscribe(self: &Arc<Self>, filter: EventFilter) -> EventStream {
        self.stream(|subscribers, queue| subscribers.streams.push(Subscriber { filter, queue }))
    }

    /// A stream of the events that name a run.
    pub(crate) fn subscribe_to_run(self: &Arc<Self>, run_id: &str) -> EventStream {
        self.stream(|subscribers, queue| {
            subscribers
                .runs
                .entry(run_id.into())
                .or_default()
                .push(queue);
        })
    }

    fn stream(self: &Arc<Self>, enter: impl FnOnce(&mut Subscribers, Arc<Queue>)) -> EventStream {
        let queue = Arc::new(Queue::bounded(self.bounds));
        let mut subscribers = self.lock();
        if subscribers.closed {
            queue.close();
        } else {
            enter(&mut subscribers, Arc::clone(&queue));
        }
        drop(subscribers);
        EventStream {
            queue,
            hub: Arc::clone(self),
        }
    }

    pub(super) fn remove(&self, queue: &Arc<Queue>) {
        let mut subscribers = self.lock();
        subscribers
            .streams
            .retain(|subscriber| !Arc::ptr_eq(&subscriber.queue, queue));
        subscribers.runs.retain(|_, queues| {
            queues.retain(|other| !Arc::ptr_eq(other, queue));
            !queues.is_empty()
        });
    }

    /// Sends an event to its subscribers. Without any, nothing is copied.
    pub(crate) fn publish(&self, event: &frame::Event<'_>) {
        let subscribers = self.lock();
        let mut shared = None;
        let mut share = || {
            let make = || Arc::new(Event::new(&event.name, event.payload, event.seq));
            Arc::clone(shared.get_or_insert_with(make))
        };
        for subscriber in &subscribers.streams {
            if subscriber.filter.matches(&event.name) {
                subscriber.queue.push(share());
            }
        }
        if subscribers.runs.is_empty() {
            return;
        }
        let run_id = event.payload.and_then(run_id);
        for queue in run_id
            .and_then(|run_id| subscribers.runs.get(&*run_id))
            .into_iter()
            .flatten()
        {
            queue.push(share());
        }
    }

    /// The gateway dropped events of this connection.
    pub(crate) fn gap(&self, expected: u64, got: u64) {
        self.lock().each(|queue| queue.gap(expected, got));
    }

    /// A new connection begins.
    pub(crate) fn resync(&self, reason: ResyncReason) {
        self.lock().each(|queue| queue.resync(reason));
    }

    /// The client is closed: every stream ends.
    pub(crate) fn close(&self) {
        let mut subscribers = self.lock();
        subscribers.closed = true;
        subscribers.each(Queue::close);
        subscribers.streams.clear();
        subscribers.runs.clear();
    }

    /// Returns the number of streams.
    pub(crate) fn len(&self) -> usize {
        let subscribers = self.lock();
        subscribers.streams.len() + subscribers.runs.values().map(Vec::len).sum::<usize>()
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscribers {
    fn each(&self, each: impl Fn(&Queue)) {
        let streams = self.streams.iter().map(|subscriber| &subscriber.queue);
        for queue in streams.chain(self.runs.values().flatten()) {
            each(queue);
        }
    }
}

/// The run that an event is about: `runId` of `agent`, `chat`, `task` and others, or of the request
/// inside an exec approval.
fn run_id(payload: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named<'a> {
        #[serde(borrow, default)]
        run_id: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        request: Option<&'a RawValue>,
    }
    let named: Named<'_> = serde_json::from_str(payload.get()).ok()?;
    named.run_id.or_else(|| {
        serde_json::from_str::<Named<'_>>(named.request?.get())
            .ok()?
            .run_id
    })
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use futures_util::task::noop_waker_ref;

    use super::*;
    use crate::event::EventItem;

    fn hub() -> Arc<Hub> {
        Hub::new(Bounds {
            events: 8,
            bytes: 1 << 20,
        })
    }

    fn publish(hub: &Hub, name: &'static str, payload: &str) {
        let payload = RawValue::from_string(payload.to_owned()).unwrap();
        hub.publish(&frame::Event {
            name: name.into(),
            payload: Some(&payload),
            seq: None,
        });
    }

    fn names(stream: &EventStream) -> Vec<String> {
        let context = Context::from_waker(noop_waker_ref());
        let mut names = Vec::new();
        while let Poll::Ready(Some(item)) = stream.queue.poll(&context) {
            names.push(match item {
                EventItem::Event(event) => event.name().to_owned(),
                other => format!("{other:?}"),
            });
        }
        names
    }

    #[test]
    fn a_stream_carries_what_its_filter_names() {
        let hub = hub();
        let all = hub.subscribe(EventFilter::all());
        let ticks = hub.subscribe(EventFilter::named(["tick"]));
        publish(&hub, "tick", "{}");
        publish(&hub, "health", "{}");
        assert_eq!(names(&all), ["tick", "health"]);
        assert_eq!(names(&ticks), ["tick"]);
    }

    #[test]
    fn a_run_gets_the_events_that_name_it_and_no_others() {
        let hub = hub();
        let run = hub.subscribe_to_run("r-1");
        publish(&hub, "agent", r#"{"runId":"r-1","seq":1}"#);
        publish(&hub, "agent", r#"{"runId":"r-2","seq":1}"#);
        publish(&hub, "chat", r#"{"runId":"r\u002d1"}"#);
        publish(
            &hub,
            "exec.approval.requested",
            r#"{"id":"a","request":{"runId":"r-1"}}"#,
        );
        publish(&hub, "tick", r#"{"ts":1}"#);
        publish(&hub, "odd", r#"[{"runId":"r-1"}]"#);
        assert_eq!(names(&run), ["agent", "chat", "exec.approval.requested"]);
    }

    #[test]
    fn a_stream_that_is_dropped_leaves_nothing_behind() {
        let hub = hub();
        drop((hub.subscribe(EventFilter::all()), hub.subscribe_to_run("r")));
        assert_eq!(hub.len(), 0);
        assert!(hub.lock().runs.is_empty());
    }

    #[test]
    fn a_closed_hub_ends_every_stream_also_those_to_come() {
        let hub = hub();
        let before = hub.subscribe(EventFilter::all());
        hub.close();
        let after = hub.subscribe_to_run("r");
        let context = Context::from_waker(noop_waker_ref());
        for stream in [before, after] {
            assert!(matches!(stream.queue.poll(&context), Poll::Ready(None)));
        }
        assert_eq!(hub.len(), 0);
    }
}
