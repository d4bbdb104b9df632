use proptest::prelude::*;

use super::*;
use crate::protocol::connect::tests::hello;

fn session(protocol: u32) -> (Session<u32>, Instant) {
    let now = Instant::now();
    (Session::new(&hello(protocol), now), now)
}

fn once(session: &mut Session<u32>, id: u64, caller: u32) {
    session.begin(id, AnswerMode::Once, caller);
}

fn is_stray(output: &Output<'_, u32>) -> bool {
    matches!(output, Output::Stray)
}

#[test]
fn an_answer_goes_to_its_caller_and_only_once() {
    let (mut session, now) = session(4);
    once(&mut session, 1, 11);
    let text = r#"{"type":"res","id":"1","ok":true,"payload":{"x":1}}"#;
    let Output::Answered { caller: 11, answer } = session.on_text(now, text) else {
        panic!("no answer");
    };
    assert_eq!(answer.payload.unwrap().get(), r#"{"x":1}"#);
    assert!(answer.error.is_none());
    assert!(is_stray(&session.on_text(now, text)));
}

#[test]
fn a_failure_keeps_its_payload_beside_its_error() {
    let (mut session, now) = session(3);
    session.begin(1, AnswerMode::AcceptedThenFinal, 11);
    let text = r#"{"type":"res","id":"1","ok":false,"payload":{"runId":"k","status":"error","summary":"no"},
        "error":{"code":"UNAVAILABLE","message":"no"}}"#;
    let Output::Answered { answer, .. } = session.on_text(now, text) else {
        panic!("no answer");
    };
    assert!(answer.payload.unwrap().get().contains("summary"));
    assert_eq!(answer.error.unwrap().code, "UNAVAILABLE");
}

#[test]
fn only_a_call_with_two_answers_stays_after_accepted() {
    let (mut session, now) = session(4);
    let accepted = |id| {
        format!(
            r#"{{"type":"res","id":"{id}","ok":true,"payload":{{"runId":"r","status":"accepted"}}}}"#
        )
    };
    session.begin(1, AnswerMode::AcceptedThenFinal, 11);
    once(&mut session, 2, 22);
    let text = accepted(1);
    let output = session.on_text(now, &text);
    assert!(matches!(
        output,
        Output::Accepted {
            caller: &mut 11,
            ..
        }
    ));
    let text = accepted(2);
    let output = session.on_text(now, &text);
    assert!(matches!(output, Output::Answered { caller: 22, .. }));
    let text = r#"{"type":"res","id":"1","ok":true,"payload":{"runId":"r","status":"ok"}}"#;
    let output = session.on_text(now, text);
    assert!(matches!(output, Output::Answered { caller: 11, .. }));
    assert_eq!(session.waiting(), 0);
}

