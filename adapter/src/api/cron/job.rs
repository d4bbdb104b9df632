//! A job: when it runs, and what it does.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::api::wire::{answer, string_enum};

answer! {
    /// A job as the gateway keeps it. 2026.9.6 lists jobs of its own too, such as `heartbeat-main`.
    Job {
        has {
            /// The id of the job.
            id: String,
            /// Its name.
            name: String,
            /// Schedule.
            schedule: Schedule,
            /// Action of the job.
            payload: Payload,
        }
        may_have {
            /// True if it is enabled.
            enabled: bool,
            /// Description.
            description: String,
            /// Its agent.
            agent_id: String,
            /// Session that it runs in.
            session_target: Target,
            /// Time at which its agent wakes up for it.
            wake_mode: WakeMode,
            /// Delivery of its answer.
            delivery: Delivery,
            /// True if it is deleted after its run.
            delete_after_run: bool,
            /// Creation time, in milliseconds of the gateway's clock.
            created_at_ms: u64,
            /// Time of the last change.
            updated_at_ms: u64,
            /// State.
            state: JobState,
            /// Another text after each change (2026.9.6); see
            /// [`Update::expected_config_revision`](super::Update::expected_config_revision).
            config_revision: String,
            /// Time of the next run (2026.9.6; `state` has it in both generations).
            next_run_at_ms: u64,
        }
    }
}

answer! {
    /// State of a job.
    JobState {
        may_have {
            /// Time of the next run, in milliseconds of the gateway's clock.
            next_run_at_ms: u64,
            /// Start time of the present run, if there is one.
            running_at_ms: u64,
            /// Time of the last run.
            last_run_at_ms: u64,
            /// Result.
            last_status: RunStatus,
            /// Error text.
            last_error: String,
            /// Duration, in milliseconds.
            last_duration_ms: u64,
            /// Number of failures since the last success.
            consecutive_errors: u64,
        }
    }
}

string_enum! {
    /// Result of a job's run.
    RunStatus {
        /// It went well.
        Ok = "ok",
        /// It failed.
        Error = "error",
        /// It was left out.
        Skipped = "skipped",
    }
}

string_enum! {
    /// Session that a job runs in.
    Target {
        /// In its agent's main session.
        Main = "main",
        /// In a session of its own.
        Isolated = "isolated",
        /// In the session that made it (2026.9.6).
        Current = "current",
    }
}

string_enum! {
    /// Time at which an agent wakes up for a job of its main session.
    WakeMode {
        /// At once.
        Now = "now",
        /// At its next heartbeat.
        NextHeartbeat = "next-heartbeat",
    }
}

/// Schedule of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Once.
    At {
        /// A time in RFC 3339's form.
        at: String,
    },
    /// Again and again.
    Every {
        /// The time in between, in milliseconds.
        every_ms: u64,
        /// Start of the count, in milliseconds of the gateway's clock.
        anchor_ms: Option<u64>,
    },
    /// As cron does.
    Cron {
        /// The expression.
        expr: String,
        /// The time zone; the gateway's own without it.
        tz: Option<String>,
    },
    /// In a way that this crate does not know, or with more to it than it knows.
    Other(Map<String, Value>),
}

/// Action of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Tells the agent something.
    SystemEvent {
        /// Text of the event.
        text: String,
        /// Further fields.
        other: Map<String, Value>,
    },
    /// Has the agent answer a message.
    AgentTurn {
        /// The message.
        message: String,
        /// Further fields: `model`, `thinking`, `timeoutSeconds`.
        other: Map<String, Value>,
    },
    /// Something that this crate does not know.
    Other(Map<String, Value>),
}

impl Payload {
    /// Tells the agent something.
    #[must_use]
    pub fn system_event(text: impl Into<String>) -> Self {
        Self::SystemEvent {
            text: text.into(),
            other: Map::new(),
        }
    }

