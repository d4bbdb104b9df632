//! The two paths that are taken most, so many times over, for a tool that counts instructions: the
//! adapter's way, or the least that serde alone has to do. See `.ci/instructions`.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::process::ExitCode;

use openclaw_adapter::__hot::Hot;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const HELLO: &str = r#"{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6","connId":"c"},"features":{"methods":[],"events":[]},"snapshot":{},"auth":{"role":"operator","scopes":[]},"policy":{"maxPayload":26214400,"tickIntervalMs":30000}}"#;
const ANSWER: &str = r#"{"type":"res","id":"7","ok":true,"payload":{"ok":true,"ts":1795375154446,"durationMs":3,"channels":{},"defaultAgentId":"main","sessions":{"count":2,"recent":["agent:main:main"]}}}"#;
const EVENT: &str = r#"{"type":"event","event":"agent","payload":{"runId":"0b1e9c1e-run","seq":3,"stream":"assistant","ts":1795375154446,"sessionKey":"agent:main:main","data":{"text":"All that was said so far, and some more of it","delta":"more of it"}},"seq":3}"#;
const ID: u64 = 7;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, whose, count] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    let Ok(count) = count.parse::<u64>() else {
        return ExitCode::from(2);
    };
    let done = match (path.as_str(), whose.as_str()) {
        ("call", "floor") => floor_calls(count),
        ("call", "adapter") => calls(count),
        ("event", "floor") => floor_events(count),
        ("event", "adapter") => events(count),
        _ => None,
    };
    match done {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

fn is_right(payload: &Value) -> Option<()> {
    let right = payload["ts"] == 1_795_375_154_446_u64;
    black_box(payload);
    right.then_some(())
}

fn calls(count: u64) -> Option<()> {
    let mut hot = Hot::new(HELLO)?;
    let params = json!({"probe": false});
    (0..count).try_for_each(|_| is_right(&hot.call(ID, black_box(&params), black_box(ANSWER))?))
}

fn events(count: u64) -> Option<()> {
    let mut hot = Hot::new(HELLO)?;
    (0..count).try_for_each(|_| is_right(&hot.event(black_box(EVENT))?))
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: String,
    method: &'a str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    payload: Value,
}

/// A frame written, its number noted, the answer read and matched.
fn floor_calls(count: u64) -> Option<()> {
    let params = json!({"probe": false});
    let mut waiting = BTreeMap::new();
    (0..count).try_for_each(|_| {
        let request = Request {
            kind: "req",
            id: ID.to_string(),
            method: "health",
            params: black_box(&params),
        };
        let text = serde_json::to_string(&request).ok()?;
        waiting.insert(ID, &params);
        black_box(text);
        let answer: Answer<'_> = serde_json::from_str(black_box(ANSWER)).ok()?;
        waiting.remove(&answer.id.parse::<u64>().ok()?)?;
        is_right(&answer.payload)
    })
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "event", borrow)]
    name: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A frame read, its parts kept in a queue and taken out, its payload read.
fn floor_events(count: u64) -> Option<()> {
    let mut queue = VecDeque::new();
    (0..count).try_for_each(|_| {
        let event: Event<'_> = serde_json::from_str(black_box(EVENT)).ok()?;
        queue.push_back((event.name.into_owned(), event.seq, event.payload.to_owned()));
        let (name, seq, payload) = queue.pop_front()?;
        black_box((name, seq));
        is_right(&serde_json::from_str(payload.get()).ok()?)
    })
}
