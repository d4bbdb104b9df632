//! The tracker against what real gateways were recorded to send, and against everything else.

mod anything;
mod recorded;
mod rules;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::run::event;
use crate::run::item::ToolStep;

pub(super) fn start(kind: Kind) -> Start {
    Start {
        kind,
        run_id: "r".to_owned(),
        message: Some("hi".to_owned()),
        can_send: true,
        patience: Duration::from_secs(900),
    }
}

/// The outcome among the items that there are, and the text that they add up to.
pub(super) fn drain(tracker: &mut Tracker, streamed: &mut String) -> Option<RunOutcome> {
    let mut outcome = None;
    while let Some(item) = tracker.next_item() {
        assert!(outcome.is_none(), "{item:?} after the end");
        match item {
            RunItem::Text(text) => {
                if text.replaced {
                    streamed.clone_from(&text.delta);
                } else {
                    streamed.push_str(&text.delta);
                }
                assert_eq!(**streamed, *text.text, "the deltas do not add up");
            }
            RunItem::Ended(end) => outcome = Some(end),
            _ => {}
        }
    }
    outcome
}

/// The steps of tool calls that there are.
fn steps(tracker: &mut Tracker) -> Vec<ToolStep> {
    std::iter::from_fn(|| tracker.next_item())
        .filter_map(|item| match item {
            RunItem::Tool(tool) => Some(tool.step),
            _ => None,
        })
        .collect()
}

/// As recorded on 2026.9.6: the outline of a beginning, and 1 ms later the one with the arguments.
fn beginning(stream: &str) -> Value {
    let data = match stream {
        "item" => {
            json!({"itemId":"tool:c","toolCallId":"c","name":"read","kind":"tool","phase":"start",
            "title":"Read","status":"running","commandBearing":false})
        }
        _ => json!({"phase":"start","name":"read","toolCallId":"c","args":{"path":"a"}}),
    };
    json!({"runId":"r","stream":stream,"data":data,"seq":4,"ts":1})
}

#[test]
fn a_tool_begins_once_and_with_its_arguments_where_they_are_told() {
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
    for stream in ["item", "tool"] {
        let event = event::read("agent", &beginning(stream)).unwrap();
        tracker.on_event(now, None, event);
    }
    let args = json!({"path":"a"});
    assert_eq!(steps(&mut tracker), [ToolStep::Started { args }]);
}

#[test]
fn a_tool_begins_without_its_arguments_where_nobody_tells_them() {
    let now = Instant::now();
    let mut tracker = Tracker::new(start(Kind::Agent), Some(4), now);
    let event = event::read("agent", &beginning("item")).unwrap();
    tracker.on_event(now, None, event);
    assert_eq!(steps(&mut tracker), []);

    assert!(
        tracker.next_action(now).is_some(),
        "the request is to be sent"
    );
    let wake = tracker.wake_at(now).unwrap();
    assert!(wake <= now + Duration::from_millis(50), "{:?}", wake - now);
    tracker.on_tick(wake);
    assert_eq!(
        steps(&mut tracker),
        [ToolStep::Started { args: Value::Null }]
    );
}
