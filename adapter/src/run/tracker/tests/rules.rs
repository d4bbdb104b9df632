//! One rule a test.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::logic::error::Delivery;
use crate::protocol::GatewayError;
use crate::run::answer::{self, Ack};
use crate::run::tracker::schedule::PAUSE;

const MS: Duration = Duration::from_millis(1);

struct Play {
    tracker: Tracker,
    now: Instant,
    streamed: String,
    outcome: Option<RunOutcome>,
}

impl Play {
    fn new(kind: Kind, protocol: u32) -> Self {
        let now = Instant::now();
        let mut play = Self {
            tracker: Tracker::new(start(kind), Some(protocol), now),
            now,
            streamed: String::new(),
            outcome: None,
        };
        assert_eq!(play.tracker.next_action(now), Some(Action::Send));
        play.tracker.on_ack(now, Ack::Accepted, kind == Kind::Agent);
        play.look();
        play
    }

    fn look(&mut self) {
        if let Some(outcome) = drain(&mut self.tracker, &mut self.streamed) {
            assert!(self.outcome.is_none());
            self.outcome = Some(outcome);
        }
    }

    fn event(&mut self, name: &str, payload: &Value) -> &mut Self {
        let event = event::read(name, payload).unwrap();
        self.tracker.on_event(self.now, None, event);
        self.look();
        self
    }

    fn lifecycle(&mut self, data: &Value) -> &mut Self {
        self.event("agent", &json!({"stream":"lifecycle","data":data}))
    }

    fn begun(&mut self) -> &mut Self {
        self.lifecycle(&json!({"phase":"start","startedAt":1_000}))
    }

    fn said(&mut self, text: &str) -> &mut Self {
        self.event(
            "agent",
            &json!({"stream":"assistant","data":{"text":text,"delta":text}}),
        )
    }

    fn chat(&mut self, state: &str, text: Option<&str>) -> &mut Self {
        let mut payload = json!({"state":state});
        if let Some(text) = text {
            payload["message"] = json!({"content":[{"type":"text","text":text}]});
        }
        self.event("chat", &payload)
    }

    fn last(&mut self, payload: &Value) -> &mut Self {
        let verdict = answer::final_answer(payload, None, self.tracker.link.protocol());
        self.tracker.on_final_answer(self.now, verdict);
        self.look();
        self
    }

    /// Lets time pass until something is asked.
    fn asks(&mut self) -> Action {
        for _ in 0..100_000 {
            if let Some(ask) = self.tracker.next_action(self.now) {
                return ask;
            }
            self.pass(50 * MS);
        }
        panic!("nothing is asked: {:?}", self.tracker)
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.tracker.on_tick(self.now);
        self.look();
        self
    }

    fn waited(&mut self, payload: &Value) -> &mut Self {
        assert!(matches!(self.asks(), Action::Wait(_)));
        self.tracker
            .on_wait_answer(self.now, answer::wait_answer(payload));
        self.look();
        self
    }

    fn history(&mut self, payload: &Value) -> &mut Self {
        assert_eq!(self.asks(), Action::History);
        self.tracker.on_history(self.now, payload);
        self.look();
        self
    }

    fn down(&mut self) -> &mut Self {
        self.tracker.on_disconnected(self.now, None);
        self
    }

    fn up(&mut self, restarted: bool) -> &mut Self {
        let protocol = self.tracker.link.protocol();
        self.tracker.on_connected(self.now, protocol, restarted);
        self.look();
        self
    }

    #[track_caller]
    fn ends(&mut self, kind: &str, text: &str) {
        let outcome = self.outcome.as_ref().expect("no outcome");
        assert_eq!((outcome.kind(), outcome.text()), (kind, text));
    }
}

fn ok(texts: &[&str]) -> Value {
    let payloads: Vec<_> = texts.iter().map(|text| json!({"text":text})).collect();
    json!({"status":"ok","result":{"payloads":payloads,"meta":{"agentMeta":{"usage":{"output":7}}}}})
}

fn user(id: &str) -> Value {
    json!({"role":"user","content":"hi","idempotencyKey":format!("{id}:user"),"timestamp":1_001})
}

fn row(run: &str, text: &str, stop: &str) -> Value {
    json!({"role":"assistant","content":[{"type":"text","text":text}],"stopReason":stop,
        "timestamp":1_002,"__openclaw":{"runId":run}})
}

