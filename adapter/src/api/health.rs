//! `health`: whether the gateway is well. The only method that needs no scope.
//!
//! ```
//! # use openclaw_adapter::{Client, Config, MemoryStore, Token};
//! # use openclaw_mock_gateway::MockGateway;
//! use openclaw_adapter::api::health::Get;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let gateway = MockGateway::start().await;
//! # let config = Config::builder()
//! #     .url(gateway.local_url())
//! #     .token(Token::new(gateway.token())?)
//! #     .store(MemoryStore::new())
//! #     .build()?;
//! # let client = Client::connect(config).await?;
//! // What was seen last, a minute ago at the most.
//! let health = client.health().await?;
//! assert_eq!(health.ok, Some(true));
//!
//! // Checked again, including the channels.
//! let health = client.call(Get::new().probe(true)).await?;
//! println!("it took {} ms", health.duration_ms.unwrap_or_default());
//! # Ok(())
//! # }
//! ```

use serde_json::{Map, Value};

use super::events::EventPayload;
use super::wire::{answer, params};

params! {
    /// Asks how the gateway is.
    Get: "health", Reads => Health {
        may_have {
            /// Checks again, including the channels, instead of giving the last result.
            probe: bool;
        }
    }
}

answer! {
    /// Answer to [`Get`], and the event `health`, which comes every minute.
    Health {
        may_have {
            /// True if the gateway is healthy.
            ok: bool,
            /// Time of the check, in milliseconds of the gateway's clock.
            ts: u64,
            /// Duration of the check, in milliseconds.
            duration_ms: u64,
            /// The channels by their ids.
            channels: Map<String, Value>,
            /// The names of the channels to show, by their ids.
            channel_labels: Map<String, Value>,
            /// The time between heartbeats, in seconds.
            heartbeat_seconds: u64,
            /// The agent that is meant where none is named.
            default_agent_id: String,
            /// The sessions.
            sessions: SessionsHealth,
            /// Availability of models (2026.9.6).
            model_runtime: ModelRuntime,
            /// Load of the gateway's event loop (2026.9.6).
            event_loop: EventLoop,
        }
        lists {
            /// The ids of the channels, in the order to show.
            channel_order: String,
            /// The agents.
            agents: AgentHealth,
        }
    }
}

impl EventPayload for Health {
    const NAME: &'static str = "health";
}

answer! {
    /// Number of sessions, and the latest of them.
    SessionsHealth {
        may_have {
            /// The file on the gateway's host that they are kept in.
            path: String,
            /// Number of entries.
            count: u64,
        }
        lists {
            /// Those that changed last.
            recent: RecentSession,
        }
    }
}

answer! {
    /// A session that changed not long ago.
    RecentSession {
        has {
            /// Its key.
            key: String,
        }
        may_have {
            /// Time of the last change, in milliseconds of the gateway's clock.
            updated_at: u64,
            /// Age of that change, in milliseconds.
            age: u64,
        }
    }
}

answer! {
    /// An agent, as far as health is concerned.
    AgentHealth {
        has {
            /// Its id.
            agent_id: String,
        }
        may_have {
            /// True for the default agent.
            is_default: bool,
            /// Its heartbeat.
            heartbeat: HeartbeatSettings,
            /// Its sessions.
            sessions: SessionsHealth,
        }
    }
}

answer! {
    /// Heartbeat settings of an agent.
    HeartbeatSettings {
        may_have {
            /// True if it is enabled.
            enabled: bool,
            /// Interval, in the gateway's words: `30m`.
            every: String,
            /// Interval, in milliseconds.
            every_ms: u64,
            /// Prompt.
            prompt: String,
            /// Recipient.
            target: String,
        }
    }
}

answer! {
    /// Availability of models (2026.9.6).
    ModelRuntime {
        may_have {
            /// True if something is wrong.
            degraded: bool,
        }
        lists {
            /// The agents whose models are not ready.
            pending_agents: String,
        }
    }
}

answer! {
    /// Load of the gateway's event loop (2026.9.6).
    EventLoop {
        may_have {
            /// True if it is overloaded.
            degraded: bool,
            /// Start of the measurement, in milliseconds of the gateway's clock.
            degraded_since_ms: u64,
            /// Share of busy time, from 0 to 1.
            utilization: f64,
            /// The time that all but one in a hundred things wait at the most, in milliseconds.
            delay_p99_ms: f64,
            /// The longest wait, in milliseconds.
            delay_max_ms: f64,
        }
        lists {
            /// Reasons of the overload.
            reasons: String,
        }
    }
}
