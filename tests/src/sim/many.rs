//! Many lives, on all processors.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::world::{Story, Tally, play};
use crate::dice::SEED;

/// Lines of the story of a life that went wrong.
const SHOWN: usize = 150;

/// Plays seeds on all processors, each on a runtime of its own, and shows each to `look`; the first foul
/// ends it.
pub fn play_all(seeds: Range<u64>, look: impl Fn(&Story) + Sync) -> (Tally, Option<Story>) {
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
                    look(&story);
                    let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
                    result.0 += story.tally;
                    if !story.fouls.is_empty() {
                        next.store(seeds.end, Ordering::Relaxed);
                        result.1.get_or_insert(story);
                    }
                }
            });
        }
    });
    result.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            steps,
            dials,
            hellos,
            calls,
            runs,
            items,
            time,
        } = self;
        let hours = time.as_secs() / 3_600;
        write!(
            f,
            "{steps} steps, {dials} attempts, {hellos} connections, {calls} calls, {runs} runs, \
             {items} items of event streams, in {hours} hours of virtual time"
        )
    }
}

/// The end of the story, what was wrong, and how to see it again.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.log.len().saturating_sub(SHOWN);
        for line in self.log.get(from..).unwrap_or_default() {
            writeln!(f, "{line}")?;
        }
        let seed = self.seed;
        for foul in &self.fouls {
            writeln!(f, "seed {seed}: {foul}")?;
        }
        write!(
            f,
            "to repeat it: {SEED}={seed} cargo test -p openclaw-tests --test it state_machine"
        )
    }
}
