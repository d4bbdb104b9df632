//! Watches a client's end of the network and its store, and calls every foul.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_adapter::{ConnectionState, Token};
use serde_json::Value;
use tokio::time::Instant;

use super::net::Watch;
use super::rules::{End, Permit, Rules, Used, Word};
use super::tap::{Seen, Tap};

/// One attempt, and the connection that it becomes.
#[derive(Debug, Default)]
struct Attempt {
    stream: Option<u64>,
    out: Tap,
    back: Tap,
    is_challenged: bool,
    is_new: bool,
    used: Option<Used>,
    hello_at: Option<Instant>,
    verdict: Option<End>,
    close: Option<u16>,
    given_up: bool,
}

#[derive(Debug)]
struct Book {
    began: Instant,
    rules: Rules,
    attempt: Option<Attempt>,
    /// Streams and dials that the client holds.
    held: usize,
    dials: u64,
    hellos: u64,
    /// Tokens that were handed to the backend as the shared one.
    secrets: Vec<String>,
    /// The device token that the store has to hold.
    token: Option<String>,
    falls_back: bool,
    closed: bool,
    fouls: Vec<String>,
    log: Vec<String>,
}

/// The referee of one client.
#[derive(Debug)]
pub struct Referee(Mutex<Book>);

impl Referee {
    /// For a client that starts now with this shared token. `falls_back`: its device token may serve
    /// when the shared one is refused.
    #[must_use]
    pub fn new(secret: &str, pairing_limit: Option<Duration>, falls_back: bool) -> Self {
        let now = Instant::now();
        Self(Mutex::new(Book {
            began: now,
            rules: Rules::new(now, pairing_limit),
            attempt: None,
            held: 0,
            dials: 0,
            hellos: 0,
            secrets: vec![secret.to_owned()],
            token: None,
            falls_back,
            closed: false,
            fouls: Vec::new(),
            log: Vec::new(),
        }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line of the story.
    pub fn note(&self, line: impl AsRef<str>) {
        self.book().note(line.as_ref());
    }

    /// Calls a foul.
    pub fn foul(&self, what: impl AsRef<str>) {
        self.book().foul(what.as_ref());
    }

    /// The client's state has changed.
    pub fn state(&self, state: &ConnectionState) {
        let word = match state {
            ConnectionState::Connecting { .. } => "connecting".to_owned(),
            ConnectionState::AwaitingApproval { .. } => "awaiting approval".to_owned(),
            ConnectionState::BackingOff { delay, cause, .. } => {
                format!("backing off for {delay:?}: {cause}")
            }
            ConnectionState::Ready { .. } => "ready".to_owned(),
            ConnectionState::Stopped { reason, .. } => format!("stopped: {}", reason.kind()),
            _ => "a state that the referee does not know".to_owned(),
        };
        self.note(format!("  client: {word}"));
    }

    /// The backend says a word to the client.
    pub(super) fn word(&self, word: Word, secret: Option<&str>) {
        let mut book = self.book();
        let book = &mut *book;
        book.secrets.extend(secret.map(str::to_owned));
        let now = Instant::now();
        match &mut book.attempt {
            // The connection is good; a word changes nothing, but that a new token is not refused yet.
            Some(attempt) if attempt.hello_at.is_some() => {
                if word == Word::Token {
                    book.rules.word(now, word, false);
                }
            }
            Some(attempt) => {
                attempt.given_up = word == Word::Token;
                book.rules.word(now, word, false);
            }
            None => book.rules.word(now, word, true),
        }
    }

    /// The clock of both sides is about to jump.
    pub(super) fn leaps(&self, by: Duration) {
        self.book().rules.leapt(Instant::now() + by);
    }

    /// The client was told to close.
    pub fn closed(&self) {
        self.book().closed = true;
    }

    /// How many dials there were, and how many were let in.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let book = self.book();
        (book.dials, book.hellos)
    }

    /// How many sockets and dials the client holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.book().held
    }

    /// The store was asked to forget a token.
    pub(super) fn forgets(&self, token: &Token) {
        let mut book = self.book();
        if !book.rules.may_forget() {
            book.foul("a device token was dropped without a device token mismatch");
        }
        if book.token.as_deref() == Some(token.expose_secret()) {
            book.token = None;
        }
    }

    /// The store was asked to keep a token.
    pub(super) fn keeps(&self, token: &Token) {
        let mut book = self.book();
        if book.token.as_deref() != Some(token.expose_secret()) {
            book.foul("a device token was stored that no hello had brought");
        }
    }

    /// What has to be true whenever nothing is going on.
    pub fn check(&self, stored: Option<&str>) {
        let now = Instant::now();
        let mut book = self.book();
        if book.held > 1 {
            let held = book.held;
            book.foul(&format!("{held} sockets at a time"));
        }
        if book.closed && book.held > 0 {
            book.foul("a socket is left after close");
        }
        if let Permit::Between(_, latest) = book.rules.permit()
            && book.attempt.is_none()
            && !book.closed
            && now > latest
        {
            book.foul("the next attempt is overdue");
            book.rules.leapt(now + Duration::from_secs(3600));
        }
        if book.token.as_deref() != stored {
            book.foul("the store does not hold the device token of the last hello");
            book.token = stored.map(str::to_owned);
        }
    }

    /// The fouls so far.
    #[must_use]
    pub fn fouls(&self) -> Vec<String> {
        self.book().fouls.clone()
    }

    /// The story so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.book().log.clone()
    }
}

impl Book {
    fn note(&mut self, line: &str) {
        let at = self.began.elapsed().as_secs_f64();
        self.log.push(format!("{at:10.3} {line}"));
    }

