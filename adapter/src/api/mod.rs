//! Methods and events by subject, as borrowed views of a client.

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
