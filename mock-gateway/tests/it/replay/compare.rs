//! Whether a frame of the mock is the recorded one, but for ids, times and sizes.

use std::collections::HashMap;

use serde_json::Value;

use super::lanes::Item;

/// How the ids of messages begin that were put in by hand.
const INJECTED: &str = "inject-";

/// The ids of a recording and what stands for them on the mock.
#[derive(Debug, Default)]
pub(super) struct Ids {
    theirs: HashMap<String, String>,
    ours: HashMap<String, String>,
}

const UUID: usize = 36;

fn is_uuid(text: &str) -> bool {
    text.len() == UUID
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Where the ids in a text are.
fn uuids(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + UUID <= text.len() {
        match text.get(at..at + UUID) {
            Some(part) if is_uuid(part) => {
                found.push(part);
                at += UUID;
            }
            _ => at += 1,
        }
    }
    found
}

impl Ids {
    /// The mock's text for a recorded one.
    pub(super) fn ours(&self, text: &str) -> String {
        replace(text, &self.theirs)
    }

    /// The recorded text for one of the mock's.
    pub(super) fn theirs(&self, text: &str) -> String {
        replace(text, &self.ours)
    }

    /// The mock's frame for a recorded one.
    pub(super) fn translate(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.ours(text).into(),
            Value::Array(list) => list.iter().map(|item| self.translate(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.translate(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn bind(&mut self, theirs: &str, ours: &str) -> bool {
        let known = self
            .theirs
            .entry(theirs.to_owned())
            .or_insert_with(|| ours.to_owned());
        if known != ours {
            return false;
        }
        self.ours.insert(ours.to_owned(), theirs.to_owned());
        true
    }
}

fn replace(text: &str, table: &HashMap<String, String>) -> String {
    if let Some(whole) = table.get(text) {
        return whole.clone();
    }
    let mut replaced = text.to_owned();
    for id in uuids(text) {
        if let Some(other) = table.get(id) {
            replaced = replaced.replace(id, other);
        }
    }
    replaced
}

/// Fields whose text is an id in whatever form.
const ID_FIELDS: [&str; 9] = [
    "messageId",
    "configRevision",
    "deltaCursor",
    "nextCursor",
    "responseId",
    "toolCallId",
    "itemId",
    "snapshotRevision",
    "source",
];

/// Numbers that are times, lengths and sizes.
fn is_measure(name: &str) -> bool {
    const WHOLE: [&str; 12] = [
        "ts",
        "timestamp",
        "at",
        "age",
        "pid",
        "input",
        "output",
        "total",
        "percentUsed",
        "rawSeq",
        "bytes",
        "updatedAt",
    ];
    const ENDS: [&str; 6] = ["At", "Ms", "AtMs", "Chars", "Tokens", "Bytes"];
    WHOLE.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// What the mock need not have as recorded: what is looked up in the background when there is time for it,
/// and what depends on the workspace of the recorder.
const ALWAYS_ASIDE: [&str; 3] = [
    ".lastMessagePreview",
    ".estimatedPromptTokens",
    ".remainingPromptBudgetTokens",
];

/// A text without the short id that 2026.2.9 shows of an approval.
fn without_slug(text: &str) -> String {
    const BEFORE: &str = "Approval required (id ";
    match text.split_once(BEFORE) {
        Some((before, after)) if after.len() > 8 && after.as_bytes()[8] == b')' => {
            format!("{before}{BEFORE}{}", &after[8..])
        }
        _ => text.to_owned(),
    }
}

/// An id without the times in it, which have at least as many digits as milliseconds have today.
fn without_times(text: &str) -> String {
    const DIGITS: usize = 13;
    let is_time =
        |part: &str| part.len() >= DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text
        .split(':')
        .map(|part| if is_time(part) { "time" } else { part });
    parts.collect::<Vec<_>>().join(":")
}

/// Compares, and notes what is different.
pub(super) struct Comparison<'a> {
    pub(super) ids: &'a mut Ids,
    pub(super) asides: &'a [&'static str],
    pub(super) complaints: Vec<String>,
}

impl Comparison<'_> {
    fn complain(&mut self, path: &str, theirs: &Value, ours: &Value) {
        let short = |value: &Value| {
            let text = value.to_string();
            match text.char_indices().nth(160) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        };
        self.complaints.push(format!(
            "{path}: recorded {}, got {}",
            short(theirs),
            short(ours)
        ));
    }

    fn is_aside(&self, path: &str) -> bool {
        ALWAYS_ASIDE.iter().chain(self.asides).any(|aside| {
            let (aside, whole) = match aside.strip_suffix(".*") {
                Some(aside) => (aside, true),
                None => (*aside, false),
            };
            path.ends_with(aside) || (whole && path.contains(&format!("{aside}.")))
        })
    }

    pub(super) fn items(&mut self, path: &str, theirs: &Item, ours: &Item) {
        match (theirs, ours) {
            (Item::Frame(theirs), Item::Frame(ours)) => self.frame(path, theirs, ours),
            (
                Item::Text { first, chat, .. },
                Item::Text {
                    first: our_first,
                    chat: our_chat,
                    ..
                },
            ) => {
                self.piece(path, first, our_first);
                if let (Some(chat), Some(our_chat)) = (chat, our_chat) {
                    self.piece(path, chat, our_chat);
                }
                let [text, our_text] = [theirs.text(), ours.text()].map(Option::unwrap_or_default);
                if !self.texts("text", text, our_text) {
                    let path = format!("{path}.text");
                    if !self.is_aside(&path) {
                        self.complain(&path, &text.into(), &our_text.into());
                    }
                }
            }
            (
                Item::Frame(theirs) | Item::Text { first: theirs, .. },
                Item::Frame(ours) | Item::Text { first: ours, .. },
            ) => {
                self.complain(path, theirs, ours);
            }
        }
    }

    /// The first piece of a text is as long as the model's pace has it.
    fn piece(&mut self, path: &str, theirs: &Value, ours: &Value) {
        let without = |frame: &Value| {
            let mut frame = frame.clone();
            let payload = &mut frame["payload"];
            payload["seq"] = "".into();
            if payload["data"].is_object() {
                payload["data"]["text"] = "".into();
                payload["data"]["delta"] = "".into();
            } else {
                if payload["deltaText"].is_string() {
                    payload["deltaText"] = "".into();
                }
                payload["message"]["content"][0]["text"] = "".into();
            }
            frame
        };
        self.frame(path, &without(theirs), &without(ours));
    }

    pub(super) fn frame(&mut self, path: &str, theirs: &Value, ours: &Value) {
        let name = theirs["event"].as_str().unwrap_or_default();
        let stream = theirs["payload"]["stream"].as_str().unwrap_or_default();
        let depth = match (name, stream) {
            ("agent", "tool") | ("", _) => 4,
            ("agent" | "chat", _) => 5,
            _ => 3,
        };
        let path = match name {
            "" => path.to_owned(),
            name => format!("{path} {name}"),
        };
        self.value(&path, "", theirs, ours, depth);
    }

    fn value(&mut self, path: &str, name: &str, theirs: &Value, ours: &Value, depth: usize) {
        if self.is_aside(path) {
            return;
        }
        match (theirs, ours) {
            (Value::Object(a), Value::Object(_)) if a.contains_key("$cut") => {}
            (Value::Array(a), Value::Array(_)) if a.iter().any(|item| item["$cut"] == true) => {}
            (Value::Object(a), Value::Object(b)) => {
                let missing = a.keys().filter(|name| !b.contains_key(*name));
                let extra = b.keys().filter(|name| !a.contains_key(*name));
                let tolerant = self.asides.iter().any(|aside| {
                    aside
                        .strip_suffix(".+")
                        .is_some_and(|aside| path.ends_with(aside))
                });
                let extra = extra.filter(|_| !tolerant);
                let far = |name: &&String| !self.is_aside(&format!("{path}.{name}"));
                let missing: Vec<&String> = missing.filter(far).collect();
                let extra: Vec<&String> = extra.filter(far).collect();
                if !missing.is_empty() || !extra.is_empty() {
                    self.complaints
                        .push(format!("{path}: lacks {missing:?}, has besides {extra:?}"));
                }
                if depth == 0 {
                    return;
                }
                for (name, a) in a {
                    if let Some(b) = b.get(name) {
                        self.value(&format!("{path}.{name}"), name, a, b, depth - 1);
                    }
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                if depth == 0 || a.last().is_some_and(|last| last["$trimmed"] == true) {
                    return;
                }
                if a.len() != b.len() {
                    return self.complain(path, theirs, ours);
                }
                for (at, (a, b)) in a.iter().zip(b).enumerate() {
                    self.value(&format!("{path}.{at}"), name, a, b, depth - 1);
                }
            }
            (Value::Number(_), Value::Number(_)) if is_measure(name) => {}
            (Value::String(a), Value::String(b)) => {
                if !self.texts(name, a, b) {
                    self.complain(path, theirs, ours);
                }
            }
            _ if theirs == ours => {}
            _ => self.complain(path, theirs, ours),
        }
    }

    fn texts(&mut self, name: &str, theirs: &str, ours: &str) -> bool {
        let ours = ours
            .replace("mock-1", "fake-1")
            .replace("Mock One", "Fake One");
        let ours = match ours.as_str() {
            "mock" => "fake".to_owned(),
            _ => ours.replace("mock/", "fake/"),
        };
        if theirs == ours
            || (theirs.ends_with('…') && ours.starts_with(theirs.trim_end_matches('…')))
        {
            return true;
        }
        if theirs.starts_with("/var/lib/openclaw") && ours.starts_with('/') {
            return true;
        }
        if let (Some(theirs), Some(ours)) =
            (theirs.strip_prefix(INJECTED), ours.strip_prefix(INJECTED))
        {
            return self.ids.bind(theirs, ours);
        }
        if ID_FIELDS.contains(&name) {
            return self.ids.bind(theirs, &ours);
        }
        let (theirs, ours) = (without_slug(theirs), without_slug(&ours));
        if theirs == ours {
            return true;
        }
        let (a, b) = (uuids(&theirs), uuids(&ours));
        if a.len() != b.len() || a.is_empty() {
            return false;
        }
        if !a.iter().zip(&b).all(|(a, b)| self.ids.bind(a, b)) {
            return false;
        }
        let theirs = self.ids.ours(&theirs);
        // A text may be cut in the middle of an id.
        without_times(&theirs) == without_times(&ours)
    }
}
