//! What a backend watches, while the gateway comes and goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openclaw_adapter::api::sessions::{Create, List};
use openclaw_adapter::{Client, Error, EventItem, EventStream, RetryPolicy, SessionsWatch, Update};
use serde_json::json;
use tokio::time::timeout;

use super::laps::Laps;
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;
use crate::scenarios::{BACK_AGAIN, SOON};

/// How often the gateway goes and comes back.
const RESTARTS: usize = 20;
/// A real gateway is restarted as often as goes into this time: one start of 2026.9.6 takes ten
/// seconds of processor time. The answer says how often it was.
const LONG_ENOUGH: Duration = Duration::from_secs(480);
/// But at least this often.
const LEAST: usize = 3;

/// More than there will ever be.
const SESSIONS: u32 = 500;

/// A copy of the gateway's list, as a backend keeps one.
struct Copy {
    watch: SessionsWatch,
    keys: BTreeSet<String>,
    resyncs: usize,
    snapshots: usize,
}

impl Copy {
    fn of(client: &Client) -> Self {
        Self {
            watch: client.sessions().watch(List::new().limit(SESSIONS)),
            keys: BTreeSet::new(),
            resyncs: 0,
            snapshots: 0,
        }
    }

    /// Reads on until `enough`.
    async fn until(
        &mut self,
        what: &str,
        mut enough: impl FnMut(&Self, &Update<(), String>) -> bool,
    ) -> anyhow::Result<()> {
        let mut resynced = false;
        let reading = async {
            loop {
                let update = self.watch.next().await.context("the watch is over")??;
                let told = match update {
                    Update::Resync(reason) => {
                        self.resyncs += 1;
                        resynced = true;
                        Update::Resync(reason)
                    }
                    Update::Snapshot(list) => {
                        self.snapshots += 1;
                        self.keys = list.sessions.into_iter().map(|row| row.key).collect();
                        resynced = false;
                        Update::Snapshot(())
                    }
                    Update::Live(change) => {
                        ensure!(!resynced, "a change came before the snapshot");
                        let Some(key) = change.session_key else {
                            continue;
                        };
                        self.keys.insert(key.clone());
                        Update::Live(key)
                    }
                    other => bail!("an update of another kind: {other:?}"),
                };
                if enough(self, &told) {
                    return Ok(());
                }
            }
        };
        match timeout(BACK_AGAIN, reading).await {
            Ok(read) => read,
            Err(_) => bail!("{what} did not come within {BACK_AGAIN:?}"),
        }
    }
}

/// Makes a session and sees it in the watch.
async fn new_session(stage: &Stage, client: &Client, copy: &mut Copy) -> anyhow::Result<String> {
    let key = stage.session("watched");
    client.sessions().create(Create::new().key(&key)).await?;
    if !copy.keys.contains(&key) {
        copy.until("the new session", |copy, _| copy.keys.contains(&key))
            .await?;
    }
    Ok(key)
}

/// The gateway goes, comes back, and lets the client in again.
async fn away_and_back(
    stage: &Stage,
    client: &Client,
    round: usize,
    laps: &mut Laps,
    since: &mut Instant,
) -> anyhow::Result<()> {
    let gateway = stage.gateway();
    if round.is_multiple_of(2) {
        gateway.stop().await?;
        laps.end("stopped", since);
    } else {
        gateway.kill().await?;
        laps.end("killed", since);
    }
    stage.note(&format!("gone the {round}. time"));
    // What is asked before the client has noticed would go out to the gateway that is gone.
    let mut seen = client.state();
    let noticed = timeout(SOON, seen.wait_for(|state| !state.is_ready())).await;
    noticed.with_context(|| format!("the loss is not noticed within {SOON:?}"))??;
    laps.end("noticed", since);
    gateway.start().await?;
    laps.end("listens", since);
    stage.note("listens again");
    let ready = timeout(BACK_AGAIN, client.ready()).await;
    ready.with_context(|| format!("not ready after {BACK_AGAIN:?}"))??;
    laps.end("ready", since);
    stage.note("the client is ready");
    Ok(())
}

