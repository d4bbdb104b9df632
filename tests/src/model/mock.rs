//! The same scripts, played by the mock's own runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_mock_gateway::{Edition, MockGateway, RunRequest, RunScript};
use tokio::sync::watch;

use super::script::{End, Script};
use super::{Model, marker_of};

/// The model of a mock gateway: tells it what each run says.
#[derive(Debug)]
pub struct MockModel {
    book: Arc<Book>,
}

#[derive(Debug)]
struct Book {
    edition: Edition,
    pages: Mutex<HashMap<String, (Script, usize)>>,
    asks: watch::Sender<u64>,
}

impl MockModel {
    /// Scripts all runs of this gateway from here on.
    #[must_use]
    pub fn of(gateway: &MockGateway) -> Self {
        let book = Arc::new(Book {
            edition: gateway.edition(),
            pages: Mutex::default(),
            asks: watch::Sender::default(),
        });
        let asked = Arc::clone(&book);
        gateway.script_runs(move |request| asked.begin(request));
        Self { book }
    }

    /// Which gateway it is behind.
    #[must_use]
    pub fn edition(&self) -> Edition {
        self.book.edition
    }
}

impl Model for MockModel {
    fn replies(&self, marker: &str, script: Script) {
        self.book.pages().insert(marker.to_owned(), (script, 0));
    }

    fn asked(&self, marker: &str) -> usize {
        self.book.pages().get(marker).map_or(0, |page| page.1)
    }

    fn asks(&self) -> watch::Receiver<u64> {
        self.book.asks.subscribe()
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, HashMap<String, (Script, usize)>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, request: &RunRequest) -> RunScript {
        let mut pages = self.pages();
        let page = marker_of(&request.message).and_then(|marker| pages.get_mut(marker));
        let Some((script, asked)) = page else {
            return RunScript::text("I have nothing to say to that.");
        };
        *asked += 1;
        let run = script.to_run(self.edition);
        drop(pages);
        self.asks.send_modify(|asks| *asks += 1);
        run
    }
}

impl Script {
    /// The run in which a gateway of this edition meets such a model.
    fn to_run(&self, edition: Edition) -> RunScript {
        let mut run = RunScript::text(self.text())
            .deltas(self.pieces.len())
            .delay_first(self.first)
            .delay_per_delta(self.pause);
        if let Some(tool) = &self.tool {
            run = run.tool(&tool.name, tool.args.clone(), &tool.result);
        }
        match self.end {
            End::Whole => run,
            // Nothing ends the silence of a model there but the limit of the run.
            End::Silence if edition == Edition::V2026_2_9 => run.hangs(),
            End::Silence => run
                .fails("LLM request timed out.")
                .delay_per_delta(BETWEEN_ATTEMPTS),
            // The words of each generation, measured with a model that did the same.
            End::Refuses(status) => {
                let message = match status {
                    _ if edition == Edition::V2026_2_9 => {
                        format!("{status} the fake model says {status}")
                    }
                    429 => "⚠️ API rate limit reached. Please try again later.".to_owned(),
                    _ => format!(
                        "⚠️ fake/fake-1 request failed (provider internal error, HTTP {status})."
                    ),
                };
                run.fails(message).delay_per_delta(BETWEEN_ATTEMPTS)
            }
            End::Drops => {
                let message = if edition == Edition::V2026_2_9 {
                    "terminated"
                } else {
                    "LLM request timed out."
                };
                run.fails(message).delay_per_delta(BETWEEN_ATTEMPTS)
            }
        }
    }
}

/// The mock waits the same time before each attempt; a real gateway waits longer each time.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);
