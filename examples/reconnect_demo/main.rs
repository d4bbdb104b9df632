//! A backend and its OpenClaw gateway, from the first start to a lost disk.
//!
//! ```text
//! cargo run --example reconnect_demo               # a gateway of 2026.9.6
//! cargo run --example reconnect_demo -- 2026.2.9   # the older generation
//!
//! export OPENCLAW_GATEWAY_URL=ws://gateway:18789 OPENCLAW_GATEWAY_TOKEN=…
//! cargo run --example reconnect_demo               # on that gateway, until Ctrl-C
//! ```
//!
//! Without an address in the environment the gateway is the mock, in this process: no network, no Node.
//! The backend uses the adapter as a service does; [`backend`] is the part to copy. Every line marked
//! `ok` was checked, and the exit code is 0 only if all of them were true.
#![forbid(unsafe_code)]

mod backend;
mod journal;
mod narrator;
mod operator;
mod real;
mod stage;
mod steps;

use std::io::{self, Write as _};
use std::process::ExitCode;

use openclaw_examples::gateway_is_set;
use openclaw_mock_gateway::Edition;

use crate::journal::Journal;
use crate::narrator::Narrator;
use crate::stage::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    let edition = match edition(std::env::args().skip(1)) {
        Ok(edition) => edition,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            return ExitCode::from(2);
        }
    };
    let narrator = Narrator::for_stdout();
    let journal = Journal::install();
    let played = if gateway_is_set() {
        real::play(&narrator, journal).await
    } else {
        run(edition, &narrator, journal).await
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            narrator.failed(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn edition(mut arguments: impl Iterator<Item = String>) -> Result<Edition, String> {
    const USAGE: &str = "usage: reconnect_demo [2026.9.6 | 2026.2.9]";
    match (arguments.next(), arguments.next()) {
        (None, _) => Ok(Edition::default()),
        (Some(name), None) => name.parse().map_err(|error| format!("{error}\n{USAGE}")),
        (Some(_), Some(_)) => Err(USAGE.to_owned()),
    }
}

async fn run(edition: Edition, narrator: &Narrator, journal: Journal) -> anyhow::Result<()> {
    let stage = Stage::set(edition, narrator, journal).await?;
    narrator.title(&format!(
        "A backend and its OpenClaw gateway ({edition}, a mock in this process)"
    ));

    let backend = stage
        .step("The first start", steps::first_start(&stage))
        .await?;
    stage
        .step("The operator approves", steps::approval(&stage, &backend))
        .await?;
    let backend = stage
        .step(
            "The backend restarts",
            steps::backend_restart(&stage, backend),
        )
        .await?;
    stage
        .step(
            "The gateway restarts",
            steps::gateway_restart(&stage, &backend),
        )
        .await?;
    stage
        .step(
            "The token is edited in openclaw.json, without a restart",
            steps::token_edited(&stage, &backend),
        )
        .await?;
    stage
        .step(
            "The gateway restarts and reads the new token",
            steps::token_taken(&stage, &backend),
        )
        .await?;
    stage
        .step(
            "The backend gets the new token",
            steps::token_given(&stage, &backend),
        )
        .await?;
    stage
        .step(
            "The device is removed, and approved again",
            steps::device_removed(&stage, &backend),
        )
        .await?;
    stage
        .step(
            "The state directory is lost",
            steps::state_lost(&stage, backend),
        )
        .await?;

    stage.end();
    Ok(())
}
