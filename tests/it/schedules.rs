//! Whatever breaks and whenever: one outcome for each call and each run, no text lost or doubled,
//! nothing left behind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openclaw_tests::dice::SEED;
use openclaw_tests::schedule::{Played, Tally, play};
use openclaw_tests::tier;

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
fn calls_runs_and_watches_keep_their_promises_under_any_schedule() {
    let seeds = tier::seeds("SCHEDULES", 12, 120);
    if std::env::var_os(SEED).is_some() {
        let played = play(seeds.start);
        println!("{}", played.log.join("\n"));
        if !played.fouls.is_empty() {
            fail(&played);
        }
        return;
    }
    // With a time, new ones are begun for so many seconds: what is found once is found by its seed.
    let time = std::env::var("OPENCLAW_TESTS_TIME")
        .ok()
        .map(|time| Duration::from_secs(time.parse().expect("seconds")));
    let first = time.map_or(0, |_| fastrand::u64(..1_000_000_000));
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let found = Mutex::new((Tally::default(), 0, None));
    let stop = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if time.map_or(seed >= seeds.end, |time| began.elapsed() >= time) {
                        return;
                    }
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
