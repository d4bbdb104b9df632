//! Who hears which event. One task speaks; nobody who listens can hold it up.

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
struct Listener {
    filter: EventFilter,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Listeners {
    streams: Vec<Listener>,
    /// Those who follow one run, by its id.
    runs: BTreeMap<Box<str>, Vec<Arc<Queue>>>,
    closed: bool,
}

/// All streams of a client.
#[derive(Debug)]
pub(crate) struct Hub {
    bounds: Bounds,
    listeners: Mutex<Listeners>,
}

impl Hub {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            listeners: Mutex::default(),
        })
    }

    /// A stream of all events that the filter lets through.
    pub(crate) fn listen(self: &Arc<Self>, filter: EventFilter) -> EventStream {
        self.stream(|listeners, queue| listeners.streams.push(Listener { filter, queue }))
    }

    /// A stream of the events that name a run.
    pub(crate) fn listen_to_run(self: &Arc<Self>, run_id: &str) -> EventStream {
        self.stream(|listeners, queue| {
            listeners.runs.entry(run_id.into()).or_default().push(queue);
        })
    }

    fn stream(self: &Arc<Self>, enter: impl FnOnce(&mut Listeners, Arc<Queue>)) -> EventStream {
        let queue = Arc::new(Queue::bounded(self.bounds));
        let mut listeners = self.lock();
        if listeners.closed {
            queue.close();
        } else {
            enter(&mut listeners, Arc::clone(&queue));
        }
        drop(listeners);
        EventStream {
            queue,
            hub: Arc::clone(self),
        }
    }

    pub(super) fn remove(&self, queue: &Arc<Queue>) {
        let mut listeners = self.lock();
        listeners
            .streams
            .retain(|listener| !Arc::ptr_eq(&listener.queue, queue));
        listeners.runs.retain(|_, queues| {
            queues.retain(|other| !Arc::ptr_eq(other, queue));
            !queues.is_empty()
        });
    }

    /// Hands an event to whoever wants it. Nothing is copied if nobody does.
    pub(crate) fn publish(&self, event: &frame::Event<'_>) {
        let listeners = self.lock();
        let mut shared = None;
        let mut share = || {
            let make = || Arc::new(Event::new(&event.name, event.payload, event.seq));
            Arc::clone(shared.get_or_insert_with(make))
        };
        for listener in &listeners.streams {
            if listener.filter.matches(&event.name) {
                listener.queue.push(share());
            }
        }
        if listeners.runs.is_empty() {
            return;
        }
        let run_id = event.payload.and_then(run_id);
        for queue in run_id
            .and_then(|run_id| listeners.runs.get(&*run_id))
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
        let mut listeners = self.lock();
        listeners.closed = true;
        listeners.each(Queue::close);
        listeners.streams.clear();
        listeners.runs.clear();
    }

    /// How many streams there are.
    pub(crate) fn len(&self) -> usize {
        let listeners = self.lock();
        listeners.streams.len() + listeners.runs.values().map(Vec::len).sum::<usize>()
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners {
    fn each(&self, tell: impl Fn(&Queue)) {
        let streams = self.streams.iter().map(|listener| &listener.queue);
        for queue in streams.chain(self.runs.values().flatten()) {
            tell(queue);
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
        let all = hub.listen(EventFilter::all());
        let ticks = hub.listen(EventFilter::named(["tick"]));
        publish(&hub, "tick", "{}");
        publish(&hub, "health", "{}");
        assert_eq!(names(&all), ["tick", "health"]);
        assert_eq!(names(&ticks), ["tick"]);
    }

    #[test]
    fn a_run_hears_what_names_it_and_nothing_else() {
        let hub = hub();
        let run = hub.listen_to_run("r-1");
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
        drop((hub.listen(EventFilter::all()), hub.listen_to_run("r")));
        assert_eq!(hub.len(), 0);
        assert!(hub.lock().runs.is_empty());
    }

    #[test]
    fn a_closed_hub_ends_every_stream_also_those_to_come() {
        let hub = hub();
        let before = hub.listen(EventFilter::all());
        hub.close();
        let after = hub.listen_to_run("r");
        let context = Context::from_waker(noop_waker_ref());
        for stream in [before, after] {
            assert!(matches!(stream.queue.poll(&context), Poll::Ready(None)));
        }
        assert_eq!(hub.len(), 0);
    }
}
