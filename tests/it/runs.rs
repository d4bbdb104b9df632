//! Agent runs and chat turns, on virtual time, against the mock gateway on a road that can be cut.

mod cuts;
mod followed;
mod outages;
mod road;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openclaw_adapter::{Client, Run, RunItem, RunOutcome};
use openclaw_mock_gateway::{self as mock, Edition, MockGateway};

pub(crate) const NEW: Edition = Edition::V2026_9_6;
pub(crate) const OLD: Edition = Edition::V2026_2_9;
pub(crate) const TEXT: &str = "One two three four five six seven eight.";

/// A gateway whose runs are counted.
pub(crate) struct Stage {
    pub(crate) gateway: Arc<MockGateway>,
    pub(crate) begun: Arc<AtomicUsize>,
}

impl Stage {
    pub(crate) fn new(edition: Edition, script: fn() -> mock::RunScript) -> Self {
        // Without a listener: on a paused clock nothing waits for a port that somebody else has taken.
        let gateway = MockGateway::builder().edition(edition).build();
        let begun = Arc::new(AtomicUsize::new(0));
        gateway.script_runs({
            let begun = Arc::clone(&begun);
            move |_| {
                begun.fetch_add(1, Ordering::SeqCst);
                script()
            }
        });
        Self {
            gateway: Arc::new(gateway),
            begun,
        }
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

pub(crate) fn spoken() -> mock::RunScript {
    mock::RunScript::text(TEXT)
        .deltas(4)
        .delay_first(Duration::from_millis(500))
        .delay_per_delta(Duration::from_millis(400))
}

/// What a run told: its text, put together, and its outcome.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) outcome: RunOutcome,
    pub(crate) items: Vec<RunItem>,
}

/// Reads a run to its end, which has to come within an hour of virtual time.
pub(crate) async fn read(run: &mut Run) -> Told {
    let mut text = String::new();
    let mut items = Vec::new();
    let reading = async {
        while let Some(item) = run.next().await {
            match &item {
                RunItem::Text(more) => {
                    if more.replaced {
                        text.clear();
                    }
                    text.push_str(&more.delta);
                    assert_eq!(*text, *more.text, "the deltas do not add up");
                }
                RunItem::Ended(outcome) => {
                    let outcome = outcome.clone();
                    assert!(run.next().await.is_none(), "something after the end");
                    return outcome;
                }
                _ => {}
            }
            items.push(item);
        }
        panic!("no outcome, after {items:?}")
    };
    let outcome = tokio::time::timeout(Duration::from_secs(3600), reading)
        .await
        .expect("no end");
    Told {
        text,
        outcome,
        items,
    }
}

/// Starts a run in one of the two ways.
pub(crate) fn begin(client: &Client, by_chat: bool) -> Run {
    if by_chat {
        client.chat().send("tests", "hi").start()
    } else {
        client.agent().run("tests", "hi").start()
    }
}
