//! One life, from the start of a client to the end of it.

mod deeds;
mod ending;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use openclaw_adapter::{
    Client, Config, ConnectionState, DeviceTokenFallback, PairingPolicy, Token,
};
use openclaw_mock_gateway::{Edition, Locality, MockGateway, Pairing, ReloadMode, TokioClock};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::action::{Action, Trouble};
use super::calls::Calls;
use super::events::{NAME, Numbers, Reader};
use super::net::{Flow, Net, Watch};
use super::referee::Referee;
use super::runs::Runs;
use super::store::WatchedStore;
use crate::virtual_time::{EPOCH_MS, on_virtual_time};

/// Nobody dials it: the network is in memory.
const URL: &str = "ws://127.0.0.1:1";
const MINUTE: Duration = Duration::from_secs(60);
/// `close` promises a second.
const CLOSE: Duration = Duration::from_millis(1_100);
/// How often the thread may go to rest in a step, and in each second of it: the mock alone looks at its
/// disk ten times a second.
const RESTS: u64 = 4_000;
const RESTS_A_SECOND: u64 = 60;

/// What came of a life.
#[derive(Clone, Debug)]
pub struct Story {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// What should not have happened.
    pub fouls: Vec<String>,
    /// What happened, a line each.
    pub log: Vec<String>,
    /// Numbers.
    pub tally: Tally,
}

/// How much happened in a life, or in many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Things that were done to the client.
    pub steps: u64,
    /// Attempts.
    pub dials: u64,
    /// Those that were let in.
    pub hellos: u64,
    /// Calls made.
    pub calls: u64,
    /// Agent runs started.
    pub runs: u64,
    /// Items read from event streams.
    pub items: u64,
    /// Virtual time.
    pub time: Duration,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.dials += other.dials;
        self.hellos += other.hellos;
        self.calls += other.calls;
        self.runs += other.runs;
        self.items += other.items;
        self.time += other.time;
    }
}

/// Plays the life of this seed, on a runtime of its own.
#[must_use]
pub fn play(seed: u64) -> Story {
    on_virtual_time(async move {
        let world = World::new(seed);
        // Boxed: it is large, and the stack of a test's thread is not.
        Box::pin(world.live()).await
    })
}

struct World {
    seed: u64,
    rng: Rng,
    began: Instant,
    referee: Arc<Referee>,
    net: Net,
    gateway: Arc<MockGateway>,
    locality: Locality,
    numbers: Numbers,
    client: Client,
    store: WatchedStore,
    calls: Calls,
    runs: Runs,
    waiting: Vec<JoinHandle<()>>,
    readers: Vec<Reader>,
    secrets: u32,
    last_event: u64,
    items: u64,
    steps: u64,
    is_up: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let edition = Edition::ALL[rng.usize(0..2)];
        let locality = if rng.u8(0..4) == 0 {
            Locality::Local
        } else {
            Locality::Remote
        };
        let startup_delay = Duration::from_millis(rng.choice([0, 0, 700, 5_000]).unwrap_or(0));
        let tick = Duration::from_secs(rng.choice([5, 30]).unwrap_or(30));
        let pairing = match rng.u8(0..8) {
            0 => Pairing::Auto,
            1 => Pairing::AfterTries(rng.u32(1..4)),
            2 => Pairing::AfterDelay(Duration::from_secs(rng.u64(0..20))),
            _ => Pairing::Manual,
        };
        let reload = if rng.bool() {
            ReloadMode::AsTheEdition
        } else {
            ReloadMode::Off
        };
        let fallback = if rng.u8(0..8) == 0 {
            DeviceTokenFallback::Never
        } else {
            DeviceTokenFallback::TrustedEndpoint
        };
        let secret = "secret-000".to_owned();
        let gateway = MockGateway::builder()
            .edition(edition)
            .token(secret.clone())
            .clock(TokioClock::starting_at(EPOCH_MS))
            .startup_delay(startup_delay)
            .tick_interval(tick)
            .pairing(pairing)
            .reload(reload)
            .recording(false)
            .strict(false)
            .build();
        let gateway = Arc::new(gateway);

        let limit = (rng.u8(0..6) == 0).then(|| Duration::from_secs(rng.u64(1..90)));
        let falls_back = fallback != DeviceTokenFallback::Never;
        let referee = Arc::new(Referee::new(&secret, limit, falls_back));
        let net = Net::new(Arc::clone(&referee) as Arc<dyn Watch>);
        net.lead_to(&gateway, locality);
        let is_up = rng.u8(0..5) > 0;
        net.listen(is_up);

