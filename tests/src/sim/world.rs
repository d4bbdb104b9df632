//! One life, from the start of a client to the end of it.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use openclaw_adapter::{
    Client, Config, ConnectionState, DeviceTokenFallback, PairingPolicy, Token,
};
use openclaw_mock_gateway::{Edition, Locality, MockGateway, Pairing, ReloadMode, TokioClock};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::action::{Action, Misdeed, Trouble};
use super::calls::Calls;
use super::events::{NAME, Numbers, Reader};
use super::misdeed::fault;
use super::net::{Flow, Net, Speed, Watch};
use super::referee::Referee;
use super::rules::Word;
use super::runs::Runs;
use super::store::WatchedStore;
use super::strangers;

/// Nobody dials it: the network is in memory.
const URL: &str = "ws://127.0.0.1:1";
const MINUTE: Duration = Duration::from_secs(60);
/// `close` promises a second.
const CLOSE: Duration = Duration::from_millis(1_100);
/// How often the thread may go to rest in a step, and in each second of it: the mock alone looks at its
/// disk ten times a second.
const RESTS: u64 = 4_000;
const RESTS_A_SECOND: u64 = 60;
/// Any moment will do; one that is fixed makes the numbers on the wire as long each time.
const EPOCH_MS: u64 = 1_795_375_154_446;

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("no runtime");
    runtime.block_on(async move {
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
        net.on_accept({
            let gateway = Arc::downgrade(&gateway);
            move |stream| {
                if let Some(gateway) = gateway.upgrade() {
                    tokio::spawn(gateway.serve(stream, locality));
                }
            }
        });
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

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Stop => {
                self.net.listen(false);
                self.is_up = false;
                self.gateway.stop().await;
            }
            Action::Kill => {
                self.net.listen(false);
                self.is_up = false;
                self.gateway.kill();
            }
            Action::Start => self.start().await,
            Action::Restart if self.is_up => {
                // Without a listener of TCP there is nothing that could fail.
                let _ = self.gateway.restart().await;
            }
            Action::Partition(ways) => ways
                .iter()
                .for_each(|&way| self.net.set_flow(way, Flow::Lost)),
            Action::Hold(ways) => ways
                .iter()
                .for_each(|&way| self.net.set_flow(way, Flow::Held)),
            Action::Heal { resets } => self.net.heal(resets),
            Action::Reset => self.net.reset(),
            Action::Link(speed) => self.net.set_speed(speed),
            Action::Approve => self.approve(),
            Action::Reject => {
                if let Some(request) = self.gateway.pending().first() {
                    let _ = self.gateway.reject(&request.request_id);
                }
            }
            Action::Remove => self.on_device(|gateway, device| drop(gateway.remove(device))),
            Action::Revoke => {
                self.on_device(|gateway, device| drop(gateway.revoke_operator(device)));
            }
            Action::Rotate => {
                self.on_device(|gateway, device| drop(gateway.rotate(device, "operator", None)));
            }
            Action::ChangeSecret => {
                self.secrets += 1;
                let secret = format!("secret-{:03}", self.secrets);
                self.gateway.set_token_on_disk(&secret).expect("in memory");
            }
            Action::RightToken => self.give(self.gateway.token_on_disk()),
            Action::WrongToken => self.give("wrong-token".to_owned()),
            Action::RetryNow => {
                self.referee.word(Word::Retry, None);
                self.client.retry_now();
            }
            Action::Strangers(times) => {
                for _ in 0..times {
                    let knock = strangers::knock(&self.gateway, self.locality);
                    let _ = timeout(MINUTE, knock).await;
                }
            }
            Action::GatewayClock(by) => self.gateway.advance_clock(by),
            Action::Leap(by) => {
                self.referee.leaps(by);
                tokio::time::advance(by).await;
            }
            Action::Calls {
                count,
                within,
                when_down,
            } => {
                for _ in 0..count {
                    let call = self.calls.make(&self.client, within, when_down);
                    self.waiting.push(call);
                }
            }
            // One at a time: in which order tasks learn that a client has changed is tokio's to choose,
            // by chance, and a seed has to give the same life again. `schedule` has many at once.
            Action::Run => {
                if self.runs.open() == 0 {
                    let number = self.runs.count() as u64;
                    self.runs.start(&self.client, number);
                }
            }
            Action::DropCalls => {
                let keep = self.rng.usize(0..=self.waiting.len());
                self.waiting.drain(keep..).for_each(|call| call.abort());
            }
            Action::Events(count) => self.emit(count),
            Action::Listen(pause) => {
                let stream = self.client.events_where(filter());
                let reader = Reader::start(stream, pause, self.numbers, Arc::clone(&self.referee));
                self.readers.push(reader);
            }
            Action::Unlisten if self.readers.len() > 1 => {
                let reader = self.readers.remove(1);
                self.items += reader.count();
                reader.stop();
            }
            Action::Restart | Action::Wait | Action::Unlisten => {}
            Action::Fault(misdeed) => {
                // The numbers that are left out are of events that nobody hears of. Where nobody can
                // tell that from the numbers, only the numbers have a hole.
                if let Misdeed::SeqGap(events) = misdeed {
                    // An event on either side shows the hole to whoever is connected.
                    self.emit(1);
                    self.gateway.inject(fault(misdeed));
                    if self.numbers == Numbers::OfTheConnection {
                        self.last_event += events;
                    }
                    self.emit(1);
                } else {
                    self.gateway.inject(fault(misdeed));
                }
            }
            Action::ClearFaults => self.clear_faults(),
        }
    }

    async fn start(&mut self) {
        if !self.is_up {
            // Without a listener of TCP there is nothing that could fail.
            let _ = self.gateway.start_again().await;
            self.net.listen(true);
            self.is_up = true;
        }
    }

    fn clear_faults(&self) {
        // As above.
        let _ = self.gateway.clear_faults();
    }

    fn approve(&self) {
        for request in self.gateway.pending() {
            // Another approval may have taken it along.
            let _ = self.gateway.approve(&request.request_id);
        }
    }

    fn on_device(&self, act: impl Fn(&MockGateway, &str)) {
        for device in self.gateway.paired() {
            act(&self.gateway, &device.device_id);
        }
    }

    fn give(&self, secret: String) {
        self.referee.word(Word::Token, Some(&secret));
        self.client.set_token(Token::new(secret).expect("a token"));
    }

    fn emit(&mut self, count: u32) {
        for _ in 0..count {
            self.last_event += 1;
            self.gateway.emit(NAME, &json!({"n": self.last_event}));
        }
    }

    /// Everything that is broken is mended; the client has to come back by itself.
    async fn mend(&mut self) {
        self.referee.note("everything is mended");
        self.net.heal(self.rng.bool());
        self.net.set_speed(Speed::default());
        self.clear_faults();
        self.start().await;
        // Whoever changed the secret restarts the gateway, as its documentation says.
        let _ = self.gateway.restart().await;
        self.give(self.gateway.token_on_disk());
        // A lockout lasts five minutes, and our own pause at most as long.
        let is_back = timeout(20 * MINUTE, async {
            while !self.is_answered().await {
                self.approve();
                // Nobody but a person takes a client out of this one.
                if self.client.state().borrow().is_stopped() {
                    self.referee.word(Word::Retry, None);
                    self.client.retry_now();
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
        if is_back.await.is_err() {
            self.referee.foul("the client did not come back");
            return;
        }
        self.check().await;
        let call = self
            .calls
            .make(&self.client, MINUTE, openclaw_adapter::WhenDown::Wait);
        self.emit(3);
        sleep(MINUTE / 2).await;
        self.check().await;
        let last = self.readers.first().map_or(0, Reader::last);
        if last != self.last_event {
            let told = self.last_event;
            self.referee.foul(format!(
                "a good connection brought events up to {last} of {told}"
            ));
        }
        let _ = timeout(2 * MINUTE, call).await;
        let runs = async {
            while self.runs.open() > 0 {
                sleep(Duration::from_secs(1)).await;
            }
        };
        if timeout(20 * MINUTE, runs).await.is_err() {
            self.referee.foul("a run has no end");
        }
        self.check().await;
    }

    /// Whether the connection carries a call: one that looks good may be dead already.
    async fn is_answered(&self) -> bool {
        self.client.state().borrow().is_ready() && {
            let call = self.client.call_raw("health", json!({}));
            call.within(Duration::from_secs(2)).await.is_ok()
        }
    }

    async fn end(mut self) -> Story {
        let began = Instant::now();
        let stats_of = self.client.clone();
        self.referee.closed();
        if self.rng.u8(0..4) > 0 {
            self.referee.note("close");
            if timeout(CLOSE, self.client.close()).await.is_err() {
                self.referee.foul("close did not return");
            }
        } else {
            // Whoever drops a client early finds it closed as well.
            self.referee.note("close, not waited for");
            let mut state = self.client.state();
            let closing = tokio::spawn({
                let client = self.client.clone();
                async move { client.close().await }
            });
            self.settle().await;
            closing.abort();
            let ended = async { while state.changed().await.is_ok() {} };
            if timeout(CLOSE, ended).await.is_err() {
                self.referee.foul("the client's task did not end");
            }
        }
        self.settle().await;
        let is_closed = matches!(
            &*self.client.state().borrow(),
            ConnectionState::Stopped { reason, .. } if reason.kind() == "closed"
        );
        if !is_closed {
            self.referee.foul("the last state is not closed");
        }
        if self.referee.held() > 0 {
            self.referee.foul("a socket is left after close");
        }
        self.calls.check();
        if self.calls.open() > 0 || self.runs.open() > 0 {
            self.referee.foul("calls or runs are open after close");
        }
        // A slow consumer still reads what was there.
        let patience = 10 * MINUTE;
        let drained = timeout(patience, async {
            while !self.readers.iter().all(Reader::has_ended) {
                sleep(Duration::from_secs(1)).await;
            }
        });
        if drained.await.is_err() {
            self.referee.foul("an event stream has no end");
        }
        self.check().await;
        let stats = stats_of.stats();
        if (
            stats.calls,
            stats.unanswered,
            stats.runs,
            stats.event_streams,
        ) != (0, 0, 0, 0)
        {
            self.referee.foul(format!("left behind: {stats:?}"));
        }
        drop(stats_of);
        self.items += self.readers.iter().map(Reader::count).sum::<u64>();
        let (dials, hellos) = self.referee.counts();
        let tally = Tally {
            steps: self.steps,
            dials,
            hellos,
            calls: self.calls.count() as u64,
            runs: self.runs.count() as u64,
            items: self.items,
            time: began - self.began,
        };
        let (referee, seed) = (Arc::clone(&self.referee), self.seed);
        drop(self);
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        if tasks > 0 {
            referee.foul(format!("{tasks} tasks are left"));
        }
        Story {
            seed,
            fouls: referee.fouls(),
            log: referee.log(),
            tally,
        }
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
