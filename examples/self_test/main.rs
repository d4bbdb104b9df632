//! A service and its tests, which run on the mock gateway.
//!
//! ```text
//! cargo test --example self_test                        # the tests
//! cargo run --example self_test                         # the service, once, on the mock
//!
//! export OPENCLAW_GATEWAY_URL=ws://gateway:18789 OPENCLAW_GATEWAY_TOKEN=…
//! cargo run --example self_test                         # the same service on a real gateway
//! ```
//!
//! [`service`] is a small service, and `tests` is the part to copy: the service connects over a socket, with
//! token, pairing and handshake, to a gateway that behaves on the wire like a real one, with faults on
//! command.
#![forbid(unsafe_code)]

mod service;
#[cfg(test)]
mod tests;

use std::time::Duration;

use openclaw_adapter::{Config, MemoryStore, Token};
use openclaw_examples::{fact, gateway_is_set, soon, title};
use openclaw_mock_gateway::{MockGateway, RunScript};

use crate::service::{Summaries, SupportTicket};

const TICKET: SupportTicket<'static> = SupportTicket {
    number: 42,
    revision: 1,
    text: "The printer on the third floor prints everything twice since Monday.",
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if gateway_is_set() {
        run().await
    } else {
        play().await
    }
}

/// The service on a real gateway.
async fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let summaries = Summaries::start(Config::from_env()?)?;
    summaries.ready().await?;
    let summary = summaries.of(&TICKET).await?;
    title(&summary)?;
    summaries.stop().await;
    Ok(())
}

/// The service on the mock.
async fn play() -> anyhow::Result<()> {
    const SUMMARY: &str = "A printer prints everything twice.";

    let gateway = MockGateway::start().await;
    gateway.script_runs(|_| RunScript::text(SUMMARY));
    let config = Config::builder()
        .url(gateway.url())
        .token(Token::new(gateway.token())?)
        .store(MemoryStore::new());

    title("A service and the mock gateway, over a socket")?;
    let summaries = Summaries::start(config)?;
    let request = gateway.wait_for_pending(Duration::from_secs(60)).await?;
    fact(
        "it has to be approved, as on a real gateway",
        summaries.of(&TICKET).await.is_err(),
    )?;
    gateway.approve(&request.request_id)?;
    soon("connect", summaries.ready()).await?;
    let summary = soon("summarise a ticket", summaries.of(&TICKET)).await?;
    fact(
        "the agent was asked, and the service understood it",
        summary == SUMMARY,
    )?;
    summaries.stop().await;
    title("Its tests cover failures: cargo test --example self_test")
}
