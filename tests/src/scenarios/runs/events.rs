//! Events to consumers of different pace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openclaw_adapter::{Client, EventFilter, EventItem, EventStream};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::scenarios::stage::Stage;

/// An event that any client can cause cheaply: the gateway sends each call of the method of this
/// name to everybody (measured on both generations).
const NAME: &str = "talk.mode";

/// How many are wanted.
const MOST: u64 = 100_000;

/// How long a real gateway is asked for them. It needs about a third of a millisecond of its one
/// thread for each (measured on 2026.9.6), and a busy machine gives it a part of that thread.
const ASKING: Duration = Duration::from_secs(180);

/// How many may be under way: no gateway keeps more than a megabyte for a client.
const AHEAD: u64 = 400;

/// How many calls ask for them at once.
const ASKERS: usize = 32;

/// How long one event, or one call, may take to arrive while the others do.
const SLOW: Duration = Duration::from_secs(5);

/// How many events have been sent and seen.
#[derive(Debug, Default)]
struct Flood {
    sent: AtomicU64,
    seen: watch::Sender<u64>,
    over: watch::Sender<bool>,
}

impl Flood {
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// The number of the next event.
    fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::AcqRel)
    }

    /// Waits until the lively consumer is at most so many events behind.
    async fn behind(&self, most: u64) -> anyhow::Result<()> {
        let mut seen = self.seen.subscribe();
        let near = seen.wait_for(|seen| self.sent() <= seen + most);
        let waited = tokio::time::timeout(SLOW, near).await.map(drop);
        waited.with_context(|| {
            let seen = *self.seen.borrow();
            format!("{seen} events of {} arrived, then none", self.sent())
        })
    }
}

fn number(item: EventItem) -> anyhow::Result<Option<u64>> {
    match item {
        EventItem::Event(event) if event.name() == NAME => {
            let payload: Value = event.payload()?;
            let text = payload["phase"].as_str().context("an event without text")?;
            Ok(Some(text.parse()?))
        }
        EventItem::Event(_) => Ok(None),
        other => bail!("a consumer that keeps up was told {other:?}"),
    }
}

/// Reads everything as it comes: each event once.
async fn keep_up(mut events: EventStream, flood: &Flood) -> anyhow::Result<()> {
    let mut over = flood.over.subscribe();
    let mut seen = vec![];
    loop {
        let item = tokio::select! {
            biased;
            item = events.next() => item.context("the stream has ended")?,
            _ = over.wait_for(|over| *over) => break,
        };
        if let Some(number) = number(item)? {
            seen.push(number);
            flood.seen.send_modify(|seen| *seen += 1);
        }
    }
    // Calls that go out at the same time may be done in another order; none twice, none missing.
    seen.sort_unstable();
    ensure!(
        seen.iter().copied().eq(0..flood.sent()),
        "of {} events {} arrived",
        flood.sent(),
        seen.len()
    );
    Ok(())
}

/// Sends events as fast as the lively consumer reads them.
async fn pour(stage: &Stage, caller: &Client, flood: &Flood) -> anyhow::Result<()> {
    let gateway = stage.gateway();
    let payload = |number: u64| json!({ "enabled": true, "phase": number.to_string() });
    let first = payload(flood.next());
    if gateway.emit(NAME, &first) {
        while flood.sent() < MOST {
            flood.behind(AHEAD).await?;
            gateway.emit(NAME, &payload(flood.next()));
        }
        return Ok(());
    }
    caller.call_raw(NAME, first).await?;
    let until = Instant::now() + ASKING;
    let ask = |_| async {
        while Instant::now() < until && flood.sent() < MOST {
            flood.behind(AHEAD).await?;
            caller.call_raw(NAME, payload(flood.next())).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    futures_util::future::try_join_all((0..ASKERS).map(ask)).await?;
    Ok(())
}

/// Calls now and then, until told to stop; how long each took, the shortest first.
async fn call_meanwhile(
    client: Client,
    mut over: watch::Receiver<bool>,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => break,
            _ = pace.tick() => {}
        }
        let asked = Instant::now();
        client.call_raw("health", json!({})).within(SLOW).await?;
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// What a consumer that slept finds: how many were left out, and how many are there.
async fn wake_up(mut events: EventStream) -> anyhow::Result<(u64, u64)> {
    let (mut left_out, mut there) = (0, 0);
    loop {
        match tokio::time::timeout(Duration::ZERO, events.next()).await {
            Ok(Some(EventItem::Lagged(missed))) => {
                ensure!(there == 0, "events were left out after the oldest one");
                left_out += missed;
            }
            Ok(Some(EventItem::Event(_))) => there += 1,
            Ok(Some(other)) => bail!("the consumer that slept was told {other:?}"),
            Ok(None) => bail!("the stream of the consumer that slept has ended"),
            Err(_) => return Ok((left_out, there)),
        }
    }
}

pub(super) async fn sleeping_consumer(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let client = stage.client("listener", &road).await?;
    let caller = stage.client("caller", &road).await?;
    let connections = road.connections();
    let asleep = client.events();
    let lively = client.events_where(EventFilter::named([NAME]));

    let flood = Flood::default();
    let started = Instant::now();
    let pouring = async {
        let poured = match pour(stage, &caller, &flood).await {
            Ok(()) => flood.behind(0).await,
            failed => failed,
        };
        flood.over.send_replace(true);
        poured.map(|()| started.elapsed())
    };
    // In a task of its own, so that its times are not those of the flood's making.
    let calling = tokio::spawn(call_meanwhile(client.clone(), flood.over.subscribe()));
    let (poured, kept_up) = tokio::join!(pouring, keep_up(lively, &flood));
    let calls = calling.await??;
    let took = poured?;
    kept_up?;
    let slowest = *calls.last().context("no call was made meanwhile")?;
    let median = calls[calls.len() / 2];

    let sent = flood.sent();
    let (left_out, there) = wake_up(asleep).await?;
    ensure!(
        left_out > 0 && left_out + there >= sent,
        "the consumer that slept was told of {left_out} left out and {there} events, of {sent}"
    );
    ensure!(
        road.connections() == connections,
        "somebody was disconnected: {} connections instead of {connections}",
        road.connections()
    );
    caller.close().await;
    client.close().await;
    Ok(format!(
        "{sent} events in {:.1} s: Lagged({left_out}), the other consumer had all of them, {} calls \
         meanwhile took {:.0} ms (median), {:.0} ms at most",
        took.as_secs_f64(),
        calls.len(),
        median.as_secs_f64() * 1000.0,
        slowest.as_secs_f64() * 1000.0
    ))
}