    /// Has the agent answer a message.
    #[must_use]
    pub fn agent_turn(message: impl Into<String>) -> Self {
        Self::AgentTurn {
            message: message.into(),
            other: Map::new(),
        }
    }
}

impl Schedule {
    /// Once, at a time as in RFC 3339.
    #[must_use]
    pub fn at(at: impl Into<String>) -> Self {
        Self::At { at: at.into() }
    }

    /// Every so many milliseconds.
    #[must_use]
    pub const fn every_ms(every_ms: u64) -> Self {
        Self::Every {
            every_ms,
            anchor_ms: None,
        }
    }

    /// As cron does, in the gateway's time zone.
    #[must_use]
    pub fn cron(expr: impl Into<String>) -> Self {
        Self::Cron {
            expr: expr.into(),
            tz: None,
        }
    }
}

/// The forms that are known, for reading: what fits none of them exactly is kept as it came.
#[derive(Deserialize, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum KnownSchedule {
    At {
        at: String,
    },
    Every {
        every_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<u64>,
    },
    Cron {
        expr: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
    },
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        Ok(
            match serde_json::from_value(Value::Object(object.clone())) {
                Ok(KnownSchedule::At { at }) => Self::At { at },
                Ok(KnownSchedule::Every {
                    every_ms,
                    anchor_ms,
                }) => Self::Every {
                    every_ms,
                    anchor_ms,
                },
                Ok(KnownSchedule::Cron { expr, tz }) => Self::Cron { expr, tz },
                Err(_) => Self::Other(object),
            },
        )
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self::At { at } => KnownSchedule::At { at }.serialize(serializer),
            Self::Every {
                every_ms,
                anchor_ms,
            } => KnownSchedule::Every {
                every_ms,
                anchor_ms,
            }
            .serialize(serializer),
            Self::Cron { expr, tz } => KnownSchedule::Cron { expr, tz }.serialize(serializer),
            Self::Other(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut other = Map::deserialize(deserializer)?;
        let kind = other.get("kind").and_then(Value::as_str);
        let field = match kind {
            Some("systemEvent") => "text",
            Some("agentTurn") => "message",
            _ => return Ok(Self::Other(other)),
        };
        let Some(Value::String(said)) = other.remove(field) else {
            return Ok(Self::Other(other));
        };
        other.remove("kind");
        Ok(if field == "text" {
            Self::SystemEvent { text: said, other }
        } else {
            Self::AgentTurn {
                message: said,
                other,
            }
        })
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, field, said, other) = match self {
            Self::SystemEvent { text, other } => ("systemEvent", "text", text, other),
            Self::AgentTurn { message, other } => ("agentTurn", "message", message, other),
            Self::Other(object) => return object.serialize(serializer),
        };
        let own = [("kind", kind), (field, said.as_str())];
        let others = other
            .iter()
            .filter(|(name, _)| *name != "kind" && *name != field)
            .map(|(name, value)| (name.as_str(), value.clone()));
        serializer.collect_map(
            own.into_iter()
                .map(|(name, value)| (name, Value::from(value)))
                .chain(others),
        )
    }
}

/// Delivery of a job's answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Delivery {
    /// Mode.
    pub mode: DeliveryMode,
    /// The channel; `last` is the one that was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whom on that channel; the address with [`DeliveryMode::Webhook`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// True if the run counts as a success even if the answer cannot be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
    /// Further fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Delivery {
    /// This mode, without a recipient.
    #[must_use]
    pub fn new(mode: DeliveryMode) -> Self {
        Self {
            mode,
            channel: None,
            to: None,
            best_effort: None,
            other: Map::new(),
        }
    }
}

string_enum! {
    /// Mode of delivery of a job's answer.
    DeliveryMode {
        /// Not at all.
        None = "none",
        /// To a channel.
        Announce = "announce",
        /// To an HTTP address (2026.9.6).
        Webhook = "webhook",
    }
}
