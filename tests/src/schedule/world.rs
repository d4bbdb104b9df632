//! One schedule, from the start of a client to the end of it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use openclaw_adapter::api::sessions::List;
use openclaw_adapter::{Client, Config, MemoryStore, RetryPolicy, Token};
use openclaw_mock_gateway::{Edition, Locality, MockGateway, TokioClock};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::actors::{self, Ask, EVENT};
use super::ledger::{Fall, Ledger};
use super::runs::{self, Plan};
use super::watches::{self, Keys};
use crate::dice::Dice;
use crate::model::MockModel;
use crate::sim::net::{Flow, Net, Speed, Way};
use crate::virtual_time::{EPOCH_MS, on_virtual_time};

/// How long everything that was begun may take to end once nothing breaks any more: longer than
/// any run's patience.
const MENDED: Duration = Duration::from_secs(1_800);

/// How long the list of sessions may take to be the gateway's.
const SETTLED: Duration = Duration::from_secs(60);

/// Where bytes may get lost, or stuck.
const WAYS: &[&[Way]] = &[&[Way::Out], &[Way::Back], &[Way::Out, Way::Back]];

/// `close` promises a second.
const CLOSE: Duration = Duration::from_millis(1_100);

/// What came of a schedule.
#[derive(Debug, Clone)]
pub struct Played {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// What should not have happened.
    pub fouls: Vec<String>,
    /// What happened, a line each.
    pub log: Vec<String>,
    /// Numbers.
    pub tally: Tally,
}

/// How much happened, in one or in many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls made.
    pub calls: u64,
    /// Runs begun.
    pub runs: u64,
    /// Connections cut, or kept from working.
    pub cuts: u64,
    /// Ends of the gateway's process.
    pub restarts: u64,
    /// Attempts to connect.
    pub dials: u64,
    /// Virtual time.
    pub time: Duration,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.runs += other.runs;
        self.cuts += other.cuts;
        self.restarts += other.restarts;
        self.dials += other.dials;
        self.time += other.time;
    }
}

/// Plays the schedule of this seed, on a runtime of its own.
#[must_use]
pub fn play(seed: u64) -> Played {
    on_virtual_time(async move {
        // Boxed: it is large, and the stack of a test's thread is not.
        Box::pin(World::new(seed).play()).await
    })
}

