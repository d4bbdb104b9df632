//! What the scenarios of calls and runs work with, beside the gateway.

use anyhow::Context as _;
use openclaw_adapter::{Client, Config, ConfigBuilder, Token};
use uuid::Uuid;

use crate::model::{Model, Script, mark};
use crate::road::Road;
use crate::scenarios::stage::Stage;

/// A question that the model behind the gateway knows the answer to.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// What the model knows it by.
    pub(super) marker: String,
    /// What to send.
    pub(super) message: String,
    /// What comes back.
    pub(super) answer: String,
}

impl Stage {
    /// The model behind the gateway.
    pub(super) fn model(&self) -> anyhow::Result<&dyn Model> {
        self.gateway().model().context("this gateway has no model")
    }

    /// A new road to the gateway.
    pub(super) async fn road(&self) -> anyhow::Result<Road> {
        Ok(Road::to(self.gateway().door()?).await?)
    }

    /// A client on this road; the same name means the same device.
    pub(super) fn config(&self, name: &str, road: &Road) -> anyhow::Result<ConfigBuilder> {
        Ok(Config::builder()
            .url(road.url())
            .token(Token::new(self.gateway().token())?)
            .display_name(name)
            .state_dir(self.state_dir(name)))
    }

    /// Such a client with the scopes of a backend, ready.
    pub(super) async fn client(&self, name: &str, road: &Road) -> anyhow::Result<Client> {
        Ok(Client::connect(self.config(name, road)?.build()?).await?)
    }

    /// A session that nobody else uses.
    pub(super) fn session(&self, name: &str) -> String {
        self.session_of("main", name)
    }

    /// Such a session of this agent.
    #[expect(clippy::unused_self, reason = "reads as what the stage gives")]
    pub(super) fn session_of(&self, agent: &str, name: &str) -> String {
        format!("agent:{agent}:{name}-{}", Uuid::new_v4().simple())
    }

    /// Teaches the model an answer.
    pub(super) fn question(&self, about: &str, script: Script) -> anyhow::Result<Question> {
        let marker = format!("{about}-{}", Uuid::new_v4().simple());
        let question = Question {
            message: format!("What about {about}? {}", mark(&marker)),
            answer: script.text(),
            marker,
        };
        self.model()?.replies(&question.marker, script);
        Ok(question)
    }

    /// How often the model was asked it.
    pub(super) fn asked(&self, question: &Question) -> anyhow::Result<usize> {
        Ok(self.model()?.asked(&question.marker))
    }
}
