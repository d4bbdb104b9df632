//! Two thousand lives of a client, each drawn from a seed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use openclaw_tests::dice::SEED;
use openclaw_tests::sim::{Story, Tally, play};

/// How many seeds a run takes, unless `OPENCLAW_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Plays seeds on all processors, each on a thread and a runtime of its own; the first bad one ends it.
fn play_all(seeds: std::ops::Range<u64>) -> (Tally, Option<Story>) {
    let next = AtomicU64::new(seeds.start);
    let result = Mutex::new((Tally::default(), None));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let story = play(seed);
                    let mut result = result.lock().unwrap();
                    result.0 += story.tally;
                    if !story.fouls.is_empty() && result.1.is_none() {
                        result.1 = Some(story);
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    result.into_inner().unwrap()
}

fn fail(story: &Story) -> ! {
    let tail = story.log.len().saturating_sub(120);
    panic!(
        "{}\n\nseed {}: {}\nto repeat it: {SEED}={} cargo test -p openclaw-tests --test it state_machine",
        story.log[tail..].join("\n"),
        story.seed,
        story.fouls.join("\n"),
        story.seed,
    );
}

#[test]
fn no_schedule_of_troubles_breaks_a_promise() {
    let (first, count) = match number(SEED) {
        Some(seed) => (seed, 1),
        None => (
            number("OPENCLAW_FIRST_SEED").unwrap_or(0),
            number("OPENCLAW_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let began = std::time::Instant::now();
    let (tally, bad) = play_all(first..first + count);
    println!("{count} seeds in {:.1?}: {tally:?}", began.elapsed());
    if let Some(story) = bad {
        fail(&story);
    }
}

#[test]
fn the_same_seed_gives_the_same_life_to_the_millisecond() {
    for seed in 0..40 {
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
