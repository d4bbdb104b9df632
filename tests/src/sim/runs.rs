//! Agent runs, and whether each came to exactly one end that is true.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_adapter::{Client, RunItem, RunOutcome};
use openclaw_mock_gateway::{MockGateway, RunRequest, RunScript};
use tokio::task::JoinHandle;

use super::referee::Referee;

const TEXT: &str = "One two three four five six seven eight.";

#[derive(Debug, Default)]
struct Entry {
    /// How often the gateway began it.
    begun: u32,
    ended: bool,
    /// It was said not to have begun.
    unbegun: bool,
}

/// All runs of one story.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    book: Arc<Mutex<BTreeMap<String, Entry>>>,
    referee: Arc<Referee>,
}

impl Runs {
    /// None yet.
    pub(super) fn new(referee: Arc<Referee>) -> Self {
        Self {
            book: Arc::default(),
            referee,
        }
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays the runs on `gateway`: by their number fast, slow, or failing.
    pub(super) fn mount(&self, gateway: &MockGateway) {
        let runs = self.clone();
        gateway.script_runs(move |request| runs.begins(request));
    }

    fn begins(&self, request: &RunRequest) -> RunScript {
        let id = request.run_id.clone();
        let mut book = self.book();
        let number = book.len() as u64;
        let entry = book.entry(id.clone()).or_default();
        entry.begun += 1;
        if entry.begun > 1 {
            self.referee.foul(format!("{id} was asked for twice"));
        }
        if entry.unbegun {
            let what = format!("{id} began, and was said not to have");
            self.referee.foul(what);
        }
        drop(book);
        let run = RunScript::text(TEXT)
            .deltas(4)
            .delay_first(Duration::from_millis(200 * (number % 4)))
            .delay_per_delta(Duration::from_millis(900 * (number % 3)));
        if number % 7 == 6 {
            run.fails("no")
        } else {
            run
        }
    }

    /// Starts a run and follows it in a task of its own.
    pub(super) fn start(&self, client: &Client, number: u64) -> JoinHandle<()> {
        let id = format!("run-{number:04}");
        self.book().insert(id.clone(), Entry::default());
        let run = client
            .agent()
            .run(format!("session-{number}"), "hi")
            .with_id(&id)
            .patience(Duration::from_secs(120));
        let mut run = run.start();
        let runs = self.clone();
        tokio::spawn(async move {
            let mut text = String::new();
            let mut outcome = None;
            while let Some(item) = run.next().await {
                if outcome.is_some() {
                    runs.referee.foul(format!("{id} went on after its end"));
                }
                match item {
                    RunItem::Text(more) => {
                        if more.replaced {
                            text.clear();
                        }
                        text.push_str(&more.delta);
                    }
                    RunItem::Ended(end) => outcome = Some(end),
                    _ => {}
                }
            }
            match outcome {
                Some(outcome) => runs.ends(&id, &text, &outcome),
                None => runs.referee.foul(format!("{id} has no end")),
            }
        })
    }

    fn ends(&self, id: &str, text: &str, outcome: &RunOutcome) {
        let mut book = self.book();
        let Some(entry) = book.get_mut(id) else {
            return;
        };
        entry.ended = true;
        let begun = entry.begun > 0;
        let is_true = match outcome {
            RunOutcome::Done { text: answer, .. } => begun && answer == TEXT && text == answer,
            RunOutcome::Failed { .. } => begun,
            RunOutcome::NotStarted { .. } => {
                entry.unbegun = true;
                !begun
            }
            // Nobody knows, or the gateway itself gave it up.
            RunOutcome::Lost { .. } | RunOutcome::Aborted { .. } => true,
            _ => false,
        };
        drop(book);
        if !is_true {
            self.referee.foul(format!(
                "{id}, begun: {begun}, ended as {outcome:?} with {text:?}"
            ));
        }
        self.referee.note(format!("  {id}: {outcome}"));
    }

    /// How many have not ended.
    pub(super) fn open(&self) -> usize {
        self.book().values().filter(|entry| !entry.ended).count()
    }

    /// How many were started.
    pub(super) fn count(&self) -> usize {
        self.book().len()
    }
}
