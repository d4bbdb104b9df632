//! Answers that a test mounts, and what it expects to be called.

use std::fmt::{self, Write as _};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::recorder::{Direction, Frame};
use crate::model::runs::RUNS;
use crate::model::script::RunScript;
use crate::wire::{ErrorShape, Reply};

/// Decides whether the parameters of a call are meant: [`partial_json`], or a closure.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use openclaw_mock_gateway::{ErrorCode, MockGateway, On, Response};
/// use serde_json::Value;
///
/// let gateway = MockGateway::start().await;
/// On::method("sessions.list")
///     .with(|params: &Value| params["limit"].as_u64() > Some(100))
///     .respond(Response::error(ErrorCode::InvalidRequest, "too many"))
///     .mount(&gateway);
/// # }
/// ```
pub trait Matcher: Send + Sync + 'static {
    /// Returns whether they are.
    fn matches(&self, params: &Value) -> bool;

    /// Returns how the report names it.
    fn describe(&self) -> String {
        "a condition of the test's own".to_owned()
    }
}

impl<F> Matcher for F
where
    F: Fn(&Value) -> bool + Send + Sync + 'static,
{
    fn matches(&self, params: &Value) -> bool {
        self(params)
    }
}

/// Made by [`partial_json`].
#[derive(Clone, Debug)]
pub struct PartialJson(Value);

/// Matches parameters that contain all of this, and possibly more; [`On`] has an example.
///
/// Objects may have other members at every depth; lists and values have to be the same.
#[must_use]
pub fn partial_json(part: Value) -> PartialJson {
    PartialJson(part)
}

impl Matcher for PartialJson {
    fn matches(&self, params: &Value) -> bool {
        contains(params, &self.0)
    }

    fn describe(&self) -> String {
        format!("containing {}", self.0)
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part))),
        (whole, part) => whole == part,
    }
}

/// One thing that happens in answer to a call.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Wait(Duration),
    Answer(Reply),
    /// An event to every client that may see it.
    Event(String, Value),
    /// A run; it is the first of its actions.
    Run(Box<RunScript>),
}

/// What a mounted method does when it is called: answers, events and pauses, in order.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
///
/// use openclaw_mock_gateway::{ErrorCode, MockGateway, On, Response};
/// use serde_json::json;
///
/// let gateway = MockGateway::start().await;
/// // Busy, and when to ask again,
/// let busy = Response::error(ErrorCode::Unavailable, "busy")
///     .retryable(Some(Duration::from_secs(2)));
/// On::method("models.list").respond(busy).mount(&gateway);
/// // and an answer that comes late, with an event before it.
/// let late = Response::never()
///     .then_event("skills.changed", json!({"count": 1}))
///     .then_wait(Duration::from_millis(200))
///     .then_ok(json!({"ok": true}));
/// On::method("skills.install").respond(late).mount(&gateway);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Response {
    actions: Vec<Action>,
}

impl Response {
    /// Nothing at all; the caller waits in vain.
    pub fn never() -> Self {
        Self::default()
    }

    /// A good answer.
    pub fn ok(payload: Value) -> Self {
        Self::never().then_ok(payload)
    }

    /// An error.
    pub fn error(code: ErrorCode, message: &str) -> Self {
        Self::never().then_error(code, message)
    }

    fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// After that, a (further) good answer under the same id, as `agent` gives: accepted, then final.
    pub fn then_ok(self, payload: Value) -> Self {
        self.then(Action::Answer(Ok(payload)))
    }

    /// After that, an error.
    pub fn then_error(self, code: ErrorCode, message: &str) -> Self {
        let error = ErrorShape::new(code.as_str(), message);
        self.then(Action::Answer(Err(error)))
    }

    /// After that, an event to every client that may see it.
    pub fn then_event(self, event: &str, payload: Value) -> Self {
        self.then(Action::Event(event.to_owned(), payload))
    }

    /// After that, a pause.
    pub fn then_wait(self, pause: Duration) -> Self {
        self.then(Action::Wait(pause))
    }

    /// Adds details to the last error.
    pub fn details(mut self, details: Value) -> Self {
        if let Some(Action::Answer(Err(error))) = self.actions.last_mut() {
            error.details = Some(details);
        }
        self
    }

    /// Marks the last error as one that is worth another try.
    pub fn retryable(mut self, after: Option<Duration>) -> Self {
        if let Some(Action::Answer(Err(error))) = self.actions.last_mut() {
            error.retryable = true;
            error.retry_after_ms = after.map(crate::model::clock::millis);
        }
        self
    }
}

impl From<RunScript> for Response {
    fn from(run: RunScript) -> Self {
        Self::never().then(Action::Run(Box::new(run)))
    }
}