#[test]
fn the_final_answer_names_the_last_part_only_and_the_text_has_all() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().chat("delta", Some("Before.\n\nAfter."));
    play.chat("final", Some("Before.\n\nAfter."));
    assert!(play.outcome.is_none(), "the final answer is still to come");
    play.last(&ok(&["After."]));
    play.ends("done", "Before.\n\nAfter.");
}

#[test]
fn a_final_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().chat("final", Some("All."));
    play.pass(Duration::from_secs(6));
    play.ends("done", "All.");
}

#[test]
fn where_events_were_missed_the_history_has_the_whole_text() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().chat("delta", Some("Bef")).down().up(false);
    play.history(
        &json!({"messages":[user("r")],"sessionInfo":{"hasActiveRun":true},
        "inFlightRun":{"runId":"r","text":"Before.\n\nAf"}}),
    );
    assert_eq!(play.streamed, "Before.\n\nAf");
    play.waited(&json!({"status":"ok","endedAt":1,"terminalReply":{"text":"After."}}));
    play.history(
        &json!({"messages":[user("r"), row("r", "Before.", "toolUse"), row("r", "After.", "stop")]}),
    );
    play.ends("done", "Before.\n\nAfter.");
}

#[test]
fn a_reply_that_was_cut_is_not_taken_for_the_answer() {
    let whole = "x".repeat(9_000);
    let mut play = Play::new(Kind::Chat, 4);
    play.begun();
    play.waited(
        &json!({"status":"ok","endedAt":1,"terminalReply":{"text":whole[..4096].to_owned()}}),
    );
    assert!(play.outcome.is_none());
    play.history(&json!({"messages":[user("r"), row("r", &whole, "stop")]}));
    play.ends("done", &whole);
}

#[test]
fn reports_of_an_abort_that_contradict_are_one_outcome() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().chat("delta", Some("Par"));
    play.event(
        "chat",
        &json!({"state":"aborted","stopReason":"rpc","message":{"content":[{"type":"text","text":"Part"}]}}),
    );
    play.lifecycle(&json!({"phase":"end","status":"cancelled","aborted":true,"stopReason":"rpc"}));
    play.lifecycle(&json!({"phase":"error","error":"This operation was aborted","aborted":true,"executionSettled":true}));
    play.last(&json!({"status":"timeout","summary":"aborted","stopReason":"rpc"}));
    play.ends("aborted", "Part");
    play.lifecycle(&json!({"phase":"error","error":"late","executionSettled":true}));
}

#[test]
fn an_empty_end_without_a_beginning_is_a_queued_turn_that_is_followed() {
    let mut play = Play::new(Kind::Chat, 4);
    play.chat("final", None);
    play.waited(&json!({"status":"pending","timeoutPhase":"queue"}));
    play.history(&json!({"messages":[user("one")],"pendingInputs":{"items":[{"runId":"r"}]}}));
    play.history(&json!({"messages":[user("one"), row("one", "First.", "stop"), user("r"), row("new", "Second.", "stop")]}));
    play.ends("done", "Second.");
    assert!(matches!(
        &play.outcome,
        Some(RunOutcome::Done { answered_by: Some(by), .. }) if by == "new"
    ));
}

#[test]
fn a_queued_turn_whose_answer_cannot_be_found_is_queued() {
    let mut play = Play::new(Kind::Chat, 4);
    play.chat("final", None);
    play.waited(&json!({"status":"ok","endedAt":1}));
    for _ in 0..3 {
        play.history(&json!({"messages":[],"sessionInfo":{"hasActiveRun":false}}));
    }
    play.ends("queued", "");
    let mut old = Play::new(Kind::Chat, 3);
    old.chat("final", None);
    old.ends("queued", "");
}

#[test]
fn a_restart_that_the_run_survived_in_the_transcript_is_no_loss() {
    for kind in [Kind::Agent, Kind::Chat] {
        let mut play = Play::new(kind, 4);
        play.begun().chat("delta", Some("On")).down().up(true);
        play.history(&json!({"messages":[user("r"), row("r", "One two.", "stop")]}));
        play.ends("done", "One two.");
    }
}

