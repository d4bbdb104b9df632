//! `lives`: plays as many lives of a client as one likes.
#![allow(clippy::print_stdout, reason = "a program for a person to read")]

use std::process::ExitCode;

use clap::Parser;
use openclaw_tests::sim::play_all;

/// Plays lives of a client, each drawn from a seed, on virtual time and all processors.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many.
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

fn main() -> ExitCode {
    let Arguments { seeds, first } = Arguments::parse();
    let began = std::time::Instant::now();
    let (tally, bad) = play_all(first..first.saturating_add(seeds));
    if let Some(story) = bad {
        println!("{story}");
        return ExitCode::FAILURE;
    }
    println!("{seeds} lives in {:.1?}: {tally}", began.elapsed());
    ExitCode::SUCCESS
}
