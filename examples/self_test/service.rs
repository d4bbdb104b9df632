//! A small service: summaries of support tickets, written by an agent.

use std::time::Duration;

use openclaw_adapter::{Client, ConfigBuilder, ConfigError, Error, RunOutcome, WhenDown};

/// A ticket as it is now.
pub(crate) struct SupportTicket<'a> {
    pub(crate) number: u32,
    /// Counts the edits.
    pub(crate) revision: u32,
    pub(crate) text: &'a str,
}

/// The reason why there is no summary.
#[derive(Debug)]
pub(crate) enum SummaryError {
    /// The agent was not asked. Ask again later.
    Unavailable(Error),
    /// The agent was asked, and gave no summary.
    Failed(RunOutcome),
}

pub(crate) struct Summaries {
    client: Client,
}

impl Summaries {
    /// Sets everything that the service needs of its connection, so that tests have it too. Address,
    /// token and store come from outside.
    pub(crate) fn start(config: ConfigBuilder) -> Result<Self, ConfigError> {
        let config = config
            .display_name("summaries")
            .when_down(WhenDown::Fail)
            .build()?;
        Ok(Self {
            client: Client::start(config),
        })
    }

    /// Waits until the service is connected.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.client.ready().await.map(drop)
    }

    /// Summarises a ticket.
    pub(crate) async fn of(&self, ticket: &SupportTicket<'_>) -> Result<String, SummaryError> {
        let SupportTicket {
            number,
            revision,
            text,
        } = ticket;
        let mut run = self
            .client
            .agent()
            .run(
                format!("ticket-{number}"),
                format!("Summarise this ticket in one sentence.\n\n{text}"),
            )
            // A second request for the same revision joins the existing run.
            .with_id(format!("summary-{number}-{revision}"))
            .start();
        match run.outcome().await {
            RunOutcome::Done { text, .. } if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            RunOutcome::NotStarted { error, .. } => Err(SummaryError::Unavailable(error)),
            other => Err(SummaryError::Failed(other)),
        }
    }

    pub(crate) async fn stop(self) {
        self.client.drain(Duration::from_secs(5)).await;
    }
}

impl std::fmt::Display for SummaryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(error) => write!(f, "the agent was not asked: {error}"),
            Self::Failed(outcome) => write!(f, "the agent gave no summary: it has {outcome}"),
        }
    }
}

impl std::error::Error for SummaryError {}