pub(super) async fn over_restarts(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    // It is the watch that is looked at, not the back-off.
    let retry = RetryPolicy::default().with_max(Duration::from_millis(500));
    let config = stage.config("watcher", &road)?.retry(retry);
    let client = Client::connect(config.build()?).await?;
    let started = Instant::now();
    let found = match stage.gateway().release() {
        Release::V2026_2_9 => events(stage, &client).await?,
        Release::V2026_9_6 | Release::Other => sessions(stage, &client).await?,
    };
    client.close().await;
    Ok(format!(
        "{found}, in {:.0} s",
        started.elapsed().as_secs_f64()
    ))
}

async fn sessions(stage: &Stage, client: &Client) -> anyhow::Result<String> {
    let mut copy = Copy::of(client);
    copy.until("the first list", |copy, _| copy.snapshots == 1)
        .await?;
    let mut made = vec![new_session(stage, client, &mut copy).await?];
    let began = Instant::now();
    let mut laps = Laps::default();
    let mut restarts = 0;
    while restarts < LEAST || restarts < RESTARTS && began.elapsed() < LONG_ENOUGH {
        restarts += 1;
        let round = restarts;
        let before = (copy.resyncs, copy.snapshots);
        let mut since = Instant::now();
        away_and_back(stage, client, round, &mut laps, &mut since).await?;
        // Written before the watch has its place back, as far as that can be arranged.
        let early = stage.session("early");
        let create = client.sessions().create(Create::new().key(&early));
        create.within(BACK_AGAIN).await?;
        made.push(early);
        laps.end("a call", &mut since);
        if copy.snapshots == before.1 {
            copy.until("a new list", |copy, told| {
                matches!(told, Update::Snapshot(())) && copy.resyncs > before.0
            })
            .await
            .with_context(|| format!("restart {round}"))?;
        }
        laps.end("the list", &mut since);
        stage.note("the watch has its list");
        made.push(new_session(stage, client, &mut copy).await?);
        laps.end("a change", &mut since);
    }
    let list = client.sessions().list(List::new().limit(SESSIONS)).await?;
    let there: BTreeSet<String> = list.sessions.into_iter().map(|row| row.key).collect();
    let missing: Vec<&String> = made
        .iter()
        .chain(&there)
        .filter(|key| !copy.keys.contains(*key))
        .collect();
    ensure!(missing.is_empty(), "the watch does not know {missing:?}");
    Ok(format!(
        "{restarts} restarts: {} times Resync and then a snapshot, every new session seen, none of {} \
         missing; {laps}",
        copy.resyncs,
        there.len()
    ))
}

/// Reads on until an item that `wanted` says yes to.
async fn next(
    events: &mut EventStream,
    what: &str,
    wanted: impl Fn(&EventItem) -> bool,
) -> anyhow::Result<()> {
    let reading = async {
        while let Some(item) = events.next().await {
            if wanted(&item) {
                return Ok(());
            }
        }
        bail!("the events are over")
    };
    match timeout(BACK_AGAIN, reading).await {
        Ok(read) => read,
        Err(_) => bail!("{what} did not come within {BACK_AGAIN:?}"),
    }
}

/// The old generation has no subscriptions. It says so by name, and what it broadcasts goes on.
async fn events(stage: &Stage, client: &Client) -> anyhow::Result<String> {
    let mut watch = client.sessions().watch(List::new());
    let began = watch.next().await.context("the watch is over")??;
    ensure!(
        matches!(began, Update::Resync(_)),
        "the watch began with {began:?}"
    );
    match watch.next().await {
        Some(Err(Error::Unsupported { method, .. })) => {
            ensure!(
                &*method == "sessions.subscribe",
                "{method} is not supported"
            );
        }
        other => bail!("a watch of a gateway that has none: {other:?}"),
    }
    let mut events = client.events();
    let began = Instant::now();
    let mut laps = Laps::default();
    let mut restarts = 0;
    while restarts < LEAST || restarts < RESTARTS && began.elapsed() < LONG_ENOUGH {
        restarts += 1;
        let mut since = Instant::now();
        away_and_back(stage, client, restarts, &mut laps, &mut since).await?;
        next(&mut events, "a Resync", |item| {
            matches!(item, EventItem::Resync(_))
        })
        .await?;
        client.call_raw("status", json!({})).await?;
        // One comes right after every hello.
        next(
            &mut events,
            "an event",
            |item| matches!(item, EventItem::Event(event) if event.name() == "health"),
        )
        .await?;
        laps.end("an event", &mut since);
    }
    Ok(format!(
        "sessions.subscribe refused by name; {restarts} restarts: after each Resync and new events; \
         {laps}"
    ))
}
