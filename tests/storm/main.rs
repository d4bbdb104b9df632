//! `storm`: what a thousand clients do to one gateway, in figures.
#![allow(clippy::print_stdout, reason = "a program for a person to read")]

use std::time::Duration;

use clap::Parser;
use openclaw_tests::storm::{Flap, Outage, Policy, Strictness, flapping, restart, wrong_token};

/// Raises storms on virtual time and prints what a gateway sees of them.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many clients.
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
}

fn main() {
    let clients = Arguments::parse().clients;
    println!("{clients} clients\n");
    println!(
        "| the gateway is | clients | in vain | accepted | peak in 1 s | peak in 10 ms | half back | all back |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let seconds = Duration::from_secs;
    for outage in [
        Outage::Restart,
        Outage::Starting(seconds(3)),
        Outage::Crash(seconds(10)),
        Outage::Crash(seconds(60)),
        Outage::Crash(seconds(600)),
        Outage::SecretChanged,
    ] {
        for policy in [Policy::Adapter, Policy::Official] {
            // A client without a token of its own does not come back from this one.
            if (policy, outage) == (Policy::Official, Outage::SecretChanged) {
                continue;
            }
            let figures = restart(clients, policy, outage);
            println!(
                "| {outage} | {} | {} | {} | {} | {} | {:.1?} | {:.1?} |",
                if policy == Policy::Adapter {
                    "adapters"
                } else {
                    "official policy"
                },
                figures.in_vain,
                figures.accepted,
                figures.peak_second,
                figures.peak_instant,
                figures.half_back,
                figures.all_back,
            );
        }
    }
    println!();
    for strictness in [Strictness::Strangers, Strictness::Outdated] {
        let counts = wrong_token(clients, strictness, seconds(3_600));
        let most = counts.iter().max().unwrap_or(&0);
        println!("{strictness:?}: at most {most} attempts of each client in an hour");
    }
    let counts = wrong_token(clients.min(100), Strictness::OneAddress, seconds(3_600));
    let most = counts.iter().max().unwrap_or(&0);
    println!("OneAddress: at most {most} attempts of each client in an hour");
    for flap in Flap::ALL {
        println!(
            "thrown out {flap:?} for ten minutes: {} attempts",
            flapping(flap, seconds(600))
        );
    }
}
