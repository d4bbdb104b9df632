//! One backend, and a gateway for each of its customers.
//!
//! ```text
//! cargo run --example many_gateways                     # three mocks
//!
//! export OPENCLAW_GATEWAY_URL=ws://gateway:18789 OPENCLAW_GATEWAY_TOKEN=…
//! cargo run --example many_gateways                     # two customers, two devices, on one gateway
//! ```
//!
//! [`gateways`] is the part to copy.
#![forbid(unsafe_code)]

mod demo;
mod gateways;

use openclaw_adapter::Config;
use openclaw_examples::{gateway_is_set, title};

use crate::gateways::Gateways;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if gateway_is_set() {
        run().await
    } else {
        demo::play().await
    }
}

/// Two customers on one real gateway: two devices to approve.
async fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let gateways = Gateways::new(Config::from_env()?.state_directory()?.join("customers"));
    for customer in ["north", "south"] {
        gateways.start(customer, Config::from_env()?)?;
    }
    for customer in gateways.customers() {
        let client = gateways.client(&customer)?;
        client.ready().await?;
        let mut run = client
            .agent()
            .run(&customer, "Say hello in three words.")
            .await?;
        title(&format!("{customer}: {}", run.outcome().await.text()))?;
    }
    gateways.stop_all().await;
    Ok(())
}
