//! Events of the gateway as a whole.

use super::wire::{answer, string_enum};
pub use crate::event::EventPayload;

answer! {
    /// Event `tick`: the gateway is alive. Every 30 s on gateways of both generations.
    Tick {
        has {
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
        }
    }
}

impl EventPayload for Tick {
    const NAME: &'static str = "tick";
}

answer! {
    /// Event `shutdown`: the gateway stops. The connection is closed with 1012 right after it.
    Shutdown {
        may_have {
            /// The reason in the gateway's own words.
            reason: String,
            /// Expected duration of the absence, in milliseconds. 2026.2.9 sends `null`.
            restart_expected_ms: u64,
        }
    }
}

impl EventPayload for Shutdown {
    const NAME: &'static str = "shutdown";
}

answer! {
    /// Event `heartbeat`: an agent looked whether there was something to do of its own accord.
    Heartbeat {
        has {
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
            /// Result.
            status: HeartbeatStatus,
        }
        may_have {
            /// Reason for no result, such as `no-route` or `requests-in-flight`.
            reason: String,
            /// Duration, in milliseconds.
            duration_ms: u64,
            /// The beginning of what the agent said.
            preview: String,
            /// Problem, in the gateway's own words (2026.9.6).
            message: String,
            /// True if the agent sent media.
            has_media: bool,
        }
    }
}

impl EventPayload for Heartbeat {
    const NAME: &'static str = "heartbeat";
}

string_enum! {
    /// Result of a heartbeat.
    HeartbeatStatus {
        /// Nothing was done.
        Skipped = "skipped",
        /// The agent had something to say.
        Sent = "sent",
        /// The agent had nothing to say.
        OkEmpty = "ok-empty",
        /// The agent said that all is well.
        OkToken = "ok-token",
        /// It failed.
        Failed = "failed",
    }
}

answer! {
    /// Event `presence`: who is connected. 2026.2.9 sends it at each connect and disconnect, 2026.9.6
    /// rarely.
    Presence {
        lists {
            /// One for the gateway itself, and one for each of the others.
            presence: PresenceEntry,
        }
    }
}

impl EventPayload for Presence {
    const NAME: &'static str = "presence";
}

answer! {
    /// Somebody who is connected, or was a short while ago.
    PresenceEntry {
        may_have {
            /// The host, or the name that the client gave itself.
            host: String,
            /// The address.
            ip: String,
            /// The version of the program.
            version: String,
            /// The platform that the client reports.
            platform: String,
            /// Kind of client: `gateway`, `backend`, `cli` and so on.
            mode: String,
            /// Reason of the entry: `self`, `connect`, `disconnect`.
            reason: String,
            /// All of it in one line.
            text: String,
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
            /// The device.
            device_id: String,
        }
        lists {
            /// Its roles.
            roles: String,
            /// Its scopes.
            scopes: String,
        }
    }
}

answer! {
    /// Event `task` (2026.9.6): something that runs in the background has changed.
    TaskChanged {
        has {
            /// Change: `upserted`.
            action: String,
        }
        may_have {
            /// The task as it is now.
            task: Task,
        }
    }
}

impl EventPayload for TaskChanged {
    const NAME: &'static str = "task";
}

answer! {
    /// Something that runs in the background: a run of an agent, a cron job (2026.9.6).
    Task {
        has {
            /// The id of the task.
            id: String,
            /// State.
            status: TaskStatus,
        }
        may_have {
            /// Kind: `cli`, `automation_run`.
            kind: String,
            /// Runtime: `cli`, `cron`, `subagent`.
            runtime: String,
            /// The beginning of what was asked.
            title: String,
            /// The run.
            run_id: String,
            /// The agent.
            agent_id: String,
            /// The session that asked for it.
            session_key: String,
            /// The session that it runs in.
            child_session_key: String,
            /// Creation time, in milliseconds of the gateway's clock.
            created_at: u64,
            /// Time of the last change, on the same clock.
            updated_at: u64,
            /// Start time, likewise.
            started_at: u64,
            /// End time, likewise.
            ended_at: u64,
            /// The beginning of what it said last.
            last_activity: String,
            /// Short result.
            terminal_summary: String,
            /// Error text.
            error: String,
        }
    }
}

string_enum! {
    /// State of a task.
    TaskStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It is active.
        Running = "running",
        /// It is done.
        Completed = "completed",
        /// It failed.
        Failed = "failed",
        /// It was aborted.
        Cancelled = "cancelled",
        /// It took too long.
        TimedOut = "timed_out",
    }
}
