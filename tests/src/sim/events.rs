//! Event streams, and whether each of them says where something is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openclaw_adapter::{EventItem, EventStream};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::referee::Referee;

/// The name of the events.
pub(super) const NAME: &str = "sim";

/// What the numbers of events tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Numbers {
    /// All connections share them, as on protocol 3: a hole says nothing, and no client may call it a gap.
    OfTheGateway,
    /// Each connection has its own, from protocol 4 on: a hole is a loss.
    OfTheConnection,
}

impl Numbers {
    /// Measured on 2026.2.9, which speaks protocol 3, and on 2026.9.6, which speaks 4.
    pub(super) const fn on(protocol: u32) -> Self {
        if protocol < 4 {
            Self::OfTheGateway
        } else {
            Self::OfTheConnection
        }
    }
}

/// What a reader of one stream knows.
#[derive(Debug)]
struct Account {
    numbers: Numbers,
    last: Option<u64>,
    /// Since the last event: what a slow reader has missed,
    lagged: u64,
    /// how many numbers the gateway left out, of these and other events,
    left_out: u64,
    /// and whether there was a new connection.
    resynced: bool,
}

impl Account {
    const fn new(numbers: Numbers, last: Option<u64>) -> Self {
        Self {
            numbers,
            last,
            lagged: 0,
            left_out: 0,
            resynced: false,
        }
    }

    fn take(&mut self, item: &EventItem) -> Result<(), String> {
        match item {
            EventItem::Lagged(0) => return Err("a lag of nothing".to_owned()),
            EventItem::Lagged(n) => self.lagged += n,
            EventItem::Gap { expected, got, .. } if got <= expected => {
                return Err(format!("a gap from {expected} to {got}"));
            }
            EventItem::Gap { .. } if self.numbers == Numbers::OfTheGateway => {
                return Err("a gap where the numbers tell nothing".to_owned());
            }
            EventItem::Gap { expected, got, .. } => self.left_out += got - expected,
            EventItem::Resync(_) => self.resynced = true,
            EventItem::Event(event) => {
                let payload: Value = event.payload().map_err(|error| error.to_string())?;
                let number = payload["n"].as_u64().unwrap_or_default();
                if let Some(last) = self.last.filter(|&last| number <= last) {
                    return Err(format!("event {number} came after {last}"));
                }
                // Each loss is told once: the next event starts a new account.
                let before = std::mem::replace(self, Self::new(self.numbers, Some(number)));
                return before.balance(number);
            }
            _ => return Err("an unknown item".to_owned()),
        }
        Ok(())
    }

    /// Whether all that is missing before this event was told.
    fn balance(&self, number: u64) -> Result<(), String> {
        let Some(last) = self.last else {
            return Ok(());
        };
        let missing = number - last - 1;
        let most = if self.resynced {
            u64::MAX
        } else {
            self.lagged + self.left_out
        };
        if (self.lagged..=most).contains(&missing) {
            return Ok(());
        }
        let (lagged, left_out) = (self.lagged, self.left_out);
        Err(format!(
            "event {number} after {last}, with {lagged} said to be dropped and {left_out} left out"
        ))
    }
}

/// A task that reads a stream.
#[derive(Debug)]
pub(super) struct Reader {
    task: JoinHandle<()>,
    last: Arc<AtomicU64>,
    count: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Reader {
    /// Reads `stream` to its end, with a pause after each item.
    #[must_use]
    pub(super) fn start(
        mut stream: EventStream,
        pause: Duration,
        numbers: Numbers,
        referee: Arc<Referee>,
    ) -> Self {
        let last = Arc::new(AtomicU64::new(0));
        let count = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (last_seen, counted, end) = (Arc::clone(&last), Arc::clone(&count), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            let mut account = Account::new(numbers, None);
            while let Some(item) = stream.next().await {
                if let Err(what) = account.take(&item) {
                    referee.foul(what);
                }
                if let Some(number) = account.last {
                    last_seen.store(number, Ordering::Relaxed);
                }
                counted.fetch_add(1, Ordering::Relaxed);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            end.store(true, Ordering::Relaxed);
        });
        Self {
            task,
            last,
            count,
            ended,
        }
    }

    /// The number of the last event that it read.
    #[must_use]
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// How many items it read.
    #[must_use]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether the stream has ended.
    #[must_use]
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Drops the stream.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}
