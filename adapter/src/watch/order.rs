//! In which order a watch tells things. No I/O and no clock.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{SyncReason, Update};
use crate::event::{Event, EventItem, ResyncReason};
use crate::logic::error::Error;
use crate::protocol::GatewayError;

/// The shortest pause before a gateway that said "later" is asked again.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// What is watched.
pub(crate) trait Topic {
    /// The answer to asking for events and for a snapshot.
    type Answer;
    /// What the consumer gets of it.
    type Snapshot;
    /// What the consumer gets of an event.
    type Live;

    /// Takes an answer; `None` if it has to be asked for in another way.
    fn snapshot(&mut self, answer: Self::Answer) -> Option<Self::Snapshot>;

    /// Takes an event that came after the snapshot was asked for.
    fn live(&mut self, event: &Event) -> Heard<Self::Live>;
}

/// What an event is to a watch.
#[derive(Debug)]
pub(crate) enum Heard<L> {
    /// Something to tell.
    News(L),
    /// Known already, or about something else.
    Nothing,
    /// A sign that what was told is no longer true.
    OutOfDate(SyncReason),
}

/// What the watch needs next.
pub(crate) enum Need<T: Topic> {
    /// Hand this to the consumer.
    Tell(Told<T>),
    /// Ask the gateway, and give the answer to [`Order::answered`].
    Ask,
    /// The answer.
    Answer,
    /// The next of the events, for [`Order::heard`].
    Event,
    /// Let this time pass, then call [`Order::rested`].
    Rest(Duration),
    /// Nothing: it is over.
    Nothing,
}

/// What a consumer is told.
pub(crate) type Told<T> = Result<Update<<T as Topic>::Snapshot, <T as Topic>::Live>, Error>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The gateway is to be asked.
    Due,
    /// The gateway was asked. Events wait in their stream, and so come after the snapshot.
    Asking,
    /// The gateway said "later".
    Resting(Duration),
    /// The consumer has a snapshot.
    Live,
    /// The connection was lost while asking. The next one announces itself in the events.
    Lost,
    Over,
}

/// The order of one watch.
pub(crate) struct Order<T: Topic> {
    pub(crate) topic: T,
    phase: Phase,
    told: VecDeque<Told<T>>,
}

impl<T: Topic> Order<T> {
    pub(crate) fn new(topic: T) -> Self {
        let mut order = Self {
            topic,
            phase: Phase::Due,
            told: VecDeque::new(),
        };
        order.ask(SyncReason::Started);
        order
    }

    pub(crate) fn need(&mut self) -> Need<T> {
        if let Some(told) = self.told.pop_front() {
            return Need::Tell(told);
        }
        match self.phase {
            Phase::Due => {
                self.phase = Phase::Asking;
                Need::Ask
            }
            Phase::Asking => Need::Answer,
            Phase::Resting(time) => Need::Rest(time),
            Phase::Live | Phase::Lost => Need::Event,
            Phase::Over => Need::Nothing,
        }
    }

    /// The gateway has answered, or will not.
    pub(crate) fn answered(&mut self, answer: Result<T::Answer, Error>) {
        self.phase = match answer {
            Ok(answer) => match self.topic.snapshot(answer) {
                Some(snapshot) => {
                    self.told.push_back(Ok(Update::Snapshot(snapshot)));
                    Phase::Live
                }
                None => Phase::Due,
            },
            // It was sent, or not, on a connection that is gone; the next one is announced.
            Err(Error::Disconnected { .. }) => Phase::Lost,
            Err(Error::Timeout { .. }) => Phase::Due,
            Err(Error::Closed | Error::Draining { .. }) => Phase::Over,
            Err(error) if error.is_retryable() => {
                let after = error.gateway_error().and_then(GatewayError::retry_after);
                Phase::Resting(after.unwrap_or_default().max(LEAST_PAUSE))
            }
            Err(error) => {
                self.told.push_back(Err(error));
                Phase::Over
            }
        };
    }

    /// The time of [`Need::Rest`] has passed.
    pub(crate) fn rested(&mut self) {
        self.phase = Phase::Due;
    }

    /// The next of the events; `None` when the client is closed.
    pub(crate) fn heard(&mut self, item: Option<EventItem>) {
        match item {
            None => self.phase = Phase::Over,
            Some(EventItem::Resync(ResyncReason::Reconnected)) => {
                self.ask(SyncReason::Reconnected);
            }
            Some(EventItem::Resync(ResyncReason::GatewayRestarted)) => {
                self.ask(SyncReason::GatewayRestarted);
            }
            // What was told before the loss is out of date anyway, and will be told anew.
            Some(_) if self.phase == Phase::Lost => {}
            Some(EventItem::Lagged(events)) => self.ask(SyncReason::Lagged { events }),
            Some(EventItem::Gap { expected, got }) => self.ask(SyncReason::Gap { expected, got }),
            Some(EventItem::Event(event)) => self.event(&event),
        }
    }

    fn event(&mut self, event: &Arc<Event>) {
        match self.topic.live(event) {
            Heard::News(live) => self.told.push_back(Ok(Update::Live(live))),
            Heard::Nothing => {}
            Heard::OutOfDate(reason) => self.ask(reason),
        }
    }

