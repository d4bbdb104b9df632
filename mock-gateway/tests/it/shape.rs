//! Frames as one line each: what they are, their number within the run, their fields.

use std::path::PathBuf;
use std::time::Duration;

use openclaw_mock_gateway::Edition;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::client::{Client, Got};

/// Longer than any run of these tests, on virtual time.
const PATIENCE: Duration = Duration::from_secs(900);

/// The fields of an object, and those of the objects in it down to a depth.
fn shape(value: &Value, depth: usize) -> String {
    let Some(fields) = value.as_object() else {
        return String::new();
    };
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort();
    let fields: Vec<String> = names
        .into_iter()
        .map(|name| {
            let inner = if depth > 1 {
                shape(&fields[name], depth - 1)
            } else {
                String::new()
            };
            format!("{name}{inner}")
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn line(frame: &Value) -> Option<String> {
    let payload = &frame["payload"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if frame["type"] == "res" {
        let mut parts = vec!["res".to_owned()];
        parts.push(if frame["ok"] == true { "ok" } else { "error" }.to_owned());
        parts.push(text(&payload["status"]));
        parts.push(if payload.is_null() {
            "-".to_owned()
        } else {
            shape(payload, 3)
        });
        if let Some(code) = frame["error"]["code"].as_str() {
            parts.push(format!("{code}{}", shape(&frame["error"], 1)));
        }
        parts.retain(|part| !part.is_empty());
        return Some(parts.join(" "));
    }
    let seq = if frame["seq"].is_null() { "-" } else { "+" };
    let shape = shape(payload, 2);
    Some(match frame["event"].as_str()? {
        "task" => {
            let task = &payload["task"];
            let (status, state) = (text(&task["status"]), text(&task["execution"]["state"]));
            format!("{seq}task {status}/{state} {shape}")
        }
        "agent" => {
            let data = &payload["data"];
            let phase = match text(&data["phase"]) {
                phase if phase == "model" && data["model"].is_null() => "model(null)".to_owned(),
                phase => phase,
            };
            let stream = text(&payload["stream"]);
            format!("{seq}agent {stream}/{phase} #{} {shape}", payload["seq"])
        }
        "chat" => format!(
            "{seq}chat {} #{} {shape}",
            text(&payload["state"]),
            payload["seq"]
        ),
        _ => return None,
    })
}

/// How much to read.
pub(crate) struct Lines {
    prefix: String,
    count: usize,
    only: Option<String>,
}

impl Lines {
    /// Up to a line that begins like this.
    pub(crate) fn until(prefix: &str) -> Self {
        Self::count(prefix, 1)
    }

    /// Up to so many lines that begin like this.
    pub(crate) fn count(prefix: &str, count: usize) -> Self {
        Self {
            prefix: prefix.to_owned(),
            count,
            only: None,
        }
    }

    /// Up to the next answer of a method, without anything else.
    pub(crate) fn answers(method: &str) -> Self {
        let prefix = format!("{method} res");
        Self {
            only: Some(prefix.clone()),
            ..Self::until(&prefix)
        }
    }
}

/// What came.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) lines: Vec<String>,
    pub(crate) last: Value,
}

impl Frames {
    pub(crate) fn add(&mut self, more: Self) {
        self.lines.extend(more.lines);
        self.last = more.last;
    }
}

/// Reads frames as lines.
pub(crate) async fn seen(client: &mut Client, wanted: &Lines) -> Frames {
    let mut lines = Vec::new();
    let mut found = 0;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let frame = match timeout_at(deadline, client.next()).await {
            Ok(Got::Frame(frame)) => frame,
            end => panic!("{end:?} instead of {} after {lines:#?}", wanted.prefix),
        };
        let Some(mut line) = line(&frame) else {
            continue;
        };
        if let Some(method) = frame["id"].as_str().and_then(|id| client.method_of(id)) {
            line = format!("{method} {line}");
        }
        let counts = line.starts_with(&wanted.prefix);
        if wanted
            .only
            .as_ref()
            .is_none_or(|only| line.starts_with(only))
        {
            lines.push(line);
        }
        found += usize::from(counts);
        if found == wanted.count {
            return Frames { lines, last: frame };
        }
    }
}

/// The rows of a history as lines.
pub(crate) fn history(answer: &Value) -> Vec<String> {
    let rows = answer["payload"]["messages"].as_array().expect("messages");
    rows.iter()
        .map(|row| {
            format!(
                "{} {}",
                row["role"].as_str().expect("a role"),
                shape(row, 1)
            )
        })
        .collect()
}

/// Lines without the fields.
pub(crate) fn names(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split(" {").next().unwrap_or(line))
        .collect()
}

/// What was recorded on a real gateway.
pub(crate) fn expected(edition: Edition, name: &str) -> Vec<String> {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "tests/fixtures/runs",
        &edition.to_string(),
        &format!("{name}.txt"),
    ]
    .iter()
    .collect();
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// Fails with the first line that is not as recorded.
#[track_caller]
pub(crate) fn agree(edition: Edition, name: &str, lines: &[String]) {
    let expected = expected(edition, name);
    let same = lines
        .iter()
        .zip(&expected)
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        lines == expected,
        "{edition} {name}: line {}\n got {:#?}\nnot {:#?}\nall: {:#?}",
        same + 1,
        &lines[same..lines.len().min(same + 3)],
        &expected[same..expected.len().min(same + 3)],
        names(lines),
    );
}