impl From<Value> for Response {
    fn from(payload: Value) -> Self {
        Self::ok(payload)
    }
}

/// The error codes that gateways use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `INVALID_REQUEST`
    InvalidRequest,
    /// `UNAVAILABLE`
    Unavailable,
    /// `FORBIDDEN`; measured on 2026.9.6.
    Forbidden,
    /// `NOT_PAIRED`
    NotPaired,
    /// `APPROVAL_NOT_FOUND`; measured on 2026.9.6.
    ApprovalNotFound,
    /// `AGENT_TIMEOUT`
    AgentTimeout,
}

impl ErrorCode {
    /// All of them, as a scenario names them.
    pub(crate) const NAMES: &str = "INVALID_REQUEST, UNAVAILABLE, FORBIDDEN, NOT_PAIRED, \
         APPROVAL_NOT_FOUND or AGENT_TIMEOUT";

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::InvalidRequest,
            Self::Unavailable,
            Self::Forbidden,
            Self::NotPaired,
            Self::ApprovalNotFound,
            Self::AgentTimeout,
        ];
        all.into_iter().find(|code| code.as_str() == name)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Unavailable => "UNAVAILABLE",
            Self::Forbidden => "FORBIDDEN",
            Self::NotPaired => "NOT_PAIRED",
            Self::ApprovalNotFound => "APPROVAL_NOT_FOUND",
            Self::AgentTimeout => "AGENT_TIMEOUT",
        }
    }
}

type Respond = Arc<dyn Fn(&Value) -> Response + Send + Sync>;

/// What a test says about one method: which calls it means, what they are answered, how many it expects.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use openclaw_mock_gateway::{MockGateway, On, partial_json};
/// use serde_json::json;
///
/// let gateway = MockGateway::start().await;
/// On::method("sessions.list")
///     .with(partial_json(json!({"limit": 10})))
///     .respond(json!({"sessions": []}))
///     .expect(..=1)
///     .mount(&gateway);
/// # }
/// ```
#[must_use]
pub struct On {
    methods: Vec<String>,
    matchers: Vec<Box<dyn Matcher>>,
    respond: Respond,
    least: u64,
    most: u64,
    called: u64,
}

impl fmt::Debug for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On")
            .field("methods", &self.methods)
            .field("called", &self.called)
            .finish_non_exhaustive()
    }
}

/// How many calls are expected, for [`On::expect`]: a number, or a range of numbers.
pub trait Times {
    /// The least and the most.
    fn bounds(self) -> (u64, u64);
}

impl Times for u64 {
    fn bounds(self) -> (u64, u64) {
        (self, self)
    }
}

macro_rules! times_of_range {
    ($($range:ty),*) => {$(
        impl Times for $range {
            fn bounds(self) -> (u64, u64) {
                let least = match self.start_bound() {
                    Bound::Included(start) => *start,
                    Bound::Excluded(start) => start.saturating_add(1),
                    Bound::Unbounded => 0,
                };
                let most = match self.end_bound() {
                    Bound::Included(end) => *end,
                    Bound::Excluded(end) => end.saturating_sub(1),
                    Bound::Unbounded => u64::MAX,
                };
                (least, most)
            }
        }
    )*};
}

times_of_range!(
    std::ops::Range<u64>,
    std::ops::RangeInclusive<u64>,
    std::ops::RangeFrom<u64>,
    std::ops::RangeTo<u64>,
    std::ops::RangeToInclusive<u64>
);

impl On {
    /// Calls of this method. Without [`respond`](Self::respond) they are answered with `{}`.
    pub fn method(method: impl Into<String>) -> Self {
        Self::methods(vec![method.into()])
    }

    /// Calls that start a run: `agent`, `chat.send` and `sessions.send`. Without
    /// [`respond`](Self::respond) they are answered with `{}`, so give it a [`RunScript`].
    pub fn runs() -> Self {
        Self::methods(RUNS.map(str::to_owned).to_vec())
    }

    fn methods(methods: Vec<String>) -> Self {
        Self {
            methods,
            matchers: Vec::new(),
            respond: Arc::new(|_| Response::ok(json!({}))),
            least: 0,
            most: u64::MAX,
            called: 0,
        }
    }

    /// Only those whose parameters match.
    pub fn with(mut self, matcher: impl Matcher) -> Self {
        self.matchers.push(Box::new(matcher));
        self
    }

    /// Answers every one of them like this.
    pub fn respond(mut self, response: impl Into<Response>) -> Self {
        let response = response.into();
        self.respond = Arc::new(move |_| response.clone());
        self
    }

    /// Answers each by its parameters.
    pub fn respond_with(
        mut self,
        respond: impl Fn(&Value) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.respond = Arc::new(respond);
        self
    }

