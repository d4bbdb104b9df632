//! How long each part of something that is done many times takes.

use std::fmt;
use std::time::{Duration, Instant};

/// The parts, in the order in which they came first.
#[derive(Debug, Default)]
pub(super) struct Laps(Vec<(&'static str, Vec<Duration>)>);

impl Laps {
    /// Ends a part that began at `since`, and begins the next.
    pub(super) fn end(&mut self, part: &'static str, since: &mut Instant) {
        let now = Instant::now();
        let took = now.duration_since(*since);
        *since = now;
        match self.0.iter_mut().find(|(known, _)| *known == part) {
            Some((_, times)) => times.push(took),
            None => self.0.push((part, vec![took])),
        }
    }
}

/// The median of each part, and the longest in brackets.
impl fmt::Display for Laps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (part, times)) in self.0.iter().enumerate() {
            let mut times = times.clone();
            times.sort_unstable();
            let comma = if number == 0 { "" } else { ", " };
            let longest = times.last().copied().unwrap_or_default();
            write!(
                f,
                "{comma}{part} {:.1} s ({:.1} s)",
                times[times.len() / 2].as_secs_f64(),
                longest.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_by_its_median_and_its_longest() {
        let mut laps = Laps::default();
        let start = Instant::now();
        for ago in [1, 9, 3] {
            let mut since = start
                .checked_sub(Duration::from_secs(ago))
                .expect("a machine that runs for longer than this");
            laps.end("gone", &mut since);
            assert!(since >= start);
        }
        laps.end("back", &mut Instant::now());

        assert_eq!(laps.to_string(), "gone 3.0 s (9.0 s), back 0.0 s (0.0 s)");
    }
}
