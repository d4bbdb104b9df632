//! `chat.history` as a watch reads it: all of it, or what came since.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::api::sessions::{InFlight, Message, MessageWritten, Session};
use crate::method::{Effect, Method};

/// Asks for the messages of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadHistory {
    pub(crate) session_key: String,
    /// Where an earlier answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

impl Method for ReadHistory {
    const NAME: &'static str = "chat.history";
    const EFFECT: Effect = Effect::Reads;
    const SINCE_PROTOCOL: u32 = 4;
    type Answer = History;
}

/// Answer to [`ReadHistory`].
#[derive(Debug)]
pub(crate) enum History {
    /// The messages.
    Whole(Page<Message>),
    /// The messages since the cursor.
    Delta(Page<MessageWritten>),
    /// The cursor means nothing any more.
    Reset,
}

/// Messages, and what goes with them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<M> {
    pub(crate) messages: Vec<M>,
    #[serde(default)]
    pub(crate) delta_cursor: Option<String>,
    #[serde(default)]
    pub(crate) has_more: bool,
    #[serde(default, deserialize_with = "crate::api::lenient::option")]
    pub(crate) session_info: Option<Session>,
    #[serde(default, deserialize_with = "crate::api::lenient::option")]
    pub(crate) in_flight_run: Option<InFlight>,
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = Value::deserialize(deserializer)?;
        match value["kind"].as_str() {
            Some("reset") => Ok(Self::Reset),
            Some("delta") => serde_json::from_value(value).map(Self::Delta),
            _ => serde_json::from_value(value).map(Self::Whole),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_three_kinds_of_answer_are_told_apart() {
        let read = |value| serde_json::from_value::<History>(value).unwrap();
        assert!(matches!(read(json!({"kind":"reset"})), History::Reset));
        let row = json!({"role":"user","content":"hi"});
        match read(json!({"messages":[row],"deltaCursor":"c","inFlightRun":{"runId":"r"}})) {
            History::Whole(page) => {
                assert_eq!(page.messages[0].text(), "hi");
                assert_eq!(page.in_flight_run.unwrap().run_id, "r");
            }
            other => panic!("{other:?}"),
        }
        let written = json!({"sessionKey":"k","message":row,"messageId":"m","messageSeq":3});
        match read(json!({"kind":"delta","messages":[written],"deltaCursor":"d"})) {
            History::Delta(page) => assert_eq!(page.messages[0].message_seq, Some(3)),
            other => panic!("{other:?}"),
        }
    }
}
