//! Any order, loss and repetition of what can come: one outcome, within a bound, and text that adds up.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::logic::error::Delivery;
use crate::protocol::GatewayError;
use crate::run::answer;

const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
enum Step {
    Event(usize, i64),
    Answer(usize),
    Last(usize),
    LastLost,
    Wait(usize),
    WaitFails,
    History(usize),
    HistoryFails,
    AskLost,
    SendFails(bool),
    Down,
    Up(bool),
    Lagged,
    AbortAsked,
    Aborted,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..events().len(), 0_i64..12).prop_map(|(event, seq)| Step::Event(event, seq)),
        2 => (0..answers().len()).prop_map(Step::Answer),
        1 => (0..answers().len()).prop_map(Step::Last),
        1 => Just(Step::LastLost),
        2 => (0..waits().len()).prop_map(Step::Wait),
        1 => Just(Step::WaitFails),
        2 => (0..histories().len()).prop_map(Step::History),
        1 => Just(Step::HistoryFails),
        1 => Just(Step::AskLost),
        1 => any::<bool>().prop_map(Step::SendFails),
        1 => Just(Step::Down),
        2 => any::<bool>().prop_map(Step::Up),
        1 => Just(Step::Lagged),
        1 => Just(Step::AbortAsked),
        1 => Just(Step::Aborted),
        4 => (0_u64..30_000).prop_map(Step::Pass),
    ]
}

fn events() -> Vec<(&'static str, Value)> {
    let lifecycle = |data: Value| ("agent", json!({"stream":"lifecycle","data":data}));
    let said = |text: &str, delta: &str| {
        (
            "agent",
            json!({"stream":"assistant","data":{"text":text,"delta":delta}}),
        )
    };
    let message = |text: &str| json!({"role":"assistant","content":[{"type":"text","text":text}]});
    vec![
        lifecycle(json!({"phase":"start","startedAt":1000})),
        said("One", "One"),
        said("One two", " two"),
        said("Other", "Other"),
        (
            "agent",
            json!({"stream":"assistant","data":{"text":"","delta":"","replace":true}}),
        ),
        ("chat", json!({"state":"delta","message":message("One")})),
        (
            "chat",
            json!({"state":"delta","message":message("One two")}),
        ),
        (
            "chat",
            json!({"state":"delta","message":message("One\n\nOther")}),
        ),
        (
            "chat",
            json!({"state":"delta","replace":true,"message":message("")}),
        ),
        (
            "chat",
            json!({"state":"final","message":message("One two three")}),
        ),
        ("chat", json!({"state":"final"})),
        (
            "chat",
            json!({"state":"aborted","stopReason":"rpc","message":message("One t")}),
        ),
        ("chat", json!({"state":"aborted","stopReason":"aborted"})),
        (
            "chat",
            json!({"state":"error","errorMessage":"no","errorKind":"timeout"}),
        ),
        ("chat", json!({"state":"error","errorMessage":"no"})),
        lifecycle(json!({"phase":"end","endedAt":2000})),
        lifecycle(json!({"phase":"end","executionSettled":true,"terminalReply":{"text":"two"}})),
        lifecycle(json!({"phase":"end","status":"cancelled","aborted":true,"stopReason":"rpc"})),
        lifecycle(json!({"phase":"error","error":"no","executionSettled":true})),
        lifecycle(json!({"phase":"error","aborted":true,"executionSettled":true})),
        lifecycle(json!({"phase":"error","error":"no"})),
        (
            "agent",
            json!({"stream":"tool","data":{"phase":"start","toolCallId":"c","name":"x"}}),
        ),
        (
            "agent",
            json!({"stream":"tool","data":{"phase":"result","toolCallId":"c","name":"x"}}),
        ),
        ("agent", json!({"stream":"odd"})),
    ]
}

