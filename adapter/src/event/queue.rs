//! The bounded queue behind one stream: the oldest events give way, and it is said where.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Event, EventItem, ResyncReason};

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// A place in the stream where something else than an event stands.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Gap { expected: u64, got: u64 },
    Resync(ResyncReason),
}

#[derive(Debug)]
enum Entry {
    Event(Arc<Event>),
    Mark(Mark),
}

/// What stood before the oldest entry and was pushed out.
#[derive(Debug, Default)]
struct Dropped {
    events: u64,
    gap: Option<(u64, u64)>,
    resync: Option<ResyncReason>,
}

impl Dropped {
    fn add(&mut self, mark: Mark) {
        match mark {
            Mark::Gap { expected, got } => {
                self.gap = Some((self.gap.map_or(expected, |(first, _)| first), got));
            }
            Mark::Resync(reason) => {
                // What was lost before a new connection is lost with it, and its numbers start over.
                self.gap = None;
                self.resync = Some(self.resync.map_or(reason, |before| worst(before, reason)));
            }
        }
    }

    fn take(&mut self) -> Option<EventItem> {
        if self.events > 0 {
            return Some(EventItem::Lagged(std::mem::take(&mut self.events)));
        }
        if let Some(reason) = self.resync.take() {
            return Some(EventItem::Resync(reason));
        }
        let (expected, got) = self.gap.take()?;
        Some(EventItem::Gap { expected, got })
    }
}

/// A restart among several new connections is what counts.
const fn worst(a: ResyncReason, b: ResyncReason) -> ResyncReason {
    match (a, b) {
        (ResyncReason::Reconnected, ResyncReason::Reconnected) => ResyncReason::Reconnected,
        _ => ResyncReason::GatewayRestarted,
    }
}

#[derive(Debug)]
struct State {
    dropped: Dropped,
    entries: VecDeque<Entry>,
    events: usize,
    bytes: usize,
    closed: bool,
    waker: Option<Waker>,
}

