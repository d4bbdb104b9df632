//! `status`: what the gateway is doing.
//!
//! ```
//! # use openclaw_adapter::{Client, Config, MemoryStore, Token};
//! # use openclaw_mock_gateway::MockGateway;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let gateway = MockGateway::start().await;
//! # let config = Config::builder()
//! #     .url(gateway.local_url())
//! #     .token(Token::new(gateway.token())?)
//! #     .store(MemoryStore::new())
//! #     .build()?;
//! # let client = Client::connect(config).await?;
//! let status = client.status().await?;
//! // 2026.2.9 does not say which version it is.
//! println!("version {}", status.runtime_version.as_deref().unwrap_or("unknown"));
//! if let Some(sessions) = status.sessions {
//!     println!("{} sessions", sessions.count.unwrap_or_default());
//! }
//! # assert_eq!(status.runtime_version.as_deref(), Some("2026.9.6"));
//! # Ok(())
//! # }
//! ```

use serde_json::{Map, Value};

use super::health::{EventLoop, ModelRuntime};
use super::wire::{answer, params};

params! {
    /// Asks what the gateway is doing.
    Get: "status", Reads => Status {}
}

answer! {
    /// Answer to [`Get`].
    Status {
        may_have {
            /// The version of the gateway (2026.9.6).
            runtime_version: String,
            /// Heartbeat settings of the agents.
            heartbeat: HeartbeatStatus,
            /// The sessions.
            sessions: SessionsStatus,
            /// Background tasks (2026.9.6).
            tasks: TaskCounts,
            /// Availability of models (2026.9.6).
            model_runtime: ModelRuntime,
            /// Load of the gateway's event loop (2026.9.6).
            event_loop: EventLoop,
            /// The process of the gateway (2026.9.6).
            pid: u32,
            /// Memory in use (2026.9.6).
            process_memory: ProcessMemory,
            /// Limits and blockers of a shutdown (2026.9.6).
            shutdown_budget: Map<String, Value>,
        }
        lists {
            /// A line for each channel.
            channel_summary: String,
            /// Events queued for the agents' next turn.
            queued_system_events: String,
        }
    }
}

answer! {
    /// Heartbeat settings of the agents.
    HeartbeatStatus {
        may_have {
            /// The agent that is meant where none is named.
            default_agent_id: String,
        }
        lists {
            /// The agents.
            agents: AgentHeartbeat,
        }
    }
}

answer! {
    /// Heartbeat settings of an agent.
    AgentHeartbeat {
        has {
            /// The agent.
            agent_id: String,
        }
        may_have {
            /// True if it is enabled.
            enabled: bool,
            /// Interval, in the gateway's words: `30m`, `disabled`.
            every: String,
            /// Interval, in milliseconds.
            every_ms: u64,
        }
    }
}

answer! {
    /// The sessions, in numbers.
    SessionsStatus {
        may_have {
            /// Number of entries.
            count: u64,
            /// The model that one has that says nothing else.
            defaults: Map<String, Value>,
        }
        lists {
            /// The files on the gateway's host that they are kept in.
            paths: String,
            /// Those that changed last.
            recent: SessionUsage,
            /// The same for each agent.
            by_agent: AgentSessions,
        }
    }
}

answer! {
    /// The sessions of an agent.
    AgentSessions {
        has {
            /// The agent.
            agent_id: String,
        }
        may_have {
            /// The file on the gateway's host that they are kept in.
            path: String,
            /// Number of entries.
            count: u64,
        }
        lists {
            /// Those that changed last.
            recent: SessionUsage,
        }
    }
}

answer! {
    /// Use of a session's context.
    SessionUsage {
        has {
            /// Its key.
            key: String,
        }
        may_have {
            /// Its agent.
            agent_id: String,
            /// The id of its conversation.
            session_id: String,
            /// Kind of conversation.
            kind: crate::api::sessions::SessionKind,
            /// Time of the last change, in milliseconds of the gateway's clock.
            updated_at: u64,
            /// Age of that change, in milliseconds.
            age: u64,
            /// Its model.
            model: String,
            /// Tokens that went in.
            input_tokens: u64,
            /// Tokens that came out.
            output_tokens: u64,
            /// Tokens of the present context.
            total_tokens: u64,
            /// Tokens that still fit.
            remaining_tokens: u64,
            /// Use of the context, in percent.
            percent_used: f64,
            /// The size of the context, in tokens.
            context_tokens: u64,
            /// True if its last run was aborted.
            aborted_last_run: bool,
        }
        lists {
            /// Further settings.
            flags: String,
        }
    }
}

answer! {
    /// Counts of background tasks (2026.9.6).
    TaskCounts {
        may_have {
            /// All that is known of.
            total: u64,
            /// Active tasks.
            active: u64,
            /// Finished tasks.
            terminal: u64,
            /// Failed tasks.
            failures: u64,
        }
    }
}

answer! {
    /// Memory of a gateway, in bytes (2026.9.6).
    ProcessMemory {
        may_have {
            /// All of it.
            rss_bytes: u64,
            /// Used heap.
            heap_used_bytes: u64,
            /// Total heap.
            heap_total_bytes: u64,
        }
    }
}
