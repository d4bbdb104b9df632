//! Simulations of a client, each drawn from a seed.

use openclaw_tests::sim::{play, play_all};
use openclaw_tests::tier;

#[test]
fn no_schedule_of_troubles_breaks_a_promise() {
    let seeds = tier::seeds("SIMULATIONS", 100, 2_000);
    let began = std::time::Instant::now();
    let (tally, bad) = play_all(seeds, |_| ());
    println!("{tally}, which took {:.1?}", began.elapsed());
    if let Some(story) = bad {
        panic!("{story}");
    }
}

#[test]
fn the_same_seed_gives_the_same_life_to_the_millisecond() {
    for seed in tier::seeds("REPEATED_SIMULATIONS", 4, 24) {
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
