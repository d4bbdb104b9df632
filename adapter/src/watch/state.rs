//! State machine of a watch. No I/O and no clock.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{SyncReason, Update};
use crate::event::{Event, EventItem, ResyncReason};
use crate::logic::error::Error;
use crate::protocol::GatewayError;

/// The shortest pause before a retry after a gateway that asked for a later request.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause of the schedule.
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// Number of requests in a row without a pause.
const FREE_REQUESTS: u32 = 3;
/// Time without a request after which the schedule starts over.
pub(crate) const CALM: Duration = Duration::from_secs(60);

/// Returns the pause before a request that follows so many others, whatever they were answered.
fn pause_after(requests: u32) -> Duration {
    let Some(repeats) = requests.checked_sub(FREE_REQUESTS) else {
        return Duration::ZERO;
    };
    MOST_PAUSE.min(LEAST_PAUSE * 2_u32.saturating_pow(repeats.min(16)))
}

/// Subject of a watch.
pub(crate) trait Topic {
    /// The answer to asking for events and for a snapshot.
    type Answer;
    /// Snapshot for the consumer.
    type Snapshot;
    /// Update for the consumer.
    type Live;

    /// Takes an answer; `None` if it has to be asked for in another way.
    fn snapshot(&mut self, answer: Self::Answer) -> Option<Self::Snapshot>;

    /// Takes an event that came after the snapshot was asked for.
    fn live(&mut self, event: &Event) -> Relevance<Self::Live>;
}

/// Meaning of an event for a watch.
#[derive(Debug)]
pub(crate) enum Relevance<L> {
    /// News for the consumer.
    New(L),
    /// Known already, or about something else.
    Irrelevant,
    /// A sign that the last snapshot is out of date.
    Stale(SyncReason),
}

/// Next action of a watch's driver.
pub(crate) enum Action<T: Topic> {
    /// Yield this item to the consumer.
    Yield(WatchItem<T>),
    /// Send the request.
    Request,
    /// Wait for the answer and give it to [`WatchState::on_answer`].
    AwaitAnswer,
    /// Read the next event item and give it to [`WatchState::on_item`].
    AwaitEvent,
    /// Sleep for this time, then call [`WatchState::on_slept`].
    Sleep(Duration),
    /// End: the watch is over.
    End,
}

/// An item for the consumer.
pub(crate) type WatchItem<T> = Result<Update<<T as Topic>::Snapshot, <T as Topic>::Live>, Error>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The request is due.
    Due,
    /// The request was sent. Events wait in their stream, and so come after the snapshot.
    Requested,
    /// The gateway asked for a later request.
    Sleeping(Duration),
    /// The consumer has a snapshot.
    Live,
    /// The connection was lost meanwhile. The next one announces itself in the events.
    AwaitingConnection,
    Ended,
}

/// State of one watch.
pub(crate) struct WatchState<T: Topic> {
    pub(crate) topic: T,
    phase: Phase,
    /// Requests since the last time of calm.
    requests: u32,
    has_slept: bool,
    items: VecDeque<WatchItem<T>>,
}

impl<T: Topic> WatchState<T> {
    pub(crate) fn new(topic: T) -> Self {
        let mut state = Self {
            topic,
            phase: Phase::Due,
            requests: 0,
            has_slept: false,
            items: VecDeque::new(),
        };
        state.resync(SyncReason::Started);
        state
    }

    pub(crate) fn next_action(&mut self) -> Action<T> {
        if let Some(item) = self.items.pop_front() {
            return Action::Yield(item);
        }
        match self.phase {
            Phase::Due => {
                let pause = pause_after(self.requests);
                if !self.has_slept && !pause.is_zero() {
                    self.phase = Phase::Sleeping(pause);
                    return Action::Sleep(pause);
                }
                self.has_slept = false;
                self.requests = self.requests.saturating_add(1);
                self.phase = Phase::Requested;
                Action::Request
            }
            Phase::Requested => Action::AwaitAnswer,
            Phase::Sleeping(time) => Action::Sleep(time),
            Phase::Live | Phase::AwaitingConnection => Action::AwaitEvent,
            Phase::Ended => Action::End,
        }
    }

