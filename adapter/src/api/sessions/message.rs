//! A message of a session's transcript.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::lenient;
use crate::api::wire::{answer, string_enum};

/// A message as the transcript has it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Message {
    /// Author.
    pub role: Role,
    /// Content. Users' messages are text on 2026.9.6 and parts on 2026.2.9.
    #[serde(skip_serializing_if = "Content::is_absent")]
    pub content: Content,
    /// Time, in milliseconds of the gateway's clock.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp: Option<u64>,
    /// Key of the run that a user's message started, with the suffix `:user` (2026.9.6).
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub idempotency_key: Option<String>,
    /// Reason why the model stopped an answer: `stop`, `toolUse`, `error`.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub stop_reason: Option<String>,
    /// Error text of an answer that failed.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub error_message: Option<String>,
    /// Place in the transcript (2026.9.6).
    #[serde(
        rename = "__openclaw",
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub place: Option<Place>,
    /// Further fields of the answer.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Message {
    /// The text: the content itself, or its parts of type `text`, a paragraph each.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => {
                let texts = parts.iter().filter(|part| part.kind == "text");
                let texts: Vec<_> = texts.filter_map(|part| part.text.as_deref()).collect();
                texts.join("\n\n")
            }
            Content::Other(_) => String::new(),
        }
    }

    /// The run that said it (2026.9.6).
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.place.as_ref()?.run_id.as_deref()
    }
}

/// Content of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Content {
    /// As text.
    Text(String),
    /// In parts.
    Parts(Vec<Part>),
    /// In a form that this crate does not know; `null` if there is none.
    Other(Value),
}

impl Default for Content {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl Content {
    const fn is_absent(&self) -> bool {
        matches!(self, Self::Other(Value::Null))
    }
}

/// A part of a message: text, a call of a tool, an image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Kind: `text`, `thinking`, `toolCall`, `image`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its text, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Further fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

answer! {
    /// Place of a message in its transcript (2026.9.6).
    Place {
        may_have {
            /// The id of the message.
            id: String,
            /// Its number within the session, from 1.
            seq: u64,
            /// The run that wrote it.
            run_id: String,
        }
    }
}

answer! {
    /// An active run of a session (2026.9.6).
    InFlightRun {
        has {
            /// The run. With turns that wait, it may be one of those.
            run_id: String,
        }
        may_have {
            /// Its text so far.
            text: String,
            /// Start time, in milliseconds of the gateway's clock.
            started_at: u64,
        }
    }
}

string_enum! {
    /// Author of a message.
    Role {
        /// The user, or the program that speaks for one.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// A tool.
        ToolResult = "toolResult",
        /// The gateway.
        System = "system",
    }
}

impl Default for Role {
    fn default() -> Self {
        Self::Other(String::new())
    }
}
