//! What is kept of sessions. It outlives the process, as a real gateway's files do.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

/// More idle sessions, more messages of one, and more bytes of all messages than this are not kept.
const MAX_SESSIONS: usize = 5000;
const MAX_MESSAGES: usize = 2000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// More keys of creations are not remembered.
const MAX_CREATED: usize = 1000;

/// The full name of a session.
pub(crate) fn canonical(key: &str) -> String {
    let key = key.trim().to_lowercase();
    if key.starts_with("agent:") {
        key
    } else {
        format!("agent:main:{key}")
    }
}

/// How a session came to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Via {
    /// A run of `agent` in a session that was not there.
    Run,
    /// A `chat.send`.
    Chat,
    /// `sessions.create`, or in 2026.2.9 a `sessions.patch`.
    Created,
}

/// One message, and how much it weighs.
#[derive(Debug)]
struct Kept {
    row: Value,
    bytes: usize,
}

/// A session.
#[derive(Debug)]
pub(crate) struct SessionRecord {
    pub(crate) id: String,
    pub(crate) via: Via,
    /// Renewed when the session starts over.
    pub(crate) revision: String,
    /// Renewed when the messages so far are written anew: a cursor into the old ones is worth nothing.
    pub(crate) generation: String,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    pub(crate) label: Option<String>,
    /// The title that a model gave it.
    pub(crate) title: Option<String>,
    /// What `sessions.patch` set, besides the label.
    pub(crate) settings: BTreeMap<String, Value>,
    pub(crate) turns: Turns,
    messages: VecDeque<Kept>,
    bytes: usize,
    /// All messages so far.
    pub(crate) total: usize,
}

/// What the turns of a session left behind.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that happened to it"
)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    pub(crate) status: Option<&'static str>,
    pub(crate) started_at: Option<u64>,
    pub(crate) ended_at: Option<u64>,
    pub(crate) last_run_id: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_aborted: bool,
    /// Tokens of the latest turn that was answered.
    pub(crate) tokens: Option<(u64, u64)>,
    /// How many messages there were before the latest turn.
    pub(crate) messages_before: usize,
    /// When somebody last said something, and when the agent last did.
    pub(crate) asked_at: Option<u64>,
    pub(crate) answered_at: Option<u64>,
    /// When the first turn was given a place to run.
    pub(crate) placed_at: Option<u64>,
    pub(crate) is_unread: bool,
    /// Whether anybody talked to it as in a chat.
    pub(crate) is_chat: bool,
    /// Whether it is known who talks.
    pub(crate) has_participants: bool,
    /// Whether the session began over: by `sessions.reset`, or because a message said so.
    pub(crate) was_reset: bool,
    pub(crate) was_told_to_reset: bool,
}

fn random() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn weight(row: &Value) -> usize {
    row.to_string().len()
}

impl SessionRecord {
    fn new(via: Via, now: u64) -> Self {
        Self {
            id: random(),
            via,
            revision: random(),
            generation: uuid::Uuid::new_v4().simple().to_string(),
            created_at: now,
            updated_at: now,
            label: None,
            title: None,
            settings: BTreeMap::new(),
            turns: Turns::default(),
            messages: VecDeque::new(),
            bytes: 0,
            total: 0,
        }
    }

    /// The messages that are still there, oldest first, each with its number from 1.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = (usize, &Value)> {
        let first = self.total - self.messages.len() + 1;
        let rows = self.messages.iter();
        rows.enumerate()
            .map(move |(at, kept)| (first + at, &kept.row))
    }

    fn drop_first(&mut self) {
        if let Some(gone) = self.messages.pop_front() {
            self.bytes -= gone.bytes;
        }
    }

    /// Forgets all messages; what was before is no longer counted.
    pub(crate) fn empty(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.total = 0;
        self.rewrite();
    }

    /// Keeps the latest messages only; gives whether there were more.
    pub(crate) fn keep(&mut self, messages: usize) -> bool {
        let cut = self.messages.len() > messages;
        while self.messages.len() > messages {
            self.drop_first();
            self.total -= 1;
        }
        if cut {
            self.rewrite();
        }
        cut
    }

    pub(crate) fn rewrite(&mut self) {
        self.generation = uuid::Uuid::new_v4().simple().to_string();
    }

    /// Returns whether there is a message with this idempotency key.
    pub(crate) fn has_row(&self, key: &str) -> bool {
        self.messages
            .iter()
            .any(|kept| kept.row["idempotencyKey"] == key)
    }

    /// Returns whether there is one, and the agent said something after it.
    pub(crate) fn has_answered(&self, key: &str) -> bool {
        let mut rows = self.messages.iter();
        rows.any(|kept| kept.row["idempotencyKey"] == key)
            && rows.any(|kept| kept.row["role"] == "assistant")
    }
}

