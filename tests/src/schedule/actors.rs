//! Calls, and readers of events.

use std::time::Duration;

use openclaw_adapter::{Client, Delivery, Error, EventFilter, EventItem, EventStream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::ledger::Ledger;
use crate::dice::Dice;

/// What the world emits.
pub(super) const EVENT: &str = "talk.mode";

/// How long after its deadline a call may end: a timer has its own granularity.
const SLACK: Duration = Duration::from_millis(5);

/// Larger than `maxPayload` of 2026.2.9.
const LARGE: usize = 600_000;

/// One call and what is to be done with it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: &'static str,
    params: Value,
    within: Duration,
    /// The caller gives up before.
    drop_after: Option<Duration>,
}

impl Ask {
    pub(super) fn random(dice: &mut Dice, is_old: bool) -> Self {
        let session = format!("agent:main:own-{}", dice.number(0..20));
        let (method, params) = match dice.number(0..8) {
            0 => ("health", json!({})),
            1 => ("status", json!({})),
            2 => ("sessions.list", json!({ "limit": 5 })),
            3 | 4 => ("chat.history", json!({ "sessionKey": session })),
            5 => ("models.list", json!({})),
            // Only administrators learn that it does not exist.
            6 => ("no.such.method", json!({})),
            // More than the old generation reads; of the new one it would be 25 MiB each time.
            7 if is_old => ("chat.history", json!({ "sessionKey": "x".repeat(LARGE) })),
            _ => ("agents.list", json!({})),
        };
        Self {
            method,
            params,
            within: dice.time(Duration::from_secs(15)) + Duration::from_millis(50),
            drop_after: dice
                .percent(15)
                .then(|| dice.time(Duration::from_millis(500))),
        }
    }

    fn is_large(&self) -> bool {
        self.params["sessionKey"]
            .as_str()
            .is_some_and(|key| key.len() >= LARGE)
    }
}

/// Makes the call and checks how it ends.
pub(super) async fn call(client: Client, ledger: Ledger, ask: Ask) {
    let began = Instant::now();
    let calling = client.call_raw(ask.method, &ask.params).within(ask.within);
    let ended = match ask.drop_after {
        None => calling.await,
        Some(after) => match timeout(after, calling.into_future()).await {
            Ok(ended) => ended,
            Err(_) => return,
        },
    };
    let took = began.elapsed();
    if took > ask.within + SLACK {
        ledger.foul(format_args!(
            "{} took {took:?}, its caller had {:?}",
            ask.method, ask.within
        ));
    }
    let right = match &ended {
        Ok(_) => !ask.is_large() && ask.method != "no.such.method",
        Err(Error::TooLarge { .. }) => ask.is_large(),
        Err(Error::Timeout { delivery, .. } | Error::Disconnected { delivery, .. }) => {
            *delivery == Delivery::NotSent || !ask.is_large()
        }
        Err(Error::Call { error, .. } | Error::HeldBack { error, .. }) => {
            ask.method == "no.such.method" || error.retryable == Some(true)
        }
        Err(_) => false,
    };
    if !right {
        ledger.foul(format_args!("{} ended as {ended:?}", ask.method));
    }
}

/// Reads numbered events and checks that none is missing without a word, and none comes twice.
pub(super) async fn read(client: Client, ledger: Ledger, pause: Duration, until: Duration) {
    let mut events = client.events_where(EventFilter::named([EVENT]));
    let mut last: Option<u64> = None;
    while let Ok(Some(item)) = timeout(
        until.saturating_sub(ledger.elapsed()),
        next(&mut events, pause),
    )
    .await
    {
        match item {
            EventItem::Event(event) => {
                let number = event
                    .payload::<Value>()
                    .ok()
                    .and_then(|payload| payload["n"].as_u64());
                let Some(number) = number else {
                    ledger.foul("an event has lost its number");
                    continue;
                };
                if last.is_some_and(|last| number != last + 1) {
                    ledger.foul(format_args!("event {number} came after {last:?}"));
                }
                last = Some(number);
            }
            // Whatever is missing is missing here.
            EventItem::Lagged(_) | EventItem::Gap { .. } | EventItem::Resync(_) => last = None,
            other => ledger.foul(format_args!("an item of another kind: {other:?}")),
        }
    }
}

async fn next(events: &mut EventStream, pause: Duration) -> Option<EventItem> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    events.next().await
}
