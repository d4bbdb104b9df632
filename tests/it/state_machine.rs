//! Two thousand lives of a client, each drawn from a seed.

use openclaw_tests::dice::SEED;
use openclaw_tests::sim::{play, play_all};

/// How many seeds a run takes, the same ones each time.
const SEEDS: u64 = 2_000;
/// How many of them are played twice.
const TWICE: u64 = 24;

#[test]
fn no_schedule_of_troubles_breaks_a_promise() {
    let seeds = match std::env::var(SEED) {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("a seed is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let began = std::time::Instant::now();
    let (tally, bad) = play_all(seeds, |_| ());
    println!("{tally}, which took {:.1?}", began.elapsed());
    if let Some(story) = bad {
        panic!("{story}");
    }
}

#[test]
fn the_same_seed_gives_the_same_life_to_the_millisecond() {
    for seed in 0..TWICE {
        let (once, again) = (play(seed), play(seed));
        let differs = once.log.iter().zip(&again.log).position(|(a, b)| a != b);
        if let Some(line) = differs {
            let from = line.saturating_sub(20);
            panic!(
                "seed {seed}, after\n{}\nonce\n{}\nagain\n{}",
                once.log[from..line].join("\n"),
                once.log[line],
                again.log[line]
            );
        }
        assert_eq!(once.log.len(), again.log.len(), "seed {seed}");
    }
}
