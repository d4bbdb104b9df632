//! `openclaw-node`, a client that others wrote, takes an agent turn on the mock.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_mock_gateway::{MockGateway, RunScript};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::install::{Install, install_clients};
use crate::report::say;

const SOON: Duration = Duration::from_secs(60);

const ANSWER: &str = "Forty-two invoices are open.";

/// It is told to pair, is approved, connects again by itself, and hears the scripted answer.
///
/// # Errors
///
/// When it hears something else, or nothing.
pub(crate) async fn check(root: &Path, install: &Install) -> anyhow::Result<()> {
    let clients = install_clients(root, say).await?;
    let script = clients.join("turn.mjs");
    tokio::fs::write(&script, include_str!("npm/clients/turn.mjs")).await?;
    let dir = tempfile::tempdir()?;
    let gateway = MockGateway::start().await;
    gateway.script_runs(|_| RunScript::text(ANSWER).deltas(3));

    let mut client = Command::new(&install.node)
        .arg(&script)
        .arg(gateway.url())
        .arg(dir.path().join("device.json"))
        .arg("How many invoices are open?")
        .env("OPENCLAW_GATEWAY_TOKEN", gateway.token())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start openclaw-node")?;
    let stdout = client.stdout.take().context("its stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut approved = false;
    loop {
        let line = timeout(SOON, lines.next_line())
            .await
            .context("openclaw-node says nothing")??
            .context("openclaw-node has ended")?;
        let said: Value = serde_json::from_str(&line)?;
        if let Some(request) = said["pairing"].as_str().filter(|_| !approved) {
            gateway.approve(request)?;
            approved = true;
        }
        if let Some(text) = said["text"].as_str() {
            ensure!(approved, "it was let in without pairing");
            ensure!(text == ANSWER, "it heard {text:?} in {}", said["kinds"]);
            return Ok(());
        }
    }
}
