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

/// What a reader of one stream knows.
#[derive(Debug, Default)]
struct Account {
    last: Option<u64>,
    lagged: u64,
    /// Something else than a slow reader is to blame for what is missing since the last event.
    excused: bool,
}

impl Account {
    fn take(&mut self, item: &EventItem) -> Result<(), String> {
        match item {
            EventItem::Lagged(0) => return Err("a lag of nothing".to_owned()),
            EventItem::Lagged(n) => self.lagged += n,
            EventItem::Gap { expected, got } if got <= expected => {
                return Err(format!("a gap from {expected} to {got}"));
            }
            EventItem::Gap { .. } | EventItem::Resync(_) => self.excused = true,
            EventItem::Event(event) => {
                let payload: Value = event.payload().map_err(|error| error.to_string())?;
                let number = payload["n"].as_u64().unwrap_or_default();
                let missing = match self.last {
                    Some(last) if number <= last => {
                        return Err(format!("event {number} came after {last}"));
                    }
                    Some(last) => number - last - 1,
                    None => self.lagged,
                };
                let told = if self.excused {
                    missing >= self.lagged
                } else {
                    missing == self.lagged
                };
                if !told {
                    let (last, lagged) = (self.last, self.lagged);
                    return Err(format!(
                        "event {number} after {last:?}, with {lagged} said to be dropped"
                    ));
                }
                *self = Self {
                    last: Some(number),
                    ..Self::default()
                };
            }
            _ => return Err("an unknown item".to_owned()),
        }
        Ok(())
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
    pub(super) fn start(mut stream: EventStream, pause: Duration, referee: Arc<Referee>) -> Self {
        let last = Arc::new(AtomicU64::new(0));
        let count = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (last_seen, counted, end) = (Arc::clone(&last), Arc::clone(&count), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            let mut account = Account::default();
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