#[test]
fn a_run_that_the_gateway_takes_up_again_is_waited_for() {
    let mut recovery = user("new");
    recovery["provenance"] = json!({"sourceTool":"main_session_restart_recovery"});
    let mut play = Play::new(Kind::Chat, 4);
    play.begun().down().up(true);
    play.history(&json!({"messages":[user("r")],"sessionInfo":{"hasActiveRun":false}}));
    for _ in 0..20 {
        play.history(
            &json!({"messages":[user("r"), recovery],"sessionInfo":{"hasActiveRun":true}}),
        );
    }
    play.history(&json!({"messages":[user("r"), recovery, row("new", "All.", "stop")]}));
    play.ends("done", "All.");
}

#[test]
fn a_run_that_nobody_takes_up_again_is_lost_in_time_and_not_sent_again() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().down().up(true);
    let since = play.now;
    let known = json!({"messages":[user("r")],"sessionInfo":{"hasActiveRun":false}});
    while play.outcome.is_none() {
        match play.tracker.next_action(play.now) {
            Some(Action::History) => play.tracker.on_history(play.now, &known),
            Some(other) => panic!("asks {other:?}"),
            None => {}
        }
        play.pass(50 * MS);
    }
    play.ends("lost", "");
    assert!(play.now - since < Duration::from_secs(60));
}

#[test]
fn a_request_of_unknown_fate_is_sent_again_where_the_history_does_not_show_it() {
    let now = Instant::now();
    let unknown = || Error::Disconnected {
        method: "agent".into(),
        delivery: Delivery::Unknown,
    };
    for protocol in [3, 4] {
        let mut tracker = Tracker::new(start(Kind::Agent), Some(protocol), now);
        assert_eq!(tracker.next_action(now), Some(Action::Send));
        tracker.on_send_failed(now, unknown(), true);
        tracker.on_connected(now, protocol, false);
        let next = tracker.next_action(now + PAUSE);
        if protocol < 4 {
            assert!(matches!(next, Some(Action::Wait(_))), "{next:?}");
            continue;
        }
        assert_eq!(next, Some(Action::History));
        tracker.on_history(now + PAUSE, &json!({"messages":[]}));
        assert_eq!(tracker.next_action(now + 3 * PAUSE), Some(Action::Send));
        tracker.on_ack(now + 3 * PAUSE, Ack::InFlight, false);
        assert!(matches!(
            tracker.next_item(),
            Some(RunItem::Accepted { joined: true })
        ));
    }
}

#[test]
fn on_the_old_generation_success_with_a_text_may_be_an_error() {
    let mut play = Play::new(Kind::Agent, 3);
    play.begun();
    play.lifecycle(&json!({"phase":"end"})).chat("final", None);
    play.last(&json!({"status":"ok","result":{"payloads":[{"text":"500 no"}],"meta":{"aborted":false,"agentMeta":{}}}}));
    assert!(play.outcome.is_none());
    let mut failed = row("", "", "error");
    failed["errorMessage"] = json!("500 no");
    play.history(&json!({"messages":[user("x"), failed]}));
    play.ends("failed", "");
}

#[test]
fn on_the_old_generation_a_partial_answer_may_be_an_error() {
    let mut play = Play::new(Kind::Chat, 3);
    play.begun().said("Half an ans");
    play.lifecycle(&json!({"phase":"end"}))
        .chat("final", Some("Half an ans"));
    play.waited(&json!({"status":"ok","startedAt":1_000,"endedAt":2_000}));
    let mut failed = row("", "Half an ans", "error");
    failed["errorMessage"] = json!("stream exploded");
    play.history(&json!({"messages":[user("x"), failed]}));
    play.ends("failed", "Half an ans");
}

#[test]
fn on_the_old_generation_a_failed_attempt_is_not_the_end() {
    let mut play = Play::new(Kind::Chat, 3);
    play.begun();
    play.lifecycle(&json!({"phase":"end"})).chat("final", None);
    play.waited(&json!({"status":"ok","startedAt":1_000,"endedAt":2_000}));
    let mut failed = row("", "", "error");
    failed["errorMessage"] = json!("429");
    play.history(&json!({"messages":[user("x"), failed]}));
    assert!(play.outcome.is_none(), "three more attempts may follow");
    play.pass(Duration::from_secs(2));
    play.lifecycle(&json!({"phase":"start","startedAt":4_000}));
    play.said("Better now.").lifecycle(&json!({"phase":"end"}));
    play.waited(&json!({"status":"ok","startedAt":1_000,"endedAt":2_000}));
    play.history(&json!({"messages":[user("x"), failed, row("", "Better now.", "stop")]}));
    play.ends("done", "Better now.");
}

