//! One connection after hello-ok: who waits for which answer, and whether the link is alive. No I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::protocol::frame::{self, Incoming};
use crate::protocol::{GatewayError, Policy};

/// An answer to a call, as it came.
#[derive(Debug)]
pub(crate) enum Answer {
    Ok(Option<Box<RawValue>>),
    Refused(Box<GatewayError>),
}

/// What a frame means.
#[derive(Debug)]
pub(crate) enum Output<C> {
    /// The caller has its answer.
    Answered { caller: C, answer: Answer },
    /// The gateway says that it goes down. `back_in` is how long it expects to be away; `None`
    /// if it does not say that it comes back.
    Shutdown { back_in: Option<Duration> },
    /// A sign of life, and nothing else.
    Nothing,
    /// An answer that nobody waits for, or no frame at all: counted and ignored. Gateways answer
    /// a malformed frame under the id `invalid`.
    Stray,
}

/// The state of one connection. `C` is what completes a caller.
#[derive(Debug)]
pub(crate) struct Session<C> {
    pending: HashMap<String, C>,
    last_inbound: Instant,
    silence: Duration,
    max_payload: usize,
    shutdown_announced: bool,
}

impl<C> Session<C> {
    pub(crate) fn new(policy: &Policy, now: Instant) -> Self {
        Self {
            pending: HashMap::new(),
            last_inbound: now,
            silence: policy.tick_interval * 2,
            max_payload: policy.max_payload,
            shutdown_announced: false,
        }
    }

    /// The largest frame that the gateway reads.
    pub(crate) const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Notes a call before it is written.
    pub(crate) fn begin(&mut self, id: String, caller: C) {
        self.pending.insert(id, caller);
    }

    /// The caller does not wait any more.
    pub(crate) fn forget(&mut self, id: &str) {
        self.pending.remove(id);
    }

    /// The connection has ended: everybody who still waits.
    pub(crate) fn end(self) -> impl Iterator<Item = C> {
        self.pending.into_values()
    }

    /// Anything at all arrived, even a ping.
    pub(crate) const fn alive(&mut self, now: Instant) {
        self.last_inbound = now;
    }

    /// When the link counts as dead if nothing arrives. Gateways tick every 30 s; the reference
    /// client gives up after twice the interval too.
    pub(crate) fn dead_at(&self) -> Instant {
        self.last_inbound + self.silence
    }

    /// Whether the gateway has said that it goes down.
    pub(crate) const fn is_shutdown_announced(&self) -> bool {
        self.shutdown_announced
    }

    /// Takes one text frame.
    pub(crate) fn on_text(&mut self, now: Instant, text: &str) -> Output<C> {
        self.alive(now);
        match frame::parse(text) {
            Ok(Incoming::Response(response)) => {
                let Some(caller) = response.id.and_then(|id| self.pending.remove(&*id)) else {
                    return Output::Stray;
                };
                let answer = if response.ok {
                    Answer::Ok(response.payload.map(ToOwned::to_owned))
                } else {
                    Answer::Refused(Box::new(response.error.unwrap_or_else(|| {
                        GatewayError::from_words("the gateway refused without saying why")
                    })))
                };
                Output::Answered { caller, answer }
            }
            Ok(Incoming::Event(event)) if event.name == "shutdown" => {
                self.shutdown_announced = true;
                Output::Shutdown {
                    back_in: event.payload.and_then(back_in),
                }
            }
            Ok(Incoming::Event(_) | Incoming::Other) => Output::Nothing,
            Err(_) => Output::Stray,
        }
    }
}

/// `restartExpectedMs` of a `shutdown` event; absent or null when the gateway stops for good.
fn back_in(payload: &RawValue) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shutdown {
        #[serde(default)]
        restart_expected_ms: Option<u32>,
    }
    let shutdown: Shutdown = serde_json::from_str(payload.get()).ok()?;
    shutdown
        .restart_expected_ms
        .map(|ms| Duration::from_millis(ms.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> Policy {
        Policy {
            max_payload: 1000,
            max_buffered_bytes: 1000,
            tick_interval: Duration::from_secs(30),
        }
    }

    fn session() -> (Session<u32>, Instant) {
        let now = Instant::now();
        (Session::new(&policy(), now), now)
    }

    #[test]
    fn an_answer_goes_to_its_caller_and_only_once() {
        let (mut session, now) = session();
        session.begin("a".into(), 1);
        let text = r#"{"type":"res","id":"a","ok":true,"payload":{"x":1}}"#;
        let Output::Answered {
            caller: 1,
            answer: Answer::Ok(Some(payload)),
        } = session.on_text(now, text)
        else {
            panic!("no answer");
        };
        assert_eq!(payload.get(), r#"{"x":1}"#);
        assert!(matches!(session.on_text(now, text), Output::Stray));
    }

    #[test]
    fn an_answer_to_a_forgotten_call_is_stray() {
        let (mut session, now) = session();
        session.begin("a".into(), 1);
        session.forget("a");
        assert!(matches!(
            session.on_text(now, r#"{"type":"res","id":"a","ok":true}"#),
            Output::Stray
        ));
        assert_eq!(session.end().count(), 0);
    }

    #[test]
    fn any_frame_is_a_sign_of_life() {
        let (mut session, now) = session();
        assert_eq!(session.dead_at(), now + Duration::from_secs(60));
        let later = now + Duration::from_secs(50);
        session.on_text(later, "no frame at all");
        assert_eq!(session.dead_at(), later + Duration::from_secs(60));
    }

    #[test]
    fn a_restart_is_told_from_a_stop() {
        let (mut session, now) = session();
        let restart = r#"{"type":"event","event":"shutdown","payload":{"reason":"gateway restarting","restartExpectedMs":1500}}"#;
        assert!(matches!(
            session.on_text(now, restart),
            Output::Shutdown { back_in: Some(back_in) } if back_in == Duration::from_millis(1500)
        ));
        let stop = r#"{"type":"event","event":"shutdown","payload":{"reason":"gateway stopping","restartExpectedMs":null}}"#;
        assert!(matches!(
            session.on_text(now, stop),
            Output::Shutdown { back_in: None }
        ));
        assert!(session.is_shutdown_announced());
    }

    proptest! {
        #[test]
        fn every_caller_is_completed_or_left_exactly_once(ops in proptest::collection::vec((0_u8..3, 0_u32..8), 0..200)) {
            let (mut session, now) = session();
            let mut open = std::collections::BTreeMap::new();
            for (step, (op, key)) in ops.into_iter().enumerate() {
                let id = key.to_string();
                let caller = u32::try_from(step).unwrap();
                match op {
                    0 if !open.contains_key(&id) => {
                        session.begin(id.clone(), caller);
                        open.insert(id, caller);
                    }
                    0 => {}
                    1 => {
                        let output = session.on_text(now, &format!(r#"{{"type":"res","id":"{id}","ok":true}}"#));
                        match (open.remove(&id), output) {
                            (Some(expected), Output::Answered { caller, .. }) => prop_assert_eq!(caller, expected),
                            (None, Output::Stray) => {}
                            (expected, output) => prop_assert!(false, "{:?} {:?}", expected, output),
                        }
                    }
                    _ => {
                        session.forget(&id);
                        open.remove(&id);
                    }
                }
            }
            let mut left: Vec<_> = session.end().collect();
            left.sort_unstable();
            let mut expected: Vec<_> = open.into_values().collect();
            expected.sort_unstable();
            prop_assert_eq!(left, expected);
        }
    }
}
