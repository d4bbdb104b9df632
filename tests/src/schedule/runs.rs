//! A run, begun and followed, sometimes stopped, left alone or followed again.

use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::{Client, Delivery, Error, Run, RunItem, RunOutcome};
use openclaw_mock_gateway::Edition;
use tokio::time::{sleep, sleep_until};

use super::ledger::{Fall, Ledger};
use crate::dice::Dice;
use crate::model::{End, MockModel, Model as _, Script, ToolCall, mark};

/// How long a run may give no sign of life: shorter than what the world needs to mend.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be done with one run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    session: String,
    by_chat: bool,
    script: Script,
    abort_after: Option<Duration>,
    leave_after: Option<Duration>,
    comes_back: bool,
    /// Pause after each item.
    reads_slowly: Duration,
}

impl Plan {
    pub(super) fn random(dice: &mut Dice, number: usize) -> Self {
        let words = dice.number(1..25);
        let mut script = Script::says(dice.pieces(words))
            .first(dice.time(Duration::from_secs(3)))
            .pause(dice.time(Duration::from_millis(600)));
        if dice.percent(20) {
            script = script.calls(ToolCall {
                name: "exec".to_owned(),
                args: serde_json::json!({ "command": "true" }),
                result: "done".to_owned(),
            });
        }
        if dice.percent(8) {
            script = Script::refuses(500);
        }
        let some_time = |dice: &mut Dice| Some(dice.time(Duration::from_secs(8)));
        let by_chat = dice.percent(40);
        // Turns that meet in a session are merged by the gateway; runs wait for one another.
        let session = if by_chat || dice.percent(60) {
            format!("agent:main:own-{number}")
        } else {
            format!("agent:main:shared-{}", dice.number(0..2))
        };
        Self {
            name: format!("run-{number}"),
            session,
            by_chat,
            script,
            abort_after: dice.percent(15).then(|| some_time(dice)).flatten(),
            leave_after: dice.percent(15).then(|| some_time(dice)).flatten(),
            comes_back: dice.percent(60),
            reads_slowly: if dice.percent(10) {
                dice.time(Duration::from_millis(300))
            } else {
                Duration::ZERO
            },
        }
    }
}

/// What a run told so far.
#[derive(Debug, Default)]
struct Told {
    text: String,
    accepted: bool,
    aborting: bool,
    outcome: Option<RunOutcome>,
}

impl Told {
    fn take(&mut self, ledger: &Ledger, name: &str, item: RunItem) {
        match item {
            RunItem::Accepted { .. } => self.accepted = true,
            RunItem::Text(said) => {
                if said.replaced {
                    self.text.clear();
                }
                self.text.push_str(&said.delta);
                if self.text != *said.text {
                    ledger.foul(format_args!(
                        "{name}: the parts make {:?}, the whole is {:?}",
                        self.text, said.text
                    ));
                    said.text.as_ref().clone_into(&mut self.text);
                }
            }
            RunItem::Ended(outcome) => self.outcome = Some(outcome),
            _ => {}
        }
    }
}

/// Plays it.
pub(super) async fn play(client: Client, ledger: Ledger, model: Arc<MockModel>, plan: Plan) {
    let name = plan.name.as_str();
    model.replies(name, plan.script.clone());
    let began = ledger.mark();
    let message = format!("Please. {}", mark(name));
    let mut run = if plan.by_chat {
        let turn = client.chat().send(&plan.session, &message);
        turn.with_id(name).patience(PATIENCE).start()
    } else {
        let run = client.agent().run(&plan.session, &message);
        run.with_id(name).patience(PATIENCE).start()
    };
    ledger.note(format_args!("{name} begins: {plan:?}"));
    let mut told = Told::default();
    let left = follow(&ledger, &plan, &mut run, &mut told).await;
    if left {
        drop(run);
        if !plan.comes_back || !told.accepted {
            ledger.note(format_args!("{name} is left alone"));
            return;
        }
        ledger.note(format_args!("{name} is followed again"));
        run = Run::attach(&client, name, &plan.session);
        let stays = Plan {
            leave_after: None,
            ..plan.clone()
        };
        told.text.clear();
        follow(&ledger, &stays, &mut run, &mut told).await;
    }
    let more = run.next().await;
    if let Some(item) = more {
        ledger.foul(format_args!("{name}: after its end it told {item:?}"));
    }
    let asked = model.asked(name);
    let Some(outcome) = &told.outcome else {
        return ledger.foul(format_args!("{name}: its items ended without an outcome"));
    };
    ledger.note(format_args!(
        "{name} ends, asked {asked} times: {outcome:?}"
    ));
    let restarted = ledger.since(began, Fall::Sudden);
    let rules = Rules {
        edition: model.edition(),
        plan: &plan,
        told: &told,
        restarted,
        stopped: restarted + ledger.since(began, Fall::Drained),
        asked: u32::try_from(asked).unwrap_or(u32::MAX),
        closed_connections: ledger.closed_connections_since(began),
        attached: left,
    };
    if let Some(what) = rules.broken(outcome) {
        ledger.foul(format_args!("{name}: {what}: {outcome:?}"));
    }
}

