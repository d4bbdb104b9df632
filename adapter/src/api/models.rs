//! `models.list`: the models of a gateway.

use super::wire::{answer, params, string_enum};
use crate::client::Client;
use crate::client::call::TypedCall;

/// The models of a gateway; from [`Client::models`].
///
/// Each method makes the call with what is needed; the types of this module have the rest, for
/// [`Client::call`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::api::models::{List, View};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// // 2026.2.9 knows no views: there this ends with `Error::UnsupportedParameter`.
/// let list = client.models().list(List::new().view(View::Configured)).await?;
/// for model in &list.models {
///     println!("{}/{}", model.provider.as_deref().unwrap_or("?"), model.id);
/// }
/// # assert!(!list.models.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Models<'a> {
    client: &'a Client,
}

impl<'a> Models<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the models.
    #[doc(alias = "models.list")]
    pub fn list(&self, list: List) -> TypedCall<'a, List> {
        self.client.call(list)
    }
}

params! {
    /// Asks for the models: those that are configured on 2026.9.6, and the whole catalogue, some
    /// hundreds, on 2026.2.9.
    List: "models.list", Reads => ModelList {
        may_have {
            /// View of the list (2026.9.6).
            view: View, since 4;
            /// Those of this agent (2026.9.6).
            agent_id: String, since 4;
            /// Those of this session (2026.9.6).
            session_key: String, since 4;
            /// Those of this provider (2026.9.6).
            provider: String, since 4;
            /// Reads them again (2026.9.6).
            refresh: bool, since 4;
        }
    }
}

string_enum! {
    /// View of the list of models.
    View {
        /// As the gateway likes.
        Default = "default",
        /// Those that are configured.
        Configured = "configured",
        /// Those that the configuration of a provider names.
        ProviderConfig = "provider-config",
        /// All.
        All = "all",
    }
}

answer! {
    /// Answer to [`List`].
    ModelList {
        lists {
            /// The models.
            models: Model,
        }
    }
}

answer! {
    /// A model.
    Model {
        has {
            /// Its id; `provider/id` is how it is named elsewhere.
            id: String,
        }
        may_have {
            /// Its name to show.
            name: String,
            /// Its provider.
            provider: String,
            /// The size of its context, in tokens.
            context_window: u64,
            /// True if it thinks before it answers.
            reasoning: bool,
            /// True if it can be used now (2026.9.6).
            available: bool,
            /// Default level of thinking (2026.9.6).
            thinking_default: String,
        }
        lists {
            /// Kinds of input: `text`, `image` (2026.2.9).
            input: String,
            /// Uses, such as `default` (2026.9.6).
            tags: String,
            /// Levels of thinking (2026.9.6).
            thinking_levels: ThinkingLevel,
        }
    }
}

answer! {
    /// A level of thinking of a model (2026.9.6).
    ThinkingLevel {
        has {
            /// The value to set.
            id: String,
        }
        may_have {
            /// The label to show.
            label: String,
        }
    }
}
