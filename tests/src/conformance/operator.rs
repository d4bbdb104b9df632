//! The person who approves: the gateway's own command line program on the gateway's host.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Target;
use super::client::{Client, Via};
use super::device::Device;
use super::handshake::Attempt;

/// A local operator without a device, as the command line program of 2026.9.6 is.
#[derive(Debug)]
pub(super) struct Operator {
    client: Client,
}

impl Operator {
    /// May do everything.
    pub(super) async fn admin(target: &Target) -> Result<Self> {
        Self::with_scopes(target, &["operator.admin", "operator.pairing"]).await
    }

    pub(super) async fn with_scopes(target: &Target, scopes: &[&str]) -> Result<Self> {
        let mut client = Attempt::new(target, Via::Local, None)
            .cli("linux")
            .scopes(scopes)
            .play(target)
            .await?;
        if !client.is_open() {
            bail!("the local operator is refused: {}", json!(client.log()));
        }
        client.clear_log();
        Ok(Self { client })
    }

    /// Calls a method and returns the whole answer, good or bad.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.client.call(method, params).await
    }

    /// The request id under which `device` waits, if it does.
    pub(super) async fn pending(&mut self, device: &Device) -> Result<Option<String>> {
        let reply = self.call("device.pair.list", json!({})).await?;
        let rows = reply["payload"]["pending"]
            .as_array()
            .with_context(|| format!("no list of pending requests in {reply}"))?;
        let id = device.id();
        let row = rows.iter().find(|row| row["deviceId"] == id.as_str());
        Ok(row.and_then(|row| row["requestId"].as_str().map(str::to_owned)))
    }

    /// The request id under which `device` waits.
    pub(super) async fn request_of(&mut self, device: &Device) -> Result<String> {
        self.pending(device)
            .await?
            .context("the device is not pending")
    }

    /// Approves what `device` asks for and returns the answer.
    pub(super) async fn approve(&mut self, device: &Device) -> Result<Value> {
        let request = self.request_of(device).await?;
        let reply = self
            .call("device.pair.approve", json!({"requestId": request}))
            .await?;
        if reply["ok"] != true {
            bail!("the approval is refused: {reply}");
        }
        Ok(reply)
    }

    pub(super) fn into_client(self) -> Client {
        self.client
    }
}