    fn foul(&mut self, what: &str) {
        self.note(&format!("FOUL: {what}"));
        let at = self.began.elapsed().as_secs_f64();
        self.fouls.push(format!("at {at:.3} s: {what}"));
    }

    fn attempt(&mut self, stream: u64) -> Option<&mut Attempt> {
        self.attempt
            .as_mut()
            .filter(|attempt| attempt.stream == Some(stream))
    }

    fn ended(&mut self) {
        let now = Instant::now();
        self.held = self.held.saturating_sub(1);
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let end = match (attempt.hello_at, attempt.verdict, attempt.close) {
            _ if attempt.given_up => End::GivenUp,
            (Some(hello_at), _, code) => End::Lived {
                lived: now - hello_at,
                code,
            },
            (None, Some(verdict), _) => verdict,
            (None, None, Some(code)) => End::Closed { code },
            (None, None, None) => End::NoVerdict,
        };
        self.rules.ended(now, &end);
        let told = match &end {
            End::Refused { error, .. } => format!("refused: {}", error["message"]),
            other => format!("{other:?}"),
        };
        self.note(&format!("  wire: {told}"));
    }

    fn connect_is_seen(&mut self, stream: u64, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let auth = &frame["params"]["auth"];
        let is_secret = auth["token"]
            .as_str()
            .is_some_and(|token| self.secrets.iter().any(|secret| secret == token));
        let is_connect = frame["method"] == "connect";
        let Some(attempt) = self.attempt(stream) else {
            return;
        };
        if attempt.used.is_some() {
            return;
        }
        attempt.used = Some(if is_secret {
            Used::Secret
        } else {
            Used::Device
        });
        if !is_connect {
            self.foul("the first request is not connect");
        }
    }

    /// A frame has reached the client.
    fn frame_is_read(&mut self, stream: u64, text: &str) {
        let has_token = self.falls_back && self.token.is_some();
        let Some(attempt) = self.attempt(stream) else {
            return;
        };
        if attempt.hello_at.is_some() || attempt.verdict.is_some() {
            return;
        }
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if frame["event"] == "connect.challenge" {
            attempt.is_challenged = true;
            attempt.is_new = frame["payload"]["capabilities"].is_array();
        }
        // The adapter's connect has the id 0, as text or as a number.
        let is_answer = frame["type"] == "res" && attempt.used.is_some();
        if !is_answer {
            return;
        }
        if frame["ok"] == true {
            attempt.hello_at = Some(Instant::now());
            self.hellos += 1;
            self.rules.accepted();
            let token = frame["payload"]["auth"]["deviceToken"].as_str();
            if let Some(token) = token {
                self.token = Some(token.to_owned());
            }
            self.note("  wire: let in");
        } else {
            attempt.verdict = Some(End::Refused {
                error: frame["error"].clone(),
                used: attempt.used.unwrap_or(Used::Secret),
                is_new: attempt.is_new,
                has_device_token: has_token,
            });
        }
    }
}

impl Watch for Referee {
    fn dials(&self) {
        let now = Instant::now();
        let mut book = self.book();
        book.dials += 1;
        book.held += 1;
        if book.held > 1 {
            book.foul("a dial while a socket is open");
        }
        if book.closed {
            book.foul("a dial after close");
        }
        match book.rules.permit() {
            Permit::Never => book.foul("an attempt after a terminal verdict"),
            Permit::Between(earliest, _) if now < earliest => {
                let early = earliest - now;
                book.foul(&format!("an attempt {early:?} too early"));
            }
            Permit::Between(_, latest) if now > latest => {
                let late = now - latest;
                book.foul(&format!("an attempt {late:?} too late"));
            }
            Permit::Between(..) => {}
        }
        book.attempt = Some(Attempt::default());
    }

    fn dial_ends(&self) {
        self.book().ended();
    }

    fn connects(&self, stream: u64) {
        if let Some(attempt) = &mut self.book().attempt {
            attempt.stream = Some(stream);
        }
    }

    fn writes(&self, stream: u64, bytes: &[u8]) {
        let mut book = self.book();
        let Some(attempt) = book.attempt(stream) else {
            return;
        };
        let seen = attempt.out.feed(bytes);
        let is_more =
            attempt.out.is_past_head() || seen.iter().any(|seen| !matches!(seen, Seen::Head(_)));
        let is_early = is_more && !attempt.is_challenged;
        if is_early {
            book.foul("something was sent before the challenge");
        }
        for seen in seen {
            if let Seen::Text(text) = seen {
                book.connect_is_seen(stream, &text);
            }
        }
    }

    fn reads(&self, stream: u64, bytes: &[u8]) {
        let mut book = self.book();
        let Some(attempt) = book.attempt(stream) else {
            return;
        };
        for seen in attempt.back.feed(bytes) {
            match seen {
                Seen::Head(head) => {
                    if let Some(attempt) = book.attempt(stream) {
                        attempt.verdict = http_refusal(&head);
                    }
                }
                Seen::Text(text) => book.frame_is_read(stream, &text),
                Seen::Close(code, _) => {
                    if let Some(attempt) = book.attempt(stream) {
                        attempt.close.get_or_insert_with(|| code.unwrap_or(1005));
                    }
                }
                Seen::Other => {}
            }
        }
    }

    fn drops(&self, _stream: u64) {
        self.book().ended();
    }
}

/// Reads the head of an answer that is no upgrade.
fn http_refusal(head: &str) -> Option<End> {
    let mut lines = head.lines();
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 101 {
        return None;
    }
    let headers: BTreeMap<String, &str> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    Some(End::Http {
        status,
        retry_after: headers
            .get("retry-after")
            .and_then(|text| text.parse().ok()),
    })
}
