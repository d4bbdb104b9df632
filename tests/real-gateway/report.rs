//! What a person reads: a line per scenario, a summary, a table for the documentation.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openclaw_tests::scenarios::{Outcome, Report, Scenario};

use crate::version::Version;

/// Prints one line or block at once.
#[expect(
    clippy::print_stdout,
    reason = "the one place where the program talks to its user"
)]
pub(crate) fn say(text: impl Display) {
    println!("{text}");
}

/// The reports of one version, by the name of the scenario.
pub(crate) type Results = BTreeMap<&'static str, Report>;

/// A scenario's line, printed when it is done.
pub(crate) fn line(version: &Version, scenario: &Scenario, report: &Report) -> String {
    let (word, text) = match &report.outcome {
        Outcome::Passed(found) => ("ok", found),
        Outcome::Failed(why) => ("FAILED", why),
        Outcome::Skipped(why) => ("skipped", why),
    };
    format!(
        "{version:<10} {word:<7} {:<27} {:>6.1} s  {text}",
        scenario.name,
        seconds(report.took)
    )
}

/// How many passed, failed and were skipped.
pub(crate) fn counts<'a>(all: impl Iterator<Item = &'a Report>) -> (usize, usize, usize) {
    all.fold(
        (0, 0, 0),
        |(passed, failed, skipped), report| match report.outcome {
            Outcome::Passed(_) => (passed + 1, failed, skipped),
            Outcome::Failed(_) => (passed, failed + 1, skipped),
            Outcome::Skipped(_) => (passed, failed, skipped + 1),
        },
    )
}

/// The table of one version.
pub(crate) fn table(version: &Version, chosen: &[Scenario], results: &Results) -> String {
    let mut text = format!("\n{version}\n");
    for scenario in chosen {
        let Some(report) = results.get(scenario.name) else {
            continue;
        };
        let (word, note) = match &report.outcome {
            Outcome::Passed(found) => ("passed", found.as_str()),
            Outcome::Failed(why) => ("FAILED", first_line(why)),
            Outcome::Skipped(why) => ("skipped", why.as_str()),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {word:<8}{:>6.1} s  {}: {note}",
            seconds(report.took),
            scenario.row
        );
    }
    let (passed, failed, skipped) = counts(results.values());
    let _ = writeln!(
        text,
        "  {passed} passed, {failed} failed, {skipped} skipped"
    );
    text
}

/// The table of all versions for `docs/compatibility.md`.
pub(crate) fn markdown(
    versions: &[(Version, Results)],
    chosen: &[Scenario],
    command: &str,
    ground: &str,
) -> String {
    let mut text = format!(
        "Measured on {} by `{command}`. {ground}\n\n| scenario |",
        today()
    );
    for (version, _) in versions {
        let _ = write!(text, " {version} |");
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(versions.len()));
    text.push('\n');
    for scenario in chosen {
        let _ = write!(text, "| {} |", scenario.row);
        for (_, results) in versions {
            let cell = match results.get(scenario.name).map(|report| &report.outcome) {
                Some(Outcome::Passed(found)) => found.clone(),
                Some(Outcome::Failed(why)) => format!("**fails**: {}", first_line(why)),
                Some(Outcome::Skipped(why)) => format!("not run: {why}"),
                None => "not run".to_owned(),
            };
            let _ = write!(text, " {} |", cell.replace('|', "\\|"));
        }
        text.push('\n');
    }
    text
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn today() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (year, month, day) = civil(since.as_secs() / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// The date so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let (mut year, mut left) = (1970, days);
    loop {
        let length = 365 + u64::from(leap(year));
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_1970_become_the_date_of_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(20_818), (2026, 12, 31));
    }
}
