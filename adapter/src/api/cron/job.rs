//! A job: when it runs, and what it does.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::api::wire::{answer, words};

answer! {
    /// A job as the gateway keeps it. 2026.9.6 lists jobs of its own too, such as `heartbeat-main`.
    Job {
        has {
            /// The id of the job.
            id: String,
            /// Its name.
            name: String,
            /// When it runs.
            schedule: Schedule,
            /// What it does.
            payload: Payload,
        }
        may_have {
            /// Whether it runs at all.
            enabled: bool,
            /// What it is for, in words.
            description: String,
            /// Its agent.
            agent_id: String,
            /// Where it runs.
            session_target: Target,
            /// When its agent is told.
            wake_mode: WakeMode,
            /// Where its answer goes.
            delivery: Delivery,
            /// Whether it goes away after it has run.
            delete_after_run: bool,
            /// When it was made, in milliseconds of the gateway's clock.
            created_at_ms: u64,
            /// When it was changed.
            updated_at_ms: u64,
            /// How it stands.
            state: JobState,
            /// Another text after each change (2026.9.6); see
            /// [`Update::expected_config_revision`](super::Update::expected_config_revision).
            config_revision: String,
            /// When it runs next (2026.9.6; `state` has it in both generations).
            next_run_at_ms: u64,
        }
    }
}

answer! {
    /// How a job stands.
    JobState {
        may_have {
            /// When it runs next, in milliseconds of the gateway's clock.
            next_run_at_ms: u64,
            /// Since when it runs, if it does.
            running_at_ms: u64,
            /// When it ran last.
            last_run_at_ms: u64,
            /// What came of it.
            last_status: RunStatus,
            /// How it failed.
            last_error: String,
            /// How long it took, in milliseconds.
            last_duration_ms: u64,
            /// How often it has failed since it last went well.
            consecutive_errors: u64,
        }
    }
}

words! {
    /// What came of a run of a job.
    RunStatus {
        /// It went well.
        Ok = "ok",
        /// It failed.
        Error = "error",
        /// It was left out.
        Skipped = "skipped",
    }
}

words! {
    /// Where a job runs.
    Target {
        /// In its agent's main session.
        Main = "main",
        /// In a session of its own.
        Isolated = "isolated",
        /// In the session that made it (2026.9.6).
        Current = "current",
    }
}

words! {
    /// When an agent is told of a job that runs in its main session.
    WakeMode {
        /// At once.
        Now = "now",
        /// At its next heartbeat.
        NextHeartbeat = "next-heartbeat",
    }
}

/// When a job runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Once.
    At {
        /// When: a time as in RFC 3339.
        at: String,
    },
    /// Again and again.
    Every {
        /// The time in between, in milliseconds.
        every_ms: u64,
        /// What is counted from, in milliseconds of the gateway's clock.
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

/// What a job does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Tells the agent something.
    SystemEvent {
        /// What.
        text: String,
        /// What else there is to it.
        other: Map<String, Value>,
    },
    /// Has the agent answer a message.
    AgentTurn {
        /// The message.
        message: String,
        /// What else there is to it: `model`, `thinking`, `timeoutSeconds`.
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

/// Where the answer of a job goes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Delivery {
    /// How.
    pub mode: DeliveryMode,
    /// The channel; `last` is the one that was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whom on that channel; the address with [`DeliveryMode::Webhook`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether the run goes well all the same if the answer cannot be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
    /// What else there is to it.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Delivery {
    /// This way, to nobody in particular.
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

words! {
    /// How the answer of a job is delivered.
    DeliveryMode {
        /// Not at all.
        None = "none",
        /// To a channel.
        Announce = "announce",
        /// To an HTTP address (2026.9.6).
        Webhook = "webhook",
    }
}