/// One consumer's queue.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::new(State {
                dropped: Dropped::default(),
                entries: VecDeque::new(),
                events: 0,
                bytes: 0,
                closed: false,
                waker: None,
            }),
        }
    }

    pub(crate) fn push(&self, event: Arc<Event>) {
        let size = event.size();
        let mut state = self.lock();
        // One event is kept whatever its size: the socket's limit bounds it.
        while state.events > 0
            && (state.events >= self.bounds.events || state.bytes + size > self.bounds.bytes)
        {
            state.drop_oldest();
        }
        state.events += 1;
        state.bytes += size;
        state.entries.push_back(Entry::Event(event));
        wake(state);
    }

    /// The gateway dropped events.
    pub(crate) fn gap(&self, expected: u64, got: u64) {
        let mut state = self.lock();
        if let Some(Entry::Mark(Mark::Gap { got: last, .. })) = state.entries.back_mut() {
            *last = got;
        } else {
            let mark = Mark::Gap { expected, got };
            state.entries.push_back(Entry::Mark(mark));
        }
        wake(state);
    }

    /// A new connection begins.
    pub(crate) fn resync(&self, mut reason: ResyncReason) {
        let mut state = self.lock();
        // Marks with nothing between them are one, so that they cannot pile up.
        while let Some(Entry::Mark(mark)) = state.entries.back() {
            if let Mark::Resync(before) = mark {
                reason = worst(*before, reason);
            }
            state.entries.pop_back();
        }
        state.entries.push_back(Entry::Mark(Mark::Resync(reason)));
        wake(state);
    }

    /// Forgets all that stands before the newest connection, and that it is a new one: for who is
    /// about to ask how things are on it.
    pub(crate) fn forget_old_connections(&self) {
        let mut state = self.lock();
        let is_resync = |entry: &Entry| matches!(entry, Entry::Mark(Mark::Resync(_)));
        match state.entries.iter().rposition(is_resync) {
            Some(newest) => {
                state.dropped = Dropped::default();
                for _ in 0..=newest {
                    if let Some(Entry::Event(event)) = state.entries.pop_front() {
                        state.events -= 1;
                        state.bytes -= event.size();
                    }
                }
            }
            None => state.dropped.resync = None,
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }

    /// The next item; `None` when it is closed and empty.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<EventItem>> {
        let mut state = self.lock();
        if let Some(item) = state.dropped.take() {
            return Poll::Ready(Some(item));
        }
        match state.entries.pop_front() {
            Some(Entry::Event(event)) => {
                state.events -= 1;
                state.bytes -= event.size();
                Poll::Ready(Some(EventItem::Event(event)))
            }
            Some(Entry::Mark(Mark::Gap { expected, got })) => {
                Poll::Ready(Some(EventItem::Gap { expected, got }))
            }
            Some(Entry::Mark(Mark::Resync(reason))) => Poll::Ready(Some(EventItem::Resync(reason))),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_oldest(&mut self) {
        while let Some(entry) = self.entries.pop_front() {
            match entry {
                Entry::Event(event) => {
                    self.events -= 1;
                    self.bytes -= event.size();
                    self.dropped.events += 1;
                    return;
                }
                Entry::Mark(mark) => self.dropped.add(mark),
            }
        }
    }
}

/// Wakes the consumer after the lock is gone.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;
    use proptest::prelude::*;

    use super::*;

    fn queue(events: usize, bytes: usize) -> Queue {
        Queue::new(Bounds { events, bytes })
    }

    fn event(seq: u64) -> Arc<Event> {
        Arc::new(Event::new("e", None, Some(seq)))
    }

    fn read(queue: &Queue) -> Vec<String> {
        let context = Context::from_waker(noop_waker_ref());
        let mut items = Vec::new();
        while let Poll::Ready(Some(item)) = queue.poll(&context) {
            items.push(match item {
                EventItem::Event(event) => event.seq().unwrap().to_string(),
                EventItem::Lagged(n) => format!("lagged {n}"),
                EventItem::Gap { expected, got } => format!("gap {expected} {got}"),
                EventItem::Resync(why) => why.to_string(),
            });
        }
        items
    }

    #[test]
    fn the_oldest_events_give_way_and_it_is_said_where() {
        let queue = queue(2, usize::MAX);
        for seq in 1..=5 {
            queue.push(event(seq));
        }
        assert_eq!(read(&queue), ["lagged 3", "4", "5"]);
        queue.push(event(6));
        assert_eq!(read(&queue), ["6"]);
    }

    #[test]
    fn bytes_count_as_well_and_one_event_always_fits() {
        let queue = queue(100, 1);
        queue.push(event(1));
        queue.push(event(2));
        assert_eq!(read(&queue), ["lagged 1", "2"]);
    }

    #[test]
    fn a_new_connection_is_told_even_when_all_around_it_was_dropped() {
        let queue = queue(1, usize::MAX);
        queue.push(event(1));
        queue.gap(2, 4);
        queue.push(event(4));
        queue.resync(ResyncReason::GatewayRestarted);
        queue.push(event(1));
        queue.resync(ResyncReason::Reconnected);
        queue.push(event(1));
        queue.push(event(2));
        assert_eq!(read(&queue), ["lagged 4", "gateway-restarted", "2"]);
    }

    #[test]
    fn a_gap_is_told_even_when_the_events_around_it_were_dropped() {
        let queue = queue(1, usize::MAX);
        queue.push(event(1));
        queue.gap(2, 4);
        queue.push(event(4));
        queue.gap(5, 7);
        queue.push(event(7));
        queue.push(event(8));
        assert_eq!(read(&queue), ["lagged 3", "gap 2 7", "8"]);
    }

    #[test]
    fn what_is_in_it_is_still_read_after_the_end() {
        let queue = queue(4, usize::MAX);
        queue.push(event(1));
        queue.close();
        assert_eq!(read(&queue), ["1"]);
        let context = Context::from_waker(noop_waker_ref());
        assert!(matches!(queue.poll(&context), Poll::Ready(None)));
    }

    proptest! {
        /// Every event comes out once and in order, or is counted where it is missing; nothing grows.
        #[test]
        fn nothing_is_lost_without_a_word(
            capacity in 1_usize..5,
            steps in proptest::collection::vec(0_u8..6, 0..200),
        ) {
            let queue = queue(capacity, usize::MAX);
            let context = Context::from_waker(noop_waker_ref());
            let (mut pushed, mut read) = (0_u64, 0_u64);
            for step in steps {
                match step {
                    0..=2 => {
                        pushed += 1;
                        queue.push(event(pushed));
                    }
                    3 => queue.resync(ResyncReason::Reconnected),
                    4 => queue.gap(pushed + 1, pushed + 1),
                    _ => match queue.poll(&context) {
                        Poll::Ready(Some(EventItem::Event(event))) => {
                            read += 1;
                            prop_assert_eq!(event.seq(), Some(read));
                        }
                        Poll::Ready(Some(EventItem::Lagged(n))) => read += n,
                        _ => {}
                    },
                }
                let state = queue.lock();
                prop_assert!(state.events <= capacity);
                prop_assert!(state.entries.len() <= 3 * capacity + 2);
            }
            while let Poll::Ready(Some(item)) = queue.poll(&context) {
                match item {
                    EventItem::Event(event) => {
                        read += 1;
                        prop_assert_eq!(event.seq(), Some(read));
                    }
                    EventItem::Lagged(n) => read += n,
                    _ => {}
                }
            }
            prop_assert_eq!(read, pushed);
            prop_assert_eq!(queue.lock().bytes, 0);
        }
    }
}
