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
            /// Which agents look whether there is something to do of their own accord.
            heartbeat: HeartbeatStatus,
            /// The sessions.
            sessions: SessionsStatus,
            /// What runs in the background (2026.9.6).
            tasks: TaskCounts,
            /// Whether models can be asked (2026.9.6).
            model_runtime: ModelRuntime,
            /// Whether the gateway keeps up (2026.9.6).
            event_loop: EventLoop,
            /// The process of the gateway (2026.9.6).
            pid: u32,
            /// How much memory it takes (2026.9.6).
            process_memory: ProcessMemory,
            /// How long it may take to stop, and what it waits for (2026.9.6).
            shutdown_budget: Map<String, Value>,
        }
        lists {
            /// A line for each channel.
            channel_summary: String,
            /// What agents are told at their next turn.
            queued_system_events: String,
        }
    }
}

answer! {
    /// Which agents look whether there is something to do of their own accord.
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
    /// When an agent looks whether there is something to do.
    AgentHeartbeat {
        has {
            /// The agent.
            agent_id: String,
        }
        may_have {
            /// Whether it does.
            enabled: bool,
            /// How often, in the gateway's words: `30m`, `disabled`.
            every: String,
            /// How often, in milliseconds.
            every_ms: u64,
        }
    }
}

answer! {
    /// The sessions, in numbers.
    SessionsStatus {
        may_have {
            /// How many there are.
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
            /// How many there are.
            count: u64,
        }
        lists {
            /// Those that changed last.
            recent: SessionUsage,
        }
    }
}

answer! {
    /// How much of its model's context a session fills.
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
            /// What kind of conversation it is.
            kind: crate::api::sessions::SessionKind,
            /// When it last changed, in milliseconds of the gateway's clock.
            updated_at: u64,
            /// How long ago that was, in milliseconds.
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
            /// How full the context is, in percent.
            percent_used: f64,
            /// The size of the context, in tokens.
            context_tokens: u64,
            /// Whether its last run was aborted.
            aborted_last_run: bool,
        }
        lists {
            /// What else is set for it.
            flags: String,
        }
    }
}

answer! {
    /// What runs in the background, in numbers (2026.9.6).
    TaskCounts {
        may_have {
            /// All that is known of.
            total: u64,
            /// What is under way.
            active: u64,
            /// What has ended.
            terminal: u64,
            /// What has failed.
            failures: u64,
        }
    }
}

answer! {
    /// How much memory a gateway takes, in bytes (2026.9.6).
    ProcessMemory {
        may_have {
            /// All of it.
            rss_bytes: u64,
            /// What its heap holds.
            heap_used_bytes: u64,
            /// What its heap could hold.
            heap_total_bytes: u64,
        }
    }
}