/// Measured on 2026.9.6: the key of a run that goes on is answered `in_flight`, and never again.
#[test]
fn every_other_first_answer_is_the_only_one() {
    for status in ["in_flight", "ok", "started", "error"] {
        let (mut session, now) = session(4);
        session.begin(1, AnswerMode::AcceptedThenFinal, 11);
        let text =
            format!(r#"{{"type":"res","id":"1","ok":true,"payload":{{"status":"{status}"}}}}"#);
        let output = session.on_text(now, &text);
        assert!(matches!(output, Output::Answered { .. }), "{status}");
    }
}

#[test]
fn an_answer_to_a_forgotten_call_is_stray() {
    let (mut session, now) = session(4);
    once(&mut session, 1, 11);
    session.forget(1);
    assert!(is_stray(
        &session.on_text(now, r#"{"type":"res","id":"1","ok":true}"#)
    ));
    assert_eq!(session.end().count(), 0);
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let (mut session, now) = session(4);
    assert_eq!(session.dead_at(), now + Duration::from_secs(60));
    let later = now + Duration::from_secs(50);
    session.on_text(later, "no frame at all");
    assert_eq!(session.dead_at(), later + Duration::from_secs(60));
}

fn gap(session: &mut Session<u32>, now: Instant, seq: &str) -> Option<Gap> {
    let text = format!(r#"{{"type":"event","event":"tick","seq":{seq}}}"#);
    match session.on_text(now, &text) {
        Output::Event { gap, .. } => gap,
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn a_hole_in_the_numbers_of_protocol_4_is_a_gap() {
    let (mut session, now) = session(4);
    assert_eq!(gap(&mut session, now, "1"), None);
    assert_eq!(gap(&mut session, now, "null"), None);
    assert_eq!(gap(&mut session, now, "2"), None);
    let missing = Gap {
        expected: 3,
        got: 7,
    };
    assert_eq!(gap(&mut session, now, "7"), Some(missing));
    assert_eq!(gap(&mut session, now, "8"), None);
    assert_eq!(gap(&mut session, now, "8"), None);
    assert_eq!(
        gap(&mut session, now, &u64::MAX.to_string()).unwrap().got,
        u64::MAX
    );
}

#[test]
fn the_first_event_of_protocol_4_is_number_one() {
    let (mut session, now) = session(4);
    let missing = Gap {
        expected: 1,
        got: 2,
    };
    assert_eq!(gap(&mut session, now, "2"), Some(missing));
}

#[test]
fn the_numbers_of_protocol_3_have_holes_that_mean_nothing() {
    let (mut session, now) = session(3);
    assert_eq!(gap(&mut session, now, "254"), None);
    assert_eq!(gap(&mut session, now, "300"), None);
}

#[test]
fn a_shutdown_is_told_and_remembered() {
    let (mut session, now) = session(4);
    assert!(!session.is_shutdown_announced());
    let text = r#"{"type":"event","event":"shutdown","payload":{"reason":"gateway restarting","restartExpectedMs":1500}}"#;
    assert!(
        matches!(session.on_text(now, text), Output::Event { event, .. } if event.name == "shutdown")
    );
    assert!(session.is_shutdown_announced());
}

proptest! {
    #[test]
    fn every_caller_is_completed_or_left_exactly_once(ops in proptest::collection::vec((0_u8..4, 0_u64..8), 0..200)) {
        let (mut session, now) = session(4);
        let mut open = BTreeMap::new();
        for (step, (op, id)) in ops.into_iter().enumerate() {
            let caller = u32::try_from(step).unwrap();
            match op {
                0 if !open.contains_key(&id) => {
                    // What has one answer is at once where the other kind is after `accepted`.
                    let is_once = id % 2 == 0;
                    let mode = if is_once { AnswerMode::Once } else { AnswerMode::AcceptedThenFinal };
                    session.begin(id, mode, caller);
                    open.insert(id, (caller, is_once));
                }
                0 => {}
                1 => {
                    let text = format!(r#"{{"type":"res","id":"{id}","ok":true}}"#);
                    let output = session.on_text(now, &text);
                    let expected = open.remove(&id).map(|(caller, _)| caller);
                    match output {
                        Output::Answered { caller, .. } => prop_assert_eq!(Some(caller), expected),
                        Output::Stray => prop_assert_eq!(None, expected),
                        output => prop_assert!(false, "{:?}", output),
                    }
                }
                2 => {
                    let text = format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{{"status":"accepted"}}}}"#);
                    match (session.on_text(now, &text), open.get_mut(&id)) {
                        (Output::Accepted { caller, .. }, Some((expected, accepted @ false))) => {
                            prop_assert_eq!(*caller, *expected);
                            *accepted = true;
                        }
                        (Output::Answered { caller, .. }, Some((expected, true))) => {
                            prop_assert_eq!(caller, *expected);
                            open.remove(&id);
                        }
                        (Output::Stray, None) => {}
                        (output, expected) => prop_assert!(false, "{:?} {:?}", output, expected),
                    }
                }
                _ => {
                    session.forget(id);
                    open.remove(&id);
                }
            }
            prop_assert_eq!(session.waiting(), open.len());
        }
        let mut left: Vec<_> = session.end().collect();
        left.sort_unstable();
        let mut expected: Vec<_> = open.into_values().map(|(caller, _)| caller).collect();
        expected.sort_unstable();
        prop_assert_eq!(left, expected);
    }
}