    /// Takes the answer, or the error instead of it.
    pub(crate) fn on_answer(&mut self, answer: Result<T::Answer, Error>) {
        self.phase = match answer {
            Ok(answer) => match self.topic.snapshot(answer) {
                Some(snapshot) => {
                    self.items.push_back(Ok(Update::Snapshot(snapshot)));
                    Phase::Live
                }
                None => Phase::Due,
            },
            // It was sent, or not, on a connection that is gone; the next one is announced.
            Err(Error::Disconnected { .. }) => Phase::AwaitingConnection,
            Err(Error::Timeout { .. }) => Phase::Due,
            Err(Error::Closed | Error::Draining { .. }) => Phase::Ended,
            Err(error) if error.is_retryable() => {
                let after = error.gateway_error().and_then(GatewayError::retry_after);
                Phase::Sleeping(
                    after
                        .unwrap_or_default()
                        .max(LEAST_PAUSE)
                        .max(pause_after(self.requests)),
                )
            }
            Err(error) => {
                self.items.push_back(Err(error));
                Phase::Ended
            }
        };
    }

    /// Records that the time of [`Action::Sleep`] has passed.
    pub(crate) fn on_slept(&mut self) {
        self.has_slept = true;
        self.phase = Phase::Due;
    }

    /// Records that no request was sent for [`CALM`].
    pub(crate) const fn on_calm(&mut self) {
        self.requests = 0;
    }

    /// Takes the next event item; `None` when the client is closed.
    pub(crate) fn on_item(&mut self, item: Option<EventItem>) {
        match item {
            None => self.phase = Phase::Ended,
            Some(EventItem::Resync(ResyncReason::Reconnected)) => {
                self.on_new_connection(SyncReason::Reconnected);
            }
            Some(EventItem::Resync(ResyncReason::GatewayRestarted)) => {
                self.on_new_connection(SyncReason::GatewayRestarted);
            }
            // Events from before the loss are covered by the next snapshot.
            Some(_) if self.phase == Phase::AwaitingConnection => {}
            Some(EventItem::Lagged(events)) => self.resync(SyncReason::Lagged { events }),
            Some(EventItem::Gap { expected, got }) => {
                self.resync(SyncReason::Gap { expected, got });
            }
            Some(EventItem::Event(event)) => self.on_event(&event),
        }
    }

    fn on_event(&mut self, event: &Arc<Event>) {
        match self.topic.live(event) {
            Relevance::New(live) => self.items.push_back(Ok(Update::Live(live))),
            Relevance::Irrelevant => {}
            Relevance::Stale(reason) => self.resync(reason),
        }
    }

    /// Connections have a schedule of their own, so that the first request of each needs no pause.
    fn on_new_connection(&mut self, reason: SyncReason) {
        self.requests = self.requests.min(FREE_REQUESTS - 1);
        self.resync(reason);
    }