/// A creation that may be asked for again.
#[derive(Debug)]
struct Created {
    device_id: String,
    key: String,
    params: Value,
    answer: Value,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct SessionRecords {
    by_key: HashMap<String, SessionRecord>,
    created: VecDeque<Created>,
    bytes: usize,
}

impl SessionRecords {
    pub(crate) fn get(&self, key: &str) -> Option<&SessionRecord> {
        self.by_key.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut SessionRecord> {
        self.by_key.get_mut(key)
    }

    /// The session of this key, made if it is not there; whether it was made.
    pub(crate) fn open(&mut self, key: &str, via: Via, now: u64) -> (&mut SessionRecord, bool) {
        let is_new = !self.by_key.contains_key(key);
        if is_new && self.by_key.len() >= MAX_SESSIONS {
            self.drop_oldest(key);
        }
        let book = self
            .by_key
            .entry(key.to_owned())
            .or_insert_with(|| SessionRecord::new(via, now));
        (book, is_new)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<SessionRecord> {
        let book = self.by_key.remove(key)?;
        self.bytes -= book.bytes;
        Some(book)
    }

    /// Drops the session that was not touched for longest, but not this one.
    fn drop_oldest(&mut self, but: &str) -> bool {
        let others = self.by_key.iter().filter(|(key, _)| *key != but);
        let oldest = others.min_by_key(|(_, book)| book.updated_at);
        match oldest.map(|(key, _)| key.clone()) {
            Some(key) => self.remove(&key).is_some(),
            None => false,
        }
    }

    /// Writes a message into a session that is there; gives its number, and it as it is kept.
    pub(crate) fn write(&mut self, key: &str, mut row: Value) -> Option<(usize, Value)> {
        let book = self.by_key.get_mut(key)?;
        let number = book.total + 1;
        if row["__openclaw"].is_object() {
            row["__openclaw"]["seq"] = number.into();
            row["__openclaw"]["transcriptPosition"] =
                json!({"source": book.generation, "rawSeq": number});
        }
        let before = book.bytes;
        if book.messages.len() == MAX_MESSAGES {
            book.drop_first();
        }
        let bytes = weight(&row);
        book.bytes += bytes;
        book.total += 1;
        let kept = row.clone();
        book.messages.push_back(Kept { row, bytes });
        self.bytes = self.bytes + book.bytes - before;
        while self.bytes > MAX_BYTES && self.drop_oldest(key) {}
        while self.bytes > MAX_BYTES {
            let book = self.by_key.get_mut(key)?;
            let before = book.bytes;
            book.drop_first();
            self.bytes -= before - book.bytes;
        }
        Some((number, kept))
    }

    /// Changes what a session says; its weight is taken anew.
    pub(crate) fn rewrite(&mut self, key: &str, change: impl FnOnce(&mut SessionRecord)) {
        let Some(book) = self.by_key.get_mut(key) else {
            return;
        };
        self.bytes -= book.bytes;
        change(book);
        self.bytes += book.bytes;
    }

    /// The sessions, the latest first.
    pub(crate) fn latest(&self) -> Vec<(&str, &SessionRecord)> {
        let mut all: Vec<(&str, &SessionRecord)> = self
            .by_key
            .iter()
            .map(|(key, book)| (key.as_str(), book))
            .collect();
        all.sort_by(|(a_key, a), (b_key, b)| {
            b.updated_at.cmp(&a.updated_at).then(a_key.cmp(b_key))
        });
        all
    }

    pub(crate) fn by_label(&self, label: &str) -> Option<&str> {
        self.find(|book| book.label.as_deref() == Some(label))
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&str> {
        self.find(|book| book.id == id)
    }

    fn find(&self, is: impl Fn(&SessionRecord) -> bool) -> Option<&str> {
        let mut all = self.by_key.iter();
        all.find(|(_, book)| is(book)).map(|(key, _)| key.as_str())
    }

    /// The answer to a creation that a device asked for before, unless it asked for something else then.
    pub(crate) fn created(
        &self,
        device_id: &str,
        key: &str,
        params: &Value,
    ) -> Option<Result<Value, ()>> {
        let known = self
            .created
            .iter()
            .find(|created| created.device_id == device_id && created.key == key)?;
        Some(if known.params == *params {
            Ok(known.answer.clone())
        } else {
            Err(())
        })
    }

    pub(crate) fn remember(&mut self, device_id: &str, key: &str, params: &Value, answer: &Value) {
        if self.created.len() == MAX_CREATED {
            self.created.pop_front();
        }
        self.created.push_back(Created {
            device_id: device_id.to_owned(),
            key: key.to_owned(),
            params: params.clone(),
            answer: answer.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_numbers_when_the_first_are_gone() {
        let mut books = SessionRecords::default();
        books.open("a", Via::Chat, 1);
        for n in 0..MAX_MESSAGES + 3 {
            books.write("a", json!({"n": n}));
        }
        let book = books.get("a").expect("a session");
        let (number, row) = book.messages().next().expect("a message");
        assert_eq!((number, &row["n"]), (4, &json!(3)));
        assert_eq!(
            book.messages().next_back().map(|(n, _)| n),
            Some(book.total)
        );
    }

    #[test]
    fn sessions_and_bytes_are_bounded_and_the_oldest_go_first() {
        let mut books = SessionRecords::default();
        for n in 0..=MAX_SESSIONS {
            let (book, is_new) = books.open(&format!("s{n}"), Via::Run, 1);
            book.updated_at = n as u64;
            assert!(is_new);
        }
        assert_eq!(books.by_key.len(), MAX_SESSIONS);
        assert!(books.get("s0").is_none());
        let large = json!("x".repeat(MAX_BYTES / 2));
        books.write("s1", large.clone());
        books.write("s2", large.clone());
        assert!(books.get("s1").is_none(), "the older large one is gone");
        books.write("s3", large);
        assert!(books.bytes <= MAX_BYTES, "{}", books.bytes);
        books.remove("s3");
        assert_eq!(books.bytes, 0);
    }

    #[test]
    fn a_creation_is_known_by_device_and_key() {
        let mut books = SessionRecords::default();
        let params = json!({"label": "a"});
        books.remember("d", "k", &params, &json!({"key": "s"}));
        assert_eq!(
            books.created("d", "k", &params),
            Some(Ok(json!({"key": "s"})))
        );
        assert_eq!(books.created("d", "k", &json!({})), Some(Err(())));
        assert_eq!(books.created("e", "k", &params), None);
    }
}
