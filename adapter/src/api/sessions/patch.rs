//! Changing the settings of a session.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::calls::ResolvedModel;
use crate::api::wire::{answer, params};

/// A setting of a session: a value, or none of its own.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Setting {
    /// This value.
    Value(String),
    /// No value of its own: what the agent and the gateway say counts again.
    Unset,
}

impl From<&str> for Setting {
    fn from(value: &str) -> Self {
        Self::Value(value.to_owned())
    }
}

impl From<String> for Setting {
    fn from(value: String) -> Self {
        Self::Value(value)
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_str(value),
            Self::Unset => serializer.serialize_none(),
        }
    }
}

params! {
    /// Changes the settings of a session; what is not set here stays as it is.
    ///
    /// 2026.9.6 asks for `operator.write` where label, model or thinking change, and for
    /// `operator.admin` otherwise; 2026.2.9 always asks for `operator.admin`.
    Patch: "sessions.patch", Idempotent => Patched {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// A label that no other session has.
            label: Setting;
            /// The model, as `provider/model`.
            model: Setting;
            /// Level of thinking.
            thinking_level: Setting;
            /// Level of detail about tools. On 2026.2.9 a run shows its tools only with `on` or
            /// `full`.
            verbose_level: Setting;
            /// Level of detail about the model's reasoning.
            reasoning_level: Setting;
            /// Usage report in answers: `off`, `tokens`, `full`, `on`.
            response_usage: Setting;
            /// Level of elevated commands.
            elevated_level: Setting;
            /// Host of commands.
            exec_host: Setting;
            /// Policy on commands.
            exec_security: Setting;
            /// Policy on approvals of commands.
            exec_ask: Setting;
            /// The node that commands run on.
            exec_node: Setting;
            /// Policy on delivery: `allow`, `deny`.
            send_policy: Setting;
            /// Condition of an answer in a group: `mention`, `always`.
            group_activation: Setting;
            /// Permission mode: actions that need no approval (2026.9.6).
            permission_mode: Setting, since 4;
            /// The group that it is shown in (2026.9.6).
            category: Setting, since 4;
            /// True to archive it (2026.9.6).
            archived: bool, since 4;
            /// True to pin it (2026.9.6).
            pinned: bool, since 4;
            /// True to mark it as unread (2026.9.6).
            unread: bool, since 4;
            /// The agent of a key that does not name one (2026.9.6).
            agent_id: String, since 4;
            /// Does it only if the session still has this conversation id (2026.9.6).
            expected_session_id: String, since 4;
        }
    }
}

answer! {
    /// Answer to [`Patch`].
    Patched {
        has {
            /// The key of the session.
            key: String,
        }
        may_have {
            /// Always true.
            ok: bool,
            /// The file on the gateway's host that it is kept in.
            path: String,
            /// The gateway's own record of the session.
            entry: Map<String, Value>,
            /// The model that it will use.
            resolved: ResolvedModel,
        }
    }
}
