//! The service on the mock, with a user: from the first start to the last answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_adapter::{Client, Config, MemoryStore, Token, WhenDown};
use openclaw_examples::{fact, soon, title, until};
use openclaw_mock_gateway::{MockGateway, RunRequest, RunScript};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::http::{self, Answer};
use crate::service;

const ANSWER: &str = "Three invoices are open: 17, 21 and 42.";

pub(crate) async fn play() -> anyhow::Result<()> {
    let gateway = MockGateway::start().await;
    gateway.script_runs(script);
    let config = Config::builder()
        .url(gateway.url())
        .token(Token::new(gateway.token())?)
        .store(MemoryStore::new())
        .display_name("axum-backend")
        .when_down(WhenDown::Fail)
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(service::serve(listener, Client::start(config), async {
        let _ = stopped.await;
    }));

    title("The service has started; nobody has approved it yet")?;
    let request = gateway.wait_for_pending(Duration::from_secs(60)).await?;
    until("/readyz says what to approve", async || {
        let answer = http::get(address, "/readyz").await?;
        let status = answer.status;
        let body = answer.json().await?;
        Ok(status == 503 && body["requestId"] == json!(request.request_id))
    })
    .await?;
    fact(
        "/healthz says that the process is healthy nevertheless",
        http::get(address, "/healthz").await?.status == 200,
    )?;
    fact(
        "/ask says 503 at once",
        ask(address, "How many?").await?.status == 503,
    )?;

    title("The operator approves")?;
    gateway.approve(&request.request_id)?;
    until(
        "/readyz says 200, without a restart of the service",
        async || Ok(http::get(address, "/readyz").await?.status == 200),
    )
    .await?;

    title("Somebody asks")?;
    let answer = ask(address, "How many invoices are open?").await?;
    fact(
        "the answer has the run's id before it has a text",
        answer.status == 200
            && answer
                .headers
                .iter()
                .any(|line| line.starts_with("x-run-id: ")),
    )?;
    let (pieces, text) = soon("read the answer", rest(answer)).await?;
    fact(
        &format!("the answer came in {pieces} pieces: {text}"),
        pieces > 1 && text == ANSWER,
    )?;

    title("Somebody asks, and disconnects before the end")?;
    let mut answer = ask(address, "Think for ever.").await?;
    soon("the first piece", text_event(&mut answer)).await?;
    drop(answer);
    until(
        "the service has asked the gateway to stop the run",
        async || {
            Ok(gateway
                .frames()
                .iter()
                .any(|frame| frame.json["method"] == "chat.abort"))
        },
    )
    .await?;

    title("The service is stopped during an answer")?;
    let mut answer = ask(address, "Slowly, please.").await?;
    soon("the first piece", text_event(&mut answer)).await?;
    let _ = stop.send(());
    let (_, text) = soon("read the rest", rest(answer)).await?;
    fact("the answer is complete", text == ANSWER)?;
    let left = soon("the service ends", service).await??;
    fact("nothing was left behind", left.is_complete())?;
    fact(
        "the port is closed",
        TcpStream::connect(address).await.is_err(),
    )
}

/// The answers of the agent.
fn script(request: &RunRequest) -> RunScript {
    match &*request.message {
        "Think for ever." => RunScript::text("Well, ").hangs(),
        // Gateways merge text that comes faster than about six times a second.
        _ => RunScript::text(ANSWER)
            .deltas(5)
            .delay_per_delta(Duration::from_millis(200)),
    }
}

async fn ask(address: SocketAddr, question: &str) -> anyhow::Result<Answer> {
    let body = json!({ "session": "billing", "question": question });
    soon("ask", http::post(address, "/ask", &body)).await
}

/// The next event, which has to be a piece of text.
async fn text_event(answer: &mut Answer) -> anyhow::Result<Value> {
    let (name, data) = answer.event().await?.context("the stream has ended")?;
    ensure!(name == "text", "{name} {data} instead of a text");
    Ok(data)
}

/// Reads to the end: how many pieces came, and the text.
async fn rest(mut answer: Answer) -> anyhow::Result<(usize, String)> {
    let mut pieces = 0;
    while let Some((name, data)) = answer.event().await? {
        match &*name {
            "text" => pieces += 1,
            "end" => {
                ensure!(data["outcome"] == "done", "it ended with {data}");
                return Ok((pieces, data["text"].as_str().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
    }
    anyhow::bail!("the stream broke off")
}
