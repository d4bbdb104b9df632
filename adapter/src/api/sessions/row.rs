//! A session as the gateway lists it.

use crate::api::wire::{answer, string_enum};

answer! {
    /// A session, in a list or in an event.
    ///
    /// 2026.2.9 knows less of it: there `status`, `has_active_run` and whatever else it does not say
    /// is absent. Fields about the display of the row are in `other`.
    Session {
        has {
            /// The canonical key, such as `agent:main:reports`.
            key: String,
        }
        may_have {
            /// The id of the present conversation; another one after a reset on 2026.2.9.
            session_id: String,
            /// Kind of conversation.
            kind: SessionKind,
            /// A finer kind, such as `direct`, `custom`, `main` or `dashboard` (2026.9.6).
            classification: String,
            /// The agent that it belongs to (2026.9.6).
            agent_id: String,
            /// The label that it was given.
            label: String,
            /// The name to show.
            display_name: String,
            /// A title made from its content, where the list asked for it.
            derived_title: String,
            /// The beginning of the last message, where the list asked for it.
            last_message_preview: String,
            /// The channel that it came from.
            channel: String,
            /// Time of the last change, in milliseconds of the gateway's clock.
            updated_at: u64,
            /// Creation time, likewise (2026.9.6).
            created_at: u64,
            /// Time of this row's reading, to find the newer of two, likewise (2026.9.6).
            snapshot_at: u64,
            /// Time of a person's last message, likewise (2026.9.6).
            last_interaction_at: u64,
            /// Time of the last activity, likewise (2026.9.6).
            last_activity_at: u64,
            /// Status of its last run (2026.9.6).
            status: SessionStatus,
            /// True if a run is active (2026.9.6); `active_run_ids` may be absent meanwhile.
            has_active_run: bool,
            /// True if the last run was aborted.
            aborted_last_run: bool,
            /// The run before the present one (2026.9.6).
            last_run_id: String,
            /// Error text of the last run, if it failed (2026.9.6).
            last_run_error: String,
            /// Start time of the present or last run, likewise (2026.9.6).
            started_at: u64,
            /// End time of the last run, likewise (2026.9.6).
            ended_at: u64,
            /// Duration of the last run, in milliseconds (2026.9.6).
            runtime_ms: u64,
            /// The provider of its model.
            model_provider: String,
            /// Its model.
            model: String,
            /// The size of the model's context, in tokens.
            context_tokens: u64,
            /// Tokens that went in, in all.
            input_tokens: u64,
            /// Tokens that came out, in all.
            output_tokens: u64,
            /// Tokens of the present context.
            total_tokens: u64,
            /// True if `total_tokens` is up to date (2026.9.6).
            total_tokens_fresh: bool,
            /// Estimated cost, in US dollars (2026.9.6).
            estimated_cost_usd: f64,
            /// Level of thinking, where it was set for this session.
            thinking_level: String,
            /// Level of detail about tools, where it was set for this session.
            verbose_level: String,
            /// The session that this one was made from (2026.9.6).
            parent_session_key: String,
            /// The session whose run made this one.
            spawned_by: String,
            /// Origin: `operator`, `run`, `spawn`, `channel`, `cron` (2026.9.6).
            created_via: String,
            /// Role of the caller (2026.9.6).
            sharing_role: SharingRole,
            /// True if it is archived (2026.9.6).
            archived: bool,
            /// True if it is pinned (2026.9.6).
            pinned: bool,
            /// True if it has unread messages (2026.9.6).
            unread: bool,
            /// True if it is its agent's main session (2026.9.6).
            is_main: bool,
        }
        lists {
            /// The active runs (2026.9.6).
            active_run_ids: String,
            /// The sessions made from this one (2026.9.6).
            child_sessions: String,
        }
    }
}

string_enum! {
    /// Kind of conversation of a session.
    SessionKind {
        /// With one person, or with a program.
        Direct = "direct",
        /// With a group.
        Group = "group",
        /// The one that takes what belongs nowhere else.
        Global = "global",
        /// The gateway does not know.
        Unknown = "unknown",
    }
}

string_enum! {
    /// Status of a session's last run.
    SessionStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It is active.
        Running = "running",
        /// It was answered.
        Done = "done",
        /// It failed.
        Failed = "failed",
        /// It was aborted.
        Killed = "killed",
        /// It took too long.
        TimedOut = "timeout",
    }
}

string_enum! {
    /// Role of a caller in a session.
    SharingRole {
        /// Everything, being an administrator.
        Admin = "admin",
        /// Everything, being its owner.
        Owner = "owner",
        /// Read and write.
        Member = "member",
        /// Read.
        Viewer = "viewer",
    }
}