struct World {
    dice: Dice,
    ledger: Ledger,
    net: Net,
    gateway: Arc<MockGateway>,
    model: Arc<MockModel>,
    client: Client,
    begun: Vec<(String, JoinHandle<()>)>,
    /// Where the gateway stops by itself and starts again.
    away: Option<JoinHandle<()>>,
    keys: Keys,
    stop: watch::Sender<bool>,
    last_event: u64,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::seeded(seed);
        let edition = *dice.one_of(&Edition::ALL);
        let gateway = MockGateway::builder()
            .edition(edition)
            .clock(TokioClock::starting_at(EPOCH_MS))
            .recording(false)
            .strict(false)
            .build();
        let gateway = Arc::new(gateway);
        let model = Arc::new(MockModel::of(&gateway));
        let ledger = Ledger::new();
        let net = Net::new(Arc::new(ledger.clone()));
        net.lead_to(&gateway, Locality::Local);
        net.listen(true);
        ledger.note(format_args!("seed {seed}: {edition}"));
        let config = Config::builder()
            .url("ws://127.0.0.1:1")
            .token(Token::new(gateway.token()).expect("a token"))
            .store(MemoryStore::new())
            .seed(seed)
            .retry(RetryPolicy::default().with_max(Duration::from_secs(3)))
            .connector(net.clone())
            .build()
            .expect("a configuration");
        Self {
            dice,
            ledger,
            net,
            gateway,
            model,
            client: Client::start(config),
            begun: Vec::new(),
            away: None,
            keys: Keys::default(),
            stop: watch::Sender::new(false),
            last_event: 0,
            tally: Tally::default(),
        }
    }

    fn is_old(&self) -> bool {
        self.gateway.edition() == Edition::V2026_2_9
    }

    fn begin(&mut self, name: String, what: impl Future<Output = ()> + Send + 'static) {
        self.begun.push((name, tokio::spawn(what)));
    }

    async fn play(mut self) -> Played {
        self.begin_watching();
        let steps = self.dice.number(20..60);
        for step in 0..steps {
            self.step(step);
            let pause = self.dice.time(Duration::from_secs(2));
            sleep(pause).await;
        }
        self.mend().await;
        self.end_all().await;
        self.check_sessions().await;
        self.leave().await
    }

    fn begin_watching(&mut self) {
        let most = Duration::from_secs(150);
        for pause in [Duration::ZERO, Duration::from_millis(700)] {
            let (client, ledger) = (self.client.clone(), self.ledger.clone());
            self.begin(
                format!("reader with {pause:?}"),
                actors::read(client, ledger, pause, most),
            );
        }
        let watching = watches::keep(
            self.client.clone(),
            self.ledger.clone(),
            Arc::clone(&self.keys),
            self.is_old(),
            self.stop.subscribe(),
        );
        self.begin("watch".to_owned(), watching);
    }

    fn step(&mut self, number: usize) {
        match self.dice.number(0..20) {
            0..6 => {
                let plan = Plan::random(&mut self.dice, number);
                self.tally.runs += 1;
                let (client, ledger) = (self.client.clone(), self.ledger.clone());
                let name = plan.name.clone();
                let run = runs::play(client, ledger, Arc::clone(&self.model), plan);
                self.begin(name, run);
            }
            6..11 => {
                let is_old = self.is_old();
                for _ in 0..self.dice.number(1..4) {
                    let ask = Ask::random(&mut self.dice, is_old);
                    self.tally.calls += 1;
                    let (client, ledger) = (self.client.clone(), self.ledger.clone());
                    self.begin("call".to_owned(), actors::call(client, ledger, ask));
                }
            }
            11..13 => {
                for _ in 0..self.dice.number(1..30) {
                    self.last_event += 1;
                    self.gateway.emit(EVENT, &json!({ "n": self.last_event }));
                }
            }
            13..16 => {
                self.tally.cuts += 1;
                self.ledger.note("every connection is cut");
                self.net.reset();
            }
            16 => self.partition(),
            17 => {
                let speed = Speed {
                    latency: self.dice.time(Duration::from_millis(400)),
                    rate: self.dice.percent(50).then_some(20_000),
                };
                self.ledger.note(format_args!("the link is now {speed:?}"));
                self.net.set_speed(speed);
            }
            18 => self.restart(true),
            _ => self.restart(false),
        }
    }

    /// Bytes get lost, or stuck, for some time.
    fn partition(&mut self) {
        let flow = if self.dice.percent(50) {
            Flow::Lost
        } else {
            Flow::Held
        };
        let ways = *self.dice.one_of::<&[Way]>(WAYS);
        let time = self.dice.time(Duration::from_secs(20));
        self.tally.cuts += 1;
        self.ledger
            .note(format_args!("{ways:?} {flow:?} for {time:?}"));
        for &way in ways {
            self.net.set_flow(way, flow);
        }
        let net = self.net.clone();
        self.begin("partition".to_owned(), async move {
            sleep(time).await;
            net.heal(true);
        });
    }

    /// The gateway ends, told to or killed, and is started again by whoever looks after it.
    fn restart(&mut self, kill: bool) {
        if self.away.as_ref().is_some_and(|away| !away.is_finished()) {
            return;
        }
        self.tally.restarts += 1;
        let pause = self.dice.time(Duration::from_secs(10));
        // A process that lived for less than this cannot be told from the next one on 2026.2.9.
        let life = Duration::from_secs(4);
        let (gateway, net, ledger) = (
            Arc::clone(&self.gateway),
            self.net.clone(),
            self.ledger.clone(),
        );
        let drains = !self.is_old() && !kill;
        self.away = Some(tokio::spawn(async move {
            sleep(life).await;
            if kill {
                ledger.note("the gateway is killed");
                ledger.falls(Fall::Sudden);
                net.listen(false);
                gateway.kill();
                ledger.has_fallen(Fall::Sudden);
            } else {
                ledger.note("the gateway is told to stop");
                let how = if drains { Fall::Drained } else { Fall::Sudden };
                ledger.falls(how);
                gateway.stop().await;
                net.listen(false);
                ledger.has_fallen(how);
            }
            sleep(pause).await;
            // Without a listener of TCP there is nothing that could fail.
            let _ = gateway.start_again().await;
            net.listen(true);
            ledger.note("the gateway is there again");
        }));
    }

    /// From here on nothing breaks any more.
    async fn mend(&mut self) {
        if let Some(away) = self.away.take()
            && timeout(MENDED, away).await.is_err()
        {
            self.ledger.foul("the gateway does not come back");
        }
        self.net.heal(true);
        self.net.set_speed(Speed::default());
        self.ledger.note("all is well again");
    }

    /// Everything that was begun ends by itself.
    async fn end_all(&mut self) {
        let until = tokio::time::Instant::now() + MENDED;
        let mut watch = Vec::new();
        for (name, mut task) in std::mem::take(&mut self.begun) {
            if name == "watch" {
                watch.push((name, task));
                continue;
            }
            match tokio::time::timeout_at(until, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.ledger.foul(format_args!("{name}: {error}")),
                Err(_) => {
                    self.ledger.foul(format_args!("{name} does not end"));
                    task.abort();
                }
            }
        }
        self.begun = watch;
    }

    /// What the watch knows is what the gateway has.
    async fn check_sessions(&mut self) {
        if !self.is_old() {
            let list = self.client.sessions().list(List::new().limit(500)).await;
            let there: BTreeSet<String> = match list {
                Ok(list) => list.sessions.into_iter().map(|row| row.key).collect(),
                Err(error) => {
                    return self
                        .ledger
                        .foul(format_args!("no list at the end: {error}"));
                }
            };
            let copy = async {
                loop {
                    let missing: Vec<String> = {
                        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                        there.difference(&keys).cloned().collect()
                    };
                    if missing.is_empty() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            };
            if timeout(SETTLED, copy).await.is_err() {
                let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                self.ledger.foul(format_args!(
                    "the watch knows {keys:?}, there are {there:?}"
                ));
            }
        }
        self.stop.send_replace(true);
        for (name, task) in std::mem::take(&mut self.begun) {
            if timeout(SETTLED, task).await.is_err() {
                self.ledger.foul(format_args!("{name} does not end"));
            }
        }
    }

    /// Nothing is left behind.
    async fn leave(mut self) -> Played {
        // Callers that gave up are forgotten by the client's own task.
        sleep(Duration::from_secs(1)).await;
        let stats = self.client.stats();
        if (
            stats.calls,
            stats.unanswered,
            stats.runs,
            stats.event_streams,
        ) != (0, 0, 0, 0)
            // The method that does not exist.
            || stats.held_back > 1
        {
            self.ledger
                .foul(format_args!("something is left behind: {stats:?}"));
        }
        if timeout(CLOSE, self.client.close()).await.is_err() {
            self.ledger.foul("the client does not close");
        }
        self.tally.time = self.ledger.elapsed();
        let (log, fouls, dials) = self.ledger.close();
        self.tally.dials = dials;
        Played {
            seed: self.dice.seed(),
            fouls,
            log,
            tally: self.tally,
        }
    }
}