#[test]
fn on_the_old_generation_a_key_that_is_accepted_again_is_not_waited_for_for_ever() {
    let mut play = Play::new(Kind::Agent, 3);
    let since = play.now;
    play.waited(&json!({"status":"ok","startedAt":1_000,"endedAt":2_000}));
    assert!(play.now - since >= Duration::from_secs(20));
    play.history(&json!({"messages":[user("x"), row("", "Yes.", "stop")]}));
    play.ends("done", "Yes.");
}

#[test]
fn a_run_that_is_silent_on_a_good_connection_is_left_alone() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().pass(Duration::from_secs(7_200));
    assert!(play.outcome.is_none());
    assert_eq!(play.tracker.next_action(play.now), None);
}

#[test]
fn a_run_whose_connection_is_gone_sleeps_until_there_is_another() {
    for kind in [Kind::Agent, Kind::Chat] {
        for protocol in [3, 4] {
            let mut play = Play::new(kind, protocol);
            play.begun().said("One").down().pass(1000 * MS);
            let wake = play.tracker.wake_at(play.now).unwrap();
            assert!(wake >= play.now + 10_000 * MS, "{kind:?} {protocol}");
        }
    }
}

#[test]
fn a_run_that_has_been_asked_about_sleeps_until_it_is_answered() {
    let mut play = Play::new(Kind::Agent, 3);
    play.begun().said("One").pass(21_000 * MS);
    assert!(matches!(
        play.tracker.next_action(play.now),
        Some(Action::Wait(_))
    ));
    let wake = play.tracker.wake_at(play.now).unwrap();
    assert!(wake >= play.now + 10_000 * MS, "{:?}", wake - play.now);
}

#[test]
fn a_request_that_cannot_go_out_is_no_reason_to_stay_awake() {
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), None, now);
    assert_eq!(tracker.next_action(now), Some(Action::Send));
    let later = now + Duration::from_secs(7_200);
    tracker.on_tick(later);
    assert!(tracker.wake_at(later).unwrap() >= later + 10_000 * MS);

    let mut silent = Play::new(Kind::Agent, 4);
    silent.begun().pass(Duration::from_secs(7_200));
    assert!(silent.tracker.wake_at(silent.now).unwrap() >= silent.now + 10_000 * MS);
}

#[test]
fn an_end_that_cannot_be_asked_about_waits_for_the_connection() {
    let mut play = Play::new(Kind::Chat, 3);
    play.begun();
    play.lifecycle(&json!({"phase":"end"})).chat("final", None);
    play.down().pass(Duration::from_secs(120));
    assert!(play.outcome.is_none(), "{:?}", play.outcome);
    play.up(false);
    play.waited(&json!({"status":"ok","startedAt":1_000,"endedAt":2_000}));
    let mut failed = row("", "", "error");
    failed["errorMessage"] = json!("500 no");
    play.history(&json!({"messages":[user("x"), failed]}));
    play.ends("failed", "");
}

fn not_sent(error: fn(Arc<str>, Delivery) -> Error) -> Error {
    error("agent".into(), Delivery::NotSent)
}

#[test]
fn a_request_whose_time_is_over_before_it_went_out_is_not_sent_later() {
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), None, now);
    assert_eq!(tracker.next_action(now), Some(Action::Send));
    let timeout = not_sent(|method, delivery| Error::Timeout {
        method,
        after: Duration::from_secs(5),
        delivery,
    });
    tracker.on_send_failed(now, timeout, true);
    assert!(matches!(
        tracker.next_item(),
        Some(RunItem::Ended(RunOutcome::NotStarted {
            error: Error::Timeout { .. }
        }))
    ));
}