        let store = WatchedStore::new(Arc::clone(&referee));
        let calls = Calls::new(Arc::clone(&referee));
        calls.mount(&gateway);
        let runs = Runs::new(Arc::clone(&referee));
        runs.mount(&gateway);
        referee.note(format!(
            "seed {seed}: {edition}, {locality:?}, {pairing:?}, starts in {startup_delay:?}, waits {limit:?}"
        ));
        let config = Config::builder()
            .url(URL)
            .token(Token::new(secret).expect("a token"))
            .store(store.clone())
            .seed(seed)
            .event_capacity(rng.usize(1..80), 1 << 20)
            .command_capacity(rng.usize(1..20))
            .device_token_fallback(fallback)
            .pairing(limit.map_or(PairingPolicy::WaitForever, PairingPolicy::WaitUpTo))
            .connector(net.clone())
            .on_state({
                let referee = Arc::clone(&referee);
                move |state| referee.state(state)
            })
            .build()
            .expect("a configuration");
        let client = Client::start(config);
        let numbers = Numbers::on(edition.protocol());
        let readers = [Duration::ZERO, Duration::from_millis(rng.u64(100..3_000))].map(|pause| {
            let stream = client.events_where(filter());
            Reader::start(stream, pause, numbers, Arc::clone(&referee))
        });
        Self {
            seed,
            rng,
            began: Instant::now(),
            referee,
            net,
            gateway,
            locality,
            numbers,
            client,
            store,
            calls,
            runs,
            waiting: Vec::new(),
            readers: readers.into(),
            secrets: 0,
            last_event: 0,
            items: 0,
            steps: 0,
            is_up,
        }
    }

    async fn live(mut self) -> Story {
        let steps = self.rng.u64(12..32);
        for _ in 0..steps {
            let trouble = self.trouble();
            let action = Action::choose(&mut self.rng, trouble);
            self.referee.note(format!("{action:?}"));
            self.steps += 1;
            let (began, rests) = (Instant::now(), rests());
            self.perform(action).await;
            let pause = Action::pause(&mut self.rng);
            sleep(pause + Duration::from_millis(1)).await;
            self.is_idle(began, rests);
            self.check().await;
        }
        // Every second client is closed in the middle of its troubles.
        if self.rng.bool() {
            self.mend().await;
        }
        self.end().await
    }

    fn trouble(&self) -> Option<Trouble> {
        let state = self.client.state();
        let state = state.borrow();
        match &*state {
            ConnectionState::Ready { .. } => None,
            _ if !self.is_up => Some(Trouble::Down),
            _ if self.net.flows() != [Flow::Open; 2] => Some(Trouble::NoRoute),
            ConnectionState::AwaitingApproval { .. } => Some(Trouble::Unapproved),
            ConnectionState::Stopped { .. } => Some(Trouble::Stopped),
            _ => Some(Trouble::Slow),
        }
    }

    /// Lets everything that is due at this moment happen.
    async fn settle(&self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }

    /// Whoever has nothing to do sleeps: the thread does not go to rest a thousand times a second.
    fn is_idle(&self, began: Instant, before: u64) {
        let allowed = RESTS + RESTS_A_SECOND * began.elapsed().as_secs();
        let rests = rests() - before;
        if rests > allowed {
            let time = began.elapsed();
            self.referee.foul(format!(
                "somebody is busy for nothing: {rests} rests in {time:?}"
            ));
        }
    }

    async fn check(&mut self) {
        self.settle().await;
        self.referee.check(self.store.token(URL).as_deref());
        self.calls.check();
        let stats = self.client.stats();
        let open = self.calls.open();
        let runs = self.runs.open();
        let readers = self.readers.iter().filter(|reader| !reader.has_ended());
        let streams = readers.count();
        let foul = |is_foul: bool, what: &str| {
            if is_foul {
                let held = format!("{open} calls, {runs} runs, {streams} streams");
                self.referee.foul(format!("{what}: {stats:?}, {held}"));
            }
        };
        // A run that is followed makes calls of its own, and has a stream.
        let is_exact = runs == 0;
        foul(
            stats.calls < open || (is_exact && stats.calls != open),
            "calls are counted that are not open",
        );
        foul(
            stats.unanswered > stats.calls + runs,
            "an entry without a caller",
        );
        foul(stats.runs != runs, "runs are counted that are not open");
        foul(
            stats.event_streams < streams || (is_exact && stats.event_streams != streams),
            "event streams that nobody holds",
        );
        let watch = self.client.state();
        foul(
            watch.borrow().is_stopped() && open > 0,
            "calls wait in a stopped client",
        );
        self.waiting.retain(|task| !task.is_finished());
    }
}

/// How often this thread has run out of things to do.
fn rests() -> u64 {
    tokio::runtime::Handle::current()
        .metrics()
        .worker_park_count(0)
}

fn filter() -> openclaw_adapter::EventFilter {
    openclaw_adapter::EventFilter::named([NAME])
}
