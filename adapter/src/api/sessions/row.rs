//! A session as the gateway lists it.

use crate::api::wire::{answer, words};

answer! {
    /// A session, in a list or in an event.
    ///
    /// 2026.2.9 knows less of it: there `status`, `has_active_run` and whatever else it does not say
    /// is absent. Fields that only tell how the row is shown are in `other`.
    Session {
        has {
            /// The canonical key, such as `agent:main:reports`.
            key: String,
        }
        may_have {
            /// The id of the present conversation; another one after a reset on 2026.2.9.
            session_id: String,
            /// What kind of conversation it is.
            kind: SessionKind,
            /// A finer kind, such as `direct`, `custom`, `main` or `dashboard` (2026.9.6).
            classification: String,
            /// The agent that it belongs to (2026.9.6).
            agent_id: String,
            /// The name that somebody gave it.
            label: String,
            /// The name to show.
            display_name: String,
            /// A title made from its content, where the list asked for it.
            derived_title: String,
            /// The beginning of the last message, where the list asked for it.
            last_message_preview: String,
            /// The channel that it came from.
            channel: String,
            /// When it last changed, in milliseconds of the gateway's clock.
            updated_at: u64,
            /// When it was made, likewise (2026.9.6).
            created_at: u64,
            /// When this row was read, to tell the newer of two, likewise (2026.9.6).
            snapshot_at: u64,
            /// When a person last wrote, likewise (2026.9.6).
            last_interaction_at: u64,
            /// When anything last happened in it, likewise (2026.9.6).
            last_activity_at: u64,
            /// What its last run came to (2026.9.6).
            status: SessionStatus,
            /// Whether a run is under way (2026.9.6). True while `active_run_ids` may be absent.
            has_active_run: bool,
            /// Whether the last run was aborted.
            aborted_last_run: bool,
            /// The run before the present one (2026.9.6).
            last_run_id: String,
            /// How the last run failed, if it did (2026.9.6).
            last_run_error: String,
            /// When the present or last run began, likewise (2026.9.6).
            started_at: u64,
            /// When the last run ended, likewise (2026.9.6).
            ended_at: u64,
            /// How long the last run took, in milliseconds (2026.9.6).
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
            /// Whether `total_tokens` is up to date (2026.9.6).
            total_tokens_fresh: bool,
            /// What it has cost, in US dollars (2026.9.6).
            estimated_cost_usd: f64,
            /// How much the model thinks, where it was set for this session.
            thinking_level: String,
            /// How much of the tools is told, where it was set for this session.
            verbose_level: String,
            /// The session that this one was made from (2026.9.6).
            parent_session_key: String,
            /// The session whose run made this one.
            spawned_by: String,
            /// Who or what made it: `operator`, `run`, `spawn`, `channel`, `cron` (2026.9.6).
            created_via: String,
            /// What the caller may do with it (2026.9.6).
            sharing_role: SharingRole,
            /// Whether it was put away (2026.9.6).
            archived: bool,
            /// Whether it was pinned (2026.9.6).
            pinned: bool,
            /// Whether it has messages that nobody has read (2026.9.6).
            unread: bool,
            /// Whether it is its agent's main session (2026.9.6).
            is_main: bool,
        }
        lists {
            /// The runs that are under way (2026.9.6).
            active_run_ids: String,
            /// The sessions made from this one (2026.9.6).
            child_sessions: String,
        }
    }
}

words! {
    /// What kind of conversation a session is.
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

words! {
    /// What the last run of a session came to.
    SessionStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It is under way.
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

words! {
    /// What a caller may do with a session.
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
