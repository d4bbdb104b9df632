//! Methods and events by subject, as borrowed views of a client.
//!
//! A group, such as [`Client::sessions`], has a method for each call, with what the call needs. What it
//! may have besides are setters of the call's own type, named as in the group's module; such a type is
//! a [`Method`](crate::Method) and goes to [`Client::call`], which says what calls end with and what
//! happens to one that is dropped. What a gateway of the older generation does not know is refused
//! before it is sent, with [`Error::Unsupported`] or
//! [`Error::UnsupportedParameter`].
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
//! assert!(one.session.is_none() && more.session.is_none(), "it does not exist yet");
//! # Ok(())
//! # }
//! ```
//!
//! Answers have the fields that gateways of both generations are known to send, as measured on 2026.2.9
//! and 2026.9.6. Whatever else comes is kept in their `other`; an optional field of another type than the
//! known one counts as absent, and an unknown string of an enum is kept as `Other`.

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
mod run_builder;
pub mod sessions;
pub mod status;
pub(crate) mod wire;

pub use devices::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};

use self::agent::Agent;
use self::agents::Agents;
use self::chat::Chat;
use self::cron::Cron;
use self::exec_approvals::ExecApprovals;
use self::models::Models;
use self::sessions::Sessions;
use crate::client::Client;
use crate::client::call::TypedCall;
use crate::logic::error::Error;
use crate::run::SessionName;

impl Client {
    /// Agent runs.
    #[must_use]
    pub const fn agent(&self) -> Agent<'_> {
        Agent::new(self)
    }

    /// Conversations.
    #[must_use]
    pub const fn chat(&self) -> Chat<'_> {
        Chat::new(self)
    }

    /// The devices that are paired with the gateway, or wait to be.
    #[must_use]
    pub const fn devices(&self) -> Devices<'_> {
        Devices::new(self)
    }

    /// The sessions of the gateway.
    #[must_use]
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions::new(self)
    }

    /// Returns the group of exec approvals: commands of agents that need one.
    #[must_use]
    pub const fn exec_approvals(&self) -> ExecApprovals<'_> {
        ExecApprovals::new(self)
    }

    /// The models of the gateway.
    #[must_use]
    pub const fn models(&self) -> Models<'_> {
        Models::new(self)
    }

    /// The agents of the gateway.
    #[must_use]
    pub const fn agents(&self) -> Agents<'_> {
        Agents::new(self)
    }

    /// The jobs of the gateway.
    #[must_use]
    pub const fn cron(&self) -> Cron<'_> {
        Cron::new(self)
    }

    /// Reads the gateway's health, as last checked. Needs no scope.
    pub fn health(&self) -> TypedCall<'_, health::Get> {
        self.call(health::Get::new())
    }

    /// Reads the gateway's status.
    pub fn status(&self) -> TypedCall<'_, status::Get> {
        self.call(status::Get::new())
    }
}

/// Returns the whole key of a session for a call of `method`: of a bare name, by the hello of the present
/// connection, for which it waits.
async fn session_key(client: &Client, method: &str, session: &str) -> Result<String, Error> {
    match SessionName::new(session, None) {
        SessionName::Key(key) => Ok(key),
        name @ SessionName::OfDefaultAgent(_) => {
            let inner = client.inner();
            let ready = inner.ready_within(method, inner.request_timeout, inner.when_down);
            Ok(name.resolve(&*ready.await?))
        }
    }
}