fn answers() -> Vec<(Value, Option<&'static str>)> {
    vec![
        (json!({"status":"accepted"}), None),
        (json!({"status":"started"}), None),
        (json!({"status":"in_flight"}), None),
        (json!({"status":"ok"}), None),
        (
            json!({"status":"ok","result":{"payloads":[{"text":"One two three"}],
            "meta":{"agentMeta":{"usage":{"output":7}}}}}),
            None,
        ),
        (
            json!({"status":"ok","result":{"payloads":[{"text":"500 no"}],"meta":{}}}),
            None,
        ),
        (
            json!({"status":"timeout","summary":"aborted","stopReason":"rpc"}),
            None,
        ),
        (json!({"status":"error","summary":"no"}), Some("no")),
        (json!({"ok":true,"aborted":true}), None),
        (Value::Null, Some("refused")),
    ]
}

fn waits() -> Vec<Value> {
    vec![
        json!({"status":"timeout"}),
        json!({"status":"pending"}),
        json!({"status":"ok","startedAt":1000,"endedAt":2000}),
        json!({"status":"ok","endedAt":2000,"terminalReceipt":{},"terminalReply":{"text":"three"}}),
        json!({"status":"error","stopReason":"rpc","endedAt":2000}),
        json!({"status":"error","error":"no","endedAt":2000}),
        json!({"status":"timeout","timeoutPhase":"provider","endedAt":2000}),
        json!(7),
    ]
}

fn histories() -> Vec<Value> {
    let user = json!({"role":"user","content":"hi","idempotencyKey":"r:user","timestamp":1000});
    let row = |text: &str, stop: &str, run: &str| {
        json!({"role":"assistant","content":[{"type":"text","text":text}],"stopReason":stop,
            "timestamp":1001,"__openclaw":{"runId":run}})
    };
    vec![
        json!({"messages":[]}),
        json!({"messages":[],"sessionInfo":{"hasActiveRun":true}}),
        json!({"messages":[user],"sessionInfo":{"hasActiveRun":false}}),
        json!({"messages":[user, row("One two three", "stop", "r")],"sessionInfo":{"hasActiveRun":false}}),
        json!({"messages":[user, row("Two", "stop", "other")]}),
        json!({"messages":[user, row("", "error", "r")]}),
        json!({"messages":[user],"inFlightRun":{"runId":"r","text":"One t"},"sessionInfo":{"hasActiveRun":true}}),
        json!({"messages":[],"pendingInputs":{"items":[{"runId":"r"}]}}),
        json!(null),
    ]
}

fn error(text: &str) -> GatewayError {
    serde_json::from_value(json!({"code":"UNAVAILABLE","message":text})).unwrap()
}

struct World {
    tracker: Tracker,
    now: Instant,
    asked: Option<Action>,
    streamed: String,
    outcome: Option<RunOutcome>,
    protocol: u32,
    may_have_arrived: bool,
}

impl World {
    fn look(&mut self) {
        self.tracker.on_tick(self.now);
        if !self.tracker.is_busy() {
            self.asked = None;
        }
        if let Some(ask) = self.tracker.next_action(self.now) {
            let is_repeated = ask == Action::Send && self.may_have_arrived && self.protocol < 4;
            assert!(!is_repeated, "sent again to a gateway that forgets keys");
            self.asked = Some(ask);
        }
        if let Some(outcome) = drain(&mut self.tracker, &mut self.streamed) {
            assert!(self.outcome.is_none(), "a second outcome");
            self.outcome = Some(outcome);
        }
    }

    fn acknowledge(&mut self, answer: usize) {
        let (payload, refusal) = &answers()[answer];
        let refusal = refusal.map(error);
        self.asked = None;
        self.may_have_arrived = true;
        if let Some(ack) = answer::ack(payload, refusal.as_ref(), self.protocol) {
            let due = payload["status"] == "accepted";
            self.tracker.on_ack(self.now, ack, due);
        } else {
            let error = Error::Call {
                method: "agent".into(),
                error: refusal.unwrap().into(),
                payload: None,
            };
            self.tracker.on_send_failed(self.now, error, true);
        }
    }

    fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Event(event, seq) => {
                let (name, payload) = &events()[event];
                let event = event::read(name, payload).unwrap();
                self.tracker.on_event(now, Some(seq), event);
            }
            Step::Answer(answer) if self.asked == Some(Action::Send) => self.acknowledge(answer),
            Step::Last(answer) if self.tracker.link.is_final_due() => {
                let (payload, refusal) = &answers()[answer];
                let refusal = refusal.map(error);
                let verdict = answer::final_answer(payload, refusal.as_ref(), self.protocol);
                self.tracker.on_final_answer(now, verdict);
            }
            Step::LastLost => self.tracker.on_final_answer_lost(now),
            Step::Wait(wait) if matches!(self.asked, Some(Action::Wait(_))) => {
                self.tracker
                    .on_wait_answer(now, answer::wait_answer(&waits()[wait]));
            }
            Step::WaitFails if matches!(self.asked, Some(Action::Wait(_))) => {
                self.tracker.on_wait_failed(now);
            }
            Step::History(history) if self.asked == Some(Action::History) => {
                self.tracker.on_history(now, &histories()[history]);
            }
            Step::HistoryFails if self.asked == Some(Action::History) => {
                self.tracker.on_history_failed(now);
            }
            Step::AskLost if matches!(self.asked, Some(Action::Wait(_) | Action::History)) => {
                self.tracker.on_action_lost(now);
            }
            Step::SendFails(sent) if self.asked == Some(Action::Send) => {
                let delivery = if sent {
                    Delivery::Unknown
                } else {
                    Delivery::NotSent
                };
                let error = Error::Disconnected {
                    method: "agent".into(),
                    delivery,
                };
                self.asked = None;
                self.may_have_arrived |= sent;
                self.tracker.on_send_failed(now, error, true);
            }
            Step::Down => self.tracker.on_disconnected(now, None),
            Step::Up(restarted) => self.tracker.on_connected(now, self.protocol, restarted),
            Step::Lagged => self.tracker.on_lagged(1),
            Step::AbortAsked => self.tracker.on_abort_requested(),
            Step::Aborted => self.tracker.on_aborted(now),
            Step::Pass(ms) => self.now += Duration::from_millis(ms),
            _ => {}
        }
        self.look();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_run_ends_once_and_in_time(
        is_old in any::<bool>(),
        by_chat in any::<bool>(),
        can_send in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..80),
        answers_at_last in 0..3_u8,
    ) {
        let protocol = if is_old { 3 } else { 4 };
        let start = Start {
            can_send,
            patience: PATIENCE,
            ..start(if by_chat { Kind::Chat } else { Kind::Agent })
        };
        let now = Instant::now();
        let mut world = World {
            tracker: Tracker::new(start, Some(protocol), now),
            now,
            asked: None,
            streamed: String::new(),
            outcome: None,
            protocol,
            may_have_arrived: false,
        };
        world.look();
        for step in steps {
            world.take(step);
        }
        // From here on nothing of the run comes any more; the connection is good.
        world.take(Step::Up(false));
        let silence = world.now;
        while world.outcome.is_none() {
            let step = match (world.asked, answers_at_last) {
                (Some(Action::Send), _) => Step::SendFails(true),
                (Some(Action::Wait(_)), 0) => Step::Wait(0),
                (Some(Action::Wait(_)), 1) => Step::WaitFails,
                (Some(Action::History), 0) => Step::History(0),
                (Some(Action::History), 1) => Step::HistoryFails,
                (Some(Action::Wait(_) | Action::History), _) => Step::AskLost,
                // A final answer that is due comes, or its connection ends.
                (None, _) if world.tracker.link.is_final_due() => Step::LastLost,
                (None, _) => Step::Pass(0),
            };
            let wake = world.tracker.wake_at(world.now).expect("nothing to wait for");
            world.now = wake.max(world.now + Duration::from_millis(20));
            world.take(step);
            prop_assert!(world.now < silence + PATIENCE * 3, "no end: {:?}", world.tracker);
        }
        let ended = world.streamed.clone();
        for event in 0..events().len() {
            world.take(Step::Event(event, 99));
        }
        world.take(Step::Up(true));
        prop_assert_eq!(world.tracker.wake_at(world.now), None);
        prop_assert_eq!(&world.streamed, &ended, "something after the end");
        if let Some(RunOutcome::Done { text, .. }) = &world.outcome {
            prop_assert_eq!(text, &ended);
        }
    }
}
