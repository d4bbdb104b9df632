//! Sizes of the suites that can go on for ever: small in the quick tier, whole in the exhaustive one.
//!
//! `cargo test` is the quick tier. `OPENCLAW_TESTS_TIER=exhaustive` plays each suite whole, and
//! `OPENCLAW_TESTS_<SUITE>=N` one suite at a size of its own. The suites are listed in `docs/testing.md`.
#![allow(
    clippy::panic,
    reason = "a size that cannot be read fails the test that asks for it"
)]

use std::env;
use std::ops::Range;

use crate::dice::SEED;

/// The variable that names the tier: `quick`, which is the default, or `exhaustive`.
pub const TIER: &str = "OPENCLAW_TESTS_TIER";

/// The size of a suite in this run.
///
/// # Panics
///
/// If the environment names a tier that does not exist, or a size that is not a number.
#[must_use]
pub fn size(suite: &str, quick: u64, exhaustive: u64) -> u64 {
    let name = format!("OPENCLAW_TESTS_{suite}");
    let (own, tier) = (env::var(&name).ok(), env::var(TIER).ok());
    chosen((&name, own.as_deref()), tier.as_deref(), quick, exhaustive)
        .unwrap_or_else(|message| panic!("{message}"))
}

/// The seeds of a suite in this run: the one that the environment names, else the first `size` ones.
///
/// # Panics
///
/// As [`size`], and if the seed that the environment names is not a number.
#[must_use]
pub fn seeds(suite: &str, quick: u64, exhaustive: u64) -> Range<u64> {
    match env::var(SEED) {
        Ok(text) => {
            let Ok(seed) = text.parse() else {
                panic!("{SEED}={text} is not a number");
            };
            seed..seed + 1
        }
        Err(_) => 0..size(suite, quick, exhaustive),
    }
}

fn chosen(
    (name, own): (&str, Option<&str>),
    tier: Option<&str>,
    quick: u64,
    exhaustive: u64,
) -> Result<u64, String> {
    if let Some(own) = own {
        return own
            .parse()
            .map_err(|_| format!("{name}={own} is not a number"));
    }
    match tier {
        None | Some("" | "quick") => Ok(quick),
        Some("exhaustive") => Ok(exhaustive),
        Some(other) => Err(format!(
            "{TIER}={other} is not a tier: use quick or exhaustive"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_of_its_own_goes_before_the_tier_and_the_tier_before_the_default() {
        let name = "OPENCLAW_TESTS_STORM";
        let size = |own, tier| chosen((name, own), tier, 10, 1_000);
        assert_eq!(size(None, None), Ok(10));
        assert_eq!(size(None, Some("quick")), Ok(10));
        assert_eq!(size(None, Some("exhaustive")), Ok(1_000));
        assert_eq!(size(Some("7"), Some("exhaustive")), Ok(7));
        assert!(size(Some("many"), None).unwrap_err().contains("STORM=many"));
        assert!(size(None, Some("full")).unwrap_err().contains("TIER=full"));
    }
}
