//! A web service whose answers come from an agent.
//!
//! ```text
//! cargo run --example axum_backend                      # runs against itself on the mock, and ends
//!
//! export OPENCLAW_GATEWAY_URL=ws://gateway:18789 OPENCLAW_GATEWAY_TOKEN=…
//! cargo run --example axum_backend                      # serves on 127.0.0.1:8080 until Ctrl-C
//! cargo run --example axum_backend -- 0.0.0.0:3000      # or elsewhere
//!
//! curl localhost:8080/readyz                            # says what to approve
//! curl -N localhost:8080/ask --json '{"session":"billing","question":"How many invoices are open?"}'
//! ```
//!
//! [`service`] is the part to copy.
#![forbid(unsafe_code)]

mod demo;
mod http;
mod service;

use openclaw_adapter::{Client, Config, WhenDown};
use openclaw_examples::gateway_is_set;
use tokio::net::TcpListener;
use tokio::signal;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if gateway_is_set() {
        run().await
    } else {
        demo::play().await
    }
}

/// The service on a real gateway.
async fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    tracing::info!("listening on {}", listener.local_addr()?);

    let config = Config::from_env()?
        .display_name("axum-backend")
        // A request over HTTP fails at once without a connection, and does not wait.
        .when_down(WhenDown::Fail)
        .build()?;
    // Returns at once. The service is up before the gateway is, and /readyz says so.
    let client = Client::start(config);
    let left = service::serve(listener, client, stopped()).await?;
    if !left.is_complete() {
        tracing::warn!(runs = left.runs, calls = left.calls, "ended before these");
    }
    Ok(())
}

/// Waits for Ctrl-C, or for the signal of a container's runtime.
async fn stopped() {
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