#[test]
fn a_request_that_never_goes_out_is_never_said_to_be_lost() {
    let mut now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
    while let Some(Action::Send) = tracker.next_action(now) {
        let lost = not_sent(|method, delivery| Error::Disconnected { method, delivery });
        tracker.on_send_failed(now, lost, true);
        now += 10_000 * MS;
    }
    assert!(matches!(
        tracker.next_item(),
        Some(RunItem::Ended(RunOutcome::NotStarted { .. }))
    ));
}

#[test]
fn a_client_that_is_closed_under_its_request_does_not_say_that_it_was_not_sent() {
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
    assert_eq!(tracker.next_action(now), Some(Action::Send));
    tracker.on_send_failed(now, Error::Closed, true);
    let outcome = drain(&mut tracker, &mut String::new()).expect("no outcome");
    assert_eq!(outcome.kind(), "lost");
}

/// As recorded on 2026.6.11 and 2026.7.35, whose `agent.wait` has no `terminalReply`.
fn ended() -> Value {
    json!({"status":"ok","endedAt":2_000,"stopReason":"stop","livenessState":"working"})
}

/// As recorded there: neither key nor run id for runs of `agent`, the key for turns of `chat.send`.
fn unmarked(role: &str, text: &str, at: i64) -> Value {
    json!({"role":role,"content":[{"type":"text","text":text}],"timestamp":at,
        "stopReason":"stop","__openclaw":{"id":"d327eaf9","recordTimestampMs":at,"seq":1}})
}

