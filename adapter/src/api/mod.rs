//! Methods and events by subject, as borrowed views of a client.
//!
//! A group, such as [`Client::sessions`], has a method for each call, with what the call needs. What it
//! may have besides are setters of the call's own type, named as in the group's module; such a type is
//! a [`Method`](crate::Method) and goes to [`Client::call`], which says what calls end with and what
//! happens to one that is dropped. What a gateway of the older generation does not know is refused
//! before it is sent, with [`Error::Unsupported`](crate::Error::Unsupported) or
//! [`Error::UnsupportedParameter`](crate::Error::UnsupportedParameter).
//!
//! ```
//! # use openclaw_adapter::{Client, Config, MemoryStore, Token};
//! # use openclaw_mock_gateway::MockGateway;
//! use openclaw_adapter::api::sessions::Describe;
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
//! let key = "agent:main:billing";
//! // By the group,
//! let one = client.sessions().describe(key).await?;
//! // and with more to it.
//! let more = client.call(Describe::new(key).include_last_message(true)).await?;
//! assert!(one.session.is_none() && more.session.is_none(), "nobody has made it yet");
//! # Ok(())
//! # }
//! ```
//!
//! Answers have the fields that gateways of both generations are known to send, as measured on 2026.2.9
//! and 2026.9.6. Whatever else comes is kept in their `other`; an optional field of another type than the
//! known one counts as absent, and a word that is not known is kept as `Other`.

pub mod agent;
pub mod agents;
pub mod chat;
pub mod cron;
pub mod devices;
pub mod events;
pub mod exec_approvals;
pub mod health;
pub(crate) mod lenient;
pub mod models;
#[cfg(test)]
mod recorded;
pub mod sessions;
pub mod status;
pub(crate) mod wire;

pub use devices::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};

use crate::client::Client;
use crate::state::ConnectionState;

/// The session key that both generations read alike: `agent:<agent>:<name>`, without outer blanks, in
/// lower case. Measured: 2026.9.6 makes keys so, 2026.2.9 fails a run whose key is not.
fn session_key(client: &Client, session: &str, agent_id: Option<&str>) -> String {
    let session = session.trim().to_lowercase();
    if session.starts_with("agent:") {
        return session;
    }
    let agent_id = agent_id.map_or_else(|| default_agent(client), |id| id.trim().to_lowercase());
    format!("agent:{agent_id}:{session}")
}

/// The agent that a bare name belongs to, as the gateway says it in its hello.
fn default_agent(client: &Client) -> String {
    let named = match &*client.state().borrow() {
        ConnectionState::Ready { hello } => {
            let defaults = &hello.snapshot["sessionDefaults"]["defaultAgentId"];
            defaults.as_str().map(str::to_lowercase)
        }
        _ => None,
    };
    named.unwrap_or_else(|| "main".to_owned())
}
