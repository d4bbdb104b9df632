//! The bounded queue behind one stream: it drops the oldest events, and marks the place.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::{Buffer, Channel};
use super::{Event, EventItem, ResyncReason};

/// The capacity of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// An entry of the stream that is no event.
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

/// The entries that were dropped before the oldest one.
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
                // A new connection counts from the start, and replaces the gaps before it.
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

/// Returns the restart, if either is one.
const fn worst(a: ResyncReason, b: ResyncReason) -> ResyncReason {
    match (a, b) {
        (ResyncReason::Reconnected, ResyncReason::Reconnected) => ResyncReason::Reconnected,
        _ => ResyncReason::GatewayRestarted,
    }
}

/// The entries of one consumer, bounded by their number and their size.
#[derive(Debug)]
pub(crate) struct Backlog {
    bounds: Bounds,
    dropped: Dropped,
    entries: VecDeque<Entry>,
    events: usize,
    bytes: usize,
}

/// One consumer's queue.
pub(crate) type Queue = Channel<Backlog>;

impl Queue {
    pub(crate) fn bounded(bounds: Bounds) -> Self {
        Self::new(Backlog {
            bounds,
            dropped: Dropped::default(),
            entries: VecDeque::new(),
            events: 0,
            bytes: 0,
        })
    }

    pub(crate) fn push(&self, event: Arc<Event>) {
        self.update(|backlog| backlog.push(event));
    }

    /// Marks that the gateway dropped events.
    pub(crate) fn gap(&self, expected: u64, got: u64) {
        self.update(|state| {
            if let Some(Entry::Mark(Mark::Gap { got: last, .. })) = state.entries.back_mut() {
                *last = got;
            } else {
                let mark = Mark::Gap { expected, got };
                state.entries.push_back(Entry::Mark(mark));
            }
        });
    }

    /// Marks the start of a new connection.
    pub(crate) fn resync(&self, reason: ResyncReason) {
        self.update(|backlog| backlog.resync(reason));
    }

    /// Drops everything before the newest connection, and the mark of it: for a consumer that is about
    /// to ask for the whole state.
    pub(crate) fn forget_old_connections(&self) {
        self.update(Backlog::forget_old_connections);
    }
}

impl Buffer for Backlog {
    type Item = EventItem;

    fn pop(&mut self) -> Option<EventItem> {
        if let Some(item) = self.dropped.take() {
            return Some(item);
        }
        Some(match self.entries.pop_front()? {
            Entry::Event(event) => {
                self.events -= 1;
                self.bytes -= event.size();
                EventItem::Event(event)
            }
            Entry::Mark(Mark::Gap { expected, got }) => EventItem::Gap { expected, got },
            Entry::Mark(Mark::Resync(reason)) => EventItem::Resync(reason),
        })
    }
}

impl Backlog {
    fn push(&mut self, event: Arc<Event>) {
        let size = event.size();
        // One event is kept whatever its size: the socket's limit bounds it.
        while self.events > 0
            && (self.events >= self.bounds.events || self.bytes + size > self.bounds.bytes)
        {
            self.drop_oldest();
        }
        self.events += 1;
        self.bytes += size;
        self.entries.push_back(Entry::Event(event));
    }

    fn resync(&mut self, mut reason: ResyncReason) {
        // Marks with nothing between them are one, so that they cannot pile up.
        while let Some(Entry::Mark(mark)) = self.entries.back() {
            if let Mark::Resync(before) = mark {
                reason = worst(*before, reason);
            }
            self.entries.pop_back();
        }
        self.entries.push_back(Entry::Mark(Mark::Resync(reason)));
    }

    fn forget_old_connections(&mut self) {
        let is_resync = |entry: &Entry| matches!(entry, Entry::Mark(Mark::Resync(_)));
        match self.entries.iter().rposition(is_resync) {
            Some(newest) => {
                self.dropped = Dropped::default();
                for _ in 0..=newest {
                    if let Some(Entry::Event(event)) = self.entries.pop_front() {
                        self.events -= 1;
                        self.bytes -= event.size();
                    }
                }
            }
            None => self.dropped.resync = None,
        }
    }

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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use futures_util::task::noop_waker_ref;
    use proptest::prelude::*;

    use super::*;

    fn queue(events: usize, bytes: usize) -> Queue {
        Queue::bounded(Bounds { events, bytes })
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
                let (mut events, mut entries) = (0, 0);
                queue.update(|state| (events, entries) = (state.events, state.entries.len()));
                prop_assert!(events <= capacity);
                prop_assert!(entries <= 3 * capacity + 2);
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
            let mut bytes = usize::MAX;
            queue.update(|state| bytes = state.bytes);
            prop_assert_eq!(bytes, 0);
        }
    }
}
