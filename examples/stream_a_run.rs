//! One question to an agent, and everything that its run reports.
//!
//! ```text
//! cargo run --example stream_a_run                      # on the mock, which breaks the connection
//!
//! export OPENCLAW_GATEWAY_URL=ws://gateway:18789 OPENCLAW_GATEWAY_TOKEN=…
//! cargo run --example stream_a_run -- "How are things?"
//! ```
//!
//! [`show`] is the part to copy.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use openclaw_adapter::{
    Client, Config, MemoryStore, Run, RunItem, RunOutcome, Token, ToolEvent, ToolStep,
};
use openclaw_examples::{fact, gateway_is_set, soon, title, wait_until};
use openclaw_mock_gateway::{self as mock, Fault, MockGateway};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if gateway_is_set() {
        run().await
    } else {
        play().await
    }
}

/// On a real gateway.
async fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let question = std::env::args().nth(1);
    let question = question.as_deref().unwrap_or("Who are you? One sentence.");
    let config = Config::from_env()?
        .display_name("stream-a-run")
        // Shows the arguments and results of tools, where the gateway can.
        .capabilities(["tool-events"])
        .build()?;
    let client = Client::connect(config).await?; // waits for the approval, too

    let mut run = client.agent().run("stream-a-run", question).await?;
    let shown = show(&mut run).await?;
    client.close().await;
    match shown.outcome {
        RunOutcome::Done { .. } => Ok(()),
        other => bail!("the run has {other}"),
    }
}

/// The result of a run.
struct Shown {
    text: String,
    outcome: RunOutcome,
    tools: usize,
    /// The number of reconnects during the run.
    resumed: usize,
}

/// Prints a run to its one outcome.
async fn show(run: &mut Run) -> io::Result<Shown> {
    let mut out = io::stdout();
    let (mut text, mut tools, mut resumed) = (String::new(), 0, 0);
    // Keep these two, and the run can be followed again after a restart: `Run::attach`.
    let session_key = run.session_key().unwrap_or_default();
    writeln!(out, "run {} in {session_key}", run.id())?;
    while let Some(item) = run.next().await {
        match item {
            RunItem::Text(more) => {
                if more.replaced {
                    // A failed attempt was taken back. A web page would start the text over.
                    write!(out, "\n[text starts over]\n")?;
                    text.clear();
                }
                text.push_str(&more.delta);
                write!(out, "{}", more.delta)?;
                out.flush()?;
            }
            RunItem::Tool(tool) => {
                show_tool(&mut out, &tool)?;
                tools += usize::from(matches!(tool.step, ToolStep::Ended { .. }));
            }
            RunItem::Retrying(retry) => {
                let why = retry.reason.unwrap_or_else(|| "it failed".to_owned());
                writeln!(out, "[the model is asked again: {why}]")?;
            }
            RunItem::Interrupted => writeln!(out, "\n[the connection is lost; the run goes on]")?,
            RunItem::Resumed { .. } => {
                writeln!(out, "[connected again]")?;
                resumed += 1;
            }
            RunItem::Ended(outcome) => {
                writeln!(out, "\n[{outcome}]")?;
                return Ok(Shown {
                    text,
                    outcome,
                    tools,
                    resumed,
                });
            }
            // Accepted, status, token counts, approvals.
            _ => {}
        }
    }
    Err(io::Error::other("the run was read to its end before"))
}

fn show_tool(out: &mut impl io::Write, tool: &ToolEvent) -> io::Result<()> {
    match &tool.step {
        ToolStep::Started { args, .. } => writeln!(out, "[{} {args}]", tool.name),
        ToolStep::Ended { is_error, .. } => {
            let how = if *is_error { "failed" } else { "done" };
            writeln!(out, "[{} {how}]", tool.name)
        }
        _ => Ok(()),
    }
}

/// On the mock: a run with a tool, whose connection breaks in the middle of the answer.
async fn play() -> anyhow::Result<()> {
    const ANSWER: &str = "There are two invoices: 17 and 42. Both are open.";

    let gateway = MockGateway::start().await;
    gateway.script_runs(|_| {
        mock::RunScript::text(ANSWER)
            .tool("list_invoices", json!({ "state": "open" }), "17\n42\n")
            .deltas(6)
            .delay_per_delta(Duration::from_millis(300))
    });
    let config = Config::builder()
        .url(gateway.local_url()) // as from the gateway's own host: no approval is needed
        .token(Token::new(gateway.token())?)
        .store(MemoryStore::new())
        .capabilities(["tool-events"])
        .build()?;
    let client = Client::connect(config).await?;

    title("A run whose connection is lost")?;
    let mut run = client.agent().run("billing", "Which are open?").await?;
    let (shown, cut) = tokio::join!(
        soon("follow the run", show(&mut run)),
        cut_off_after_the_first_piece(&gateway)
    );
    cut?;
    let shown = shown?;
    fact("the tool was seen", shown.tools == 1)?;
    fact("the connection was lost once", shown.resumed == 1)?;
    fact(
        "the answer is complete nevertheless",
        shown.outcome.answer() == Some(ANSWER),
    )?;
    fact("no piece of it came twice", ANSWER.starts_with(&shown.text))?;

    title("The same run is followed again, as after a restart of this process")?;
    let session_key = run.session_key().context("an accepted run has a session")?;
    let mut again = Run::attach(&client, run.id(), session_key);
    let outcome = soon("the outcome", async { anyhow::Ok(again.outcome().await) }).await?;
    fact("it has the same answer", outcome.answer() == Some(ANSWER))?;
    client.close().await;
    Ok(())
}

/// Breaks the connection once some of the answer was sent.
async fn cut_off_after_the_first_piece(gateway: &MockGateway) -> anyhow::Result<()> {
    wait_until("some of the answer was sent", async || {
        Ok(gateway.frames().iter().any(|frame| {
            frame.json["event"] == "agent" && frame.json["payload"]["stream"] == "assistant"
        }))
    })
    .await?;
    gateway.inject(Fault::drop_connection());
    Ok(())
}
