//! `lives`: plays as many lives of a client as one likes, and says what happened in them.
#![allow(clippy::print_stdout, reason = "a program for a person to read")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use openclaw_tests::sim::{Story, play_all};

/// Plays lives of a client, each drawn from a seed, on virtual time and all processors.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many.
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Also counts what was done to the clients, and how their attempts and connections ended.
    #[arg(long)]
    count: bool,
}

fn main() -> ExitCode {
    let Arguments {
        seeds,
        first,
        count,
    } = Arguments::parse();
    let began = std::time::Instant::now();
    let seen = Mutex::new(BTreeMap::new());
    let (tally, bad) = play_all(first..first.saturating_add(seeds), |story| {
        if count {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for kind in kinds(story) {
                *seen.entry(kind).or_insert(0_u64) += 1;
            }
        }
    });
    if let Some(story) = bad {
        println!("{story}");
        return ExitCode::FAILURE;
    }
    println!("{seeds} lives in {:.1?}: {tally}", began.elapsed());
    for (kind, times) in &*seen.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{times:>9} {kind}");
    }
    ExitCode::SUCCESS
}

/// The lines of a story without their times and numbers.
fn kinds(story: &Story) -> impl Iterator<Item = String> + '_ {
    story.log.iter().filter_map(|line| {
        let (_, what) = line.trim_start().split_once(' ')?;
        let what = match what.strip_prefix("  wire: ") {
            Some(end) if end.starts_with("refused") => end.to_owned(),
            Some(end) => end.split([' ', '(']).next()?.to_owned(),
            // What the client says of itself.
            None if what.starts_with("  ") => return None,
            None => what.split([' ', '{']).next()?.to_owned(),
        };
        let is_word = |c: char| c.is_ascii_digit();
        Some(what.split(is_word).next().unwrap_or_default().to_owned())
    })
}
