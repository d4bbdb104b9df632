//! Chance that can be repeated.

use std::fmt;
use std::ops::RangeBounds;
use std::time::Duration;

use anyhow::Context as _;

/// Names the seed to repeat.
pub const SEED: &str = "OPENCLAW_TESTS_SEED";

/// A source of chance that says how to have the same again.
#[derive(Debug)]
pub struct Dice {
    rng: fastrand::Rng,
    seed: u64,
}

impl Dice {
    /// The seed that the environment names, else a new one.
    ///
    /// # Errors
    ///
    /// Where the environment names something else.
    pub fn new() -> anyhow::Result<Self> {
        let seed = match std::env::var(SEED) {
            Ok(named) => named
                .parse()
                .with_context(|| format!("{SEED} is no number: {named}"))?,
            Err(_) => fastrand::u64(..1_000_000),
        };
        Ok(Self::seeded(seed))
    }

    /// This seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            seed,
        }
    }

    /// What it began with.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A number within this range.
    pub fn number(&mut self, range: impl RangeBounds<usize>) -> usize {
        self.rng.usize(range)
    }

    /// A time up to this long.
    pub fn time(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.f64())
    }

    /// True so often out of a hundred times.
    pub fn percent(&mut self, chance: u8) -> bool {
        self.rng.u8(..100) < chance
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.rng.usize(..all.len())]
    }

    /// A text of so many words, in the pieces in which a model may stream it: a piece may end within
    /// a word, and every kind of character that JSON and UTF-8 treat in a way of its own occurs.
    pub fn pieces(&mut self, words: usize) -> Vec<String> {
        const WORDS: &[&str] = &[
            "invoice",
            "Zürich",
            "naïve",
            "数据",
            "🦀",
            "\"quoted\"",
            "back\\slash",
            "a/b",
            "tab\there",
            "e\u{301}",
            "<b>bold</b>",
            "{json: 1}",
            "`code`",
            "42,",
            "и",
            "end.",
        ];
        let mut paragraphs = vec![String::new()];
        for n in 0..words {
            if n > 0 {
                let newline = n + 1 < words && self.percent(10);
                match paragraphs.last_mut() {
                    Some(paragraph) if !newline => paragraph.push(' '),
                    _ => paragraphs.push(String::new()),
                }
            }
            if let Some(paragraph) = paragraphs.last_mut() {
                paragraph.push_str(self.one_of::<&str>(WORDS));
            }
        }
        // 2026.9.6 shows a repeated paragraph once; a scenario of its own is about that.
        paragraphs.dedup();
        let text = paragraphs.join("\n\n");
        let mut pieces = Vec::new();
        let mut piece = String::new();
        for c in text.chars() {
            piece.push(c);
            if self.percent(15) {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        pieces
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SEED}={}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_text() {
        let text = |seed| Dice::seeded(seed).pieces(30);

        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        let whole = text(7).concat();
        assert_eq!(whole, whole.trim(), "no gateway keeps blanks at the ends");
    }
}
