//! Frames of one connection, sorted into lanes in which their order counts.
//!
//! Between lanes it does not: an answer that is read from a disk and an event of a run overtake each
//! other on a real gateway, too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What comes on its own time or says how a host feels: nothing that a client's frame brings about.
const NOISE: [&str; 8] = [
    "tick",
    "health",
    "heartbeat",
    "presence",
    "connect.challenge",
    "skills.changed",
    "update.available",
    "chat.metadata.changed",
];

/// One thing in a lane.
#[derive(Debug)]
pub(super) enum Item {
    Frame(Value),
    /// Text that streams: how it is cut is up to the model's pace.
    Text {
        first: Value,
        chat: Option<Value>,
        /// As far as `agent` events have it, and `chat` events.
        said: String,
        shown: String,
    },
}

impl Item {
    /// The text so far, if this is one. Both kinds of event have it, one may be behind.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text { said, shown, .. } if said.starts_with(shown.as_str()) => Some(said),
            Self::Text { shown, .. } => Some(shown),
            Self::Frame(_) => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) items: Vec<Item>,
    /// The number of the run's latest event.
    seq: u64,
}

/// How far a lane is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) items: usize,
    /// Characters of the last item, if it is text.
    pub(super) text: usize,
}

impl Lane {
    pub(super) fn mark(&self) -> Mark {
        let text = self.items.last().and_then(Item::text);
        Mark {
            items: self.items.len(),
            text: text.map_or(0, |text| text.chars().count()),
        }
    }

    pub(super) fn reached(&self, mark: Mark) -> bool {
        let now = self.mark();
        now.items > mark.items || (now.items == mark.items && now.text >= mark.text)
    }

    /// The number of an event within its run, as it stands to the one before.
    fn relate(&mut self, frame: &mut Value) {
        let Some(seq) = frame["payload"]["seq"].as_u64() else {
            return;
        };
        let relation = match seq {
            0 | 1 => seq.to_string(),
            _ if seq == self.seq => "same".to_owned(),
            _ if seq > self.seq => "more".to_owned(),
            _ => "less".to_owned(),
        };
        self.seq = seq;
        frame["payload"]["seq"] = relation.into();
    }

    fn add(&mut self, mut frame: Value) {
        let seq = self.seq;
        self.relate(&mut frame);
        let payload = &frame["payload"];
        let is_delta = match frame["event"].as_str() {
            Some("agent") => payload["stream"] == "assistant" && payload["data"]["text"] != "",
            Some("chat") => {
                payload["state"] == "delta" && payload["message"]["content"][0]["text"] != ""
            }
            // What the run did lately, told once a second.
            Some("task") if payload["state"] == "running" => return,
            Some("task") => {
                let same = |item: &Item| matches!(item, Item::Frame(last) if *last == frame);
                if self.items.last().is_some_and(same) {
                    return;
                }
                false
            }
            _ => false,
        };
        if !is_delta {
            return self.items.push(Item::Frame(frame));
        }
        let is_chat = frame["event"] == "chat";
        let said = if is_chat {
            &payload["message"]["content"][0]["text"]
        } else {
            &payload["data"]["text"]
        };
        let text = said.as_str().unwrap_or_default().to_owned();
        // The last piece of a text may come when the run is over.
        let mut latest = self.items.iter().rev().take(6);
        let late = is_chat && latest.any(|item| item.text() == Some(&text));
        match self.items.last_mut() {
            Some(Item::Frame(_)) if late => self.seq = seq,
            Some(Item::Text {
                first,
                chat,
                said,
                shown,
            }) => {
                if is_chat && chat.is_none() && first["event"] != "chat" {
                    *chat = Some(frame);
                }
                *(if is_chat { shown } else { said }) = text;
            }
            _ => {
                let (said, shown) = if is_chat {
                    (String::new(), text)
                } else {
                    (text, String::new())
                };
                self.items.push(Item::Text {
                    first: frame,
                    chat: None,
                    said,
                    shown,
                });
            }
        }
    }
}

/// All lanes of a connection.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) by_name: BTreeMap<String, Lane>,
    /// Phases of runs that are left out.
    pub(super) unseen: &'static [&'static str],
    /// Ids that the gateway made up, in the order in which they came.
    made: Vec<String>,
    /// The number of the latest event.
    seq: Option<u64>,
    pub(super) seq_complaint: Option<String>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Lanes {
    /// Sorts a frame in. `name` gives the id that a recording has for one of the mock's.
    pub(super) fn add(
        &mut self,
        frame: &Value,
        keys: &[String],
        name: impl Fn(&str) -> String,
    ) -> Option<String> {
        let mut frame = frame.clone();
        let Some(event) = frame["event"].as_str().map(str::to_owned) else {
            let lane = format!("answer {}", frame["id"]);
            self.by_name.entry(lane.clone()).or_default().add(frame);
            return Some(lane);
        };
        self.count(&frame, &event);
        if NOISE.contains(&event.as_str()) {
            return None;
        }
        // Compared by whether it is there; the numbers are checked as they come.
        if frame["seq"].is_u64() {
            frame["seq"] = "some".into();
        }
        let payload = &mut frame["payload"];
        if event == "agent"
            && self
                .unseen
                .iter()
                .any(|phase| payload["data"]["phase"] == *phase)
        {
            return None;
        }
        let run = match event.as_str() {
            "task" => {
                *payload = json!({
                    "status": payload["task"]["status"], "runId": payload["task"]["runId"],
                    "state": payload["task"]["execution"]["state"],
                });
                text(&payload["runId"]).to_owned()
            }
            "agent" | "chat" => text(&payload["runId"]).to_owned(),
            _ => String::new(),
        };
        let run = if run.is_empty() || keys.contains(&run) {
            run
        } else {
            self.made_up(&run)
        };
        let lane = match event.as_str() {
            "agent" | "chat" => format!("run {run}"),
            "task" => format!("task {run}"),
            // Whatever happens to a session is told on its own; what of it comes first varies.
            "sessions.changed" => {
                let why = [&payload["reason"], &payload["phase"]].map(text).concat();
                format!("{event} {} {why}", text(&payload["sessionKey"]))
            }
            name if name.starts_with("session") => {
                format!("{name} {}", text(&payload["sessionKey"]))
            }
            name => name.to_owned(),
        };
        let lane = name(&lane);
        self.by_name.entry(lane.clone()).or_default().add(frame);
        Some(lane)
    }

    /// Ids of the gateway differ from run to run, their order does not.
    fn made_up(&mut self, id: &str) -> String {
        let found = self.made.iter().position(|made| made == id);
        let number = found.unwrap_or_else(|| {
            self.made.push(id.to_owned());
            self.made.len() - 1
        });
        format!("made up {number}")
    }

    fn count(&mut self, frame: &Value, event: &str) {
        let Some(seq) = frame["seq"].as_u64() else {
            return;
        };
        let last = self.seq.replace(seq);
        if last.is_some_and(|last| seq <= last) {
            self.seq_complaint = Some(format!("{event} has number {seq} after {last:?}"));
        }
    }
}