    fn ask(&mut self, reason: SyncReason) {
        self.told.push_back(Ok(Update::Resync(reason)));
        self.phase = Phase::Due;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::error::Delivery;

    /// A number that grows: the snapshot tells it, an event says that it is one more.
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

        fn live(&mut self, event: &Event) -> Heard<String> {
            match event.name() {
                "other" => Heard::Nothing,
                "stale" => Heard::OutOfDate(SyncReason::ListChanged),
                name => Heard::News(name.to_owned()),
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

    /// Everything that is told until something else is needed, and what that is.
    fn run(order: &mut Order<Count>) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            said.push(match order.need() {
                Need::Tell(Ok(Update::Resync(reason))) => reason.to_string(),
                Need::Tell(Ok(Update::Snapshot(n))) => format!("snapshot {n}"),
                Need::Tell(Ok(Update::Live(name))) => name,
                Need::Tell(Err(error)) => error.to_string(),
                Need::Ask => "ask".to_owned(),
                Need::Answer => {
                    said.push("answer?".to_owned());
                    return said;
                }
                Need::Event => {
                    said.push("event?".to_owned());
                    return said;
                }
                Need::Rest(time) => {
                    said.push(format!("rest {time:?}"));
                    return said;
                }
                Need::Nothing => {
                    said.push("over".to_owned());
                    return said;
                }
            });
        }
    }

    fn live() -> Order<Count> {
        let mut order = Order::new(Count::default());
        run(&mut order);
        order.answered(Ok(1));
        run(&mut order);
        order
    }

    #[test]
    fn a_watch_begins_with_a_resync_and_a_snapshot() {
        let mut order = Order::new(Count::default());
        assert_eq!(run(&mut order), ["started", "ask", "answer?"]);
        order.answered(Ok(7));
        assert_eq!(run(&mut order), ["snapshot 7", "event?"]);
        order.heard(Some(event("a")));
        order.heard(Some(event("other")));
        assert_eq!(run(&mut order), ["a", "event?"]);
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
            let mut order = live();
            order.heard(Some(item));
            assert_eq!(run(&mut order), [said, "ask", "answer?"]);
            order.answered(Ok(8));
            assert_eq!(run(&mut order), ["snapshot 8", "event?"]);
        }
    }

    #[test]
    fn a_connection_lost_while_asking_is_asked_again_once_on_the_next() {
        let mut order = live();
        order.heard(Some(EventItem::Lagged(1)));
        run(&mut order);
        order.answered(Err(lost()));
        assert_eq!(run(&mut order), ["event?"]);
        order.heard(Some(event("before the loss")));
        assert_eq!(run(&mut order), ["event?"]);
        order.heard(Some(RESYNC));
        assert_eq!(run(&mut order), ["reconnected", "ask", "answer?"]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_asked_for_in_another_way() {
        let mut order = Order::new(Count { refuses: 1 });
        run(&mut order);
        order.answered(Ok(1));
        assert_eq!(run(&mut order), ["ask", "answer?"]);
        order.answered(Ok(2));
        assert_eq!(run(&mut order), ["snapshot 2", "event?"]);
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
        let mut order = live();
        order.heard(Some(EventItem::Lagged(1)));
        run(&mut order);
        order.answered(Err(call(true)));
        assert_eq!(run(&mut order), ["rest 250ms"]);
        order.rested();
        assert_eq!(run(&mut order), ["ask", "answer?"]);
        order.answered(Err(call(false)));
        let said = run(&mut order);
        assert_eq!((said.len(), &*said[1]), (2, "over"));
    }

    #[test]
    fn it_is_over_when_the_client_is_closed() {
        let mut order = live();
        order.heard(None);
        assert_eq!(run(&mut order), ["over"]);
        let mut order = Order::new(Count::default());
        run(&mut order);
        order.answered(Err(Error::Closed));
        assert_eq!(run(&mut order), ["over"]);
    }

    proptest! {
        /// Whatever happens: every `Resync` is followed by one snapshot before anything live, and
        /// nothing live comes without a snapshot.
        #[test]
        fn live_news_always_stand_behind_a_snapshot(steps in proptest::collection::vec(0_u8..8, 0..200)) {
            let mut order = Order::new(Count::default());
            let mut has_snapshot = false;
            for step in steps {
                match order.need() {
                    Need::Tell(Ok(Update::Resync(_))) => has_snapshot = false,
                    Need::Tell(Ok(Update::Snapshot(_))) => {
                        prop_assert!(!has_snapshot);
                        has_snapshot = true;
                    }
                    Need::Tell(Ok(Update::Live(_))) => prop_assert!(has_snapshot),
                    Need::Tell(Err(error)) => prop_assert!(false, "{}", error),
                    Need::Ask => {}
                    Need::Answer => order.answered(match step {
                        0..=4 => Ok(1),
                        5 => Err(lost()),
                        _ => Err(Error::Timeout {
                            method: "m".into(),
                            after: Duration::ZERO,
                            delivery: Delivery::Unknown,
                        }),
                    }),
                    Need::Event => order.heard(Some(match step {
                        0..=3 => event("a"),
                        4 => RESYNC,
                        5 => EventItem::Lagged(1),
                        6 => EventItem::Gap { expected: 1, got: 3 },
                        _ => event("stale"),
                    })),
                    Need::Rest(_) => order.rested(),
                    Need::Nothing => prop_assert!(false, "it ended"),
                }
                prop_assert!(order.told.len() <= 2);
            }
        }
    }
}
