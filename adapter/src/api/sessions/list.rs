//! Finding sessions.

use serde::Serialize;

use super::message::Message;
use super::row::Session;
use crate::api::wire::{Texts, answer, params, string_enum};

params! {
    /// Asks for the sessions, those that changed last first.
    List: "sessions.list", Reads => SessionList {
        may_have {
            /// At most so many. 2026.9.6 has a limit of its own without it.
            limit: u32;
            /// Leaves out so many from the start (2026.9.6).
            offset: u32, since 4;
            /// Only those whose name or key has this text in it.
            search: String;
            /// Only the one with this label.
            label: String;
            /// Only those of this agent.
            agent_id: String;
            /// Only those that a run of this session made.
            spawned_by: String;
            /// Only those that changed within so many minutes.
            active_minutes: u32;
            /// With the session that takes what belongs nowhere else.
            include_global: bool;
            /// With those of an unknown kind.
            include_unknown: bool;
            /// With a title made from the content.
            include_derived_titles: bool;
            /// With the beginning of the last message.
            include_last_message: bool;
            /// Only those that are active (2026.9.6).
            active_only: bool, since 4;
            /// In this order (2026.9.6).
            sort_by: SortBy, since 4;
            /// Filter on archived sessions (2026.9.6).
            archived: Archived, since 4;
            /// Only the pinned ones, or only the others (2026.9.6).
            pinned: bool, since 4;
            /// Without those of sub-agents (2026.9.6).
            exclude_subagents: bool, since 4;
            /// Without those of cron jobs (2026.9.6).
            exclude_cron: bool, since 4;
            /// Without those of the gateway itself (2026.9.6).
            exclude_system: bool, since 4;
        }
    }
}

string_enum! {
    /// The order of a list of sessions.
    SortBy {
        /// The last change first.
        UpdatedAt = "updatedAt",
        /// The latest message of a person first.
        LastInteractionAt = "lastInteractionAt",
        /// The last activity first.
        Activity = "activity",
    }
}

/// Filter of a list on archived sessions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Archived {
    /// None of them.
    Hide,
    /// Only them.
    Only,
    /// Them and the others.
    All,
}

impl Serialize for Archived {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hide => serializer.serialize_bool(false),
            Self::Only => serializer.serialize_bool(true),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

answer! {
    /// Answer to [`List`], and the snapshot of [`Subscribe`](super::Subscribe).
    SessionList {
        may_have {
            /// Creation time, in milliseconds of the gateway's clock.
            ts: u64,
            /// Number of sessions in it.
            count: u64,
            /// Total number (2026.9.6).
            total_count: u64,
            /// The limit that counted (2026.9.6).
            limit_applied: u64,
            /// True if there are more (2026.9.6).
            has_more: bool,
            /// The offset of the next ones (2026.9.6).
            next_offset: u64,
            /// Defaults of sessions.
            defaults: SessionDefaults,
        }
        lists {
            /// The sessions.
            sessions: Session,
        }
    }
}

answer! {
    /// Defaults of sessions.
    SessionDefaults {
        may_have {
            /// The provider of the model.
            model_provider: String,
            /// The model.
            model: String,
            /// The size of its context, in tokens.
            context_tokens: u64,
        }
    }
}

params! {
    /// Asks for one session (2026.9.6).
    Describe: "sessions.describe", Reads, since 4 => Described {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// The agent of a key that does not name one.
            agent_id: String;
            /// With a title made from the content.
            include_derived_titles: bool;
            /// With the beginning of the last message.
            include_last_message: bool;
        }
    }
}

answer! {
    /// Answer to [`Describe`].
    Described {
        may_have {
            /// The session, if there is one.
            session: Session,
        }
    }
}

params! {
    /// Asks for the last messages of some sessions, in short.
    Preview: "sessions.preview", Reads => Previews {
        needs {
            /// The keys of the sessions; one at the least.
            keys: Texts;
        }
        may_have {
            /// At most so many messages of each.
            limit: u32;
            /// At most so many characters of each message; 20 at the least.
            max_chars: u32;
        }
    }
}

answer! {
    /// Answer to [`Preview`].
    Previews {
        may_have {
            /// Creation time, in milliseconds of the gateway's clock.
            ts: u64,
        }
        lists {
            /// One for each key.
            previews: SessionPreview,
        }
    }
}

answer! {
    /// The last messages of a session, in short.
    SessionPreview {
        has {
            /// The key of the session.
            key: String,
            /// True if there is one.
            status: PreviewStatus,
        }
        lists {
            /// The messages.
            items: PreviewItem,
        }
    }
}

string_enum! {
    /// Status of a preview.
    PreviewStatus {
        /// There is.
        Ok = "ok",
        /// The session has no messages.
        Empty = "empty",
        /// There is no such session.
        Missing = "missing",
        /// The session cannot be read.
        Error = "error",
    }
}

answer! {
    /// A message, in short.
    PreviewItem {
        may_have {
            /// Author: `user`, `assistant`, `tool`, `system`.
            role: String,
            /// The beginning of what was said.
            text: String,
        }
    }
}

params! {
    /// Asks which session is meant; one of `key`, `session_id` and `label` says so.
    Resolve: "sessions.resolve", Reads => Resolved {
        may_have {
            /// The one with this key.
            key: String;
            /// The one with this conversation id.
            session_id: String;
            /// The one with this label.
            label: String;
            /// Only among those of this agent.
            agent_id: String;
            /// Only among those that a run of this session made.
            spawned_by: String;
            /// Also the session that takes what belongs nowhere else.
            include_global: bool;
            /// Also those of an unknown kind.
            include_unknown: bool;
            /// Answers instead of refusing when there is none (2026.9.6).
            allow_missing: bool, since 4;
        }
    }
}

answer! {
    /// Answer to [`Resolve`]. A session that does not exist is refused: `No session found: …`.
    Resolved {
        may_have {
            /// True if there is one.
            ok: bool,
            /// Its canonical key.
            key: String,
            /// Its agent (2026.9.6).
            agent_id: String,
        }
    }
}

params! {
    /// Asks for the messages of a session, the last ones if there are many (2026.9.6).
    ///
    /// `chat.history` says more, and both generations have it.
    Get: "sessions.get", Reads, since 4 => Transcript {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// The agent of a key that does not name one.
            agent_id: String;
            /// At most so many messages; 200 without it.
            limit: u32;
        }
    }
}

answer! {
    /// Answer to [`Get`].
    Transcript {
        lists {
            /// The messages, the oldest first.
            messages: Message,
        }
    }
}
