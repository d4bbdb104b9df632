//! What the adapter costs, beside a bare tokio-tungstenite and `serde_json` loop that does the same work on
//! the same server in the same run.
//!
//! `cargo bench -p openclaw-tests --bench throughput [-- calls|events|dials]`. The server has a thread of its own. Each figure is
//! the better of `ROUNDS` rounds, taken in turn, so that a noisy moment hits both alike.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program for a person to read"
)]

mod adapter;
mod floor;
mod server;

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const EVENTS: u64 = 500_000;
const DIALS: u32 = 200;

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let address = server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!(
            "{:<34} {:>12} {:>12} {:>7}",
            "", "floor", "adapter", "ratio"
        );
        if wanted("calls") {
            calls(&address).await;
        }
        if wanted("events") {
            let (floor, adapter) = in_turn(
                || floor::events(&address, EVENTS),
                || adapter::events(&address, EVENTS),
            )
            .await;
            rate("events per second", EVENTS, floor, adapter);
        }
        if wanted("dials") {
            let (floor, adapter) = in_turn(
                || floor::dials(&address, DIALS),
                || adapter::dials(&address, DIALS),
            )
            .await;
            latency("from dial to ready", floor / DIALS, adapter / DIALS);
        }
    });
}

async fn calls(address: &SocketAddr) {
    for (in_flight, calls) in [(1, 20_000), (64, 100_000), (1024, 100_000)] {
        let name = format!("calls per second, {in_flight} in flight");
        let (floor, adapter) = in_turn(
            || floor::calls(address, in_flight, calls),
            || adapter::calls(address, in_flight, calls),
        )
        .await;
        rate(&name, calls, floor.0, adapter.0);
        if in_flight == 1 {
            latency("latency, median", floor.1, adapter.1);
            latency("latency, 99th of a hundred", floor.2, adapter.2);
        }
    }
}

/// The best of each, taken in turn.
async fn in_turn<T: Ord, A: Future<Output = T>, B: Future<Output = T>>(
    a: impl Fn() -> A,
    b: impl Fn() -> B,
) -> (T, T) {
    let (mut best_a, mut best_b) = (a().await, b().await);
    for _ in 1..ROUNDS {
        best_a = best_a.min(a().await);
        best_b = best_b.min(b().await);
    }
    (best_a, best_b)
}

fn rate(name: &str, count: u64, floor: Duration, adapter: Duration) {
    let per_second = |time: Duration| count as f64 / time.as_secs_f64();
    let (floor, adapter) = (per_second(floor), per_second(adapter));
    println!(
        "{name:<34} {floor:>12.0} {adapter:>12.0} {:>7.2}",
        adapter / floor
    );
}

fn latency(name: &str, floor: Duration, adapter: Duration) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{name:<34} {:>9.1} us {:>9.1} us {:>7.2}",
        micros(floor),
        micros(adapter),
        floor.as_secs_f64() / adapter.as_secs_f64()
    );
}

/// All of it, the median and the 99th of a hundred.
type Times = (Duration, Duration, Duration);

fn times(began: Instant, mut each: Vec<Duration>) -> Times {
    let all = began.elapsed();
    each.sort_unstable();
    let at = |part: usize| {
        each.get(each.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    (all, at(50), at(99))
}
