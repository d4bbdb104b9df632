//! Events of the gateway as a whole.

use super::wire::{answer, words};
pub use crate::event::EventPayload;

answer! {
    /// Event `tick`: the gateway is alive. Every 30 s on gateways of both generations.
    Tick {
        has {
            /// When, in milliseconds of the gateway's clock.
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
            /// The gateway's own words.
            reason: String,
            /// When it means to be back, in milliseconds from now. 2026.2.9 says `null`.
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
            /// When, in milliseconds of the gateway's clock.
            ts: u64,
            /// What came of it.
            status: HeartbeatStatus,
        }
        may_have {
            /// Why nothing came of it, such as `no-route` or `requests-in-flight`.
            reason: String,
            /// How long it took, in milliseconds.
            duration_ms: u64,
            /// The beginning of what the agent said.
            preview: String,
            /// What is wrong, in the gateway's own words (2026.9.6).
            message: String,
            /// Whether the agent sent media.
            has_media: bool,
        }
    }
}

impl EventPayload for Heartbeat {
    const NAME: &'static str = "heartbeat";
}

words! {
    /// What came of a heartbeat.
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
            /// What kind of client it is: `gateway`, `backend`, `cli` and so on.
            mode: String,
            /// Why it is in the list: `self`, `connect`, `disconnect`.
            reason: String,
            /// All of it in one line.
            text: String,
            /// When, in milliseconds of the gateway's clock.
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
            /// What happened to it: `upserted`.
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
            /// How it stands.
            status: TaskStatus,
        }
        may_have {
            /// What kind it is: `cli`, `automation_run`.
            kind: String,
            /// What runs it: `cli`, `cron`, `subagent`.
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
            /// When it was made, in milliseconds of the gateway's clock.
            created_at: u64,
            /// When it last changed, on the same clock.
            updated_at: u64,
            /// When it began, likewise.
            started_at: u64,
            /// When it ended, likewise.
            ended_at: u64,
            /// The beginning of what it said last.
            last_activity: String,
            /// What came of it, in short.
            terminal_summary: String,
            /// How it failed.
            error: String,
        }
    }
}

words! {
    /// How a task stands.
    TaskStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It is under way.
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
