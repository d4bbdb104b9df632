//! `agents.list`: the agents of a gateway.

use super::wire::{answer, params, string_enum};
use crate::client::Client;
use crate::client::call::TypedCall;

/// The agents of a gateway; from [`Client::agents`].
///
/// Each method makes the call with what is needed; the types of this module have the rest, for
/// [`Client::call`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let list = client.agents().list().await?;
/// for agent in &list.agents {
///     let mark = if agent.id == list.default_id { " (default)" } else { "" };
///     println!("{}{mark}", agent.name.as_deref().unwrap_or(&agent.id));
/// }
/// # assert_eq!(list.default_id, "main");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Agents<'a> {
    client: &'a Client,
}

impl<'a> Agents<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the agents.
    #[doc(alias = "agents.list")]
    pub fn list(&self) -> TypedCall<'a, List> {
        self.client.call(List::new())
    }
}

params! {
    /// Asks for the agents.
    List: "agents.list", Reads => AgentList {}
}

answer! {
    /// Answer to [`List`].
    AgentList {
        has {
            /// The agent that is meant where none is named.
            default_id: String,
        }
        may_have {
            /// The last part of the key of an agent's main session: `main` in
            /// `agent:<id>:main`.
            main_key: String,
            /// Scope of sessions: shared by senders, or one for each.
            scope: Scope,
        }
        lists {
            /// The agents.
            agents: Agent,
        }
    }
}

string_enum! {
    /// Scope of sessions: shared by senders, or one for each.
    Scope {
        /// Each has their own.
        PerSender = "per-sender",
        /// They share one.
        Global = "global",
    }
}

answer! {
    /// An agent.
    Agent {
        has {
            /// Its id: the second part of its sessions' keys.
            id: String,
        }
        may_have {
            /// Its name to show.
            name: String,
            /// The folder on the gateway's host that it works in (2026.9.6).
            workspace: String,
            /// Its models (2026.9.6).
            model: AgentModel,
            /// Permission mode: actions that need no approval (2026.9.6).
            default_permission_mode: String,
        }
    }
}

answer! {
    /// The models of an agent (2026.9.6).
    AgentModel {
        may_have {
            /// The one that it uses first, as `provider/model`.
            primary: String,
        }
        lists {
            /// Those that it uses when the first one fails.
            fallbacks: String,
        }
    }
}
