//! Calls, and whether each came to exactly one end that is true.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_adapter::{Client, Delivery, Error, WhenDown};
use openclaw_mock_gateway::{MockGateway, On, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::referee::Referee;

/// The method that the calls are made to.
pub(super) const METHOD: &str = "sim.echo";
/// How much later than its deadline a call may end: the clock's rounding.
const ROUNDING: Duration = Duration::from_millis(2);

#[derive(Debug)]
struct Entry {
    due: Instant,
    /// How often the gateway got it.
    arrived: u32,
    ended: bool,
    given_up: bool,
    /// It was said not to have been sent.
    unsent: bool,
}

/// All calls of one story.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    book: Arc<Mutex<BTreeMap<u64, Entry>>>,
    referee: Arc<Referee>,
}

impl Calls {
    /// None yet.
    #[must_use]
    pub(super) fn new(referee: Arc<Referee>) -> Self {
        Self {
            book: Arc::default(),
            referee,
        }
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the calls on `gateway`: by their number at once, late, never, or twice.
    pub(super) fn mount(&self, gateway: &MockGateway) {
        let calls = self.clone();
        On::method(METHOD)
            .respond_with(move |params| calls.arrives(params))
            .mount(gateway);
    }

    fn arrives(&self, params: &Value) -> Response {
        let number = params["n"].as_u64().unwrap_or_default();
        if let Some(entry) = self.book().get_mut(&number) {
            entry.arrived += 1;
            if entry.arrived > 1 {
                self.referee.foul(format!("call {number} was sent twice"));
            }
            if entry.unsent {
                let what = format!("call {number} arrived, and was said not to have been sent");
                self.referee.foul(what);
            }
        }
        let answer = Response::never();
        match number % 8 {
            0 => answer,
            1 | 2 => answer
                .then_wait(Duration::from_millis(number % 5 * 700))
                .then_ok(json!({"n": number})),
            3 => answer
                .then_ok(json!({"n": number}))
                .then_ok(json!({"n": number})),
            _ => answer.then_ok(json!({"n": number})),
        }
    }

    /// Makes a call in a task of its own.
    pub(super) fn make(
        &self,
        client: &Client,
        within: Duration,
        when_down: WhenDown,
    ) -> JoinHandle<()> {
        let (calls, client) = (self.clone(), client.clone());
        let number = {
            let mut book = self.book();
            let number = book.len() as u64;
            book.insert(
                number,
                Entry {
                    due: Instant::now() + within,
                    arrived: 0,
                    ended: false,
                    given_up: false,
                    unsent: false,
                },
            );
            number
        };
        let guard = GivenUp {
            calls: self.clone(),
            number,
        };
        tokio::spawn(async move {
            let _guard = guard;
            let call = client.call_raw(METHOD, json!({"n": number}));
            let answer = call.within(within).when_down(when_down).await;
            calls.ends(number, &answer);
        })
    }

    fn ends(&self, number: u64, answer: &Result<Value, Error>) {
        let mut book = self.book();
        let Some(entry) = book.get_mut(&number) else {
            return;
        };
        entry.ended = true;
        let arrived = entry.arrived > 0;
        let told = match answer {
            Ok(value) if value["n"] == number && arrived => "answered",
            Ok(value) => {
                self.referee
                    .foul(format!("call {number} was answered with {value}"));
                "answered"
            }
            Err(error) if is_unsent(error) => {
                entry.unsent = true;
                if arrived {
                    let what = format!("call {number} was sent, and ended as not sent: {error}");
                    self.referee.foul(what);
                }
                "not sent"
            }
            Err(_) => "without an answer",
        };
        drop(book);
        self.referee.note(format!("  call {number}: {told}"));
    }

    /// How many have neither ended nor were given up.
    #[must_use]
    pub(super) fn open(&self) -> usize {
        let book = self.book();
        book.values()
            .filter(|entry| !entry.ended && !entry.given_up)
            .count()
    }

    /// How many were made.
    pub(super) fn count(&self) -> usize {
        self.book().len()
    }

    /// Nobody waits past the deadline.
    pub(super) fn check(&self) {
        let now = Instant::now();
        for (number, entry) in self.book().iter_mut() {
            if !entry.ended && !entry.given_up && now > entry.due + ROUNDING {
                entry.given_up = true;
                self.referee
                    .foul(format!("call {number} did not end by its deadline"));
            }
        }
    }
}

/// The task of a call was dropped.
struct GivenUp {
    calls: Calls,
    number: u64,
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(entry) = self.calls.book().get_mut(&self.number) {
            entry.given_up = !entry.ended;
        }
    }
}

/// Whether an error says that the call never left the process.
fn is_unsent(error: &Error) -> bool {
    match error {
        Error::Timeout { delivery, .. } | Error::Disconnected { delivery, .. } => {
            *delivery == Delivery::NotSent
        }
        // A client that is closed with calls in flight cannot know.
        Error::Closed | Error::Call { .. } => false,
        _ => true,
    }
}
