//! The backend of the README: copy it.
//!
//! It connects to `OPENCLAW_GATEWAY_URL` with `OPENCLAW_GATEWAY_TOKEN`. The README has the same lines, and a
//! test runs them on the mock.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it prints what the agent says")]

use std::time::Duration;

use openclaw_adapter::{Client, Config, RunItem};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The log says what to approve, and what is wrong.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();

    let config = Config::from_env()?.display_name("billing").build()?;
    let client = Client::start(config); // returns at once, and connects by itself

    let hello = client.ready().await?; // waits for the approval, too
    println!("connected to a gateway {}", hello.server_version);

    let question = "How many invoices are open?";
    let mut run = client.agent().run("billing", question).await?;
    while let Some(item) = run.next().await {
        match item {
            RunItem::Text(text) => print!("{}", text.delta),
            RunItem::Ended(outcome) => println!("\n[{outcome}]"),
            _ => {} // tools, retries, lost and new connections
        }
    }

    client.drain(Duration::from_secs(30)).await;
    Ok(())
}
