//! What the adapter costs, beside a bare tokio-tungstenite and `serde_json` loop that does the same work,
//! and beside the clients for Node that others have written: on one server, in one run.
//!
//! `.ci/bench` fetches those clients and runs this; `cargo bench -p openclaw-tests --bench throughput`
//! leaves them out. Each client is a process of its own with one thread, so that none finds the caches
//! warm for it, and all take turns in each round, so that a noisy moment hits all alike. Of each figure
//! the best round counts. See `docs/performance.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program for a person to read"
)]

mod adapter;
mod floor;
mod measure;
mod peers;
mod server;
mod table;
mod work;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::measure::Measured;
use crate::peers::Peer;
use crate::table::Table;
use crate::work::{DEPTHS, Work};

const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--client") => client(&arguments[1..]),
        _ => compare(&arguments),
    }
}

/// One piece of work of one client, in a process of its own.
fn client(arguments: &[String]) {
    let [who, url, work @ ..] = arguments else {
        unreachable!("--client WHO URL WORK");
    };
    let work = Work::read(work).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = url.strip_prefix("ws://").unwrap().parse().unwrap();
    let measured = runtime.block_on(async {
        match who.as_str() {
            "floor" => floor::run(&address, work).await,
            "inline" => floor::inline(&address, work).await,
            "adapter" => adapter::run(url, work).await,
            other => unreachable!("no client {other}"),
        }
    });
    println!("{}", serde_json::to_string(&measured).unwrap());
}

fn compare(arguments: &[String]) {
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let rounds = option("--rounds").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let only = option("--only").map(String::as_str);
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let url = format!("ws://{}", server::start());
    let peers = peers::installed();
    let in_turn = |work: Work, rounds: usize| in_turn(&url, &peers, work, rounds);

    let mut table = Table::new(peers.iter().map(|peer| peer.title));
    if wanted("calls") {
        for in_flight in DEPTHS {
            let work = Work::calls(in_flight);
            let best = in_turn(work, rounds);
            let at = format!("{in_flight} in flight");
            table.rate(&format!("calls per second, {at}"), work.count(), &best);
            table.micros(&format!("median latency, {at}"), &best, |it| it.median);
            table.micros(&format!("99th percentile, {at}"), &best, |it| it.late);
            table.each(
                &format!("processor time per call, {at}"),
                work.count(),
                &best,
            );
        }
    }
    if wanted("events") {
        let work = Work::events(true);
        let best = in_turn(work, rounds);
        table.rate("events per second, as a type", work.count(), &best);
        table.each("processor time per event, as a type", work.count(), &best);
        let work = Work::events(false);
        let mut best = in_turn(work, rounds);
        table.rate("events per second, as a `Value`", work.count(), &best);
        table.each(
            "processor time per event, as a `Value`",
            work.count(),
            &best,
        );
        best[0] = (0..rounds).fold(None, |best, _| better(best, own("inline", &url, work)));
        table.rate("the same, floor without a channel", work.count(), &best);
    }
    if wanted("dials") {
        let best = in_turn(Work::dials(), rounds);
        table.micros("from dial to ready, median", &best, |it| it.median);
    }
    if wanted("memory") {
        let work = Work::memory();
        let best = in_turn(work, 1);
        table.bytes(
            &format!("memory per connection, {} of them", work.count()),
            &best,
        );
    }
    table.print();
}

/// The best of each client, taken in turn: floor, adapter, peers.
fn in_turn(url: &str, peers: &[Peer], work: Work, rounds: usize) -> Vec<Option<Measured>> {
    let mut best = vec![None; 2 + peers.len()];
    for _ in 0..rounds {
        best[0] = better(best[0], own("floor", url, work));
        best[1] = better(best[1], own("adapter", url, work));
        for (peer, best) in peers.iter().zip(&mut best[2..]) {
            *best = better(*best, heard(&mut peer.command(url, work)));
        }
    }
    best
}

fn better(best: Option<Measured>, new: Option<Measured>) -> Option<Measured> {
    match (best, new) {
        (Some(best), Some(new)) => Some(best.best(new)),
        (best, new) => best.or(new),
    }
}

/// This program as a client.
fn own(who: &str, url: &str, work: Work) -> Option<Measured> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--client", who, url]).args(work.arguments());
    heard(&mut command)
}

/// What a client measured; `None`, and its words, where it failed.
fn heard(command: &mut Command) -> Option<Measured> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let measured = said.lines().last().map(serde_json::from_str::<Value>);
    match measured {
        Some(Ok(measured)) if output.status.success() => {
            Some(serde_json::from_value(measured).unwrap())
        }
        _ => {
            eprintln!("failed ({}): {command:?}", output.status);
            None
        }
    }
}
