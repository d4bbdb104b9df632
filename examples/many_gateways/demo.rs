//! Three customers, none of which is affected by the trouble of another.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use openclaw_adapter::{Client, Config, ConfigBuilder, Token};
use openclaw_examples::{fact, soon, title, until};
use openclaw_mock_gateway::{Edition, MockGateway, RunScript};
use tempfile::TempDir;

use crate::gateways::Gateways;

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn play() -> anyhow::Result<()> {
    let dir = TempDir::with_prefix("openclaw-many-").context("make a directory")?;
    let north = gateway("north", Edition::V2026_9_6).await;
    let south = gateway("south", Edition::V2026_2_9).await;
    let west = gateway("west", Edition::V2026_9_6).await;
    let gateways = Gateways::new(dir.path().to_owned());

    title("Three customers are started; each gateway has its own operator")?;
    gateways.start("north", config(&north, &north.token())?)?;
    gateways.start("south", config(&south, &south.token())?)?;
    gateways.start("west", config(&west, &west.token())?)?;
    let mut devices = BTreeSet::new();
    for gateway in [&north, &south, &west] {
        let request = gateway.wait_for_pending(LIMIT).await?;
        devices.insert(request.device_id);
    }
    fact("they are three devices", devices.len() == 3)?;

    title("Two are approved, the third waits")?;
    for (customer, gateway) in [("north", &north), ("south", &south)] {
        let request = gateway.wait_for_pending(LIMIT).await?;
        gateway.approve(&request.request_id)?;
        soon("connect", gateways.client(customer)?.ready()).await?;
        fact(
            &format!("{customer} is answered by its own agent"),
            ask(&gateways.client(customer)?).await? == format!("This is {customer}."),
        )?;
    }
    let waiting = ask(&gateways.client("west")?).await;
    fact("west fails at once, and says why", waiting.is_err())?;

    title("The gateway of south goes down")?;
    let before = conn_id(&gateways.client("north")?).await?;
    south.kill();
    let client = gateways.client("south")?;
    until("south is not ready", async || {
        Ok(!client.state().borrow().is_ready())
    })
    .await?;
    fact("south fails at once", ask(&client).await.is_err())?;
    fact(
        "north is answered as before, on the same connection",
        ask(&gateways.client("north")?).await? == "This is north."
            && conn_id(&gateways.client("north")?).await? == before,
    )?;
    south.start_again().await?;
    soon("reconnect", client.ready()).await?;
    fact(
        "south is connected again, and nobody did anything",
        ask(&client).await? == "This is south.",
    )?;

    title("The customer west is stopped, and started with a wrong token")?;
    gateways.stop("west").await?;
    gateways.start("west", config(&west, "somebody-elses-token")?)?;
    let client = gateways.client("west")?;
    until("west has stopped, and says what to do", async || {
        Ok(client.state().borrow().is_stopped())
    })
    .await?;
    for line in gateways.report() {
        title(&line)?;
    }
    // Meanwhile its secret store has the right one.
    client.set_token(Token::new(west.token())?);
    until("west tries again", async || {
        Ok(!client.state().borrow().is_stopped())
    })
    .await?;
    let request = west.wait_for_pending(LIMIT).await?;
    fact(
        "it is the same device as before",
        devices.contains(&request.device_id),
    )?;
    west.approve(&request.request_id)?;
    soon("connect", client.ready()).await?;
    fact(
        "with the right one it is answered",
        ask(&client).await? == "This is west.",
    )?;

    title("The backend ends")?;
    soon("stop", async {
        gateways.stop_all().await;
        anyhow::Ok(())
    })
    .await?;
    for gateway in [&north, &south, &west] {
        gateway.wait_for(|now| now.live == 0, LIMIT).await?;
    }
    fact("no gateway has a connection left", true)
}

/// A gateway of one customer, with one agent.
async fn gateway(customer: &'static str, edition: Edition) -> MockGateway {
    let gateway = MockGateway::builder().edition(edition).start().await;
    gateway.script_runs(move |_| RunScript::text(format!("This is {customer}.")));
    gateway
}

/// The customer's settings.
fn config(gateway: &MockGateway, token: &str) -> anyhow::Result<ConfigBuilder> {
    Ok(Config::builder()
        .url(gateway.url())
        .token(Token::new(token)?))
}

async fn ask(client: &Client) -> anyhow::Result<String> {
    let mut run = client.agent().run("hello", "Who are you?").await?;
    let outcome = soon("the answer", async { anyhow::Ok(run.outcome().await) }).await?;
    let answer = outcome.answer().context("there is no answer")?;
    Ok(answer.to_owned())
}

async fn conn_id(client: &Client) -> anyhow::Result<String> {
    Ok(client.ready().await?.conn_id.clone())
}