/// Reads until the end (`false`), or until it is time to leave (`true`).
async fn follow(ledger: &Ledger, plan: &Plan, run: &mut Run, told: &mut Told) -> bool {
    let now = tokio::time::Instant::now();
    let leave = plan.leave_after.map(|after| now + after);
    let mut abort = plan.abort_after.map(|after| now + after);
    let never = now + Duration::from_secs(100_000);
    loop {
        let item = tokio::select! {
            biased;
            item = run.next() => item,
            () = sleep_until(abort.unwrap_or(never)), if abort.is_some() => {
                abort = None;
                told.aborting = true;
                let (handle, ledger, name) = (run.handle(), ledger.clone(), plan.name.clone());
                tokio::spawn(async move {
                    let stopped = handle.abort().await;
                    ledger.note(format_args!("{name}: abort says {stopped:?}"));
                });
                continue;
            }
            () = sleep_until(leave.unwrap_or(never)), if leave.is_some() => return true,
        };
        let Some(item) = item else { return false };
        told.take(ledger, &plan.name, item);
        if told.outcome.is_some() {
            return false;
        }
        if !plan.reads_slowly.is_zero() {
            sleep(plan.reads_slowly).await;
        }
    }
}

/// What must be true of an outcome.
struct Rules<'a> {
    edition: Edition,
    plan: &'a Plan,
    told: &'a Told,
    /// How often the gateway lost its memory meanwhile.
    restarted: u32,
    /// How often it ended, in whatever way.
    stopped: u32,
    asked: u32,
    /// Number of connections that ended meanwhile.
    closed_connections: u64,
    attached: bool,
}

impl Rules<'_> {
    fn broken(&self, outcome: &RunOutcome) -> Option<String> {
        let is_old = self.edition == Edition::V2026_2_9;
        // 2026.9.6 knows what it has answered by its transcript, and takes up what it has not. Of a
        // request that arrives when it has drained already it may not have an answer.
        let most = if is_old { 1 } else { 1 + self.stopped };
        if self.asked > most {
            return Some(format!(
                "the model was asked {} times, with {} restarts",
                self.asked, self.stopped
            ));
        }
        let works = matches!(self.plan.script.end, End::Whole);
        let calm = self.restarted == 0;
        match outcome {
            RunOutcome::Done { text, .. } => {
                if *text != self.plan.script.text() {
                    return Some(format!("the model said {:?}", self.plan.script.text()));
                }
                (!works).then(|| "done, though the model failed".to_owned())
            }
            RunOutcome::Failed { .. } => {
                (works && calm).then(|| "failed, though nothing did".to_owned())
            }
            RunOutcome::Aborted { text, .. } => {
                if !self.told.aborting {
                    return Some("aborted, though nobody asked".to_owned());
                }
                (!self.plan.script.text().starts_with(text.as_str()))
                    .then(|| "the text is not the model's".to_owned())
            }
            // What 2026.2.9 has of a run before its end it tells nobody; whether a request arrived
            // that was cut off, neither.
            RunOutcome::Lost { reason, .. } => {
                let unknown = is_old && (self.attached || !self.told.accepted);
                // An abort whose answer was lost, of a run that had said nothing yet, leaves no
                // trace but in the process.
                let forgotten = self.told.aborting && (is_old || self.attached || self.stopped > 0);
                // A request of unknown fate is sent again once. Both copies may be lost on their way.
                let never_arrived =
                    !self.told.accepted && self.asked == 0 && self.closed_connections >= 2;
                (calm && !unknown && !forgotten && !never_arrived)
                    .then(|| format!("lost ({reason}), though nothing was"))
            }
            // The gateway was away for as long as the request may take.
            RunOutcome::NotStarted {
                error:
                    Error::Timeout {
                        delivery: Delivery::NotSent,
                        ..
                    },
                ..
            } => (self.asked > 0).then(|| "not started, though the model was asked".to_owned()),
            RunOutcome::NotStarted { error, .. } => Some(format!("not started: {error}")),
            RunOutcome::Queued | RunOutcome::Superseded { .. } => {
                let alone = self.plan.session.contains("own");
                (alone && calm).then(|| "there was no other turn".to_owned())
            }
            RunOutcome::TimedOut { .. } => Some("nobody set a limit".to_owned()),
            _ => Some("an outcome of another kind".to_owned()),
        }
    }
}
