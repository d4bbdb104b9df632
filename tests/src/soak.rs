//! Long runs over real TCP that must leave nothing behind.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a run that cannot be made fails"
)]

use std::fmt;
use std::fs;
use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openclaw_adapter::{
    Client, Config, EventFilter, EventItem, EventStream, MemoryStore, RetryPolicy, Token, WhenDown,
};
use openclaw_mock_gateway::{Fault, MockGateway};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout};

/// How many samples a run takes.
const SAMPLES: u64 = 20;
/// No step of a run takes longer.
const LIMIT: Duration = Duration::from_secs(120);
/// A method that is never answered.
const NEVER: &str = "soak.never";

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident memory in KiB.
    pub memory: u64,
    /// Open file descriptors.
    pub files: u64,
    /// Tasks of the runtime.
    pub tasks: u64,
    /// Calls, entries of calls, runs and streams in the client's tables.
    pub entries: u64,
}

impl Usage {
    fn now(client: &Client) -> Self {
        let stats = client.stats();
        let entries = stats.calls + stats.unanswered + stats.runs + stats.event_streams;
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        Self {
            memory: resident(),
            files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            tasks: tasks as u64,
            entries: (entries + stats.held_back) as u64,
        }
    }

    /// The larger of each.
    const fn max(self, other: Self) -> Self {
        const fn larger(a: u64, b: u64) -> u64 {
            if a > b { a } else { b }
        }
        Self {
            memory: larger(self.memory, other.memory),
            files: larger(self.files, other.files),
            tasks: larger(self.tasks, other.tasks),
            entries: larger(self.entries, other.entries),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            files,
            tasks,
            entries,
        } = self;
        write!(
            f,
            "{memory} KiB, {files} files, {tasks} tasks, {entries} entries"
        )
    }
}

fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done, in numbers.
    pub done: String,
    /// How long it took.
    pub took: Duration,
    /// What was held on the way, at even distances.
    pub samples: Vec<Usage>,
}

impl Report {
    /// The most that was held in the second quarter of the run, and in the last one. What a process
    /// needs to get going shows in neither.
    #[must_use]
    pub fn early_and_late(&self) -> (Usage, Usage) {
        let quarter = self.samples.len() / 4;
        let most = |samples: &[Usage]| samples.iter().copied().fold(Usage::default(), Usage::max);
        let late = self.samples.len() - quarter;
        (
            most(&self.samples[quarter..2 * quarter]),
            most(&self.samples[late..]),
        )
    }

    /// Says what has grown, if anything has: `slack` KiB of memory are the allocator's.
    ///
    /// # Errors
    ///
    /// What has grown.
    pub fn check(&self, slack: u64) -> Result<(), String> {
        let (early, late) = self.early_and_late();
        let is_fine = late.memory <= early.memory + slack
            && late.files <= early.files
            && late.tasks <= early.tasks
            && late.entries <= early.entries;
        if is_fine {
            Ok(())
        } else {
            Err(format!("it grows: {early}, later {late}"))
        }
    }
}

async fn connect(gateway: &MockGateway) -> Client {
    let retry = RetryPolicy::default()
        .with_initial(Duration::from_millis(10))
        .with_max(Duration::from_millis(10));
    let config = Config::builder()
        .url(gateway.local_url())
        .token(Token::new(gateway.token()).expect("a token"))
        .store(MemoryStore::new())
        .retry(retry)
        .build()
        .expect("a configuration");
    Client::connect(config).await.expect("not ready")
}

async fn gateway() -> MockGateway {
    let gateway = MockGateway::builder()
        .recording(false)
        .strict(false)
        .start()
        .await;
    openclaw_mock_gateway::On::method(NEVER)
        .respond(openclaw_mock_gateway::Response::never())
        .mount(&gateway);
    gateway
}