    /// Sets how many of them there have to be by the time the mock is dropped: `2`, `1..`, `..=3`.
    pub fn expect(mut self, times: impl Times) -> Self {
        (self.least, self.most) = times.bounds();
        self
    }

    fn is_for(&self, method: &str) -> bool {
        self.methods.iter().any(|own| own == method)
    }

    fn means(&self, method: &str, params: &Value) -> bool {
        self.is_for(method) && self.matchers.iter().all(|matcher| matcher.matches(params))
    }

    fn describe(&self) -> String {
        let mut text = self.methods.join(" or ");
        for matcher in &self.matchers {
            text.push_str(" with parameters ");
            text.push_str(&matcher.describe());
        }
        text
    }

    fn expected(&self) -> String {
        match (self.least, self.most) {
            (least, most) if least == most => format!("{least} times"),
            (least, u64::MAX) => format!("at least {least} times"),
            (0, most) => format!("at most {most} times"),
            (least, most) => format!("{least} to {most} times"),
        }
    }
}

/// Everything that is mounted, and the calls that nothing answered.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    mounted: Vec<On>,
    unexpected: Vec<String>,
}

const MAX_UNEXPECTED: usize = 100;
const SHOWN_FRAMES: usize = 20;
const SHOWN_TEXT: usize = 240;

impl Mounts {
    pub(crate) fn add(&mut self, on: On) {
        self.mounted.push(on);
    }

    pub(crate) fn knows(&self, method: &str) -> bool {
        self.mounted.iter().any(|on| on.is_for(method))
    }

    /// Returns what to do about a call, if something was mounted for it.
    pub(crate) fn answer(&mut self, method: &str, params: &Value) -> Option<Vec<Action>> {
        let on = self
            .mounted
            .iter_mut()
            .rev()
            .find(|on| on.means(method, params))?;
        on.called += 1;
        Some((on.respond)(params).actions)
    }

    /// Notes a call that nothing answered.
    pub(crate) fn unexpected(&mut self, call: String) {
        if self.unexpected.len() < MAX_UNEXPECTED {
            self.unexpected.push(call);
        }
    }

    /// Returns what is wrong, in words; `None` when nothing is.
    pub(crate) fn report(&self, strict: bool, frames: &[Frame]) -> Option<String> {
        let mut lines = Vec::new();
        for on in &self.mounted {
            if on.called < on.least || on.called > on.most {
                lines.push(format!(
                    "- {} was called {} times, expected {}",
                    on.describe(),
                    on.called,
                    on.expected()
                ));
            }
        }
        for call in self.unexpected.iter().filter(|_| strict) {
            lines.push(format!(
                "- {call} was called, and nothing answers it: mount On::method(..), or build the mock with \
                 strict(false)"
            ));
        }
        if lines.is_empty() {
            return None;
        }
        let mut report = String::from("the mock gateway was not used as expected\n");
        report.push_str(&lines.join("\n"));
        if frames.is_empty() {
            report.push('\n');
            return Some(report);
        }
        let skipped = frames.len().saturating_sub(SHOWN_FRAMES);
        let _ = write!(
            report,
            "\nthe last frames ({skipped} earlier ones left out):\n"
        );
        for frame in &frames[skipped..] {
            let arrow = match frame.direction {
                Direction::In => "->",
                Direction::Out => "<-",
            };
            let text: String = frame.json.to_string().chars().take(SHOWN_TEXT).collect();
            let _ = writeln!(report, "  #{} {arrow} {text}", frame.connection);
        }
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_json_looks_into_objects() {
        let whole = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        assert!(contains(&whole, &json!({"a": {"c": 2}})));
        assert!(!contains(&whole, &json!({"a": {"c": 3}})));
        assert!(!contains(&whole, &json!({"e": null})));
    }

    #[test]
    fn the_report_names_what_is_missing_and_what_was_too_much() {
        let mut mounts = Mounts::default();
        mounts.add(
            On::method("a")
                .with(partial_json(json!({"x": 1})))
                .expect(1),
        );
        mounts.add(On::method("b").expect(..=1));
        assert!(mounts.answer("a", &json!({"x": 2})).is_none());
        for _ in 0..2 {
            assert!(mounts.answer("b", &json!({})).is_some());
        }
        mounts.unexpected("c".into());
        let report = mounts.report(true, &[]).expect("a report");
        assert!(report.contains(
            r#"a with parameters containing {"x":1} was called 0 times, expected 1 times"#
        ));
        assert!(report.contains("b was called 2 times, expected at most 1 times"));
        assert!(report.contains("- c was called, and nothing answers it"));
        assert!(!mounts.report(false, &[]).expect("a report").contains("- c"));
    }
}
