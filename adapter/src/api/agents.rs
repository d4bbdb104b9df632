//! `agents.list`: the agents of a gateway.

use super::wire::{answer, params, words};

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
            /// Whether senders share a session.
            scope: Scope,
        }
        lists {
            /// The agents.
            agents: Agent,
        }
    }
}

words! {
    /// Whether senders share a session.
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
            /// What it may do without asking (2026.9.6).
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
