//! Whatever breaks and whenever: one outcome for each call and each run, no text lost or doubled,
//! nothing left behind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use openclaw_tests::dice::SEED;
use openclaw_tests::schedule::{Played, Tally, play};

/// How long new seeds are begun, in seconds, unless `OPENCLAW_TESTS_TIME` says otherwise.
const TIME: u64 = 20;

/// Lines of the story of a schedule that went wrong.
const SHOWN: usize = 150;

fn fail(played: &Played) -> ! {
    let from = played.log.len().saturating_sub(SHOWN);
    panic!(
        "{}\n\nseed {}: {}\nto repeat it: {SEED}={} cargo test -p openclaw-tests --test it schedules",
        played.log[from..].join("\n"),
        played.seed,
        played.fouls.join("\n"),
        played.seed,
    );
}

#[test]
#[ignore = "a step of its own in .ci/run: it needs the machine for itself"]
fn calls_runs_and_watches_keep_their_promises_under_any_schedule() {
    if let Ok(seed) = std::env::var(SEED) {
        let played = play(seed.parse().expect("a seed is a number"));
        println!("{}", played.log.join("\n"));
        if !played.fouls.is_empty() {
            fail(&played);
        }
        return;
    }
    let time =
        std::env::var("OPENCLAW_TESTS_TIME").map_or(TIME, |time| time.parse().expect("seconds"));
    let time = Duration::from_secs(time);
    // New ones each time: what is found once is found again by its seed.
    let first = fastrand::u64(..1_000_000_000);
    let began = Instant::now();
    let next = Mutex::new(first);
    let found = Mutex::new((Tally::default(), 0, None));
    let stop = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while began.elapsed() < time && !stop.load(Ordering::Relaxed) {
                    let seed = {
                        let mut next = next.lock().unwrap();
                        *next += 1;
                        *next
                    };
                    let played = play(seed);
                    let mut found = found.lock().unwrap();
                    found.0 += played.tally;
                    found.1 += 1;
                    if !played.fouls.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                        found.2.get_or_insert(played);
                    }
                }
            });
        }
    });
    let (tally, schedules, bad) = found.into_inner().unwrap();
    println!("{schedules} schedules: {tally:?}");
    if let Some(played) = bad {
        fail(&played);
    }
    assert!(tally.runs > 0 && tally.restarts > 0 && tally.cuts > 0);
}
