//! The frames that went over the wire, for tests and for reports.

use std::collections::VecDeque;
use std::fmt;

use serde_json::Value;

const MAX_FRAMES: usize = 4_096;
const MAX_BYTES: usize = 8 * 1024 * 1024;
const MAX_TEXT: usize = 64 * 1024;
const HIDDEN: &str = "<secret>";

/// Which way a frame went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client to the gateway.
    In,
    /// From the gateway to the client.
    Out,
}

/// A text frame that went over the wire, with its secrets replaced.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Frame {
    /// The connection, counted from 1 in order of acceptance.
    pub connection: u64,
    /// Which way it went.
    pub direction: Direction,
    /// When, in milliseconds since the Unix epoch of the gateway's clock.
    pub at_ms: u64,
    /// What was in it; a frame that is not JSON is a string.
    pub json: Value,
}

struct Recorded {
    connection: u64,
    direction: Direction,
    at_ms: u64,
    text: String,
}

/// Keeps the latest frames, up to a bound.
pub(crate) struct Recorder {
    on: bool,
    frames: VecDeque<Recorded>,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            frames: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn sent(&mut self, connection: u64, text: &str, at_ms: u64) {
        self.keep(connection, Direction::Out, text, at_ms);
    }

    pub(crate) fn received(&mut self, connection: u64, text: &str, at_ms: u64) {
        self.keep(connection, Direction::In, text, at_ms);
    }

    fn keep(&mut self, connection: u64, direction: Direction, text: &str, at_ms: u64) {
        if !self.on {
            return;
        }
        let text = if text.len() > MAX_TEXT {
            format!("({} bytes)", text.len())
        } else {
            text.to_owned()
        };
        self.bytes += text.len();
        self.frames.push_back(Recorded {
            connection,
            direction,
            at_ms,
            text,
        });
        while self.frames.len() > MAX_FRAMES || self.bytes > MAX_BYTES {
            let Some(gone) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= gone.text.len();
        }
    }

    /// Everything that is kept, oldest first, without what is secret.
    pub(crate) fn frames(&self, secret: &str) -> Vec<Frame> {
        let show = |recorded: &Recorded| {
            let text = match secret {
                "" => recorded.text.clone(),
                secret => recorded.text.replace(secret, HIDDEN),
            };
            let mut json = serde_json::from_str(&text).unwrap_or(Value::String(text));
            hide(&mut json);
            Frame {
                connection: recorded.connection,
                direction: recorded.direction,
                at_ms: recorded.at_ms,
                json,
            }
        };
        self.frames.iter().map(show).collect()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("frames", &self.frames.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

fn hide(value: &mut Value) {
    const SECRET: [&str; 6] = [
        "token",
        "deviceToken",
        "bootstrapToken",
        "password",
        "signature",
        "privateKey",
    ];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if SECRET.contains(&name.as_str()) && value.is_string() {
                    *value = HIDDEN.into();
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_the_record_is_bounded() {
        let mut recorder = Recorder::new(true);
        let text = r#"{"params":{"auth":{"token":"abc"},"device":{"signature":"s","nonce":"n"}},"note":"top-secret!"}"#;
        recorder.received(1, text, 5);
        let frames = recorder.frames("top-secret");
        assert_eq!(
            frames[0].json,
            serde_json::json!({
                "params": {"auth": {"token": "<secret>"}, "device": {"signature": "<secret>", "nonce": "n"}},
                "note": "<secret>!",
            })
        );
        for _ in 0..5_000 {
            recorder.sent(1, &"x".repeat(3_000), 6);
        }
        assert!(recorder.frames.len() <= MAX_FRAMES && recorder.bytes <= MAX_BYTES);
    }
}