/// Connects and loses the connection so often, each time with a call that is answered, one that is
/// lost, one that is dropped, and an event stream that comes and goes.
pub async fn cycles(count: u64) -> Report {
    let gateway = gateway().await;
    let client = connect(&gateway).await;
    let began = Instant::now();
    let mut samples = Vec::new();
    let (mut answered, mut lost) = (0_u64, 0_u64);
    for cycle in 0..count {
        let hello = timeout(LIMIT, client.ready())
            .await
            .expect("never ready")
            .expect("stopped");
        let mut stream = client.events();
        let call = client.call_raw("health", json!({})).within(LIMIT);
        answered += u64::from(call.await.is_ok());
        let never = |client: &Client| {
            let client = client.clone();
            tokio::spawn(async move {
                let call = client.call_raw(NEVER, json!({})).within(LIMIT);
                call.when_down(WhenDown::Fail).into_future().await.is_err()
            })
        };
        let (to_lose, to_drop) = (never(&client), never(&client));
        while client.stats().unanswered < 2 {
            yield_now().await;
        }
        to_drop.abort();
        match cycle % 5 {
            0 => gateway.inject(Fault::drop_connection()),
            1 => gateway.inject(Fault::close(1011, "a cycle")),
            2 => gateway.inject(Fault::drop_mid_frame().at(openclaw_mock_gateway::Point::Now)),
            3 => gateway.inject(Fault::close(1012, "service restart")),
            _ => {
                gateway.kill();
                gateway.start_again().await.expect("its own port");
            }
        }
        let is_lost = timeout(LIMIT, to_lose)
            .await
            .expect("a call without an end");
        lost += u64::from(is_lost.expect("no panic"));
        let mut state = client.state();
        let is_new = async {
            loop {
                match &*state.borrow_and_update() {
                    openclaw_adapter::ConnectionState::Ready { hello: new, .. }
                        if new.conn_id != hello.conn_id =>
                    {
                        return;
                    }
                    _ => {}
                }
                state.changed().await.expect("ended");
            }
        };
        timeout(LIMIT, is_new).await.expect("not back");
        while !matches!(
            timeout(LIMIT, stream.next()).await.expect("no item"),
            Some(EventItem::Resync(_))
        ) {}
        drop(stream);
        if (cycle + 1) % (count / SAMPLES).max(1) == 0 {
            // The gateway lets go of a connection when the client has; give it the moment.
            while gateway.live() > 1 {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_millis(20)).await;
            samples.push(Usage::now(&client));
        }
    }
    let took = began.elapsed();
    client.close().await;
    assert_eq!(client.stats().calls, 0, "calls after close");
    assert_eq!(client.stats().event_streams, 0, "streams after close");
    Report {
        done: format!(
            "{count} connections made and lost, {answered} calls answered, {lost} lost, {count} dropped"
        ),
        took,
        samples,
    }
}

/// Counts what comes out of a stream: events, and those that were dropped.
async fn read(mut stream: EventStream, pause: Duration, seen: Arc<AtomicU64>) -> (u64, u64) {
    let (mut events, mut dropped) = (0, 0);
    while let Some(item) = stream.next().await {
        match item {
            EventItem::Event(event) => {
                events += 1;
                let number = event.raw_payload().map_or("0", |raw| raw.get());
                assert_eq!(number.parse(), Ok(events + dropped), "out of order");
            }
            EventItem::Lagged(n) => dropped += n,
            other => unreachable!("{other:?}"),
        }
        seen.store(events + dropped, Ordering::Relaxed);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    (events, dropped)
}

/// Sends so many events to one client with a consumer that keeps up, one that is slow, and one that
/// does not read at all, while calls are made.
pub async fn events(count: u64) -> Report {
    const WINDOW: u64 = 1_000;
    let gateway = gateway().await;
    let client = connect(&gateway).await;
    let stream = || client.events_where(EventFilter::named(["soak"]));
    let seen = Arc::new(AtomicU64::new(0));
    let fast = tokio::spawn(read(stream(), Duration::ZERO, Arc::clone(&seen)));
    let slow_seen = Arc::new(AtomicU64::new(0));
    let slow = tokio::spawn(read(
        stream(),
        Duration::from_millis(2),
        Arc::clone(&slow_seen),
    ));
    let asleep = stream();
    // Held by whoever calls, or counts what is held.
    let turn = Arc::new(Mutex::new(()));
    let calls: JoinHandle<(u64, Duration)> = tokio::spawn({
        let (client, turn) = (client.clone(), Arc::clone(&turn));
        async move {
            let (mut made, mut longest) = (0, Duration::ZERO);
            loop {
                let held = turn.lock().await;
                let began = Instant::now();
                if client.call_raw("health", json!({})).await.is_err() {
                    return (made, longest);
                }
                drop(held);
                made += 1;
                longest = longest.max(began.elapsed());
                sleep(Duration::from_millis(5)).await;
            }
        }
    });

    let began = Instant::now();
    let mut samples = Vec::new();
    for number in 1..=count {
        gateway.emit("soak", &json!(number));
        let behind = async {
            while seen.load(Ordering::Relaxed) + WINDOW < number {
                yield_now().await;
            }
        };
        timeout(LIMIT, behind)
            .await
            .expect("the fast consumer is held up");
        if number % (count / SAMPLES).max(1) == 0 {
            // A call that happens to be under way is no growth.
            let _no_call = timeout(LIMIT, turn.lock()).await.expect("always a call");
            let settled = async {
                while client.stats().unanswered > 0 {
                    yield_now().await;
                }
            };
            timeout(LIMIT, settled)
                .await
                .expect("an entry without a call");
            samples.push(Usage::now(&client));
        }
    }
    let all = async {
        while seen.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
    };
    timeout(LIMIT, all).await.expect("events are missing");
    let took = began.elapsed();
    client.close().await;
    let (made, longest) = calls.await.expect("no panic");
    let (events, dropped) = fast.await.expect("no panic");
    assert_eq!((events, dropped), (count, 0), "the fast consumer");
    let (slow_events, slow_dropped) = slow.await.expect("no panic");
    assert_eq!(slow_events + slow_dropped, count, "the slow consumer");
    let (kept, missed) = read(asleep, Duration::ZERO, Arc::default()).await;
    assert_eq!(kept + missed, count, "the consumer that did not read");
    Report {
        done: format!(
            "{count} events: {events} read by the fast consumer, {slow_events} by the slow one, \
             {kept} kept for the one that slept; {made} calls meanwhile, the longest {longest:?}"
        ),
        took,
        samples,
    }
}
