//! What a mock is to do, read from a file.

pub(crate) mod faults;
pub(crate) mod read;
pub(crate) mod runs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use faults::TheFault;
use read::{Invalid, Node};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::model::expect::{ErrorCode, On, Response, partial_json};
use crate::model::fault::Fault;
use crate::net::server::Server;

/// The longest time in a scenario: a week.
const MAX_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Faults, mounted methods, scripted runs and pushed events, as a JSON file has them.
///
/// `scenario.schema.json` beside this crate's manifest is the schema, and the crate's first page has an
/// example. [`MockGatewayBuilder::scenario`](crate::MockGatewayBuilder::scenario) and
/// [`MockGateway::play`](crate::MockGateway::play) put a scenario into force. Times in it count from there on,
/// on tokio's clock. A restart of the gateway does not begin it again.
///
/// # Examples
///
/// ```
/// use openclaw_mock_gateway::Scenario;
///
/// let scenario: Scenario = r#"{"faults": [{"fault": "http", "status": 503, "times": 3}]}"#.parse()?;
/// let wrong = r#"{"faults": [{"fault": "http", "status": "503"}]}"#.parse::<Scenario>().unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "scenario: faults[0].status: expected a whole number from 200 to 599, found text"
/// );
/// # Ok::<(), openclaw_mock_gateway::ScenarioError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scenario {
    mounts: Vec<Mount>,
    steps: Vec<Step>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {}", path.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It is not JSON.
    #[error("{}: line {line}, column {column}: expected JSON", path.display())]
    #[non_exhaustive]
    NotJson {
        /// The file; `scenario` for text that is from no file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// It says something that no scenario says.
    #[error("{}: {place}: expected {expected}, found {found}", path.display())]
    #[non_exhaustive]
    Invalid {
        /// The file; `scenario` for text that is from no file.
        path: PathBuf,
        /// Where in it, for one `faults[2].status`.
        place: String,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
}

#[derive(Clone, Debug)]
struct Mount {
    /// `None` for every method that starts a run.
    method: Option<String>,
    with: Option<Value>,
    response: Option<Response>,
    /// The least and the most calls.
    expect: Option<(u64, u64)>,
}

/// Something that happens by itself.
#[derive(Clone, Debug)]
struct Step {
    after: Duration,
    repeat: Option<Repeat>,
    what: Happening,
}

#[derive(Clone, Copy, Debug)]
struct Repeat {
    every: Duration,
    /// How often in all; `None` for ever.
    times: Option<u32>,
}

#[derive(Clone, Debug)]
enum Happening {
    Fault(Fault),
    ClearFaults,
    Event(String, Value),
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(Path::new("scenario"), text)
    }
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Read`] when it cannot be read; [`ScenarioError::NotJson`] and
    /// [`ScenarioError::Invalid`] when it is no scenario, with the file, the place in it and what is
    /// expected there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::read(path, &text)
    }

    fn read(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        let value: Value = serde_json::from_str(text).map_err(|error| ScenarioError::NotJson {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        Self::from_node(&Node::root(&value)).map_err(|invalid| ScenarioError::Invalid {
            path: path.to_owned(),
            place: invalid.place,
            expected: invalid.expected,
            found: invalid.found,
        })
    }

    fn from_node(root: &Node<'_>) -> Result<Self, Invalid> {
        root.only(&[
            "$schema",
            "description",
            "faults",
            "methods",
            "runs",
            "events",
        ])?;
        for name in ["$schema", "description"] {
            root.maybe(name, |node| node.text().map(drop))?;
        }
        let mut steps = root.list("faults", fault)?;
        steps.extend(root.list("events", event)?);
        let mut mounts = root.list("runs", run)?;
        mounts.extend(root.list("methods", method)?);
        Ok(Self { mounts, steps })
    }

    /// Mounts, and arms the faults that wait for their point. Nobody has to be listening yet.
    pub(crate) fn arm(&self, server: &Arc<Server>) {
        for mount in &self.mounts {
            let mut on = mount.method.as_ref().map_or_else(On::runs, On::method);
            if let Some(with) = &mount.with {
                on = on.with(partial_json(with.clone()));
            }
            if let Some(response) = &mount.response {
                on = on.respond(response.clone());
            }
            if let Some((least, most)) = mount.expect {
                on = on.expect(least..=most);
            }
            server.engine.lock().mounts.add(on);
        }
        for step in self.steps.iter().filter(|step| step.is_armed_at_once()) {
            step.happen(server);
        }
    }

    /// Starts the clock for everything else.
    pub(crate) fn start(&self, server: &Arc<Server>) {
        let begin = Instant::now();
        let mut due: Vec<Due> = Vec::new();
        for step in self.steps.iter().filter(|step| !step.is_armed_at_once()) {
            if step.after.is_zero() && step.repeat.is_none() {
                step.happen(server);
            } else {
                due.push(Due {
                    at: begin + step.after,
                    done: 0,
                    step: step.clone(),
                });
            }
        }
        if !due.is_empty() {
            let own = Arc::clone(server);
            server.engine.spawn(async move { play(&own, due).await });
        }
    }
}

/// A step that is still to come.
struct Due {
    at: Instant,
    done: u32,
    step: Step,
}

/// Steps of one instant happen in the order of the file.
async fn play(server: &Arc<Server>, mut due: Vec<Due>) {
    while let Some(index) = (0..due.len()).min_by_key(|index| due[*index].at) {
        sleep_until(due[index].at).await;
        let next = &mut due[index];
        next.step.happen(server);
        next.done = next.done.saturating_add(1);
        match next.step.repeat {
            Some(Repeat { every, times }) if times.is_none_or(|times| next.done < times) => {
                next.at += every;
            }
            _ => drop(due.remove(index)),
        }
    }
}

impl Step {
    fn is_armed_at_once(&self) -> bool {
        self.after.is_zero() && matches!(&self.what, Happening::Fault(fault) if !fault.is_now())
    }

    fn happen(&self, server: &Arc<Server>) {
        match &self.what {
            Happening::Fault(fault) => server.inject(fault.clone()),
            Happening::ClearFaults => {
                if let Err(error) = server.clear_faults() {
                    tracing::warn!(%error, "the gateway could not listen again");
                }
            }
            Happening::Event(name, payload) => {
                let engine = &server.engine;
                engine.broadcast(&mut engine.lock(), name, payload);
            }
        }
    }
}

fn after(node: &Node<'_>) -> Result<Duration, Invalid> {
    let ms = node.maybe("afterMs", |ms| ms.whole(0, MAX_MS))?;
    Ok(Duration::from_millis(ms.unwrap_or(0)))
}

fn fault(node: &Node<'_>) -> Result<Step, Invalid> {
    let what = match faults::read(node)? {
        TheFault::Inject(fault) => Happening::Fault(fault),
        TheFault::Clear => Happening::ClearFaults,
    };
    Ok(Step {
        after: after(node)?,
        repeat: None,
        what,
    })
}

fn event(node: &Node<'_>) -> Result<Step, Invalid> {
    node.only(&["event", "payload", "afterMs", "everyMs", "times"])?;
    let name = node.required("event")?.text()?.to_owned();
    let every = node.maybe("everyMs", |ms| ms.whole(1, MAX_MS))?;
    let times = node.maybe("times", Node::times)?;
    let repeat = match (every, times) {
        (Some(every), times) => Some(Repeat {
            every: Duration::from_millis(every),
            times: times.flatten(),
        }),
        (None, None) => None,
        (None, Some(_)) => return Err(node.expected("everyMs beside times")),
    };
    Ok(Step {
        after: after(node)?,
        repeat,
        what: Happening::Event(name, node.payload("payload")),
    })
}

fn method(node: &Node<'_>) -> Result<Mount, Invalid> {
    node.only(&["method", "with", "respond", "expect"])?;
    let steps = node.maybe("respond", Node::items)?;
    let response = match steps {
        None => None,
        Some(steps) if steps.is_empty() => {
            return Err(node.required("respond")?.expected("at least one step"));
        }
        Some(steps) => {
            let mut response = Response::never();
            for step in &steps {
                response = respond(response, step)?;
            }
            Some(response)
        }
    };
    Ok(Mount {
        method: Some(node.required("method")?.text()?.to_owned()),
        with: with(node)?,
        response,
        expect: node.maybe("expect", expect)?,
    })
}

fn run(node: &Node<'_>) -> Result<Mount, Invalid> {
    Ok(Mount {
        method: None,
        response: Some(runs::read(node)?.into()),
        with: with(node)?,
        expect: node.maybe("expect", expect)?,
    })
}

fn with(node: &Node<'_>) -> Result<Option<Value>, Invalid> {
    node.maybe("with", |with| with.object().map(|()| with.value().clone()))
}

/// Returns how many calls there have to be: a number, or bounds.
fn expect(node: &Node<'_>) -> Result<(u64, u64), Invalid> {
    let most = u64::from(u32::MAX);
    if !node.value().is_object() {
        let exactly = node.whole(0, most).ok();
        let exactly = exactly.ok_or_else(|| node.expected("a whole number, or least and most"))?;
        return Ok((exactly, exactly));
    }
    node.only(&["least", "most"])?;
    let bound = |name| node.maybe(name, |bound| bound.whole(0, most));
    let (least, most) = (bound("least")?, bound("most")?);
    if least.is_none() && most.is_none() {
        return Err(node.expected("least or most"));
    }
    Ok((least.unwrap_or(0), most.unwrap_or(u64::MAX)))
}

const STEPS: &str = "a step: ok, error, event, waitMs or never";

/// One step of an answer.
fn respond(so_far: Response, step: &Node<'_>) -> Result<Response, Invalid> {
    step.object()?;
    let is = |name: &str| step.get(name).is_some();
    if is("ok") {
        step.only(&["ok"])?;
        return Ok(so_far.then_ok(step.payload("ok")));
    }
    if is("event") {
        step.only(&["event", "payload"])?;
        let name = step.required("event")?.text()?;
        return Ok(so_far.then_event(name, step.payload("payload")));
    }
    if is("waitMs") {
        step.only(&["waitMs"])?;
        let ms = step.required("waitMs")?.whole(0, MAX_MS)?;
        return Ok(so_far.then_wait(Duration::from_millis(ms)));
    }
    if is("never") {
        step.only(&["never"])?;
        return step.required("never")?.yes().map(|()| so_far);
    }
    if !is("error") {
        return Err(step.expected(STEPS));
    }
    step.only(&["error"])?;
    let error = step.required("error")?;
    error.only(&["code", "message", "details", "retryable", "retryAfterMs"])?;
    let code = error.required("code")?;
    let known = ErrorCode::parse(code.text()?).ok_or_else(|| code.expected(ErrorCode::NAMES))?;
    let message = error.required("message")?.any_text()?;
    let retryable = error.maybe("retryable", Node::yes)?;
    let retry_after = error.maybe("retryAfterMs", |ms| ms.whole(0, MAX_MS))?;
    let mut response = so_far.then_error(known, message);
    if let Some(details) = error.get("details") {
        response = response.details(details.value().clone());
    }
    if retryable.is_some() || retry_after.is_some() {
        response = response.retryable(retry_after.map(Duration::from_millis));
    }
    Ok(response)
}
