//! The same referee on a network of somebody else's making: two hosts in `turmoil`, with partitions,
//! held messages, and a gateway that crashes and comes back empty.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openclaw_adapter::{Client, Config, Connecting, Connection, Connector, Token};
use openclaw_mock_gateway::{Locality, MockGateway, Pairing, TokioClock};
use openclaw_tests::dice::SEED;
use openclaw_tests::sim::{Referee, Watched, WatchedStore};
use openclaw_tests::tier;
use serde_json::json;
use tokio::time::{sleep, timeout};
use turmoil::Sim;
use turmoil::net::{TcpListener, TcpStream};

const SECOND: Duration = Duration::from_secs(1);
const SECRET: &str = "the-shared-token";
const PORT: u16 = 18_789;
const URL: &str = "ws://gateway:18789";

/// Dials in the simulation.
#[derive(Debug)]
struct Route {
    referee: Arc<Referee>,
    last: AtomicU64,
}

impl Connector for Route {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            let stream = TcpStream::connect((host, port));
            let stream = Watched::open(id, Arc::clone(&self.referee) as _, stream).await?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}

async fn gateway() -> turmoil::Result {
    let gateway = MockGateway::builder()
        .token(SECRET)
        .clock(TokioClock::starting_at(1_795_375_154_446))
        .pairing(Pairing::Auto)
        .tick_interval(5 * SECOND)
        .recording(false)
        .strict(false)
        .build();
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(gateway.serve(stream, Locality::Remote));
    }
}

/// What the story leaves for the test.
#[derive(Debug, Default)]
struct Book {
    is_mended: AtomicBool,
    answered: AtomicU64,
    ready: AtomicU64,
    fouls: Mutex<Vec<String>>,
    log: Mutex<Vec<String>>,
}

async fn backend(seed: u64, book: Arc<Book>) -> turmoil::Result {
    let referee = Arc::new(Referee::new(SECRET, None, true));
    let store = WatchedStore::new(Arc::clone(&referee));
    let config = Config::builder()
        .url(URL)
        .allow_insecure_ws(true)
        .token(Token::new(SECRET)?)
        .store(store.clone())
        .seed(seed)
        .connector(Route {
            referee: Arc::clone(&referee),
            last: AtomicU64::new(0),
        })
        .on_state({
            let referee = Arc::clone(&referee);
            move |state| referee.state(state)
        })
        .build()?;
    let client = Client::start(config);
    let call = async |within| {
        let call = client.call_raw("health", json!({})).within(within);
        let ended = timeout(within + SECOND, call).await;
        if ended.is_err() {
            referee.foul("a call without an end");
        }
        matches!(ended, Ok(Ok(_)))
    };
    while !book.is_mended.load(Ordering::Relaxed) {
        let is_answered = call(5 * SECOND).await;
        book.answered
            .fetch_add(u64::from(is_answered), Ordering::Relaxed);
        sleep(SECOND).await;
        referee.check(store.token(URL).as_deref());
    }
    // A half-open connection is noticed after two ticks, and the longest pause is half a minute.
    let is_back = timeout(90 * SECOND, async { while !call(5 * SECOND).await {} });
    if is_back.await.is_err() {
        referee.foul("the client did not come back");
    }
    if client.stats().unanswered > 0 {
        referee.foul("an entry is left");
    }
    referee.closed();
    if timeout(2 * SECOND, client.close()).await.is_err() {
        referee.foul("close did not return");
    }
    if referee.held() > 0 {
        referee.foul("a socket is left");
    }
    book.ready.store(referee.counts().1, Ordering::Relaxed);
    *book.fouls.lock().unwrap() = referee.fouls();
    *book.log.lock().unwrap() = referee.log();
    Ok(())
}

fn pass(sim: &mut Sim<'_>, time: Duration) {
    let until = sim.elapsed() + time;
    while sim.elapsed() < until {
        sim.step().unwrap();
    }
}

fn play(seed: u64) -> Arc<Book> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(60))
        .simulation_duration(3_600 * SECOND)
        .build();
    sim.host("gateway", gateway);
    let book = Arc::new(Book::default());
    sim.client("backend", backend(seed, Arc::clone(&book)));
    let mut is_down = false;
    for _ in 0..12 {
        match rng.u8(0..8) {
            0 => sim.partition("backend", "gateway"),
            1 => sim.partition_oneway("backend", "gateway"),
            2 => sim.partition_oneway("gateway", "backend"),
            3 => sim.hold("backend", "gateway"),
            4 => sim.crash("gateway"),
            5 => sim.bounce("gateway"),
            _ => mend(&sim),
        }
        is_down = !sim.is_host_running("gateway");
        pass(&mut sim, Duration::from_millis(rng.u64(5..12_000)));
    }
    mend(&sim);
    if is_down {
        sim.bounce("gateway");
    }
    book.is_mended.store(true, Ordering::Relaxed);
    while !sim.step().unwrap() {}
    book
}

fn mend(sim: &Sim<'_>) {
    sim.release("backend", "gateway");
    sim.repair("backend", "gateway");
}

#[test]
fn the_promises_hold_on_a_network_that_is_not_ours() {
    let seeds = tier::seeds("TURMOIL", 3, 24);
    let (mut answered, mut ready) = (0, 0);
    for seed in seeds {
        let book = play(seed);
        let fouls = book.fouls.lock().unwrap();
        assert!(
            fouls.is_empty(),
            "{}\n\nseed {seed}: {}\nto repeat it: {SEED}={seed} cargo test -p openclaw-tests --test it turmoil",
            book.log.lock().unwrap().join("\n"),
            fouls.join("\n"),
        );
        answered += book.answered.load(Ordering::Relaxed);
        ready += book.ready.load(Ordering::Relaxed);
    }
    println!("{ready} connections, {answered} calls answered");
    assert!(ready > 0 && answered > 0, "nothing happened");
}
