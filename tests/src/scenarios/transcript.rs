//! What a program printed, line by line, with the time of each line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::anyhow;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;

/// One state that the adapter printed.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// The field `state`.
    pub state: String,
    /// The whole object.
    pub value: Value,
}

impl Line {
    /// A text field, or an error that names it.
    ///
    /// # Errors
    ///
    /// Where the field is missing, empty or no text.
    pub fn text(&self, field: &str) -> anyhow::Result<&str> {
        self.value
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| {
                anyhow!(
                    "the {} line has no text in `{field}`: {}",
                    self.state,
                    self.value
                )
            })
    }

    /// A list of texts; nothing where the field is missing or null.
    #[must_use]
    pub fn list(&self, field: &str) -> Option<Vec<String>> {
        let items = self.value.get(field)?.as_array()?;
        Some(
            items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        )
    }
}

/// Everything a program printed.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    /// Standard output as it came.
    pub(crate) stdout: Vec<String>,
    /// The states in it.
    pub(crate) lines: Vec<Line>,
    /// Standard error as it came.
    pub(crate) stderr: Vec<String>,
    /// Objects on stdout that are no state: what a command was asked for.
    pub(crate) answers: Vec<Value>,
    /// What was not as the contract says.
    pub(crate) faults: Vec<String>,
    /// Both outputs were read to their ends.
    pub(crate) ended: bool,
}

impl Printed {
    fn stdout_line(&mut self, at: Instant, text: String) {
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => match value.get("state").and_then(Value::as_str) {
                Some(state) => {
                    let state = state.to_owned();
                    self.lines.push(Line { at, state, value });
                }
                None if value.is_object() => self.answers.push(value),
                None => self
                    .faults
                    .push(format!("a line on stdout is no object: {text}")),
            },
            Err(error) => self
                .faults
                .push(format!("a line on stdout is not JSON ({error}): {text}")),
        }
        self.stdout.push(text);
    }
}

/// What a program printed, shared with whoever reports on it.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) name: String,
    printed: Mutex<Printed>,
}

impl Transcript {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            printed: Mutex::default(),
        }
    }

    pub(crate) fn read(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads both outputs to their ends.
pub(crate) async fn read(
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    transcript: Arc<Transcript>,
    changed: watch::Sender<()>,
) {
    let out = async {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            transcript.read().stdout_line(Instant::now(), line);
            changed.send_replace(());
        }
    };
    let err = async {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            transcript.read().stderr.push(line);
            changed.send_replace(());
        }
    };
    tokio::join!(out, err);
    transcript.read().ended = true;
    changed.send_replace(());
}