    fn resync(&mut self, reason: SyncReason) {
        self.items.push_back(Ok(Update::Resync(reason)));
        self.phase = Phase::Due;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::error::Delivery;

    /// A number that grows: the snapshot has it, an event adds one.
    #[derive(Debug, Default)]
    struct Count {
        refuses: u32,
    }

    impl Topic for Count {
        type Answer = u64;
        type Snapshot = u64;
        type Live = String;

        fn snapshot(&mut self, answer: u64) -> Option<u64> {
            let refused = self.refuses > 0;
            self.refuses = self.refuses.saturating_sub(1);
            (!refused).then_some(answer)
        }

        fn live(&mut self, event: &Event) -> Relevance<String> {
            match event.name() {
                "other" => Relevance::Irrelevant,
                "stale" => Relevance::Stale(SyncReason::ListChanged),
                name => Relevance::New(name.to_owned()),
            }
        }
    }

    const RESYNC: EventItem = EventItem::Resync(ResyncReason::Reconnected);

    fn event(name: &str) -> EventItem {
        EventItem::Event(Arc::new(Event::new(name, None, None)))
    }

    fn lost() -> Error {
        Error::Disconnected {
            method: "m".into(),
            delivery: Delivery::Unknown,
        }
    }

    /// Collects all items until another action is needed, and that action.
    fn run(state: &mut WatchState<Count>) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            said.push(match state.next_action() {
                Action::Yield(Ok(Update::Resync(reason))) => reason.to_string(),
                Action::Yield(Ok(Update::Snapshot(n))) => format!("snapshot {n}"),
                Action::Yield(Ok(Update::Live(name))) => name,
                Action::Yield(Err(error)) => error.to_string(),
                Action::Request => "ask".to_owned(),
                Action::AwaitAnswer => {
                    said.push("answer?".to_owned());
                    return said;
                }
                Action::AwaitEvent => {
                    said.push("event?".to_owned());
                    return said;
                }
                Action::Sleep(time) => {
                    said.push(format!("rest {time:?}"));
                    return said;
                }
                Action::End => {
                    said.push("over".to_owned());
                    return said;
                }
            });
        }
    }

    fn live() -> WatchState<Count> {
        let mut state = WatchState::new(Count::default());
        run(&mut state);
        state.on_answer(Ok(1));
        run(&mut state);
        state
    }

    #[test]
    fn a_watch_begins_with_a_resync_and_a_snapshot() {
        let mut state = WatchState::new(Count::default());
        assert_eq!(run(&mut state), ["started", "ask", "answer?"]);
        state.on_answer(Ok(7));
        assert_eq!(run(&mut state), ["snapshot 7", "event?"]);
        state.on_item(Some(event("a")));
        state.on_item(Some(event("other")));
        assert_eq!(run(&mut state), ["a", "event?"]);
    }

    #[test]
    fn what_is_missing_is_asked_for_again() {
        for (item, said) in [
            (RESYNC, "reconnected"),
            (
                EventItem::Resync(ResyncReason::GatewayRestarted),
                "gateway-restarted",
            ),
            (EventItem::Lagged(3), "lagged"),
            (
                EventItem::Gap {
                    expected: 2,
                    got: 4,
                },
                "gap",
            ),
            (event("stale"), "list-changed"),
        ] {
            let mut state = live();
            state.on_item(Some(item));
            assert_eq!(run(&mut state), [said, "ask", "answer?"]);
            state.on_answer(Ok(8));
            assert_eq!(run(&mut state), ["snapshot 8", "event?"]);
        }
    }

    #[test]
    fn a_connection_lost_while_asking_is_asked_again_once_on_the_next() {
        let mut state = live();
        state.on_item(Some(EventItem::Lagged(1)));
        run(&mut state);
        state.on_answer(Err(lost()));
        assert_eq!(run(&mut state), ["event?"]);
        state.on_item(Some(event("before the loss")));
        assert_eq!(run(&mut state), ["event?"]);
        state.on_item(Some(RESYNC));
        assert_eq!(run(&mut state), ["reconnected", "ask", "answer?"]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_asked_for_in_another_way() {
        let mut state = WatchState::new(Count { refuses: 1 });
        run(&mut state);
        state.on_answer(Ok(1));
        assert_eq!(run(&mut state), ["ask", "answer?"]);
        state.on_answer(Ok(2));
        assert_eq!(run(&mut state), ["snapshot 2", "event?"]);
    }

    #[test]
    fn a_gateway_that_says_later_is_asked_later_and_one_that_refuses_ends_it() {
        let call = |retryable| Error::Call {
            method: "m".into(),
            error: Arc::new(GatewayError {
                retryable: Some(retryable),
                retry_after_ms: retryable.then_some(250.0),
                ..GatewayError::from_words("no")
            }),
            payload: None,
        };
        let mut state = live();
        state.on_item(Some(EventItem::Lagged(1)));
        run(&mut state);
        state.on_answer(Err(call(true)));
        assert_eq!(run(&mut state), ["rest 250ms"]);
        state.on_slept();
        assert_eq!(run(&mut state), ["ask", "answer?"]);
        state.on_answer(Err(call(false)));
        let said = run(&mut state);
        assert_eq!((said.len(), &*said[1]), (2, "over"));
    }

    #[test]
    fn it_is_over_when_the_client_is_closed() {
        let mut state = live();
        state.on_item(None);
        assert_eq!(run(&mut state), ["over"]);
        let mut state = WatchState::new(Count::default());
        run(&mut state);
        state.on_answer(Err(Error::Closed));
        assert_eq!(run(&mut state), ["over"]);
    }

    /// Gives the answers that a strange gateway gives for ever, and returns the requests of ten minutes,
    /// and the connections, whose number is bounded elsewhere.
    fn requests_in_ten_minutes(mut odd: impl FnMut() -> u8) -> (u32, u32) {
        let mut state = WatchState::new(Count { refuses: u32::MAX });
        let (mut requests, mut connections, mut elapsed) = (0, 0, Duration::ZERO);
        for _ in 0..100_000 {
            match state.next_action() {
                Action::Request => requests += 1,
                Action::Sleep(time) => {
                    elapsed += time;
                    state.on_slept();
                }
                Action::AwaitAnswer => match odd() {
                    0 => state.on_answer(Ok(1)),
                    1 => {
                        state.topic.refuses = 0;
                        state.on_answer(Ok(1));
                        state.topic.refuses = u32::MAX;
                    }
                    2 => state.on_answer(Err(lost())),
                    3 => state.on_answer(Err(Error::Timeout {
                        method: "m".into(),
                        after: Duration::ZERO,
                        delivery: Delivery::Unknown,
                    })),
                    _ => state.on_answer(Err(Error::Call {
                        method: "m".into(),
                        error: Arc::new(GatewayError {
                            retryable: Some(true),
                            ..GatewayError::from_words("no")
                        }),
                        payload: None,
                    })),
                },
                Action::AwaitEvent => state.on_item(Some(match odd() {
                    0 => event("stale"),
                    1 => EventItem::Lagged(1),
                    2 => EventItem::Gap {
                        expected: 1,
                        got: 3,
                    },
                    _ => {
                        connections += 1;
                        RESYNC
                    }
                })),
                Action::Yield(_) => {}
                Action::End => break,
            }
            if elapsed > Duration::from_secs(600) {
                break;
            }
        }
        (requests, connections)
    }

    #[test]
    fn a_gateway_that_never_sends_a_snapshot_is_asked_on_a_schedule() {
        assert!(requests_in_ten_minutes(|| 0).0 < 40);
    }

    proptest! {
        #[test]
        fn no_odd_gateway_is_asked_without_a_pause(
            odd in proptest::collection::vec(0_u8..5, 1..50),
        ) {
            let mut odd = odd.into_iter().cycle();
            let (requests, connections) =
                requests_in_ten_minutes(|| odd.next().unwrap_or_default());
            // A connection allows one request at once, and brings the pauses down.
            prop_assert!(requests < 40 + 20 * connections, "{} in {}", requests, connections);
        }

        /// Whatever happens: every `Resync` is followed by one snapshot before anything live, and
        /// nothing live comes without a snapshot.
        #[test]
        fn live_news_always_stand_behind_a_snapshot(steps in proptest::collection::vec(0_u8..8, 0..200)) {
            let mut state = WatchState::new(Count::default());
            let mut has_snapshot = false;
            for step in steps {
                match state.next_action() {
                    Action::Yield(Ok(Update::Resync(_))) => has_snapshot = false,
                    Action::Yield(Ok(Update::Snapshot(_))) => {
                        prop_assert!(!has_snapshot);
                        has_snapshot = true;
                    }
                    Action::Yield(Ok(Update::Live(_))) => prop_assert!(has_snapshot),
                    Action::Yield(Err(error)) => prop_assert!(false, "{}", error),
                    Action::Request => {}
                    Action::AwaitAnswer => state.on_answer(match step {
                        0..=4 => Ok(1),
                        5 => Err(lost()),
                        _ => Err(Error::Timeout {
                            method: "m".into(),
                            after: Duration::ZERO,
                            delivery: Delivery::Unknown,
                        }),
                    }),
                    Action::AwaitEvent => state.on_item(Some(match step {
                        0..=3 => event("a"),
                        4 => RESYNC,
                        5 => EventItem::Lagged(1),
                        6 => EventItem::Gap { expected: 1, got: 3 },
                        _ => event("stale"),
                    })),
                    Action::Sleep(_) => state.on_slept(),
                    Action::End => prop_assert!(false, "it ended"),
                }
                prop_assert!(state.items.len() <= 2);
            }
        }
    }
}
