//! Holds a log against the recording.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use super::{CaseLog, Edition};

fn recorded(edition: Edition) -> Result<Map<String, Value>> {
    let (published, more) = match edition {
        Edition::V2026_2_9 => (
            include_str!("../../fixtures/cases-2026.2.9.json"),
            include_str!("../../fixtures/more-2026.2.9.json"),
        ),
        Edition::V2026_9_6 => (
            include_str!("../../fixtures/cases-2026.9.6.json"),
            include_str!("../../fixtures/more-2026.9.6.json"),
        ),
    };
    let mut cases = Map::new();
    for text in [published, more] {
        let fixture: Value = serde_json::from_str(text).context("the fixture is not JSON")?;
        cases.extend(fixture["cases"].as_object().context("no cases")?.clone());
    }
    Ok(cases)
}

/// The names of the recorded cases of an edition, sorted.
///
/// # Errors
///
/// When the fixture cannot be read.
pub fn recorded_names(edition: Edition) -> Result<Vec<String>> {
    let mut names: Vec<_> = recorded(edition)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// How a log differs from the recording, for a person to read: one line per place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    name: String,
    lines: Vec<String>,
    got: String,
}

impl std::error::Error for Difference {}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} is not answered as recorded:", self.name)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        write!(f, "the whole of what was said: {}", self.got)
    }
}

/// Compares what a gateway said in the case `name` with what the real one of that edition said.
///
/// # Errors
///
/// A [`Difference`] if they are not the same, or another error when there is no such recording.
pub fn compare(edition: Edition, name: &str, log: &CaseLog) -> Result<()> {
    let cases = recorded(edition)?;
    let recorded = cases
        .get(name)
        .with_context(|| format!("{name} is not recorded for {}", edition.as_str()))?;
    let mut lines = Vec::new();
    differences("", recorded, log.as_json(), &mut lines);
    if lines.is_empty() {
        return Ok(());
    }
    Err(Difference {
        name: format!("{name} of {}", edition.as_str()),
        lines,
        got: log.as_json().to_string(),
    }
    .into())
}

fn differences(place: &str, recorded: &Value, got: &Value, lines: &mut Vec<String>) {
    match (recorded, got) {
        (Value::Array(recorded), Value::Array(got)) => {
            for at in 0..recorded.len().max(got.len()) {
                element(
                    &format!("{place}/{at}"),
                    recorded.get(at),
                    got.get(at),
                    lines,
                );
            }
        }
        (Value::Object(recorded), Value::Object(got)) => {
            let new = got.keys().filter(|key| !recorded.contains_key(*key));
            for key in recorded.keys().chain(new) {
                element(
                    &format!("{place}/{key}"),
                    recorded.get(key),
                    got.get(key),
                    lines,
                );
            }
        }
        _ if recorded == got => {}
        _ => lines.push(format!("{place}: recorded {recorded}, got {got}")),
    }
}

fn element(place: &str, recorded: Option<&Value>, got: Option<&Value>, lines: &mut Vec<String>) {
    match (recorded, got) {
        (Some(recorded), Some(got)) => differences(place, recorded, got, lines),
        (Some(recorded), None) => lines.push(format!("{place}: recorded {recorded}, got nothing")),
        (None, Some(got)) => lines.push(format!("{place}: recorded nothing, got {got}")),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_named_by_its_place() {
        let mut lines = Vec::new();
        differences(
            "",
            &json!([{"close": 1008, "reason": ""}, 1]),
            &json!([{"close": 1000, "reason": "", "more": 1}]),
            &mut lines,
        );
        assert_eq!(
            lines,
            [
                "/0/close: recorded 1008, got 1000",
                "/0/more: recorded nothing, got 1",
                "/1: recorded 1, got nothing",
            ]
        );
    }

    #[test]
    fn the_recording_itself_has_no_difference_and_a_changed_one_has() {
        let cases = recorded(Edition::V2026_9_6).unwrap();
        let mut log = CaseLog(cases["unpaired_remote"].clone());
        assert!(compare(Edition::V2026_9_6, "unpaired_remote", &log).is_ok());
        log.0[0][2]["close"] = 1000.into();
        assert!(compare(Edition::V2026_9_6, "unpaired_remote", &log).is_err());
    }
}
