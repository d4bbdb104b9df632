//! What was recorded between real gateways and their clients, as steps.

use std::collections::HashMap;
use std::path::PathBuf;

use openclaw_mock_gateway::Edition;
use serde_json::Value;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum What {
    /// A client dials, and asks to be let in with this.
    Opens(Value),
    /// It dials, and is refused with this HTTP status.
    Refused(u16),
    /// It sends a frame.
    Sends(Value),
    /// It sends something that may be no frame.
    SendsRaw(String),
    /// The gateway sends a frame.
    Comes(Value),
    /// The connection ends, in the words of the side that ends it.
    Ends(u16, String),
    /// The recorder says what it did.
    Note(String),
}

#[derive(Debug)]
pub(super) struct Step {
    /// The connection by number: a label that dials again is another connection.
    pub(super) connection: usize,
    /// Milliseconds since the recording began.
    pub(super) at: u64,
    pub(super) what: What,
}

/// A recording.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// What the connections are called.
    pub(super) labels: Vec<String>,
    pub(super) steps: Vec<Step>,
}

pub(super) fn folder(edition: Edition) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "tests/fixtures/recordings",
        &edition.to_string(),
    ]
    .iter()
    .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn code(value: &Value) -> u16 {
    value
        .as_u64()
        .and_then(|code| u16::try_from(code).ok())
        .expect("a code")
}

impl Recording {
    pub(super) fn read(edition: Edition, name: &str) -> Self {
        let path = folder(edition).join(format!("{name}.jsonl"));
        let lines = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut recording = Self::default();
        let mut open: HashMap<String, usize> = HashMap::new();
        for line in lines.lines() {
            let mut line: Value = serde_json::from_str(line).expect("a line of a recording");
            let label = text(&line["c"]);
            let kind = text(&line["k"]);
            let what = match kind.as_str() {
                "out" if line["f"]["method"] == "connect" && !open.contains_key(&label) => {
                    What::Opens(line["f"].take())
                }
                "out" => What::Sends(line["f"].take()),
                "out-raw" => What::SendsRaw(text(&line["raw"])),
                "in" => What::Comes(line["f"].take()),
                "close" => What::Ends(code(&line["code"]), text(&line["reason"])),
                "http" => What::Refused(code(&line["status"])),
                "note" => What::Note(text(&line["msg"])),
                other => panic!("{other} in {}", path.display()),
            };
            let connection = match &what {
                What::Note(_) => open.get(&label).copied().unwrap_or_default(),
                What::Opens(_) | What::Refused(_) => recording.add(&label),
                _ => *open.get(&label).expect("a connection"),
            };
            if matches!(what, What::Opens(_)) {
                open.insert(label.clone(), connection);
            }
            if matches!(what, What::Ends(..)) {
                open.remove(&label);
            }
            let at = line["t"].as_u64().expect("a time");
            recording.steps.push(Step {
                connection,
                at,
                what,
            });
        }
        recording
    }

    fn add(&mut self, label: &str) -> usize {
        self.labels.push(label.to_owned());
        self.labels.len() - 1
    }

    /// The ids of runs and requests that clients chose.
    pub(super) fn keys(&self) -> Vec<String> {
        let key = |step: &Step| match &step.what {
            What::Sends(frame) => frame["params"]["idempotencyKey"]
                .as_str()
                .map(|key| key.trim().to_owned()),
            _ => None,
        };
        self.steps.iter().filter_map(key).collect()
    }
}