fn lost_reason(play: &Play) -> LostReason {
    match &play.outcome {
        Some(RunOutcome::Lost { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    }
}

/// Answers whatever is asked until the run ends.
fn answer_all(play: &mut Play, wait: &Value, history: Option<&Value>) {
    for _ in 0..2_000 {
        if play.outcome.is_some() {
            return;
        }
        match (play.tracker.next_action(play.now), history) {
            (Some(Action::Wait(_)), _) => {
                let answer = answer::wait_answer(wait);
                play.tracker.on_wait_answer(play.now, answer);
            }
            (Some(Action::History), Some(history)) => play.tracker.on_history(play.now, history),
            (Some(Action::History), None) => play.tracker.on_history_failed(play.now),
            (Some(Action::Send), _) => panic!("sent again"),
            (None, _) => {}
        }
        play.look();
        play.pass(50 * MS);
    }
}

#[test]
fn an_answer_that_ended_while_we_were_away_is_found_by_its_message() {
    for protocol in [3, 4] {
        let mut play = Play::new(Kind::Agent, protocol);
        play.begun().said("The who").down().up(false);
        let history = json!({"messages":[
            unmarked("user", "hi", -90_000), unmarked("assistant", "Another.", -89_000),
            unmarked("user", "hi", 1_006), unmarked("assistant", "The whole answer.", 1_100),
        ]});
        answer_all(&mut play, &ended(), Some(&history));
        play.ends("done", "The whole answer.");
    }
}

#[test]
fn a_turn_that_ended_while_we_were_away_is_found_by_its_key_also_after_a_retry() {
    let mut play = Play::new(Kind::Chat, 4);
    play.begun().chat("delta", Some("The who")).down().up(false);
    let mut question = unmarked("user", "hi", 1_006);
    question["idempotencyKey"] = json!("r:user");
    let mut failed = unmarked("assistant", "", 1_007);
    failed["stopReason"] = json!("error");
    let history = json!({"messages":[
        question, failed, question, unmarked("assistant", "The whole answer.", 1_100),
        unmarked("user", "next", 3_000), unmarked("assistant", "No.", 3_001),
    ]});
    let wait = json!({"status":"ok","endedAt":2_000});
    answer_all(&mut play, &wait, Some(&history));
    play.ends("done", "The whole answer.");
}

#[test]
fn a_part_of_an_answer_is_never_called_done() {
    let cut = format!("The who{}\n...(truncated)...", "x".repeat(8_000));
    let same = [
        unmarked("user", "hi", 9_000),
        unmarked("assistant", "Other.", 9_001),
    ];
    let histories = [
        None,
        Some(json!({"messages":[]})),
        Some(
            json!({"messages":[unmarked("user", "hi", 1_006), unmarked("assistant", &cut, 1_007)]}),
        ),
        // The same message twice, and neither near the start of the run.
        Some(json!({"messages":[same[0], same[1], same[0], same[1]]})),
        // Another text than the one that was streamed.
        Some(
            json!({"messages":[unmarked("user", "hi", 1_006), unmarked("assistant", "Other.", 1_007)]}),
        ),
    ];
    let long = json!({"status":"ok","endedAt":2_000,"terminalReceipt":{},
        "terminalReply":{"disposition":"visible","text":"x".repeat(4_096)}});
    for kind in [Kind::Agent, Kind::Chat] {
        for protocol in [3, 4] {
            for wait in [&ended(), &long] {
                // On protocol 3 the start of the run alone finds its row.
                let findable = usize::from(protocol == 3);
                for history in &histories[..histories.len() - findable] {
                    let mut play = Play::new(kind, protocol);
                    play.begun().said("The who").down().up(false);
                    answer_all(&mut play, wait, history.as_ref());
                    assert_eq!(
                        lost_reason(&play),
                        LostReason::AnswerIncomplete,
                        "{kind:?} {protocol} {wait} {history:?}"
                    );
                    let text = play.outcome.as_ref().unwrap().text();
                    assert!(text.starts_with("The who") || text.is_empty(), "{text}");
                }
            }
        }
    }
}

#[test]
fn an_answer_that_was_streamed_whole_is_done_although_the_history_cannot_be_read() {
    let mut play = Play::new(Kind::Agent, 4);
    play.begun()
        .chat("delta", Some("All of it."))
        .down()
        .up(false);
    let wait = json!({"status":"ok","endedAt":2_000,"terminalReceipt":{},
        "terminalReply":{"disposition":"visible","text":"All of it."}});
    answer_all(&mut play, &wait, None);
    play.ends("done", "All of it.");
}

#[test]
fn an_answer_that_the_gateway_hides_is_empty_although_it_was_streamed() {
    // 2026.7.35 and 2026.8.2, one character at a time: never taken back.
    let silent = json!({"status":"ok","endedAt":2_000,"terminalReceipt":{},
        "terminalReply":{"disposition":"silent"}});
    let hidden = json!({"status":"ok","summary":"completed","result":{"payloads":[],
        "meta":{"finalAssistantVisibleText":"NO_REPLY","agentMeta":{"usage":{"output":7}}}}});
    for wait in [ended(), silent] {
        let mut chat = Play::new(Kind::Chat, 4);
        chat.begun().said("NO_REPLY").chat("delta", Some("N"));
        chat.chat("final", None);
        answer_all(&mut chat, &wait, Some(&json!({"messages":[]})));
        chat.ends("done", "");
    }
    let mut agent = Play::new(Kind::Agent, 4);
    agent.begun().said("NO_REPLY").chat("final", None);
    agent.last(&hidden);
    agent.ends("done", "");
}

#[test]
fn a_final_without_text_takes_nothing_back_that_another_source_has() {
    let reply = json!({"status":"ok","endedAt":2_000,"terminalReceipt":{},
        "terminalReply":{"disposition":"visible","text":"It is paid."}});
    let empty = json!({"state":"final","message":{"content":[]}});
    for event in [json!({"state":"final"}), empty] {
        let mut chat = Play::new(Kind::Chat, 4);
        chat.begun().chat("delta", Some("It is p"));
        chat.event("chat", &event).waited(&reply);
        chat.ends("done", "It is paid.");
        let mut agent = Play::new(Kind::Agent, 4);
        agent.begun().chat("delta", Some("It is p"));
        agent.event("chat", &event).last(&ok(&["It is paid."]));
        agent.ends("done", "It is paid.");
    }
}

#[test]
fn an_abort_is_one_whatever_later_sources_call_it() {
    let error: GatewayError = serde_json::from_value(
        json!({"code":"UNAVAILABLE","message":"EmbeddedAttemptSessionTakeoverError: This operation was aborted"}),
    )
    .unwrap();
    let finals = [
        (
            json!({"status":"error","summary":"EmbeddedAttemptSessionTakeoverError: x"}),
            Some(&error),
        ),
        (
            json!({"status":"error","summary":"failed","stopReason":"aborted","result":{"payloads":[]}}),
            None,
        ),
        (
            json!({"status":"timeout","summary":"aborted","stopReason":"aborted",
            "result":{"payloads":[{"text":"LLM request failed."}]}}),
            None,
        ),
    ];
    for (payload, error) in finals {
        let mut play = Play::new(Kind::Agent, 4);
        play.begun().chat("delta", Some("Par"));
        play.lifecycle(
            &json!({"phase":"end","status":"cancelled","aborted":true,"stopReason":"rpc"}),
        );
        let verdict = answer::final_answer(&payload, error, 4);
        play.tracker.on_final_answer(play.now, verdict);
        play.look();
        play.ends("aborted", "Par");
    }
    // Its events were missed; 2026.7.35 gives no stop reason.
    let mut play = Play::new(Kind::Agent, 4);
    play.begun().chat("delta", Some("Par")).down().up(false);
    let wait = json!({"status":"error","endedAt":2_000,
        "error":"EmbeddedAttemptSessionTakeoverError: This operation was aborted | 20"});
    answer_all(&mut play, &wait, Some(&json!({"messages":[]})));
    play.ends("aborted", "Par");
}

fn unknown_fate() -> Error {
    Error::Disconnected {
        method: "agent".into(),
        delivery: Delivery::Unknown,
    }
}

#[test]
fn a_request_that_is_answered_by_a_close_is_not_sent_again() {
    for code in [1002, 1003, 1007, 1009] {
        for close_is_seen_first in [true, false] {
            let now = Instant::now();
            let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
            assert_eq!(tracker.next_action(now), Some(Action::Send));
            if close_is_seen_first {
                tracker.on_disconnected(now, Some(code));
                tracker.on_send_failed(now, unknown_fate(), true);
            } else {
                tracker.on_send_failed(now, unknown_fate(), true);
                tracker.on_disconnected(now, Some(code));
            }
            let Some(RunOutcome::Lost { reason, .. }) = drain(&mut tracker, &mut String::new())
            else {
                panic!("{code} {close_is_seen_first}")
            };
            assert_eq!(reason, LostReason::ConnectionClosed { code });
            assert!(reason.to_string().contains(&code.to_string()), "{reason}");
        }
    }
}

#[test]
fn a_request_of_unknown_fate_is_sent_again_once() {
    let mut now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
    let (mut sent, mut outcome) = (0, None);
    for _ in 0..2_000 {
        match tracker.next_action(now) {
            Some(Action::Send) => {
                sent += 1;
                tracker.on_send_failed(now, unknown_fate(), true);
                tracker.on_disconnected(now, None);
                tracker.on_connected(now, 4, false);
            }
            Some(Action::History) => tracker.on_history(now, &json!({"messages":[]})),
            Some(Action::Wait(_)) => {
                tracker.on_wait_answer(now, answer::wait_answer(&json!({"status":"timeout"})));
            }
            None => {}
        }
        now += 50 * MS;
        tracker.on_tick(now);
        outcome = outcome.or_else(|| drain(&mut tracker, &mut String::new()));
    }
    assert_eq!(sent, 2);
    let Some(RunOutcome::Lost { reason, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, LostReason::NoTrace);
}

#[test]
fn an_event_that_cannot_be_read_is_a_gap_and_the_history_is_read() {
    for kind in [Kind::Agent, Kind::Chat] {
        let mut play = Play::new(kind, 4);
        play.begun().chat("delta", Some("Part one."));
        play.tracker.on_unreadable_event(play.now);
        if kind == Kind::Agent {
            play.tracker.on_final_answer(play.now, None);
        }
        let wait = json!({"status":"ok","endedAt":2_000,"stopReason":"stop"});
        let history = json!({"messages":[user("r"), row("r", "Part one. The rest.", "stop")],
            "sessionInfo":{"hasActiveRun":false}});
        answer_all(&mut play, &wait, Some(&history));
        play.ends("done", "Part one. The rest.");
    }
}

#[test]
fn a_first_answer_that_cannot_be_read_is_a_request_of_unknown_fate() {
    assert_eq!(answer::ack(&Value::Null, None, 4), None);
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Chat), Some(4), now);
    assert_eq!(tracker.next_action(now), Some(Action::Send));
    let error = Error::Data {
        method: "chat.send".into(),
        what: "the answer names no run".into(),
        delivery: Delivery::Unknown,
    };
    tracker.on_send_failed(now, error, false);
    assert_eq!(tracker.next_action(now), Some(Action::History));
}
