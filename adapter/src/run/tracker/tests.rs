//! The tracker against what real gateways were recorded to send, and against everything else.

mod anything;
mod recorded;
mod rules;

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::run::event;

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
pub(super) fn drain(tracker: &mut Tracker, told: &mut String) -> Option<RunOutcome> {
    let mut outcome = None;
    while let Some(item) = tracker.next_item() {
        assert!(outcome.is_none(), "{item:?} after the end");
        match item {
            RunItem::Text(text) => {
                if text.replaced {
                    told.clone_from(&text.delta);
                } else {
                    told.push_str(&text.delta);
                }
                assert_eq!(**told, *text.text, "the deltas do not add up");
            }
            RunItem::Ended(end) => outcome = Some(end),
            _ => {}
        }
    }
    outcome
}
