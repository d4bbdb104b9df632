//! Asking, being approved or rejected, and asking for more.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Target;
use super::client::{Client, Via};
use super::device::Device;
use super::handshake::Attempt;
use super::operator::Operator;

fn ask(target: &Target, device: &Device) -> Attempt {
    Attempt::new(target, Via::Remote, Some(device))
}

/// A new device, paired for read and write by a local operator, and its first connection.
pub(super) async fn paired(target: &Target) -> Result<(Device, Client)> {
    let device = Device::new()?;
    ask(target, &device).play(target).await?;
    Operator::admin(target).await?.approve(&device).await?;
    let client = ask(target, &device).play(target).await?;
    device_token(&client).context("a paired device does not get in")?;
    Ok((device, client))
}

/// The device token that hello-ok brought.
pub(super) fn device_token(client: &Client) -> Result<String> {
    client
        .hello()
        .and_then(|hello| hello["payload"]["auth"]["deviceToken"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("no device token in {}", json!(client.log())))
}

pub(super) async fn pending_is_kept(target: &Target) -> Result<Vec<Value>> {
    let device = Device::new()?;
    let first = ask(target, &device).play(target).await?.into_log();
    let second = ask(target, &device).play(target).await?.into_log();
    Ok(vec![first.into(), second.into()])
}

pub(super) async fn pair_then_connect(target: &Target) -> Result<Vec<Value>> {
    let device = Device::new()?;
    let before = ask(target, &device).play(target).await?.into_log();
    let approval = Operator::admin(target).await?.approve(&device).await?;
    let after = ask(target, &device).play(target).await?.into_log();
    Ok(vec![
        before.into(),
        json!({"approve": approval}),
        after.into(),
    ])
}

pub(super) async fn pair_list_shape(target: &Target) -> Result<Vec<Value>> {
    let device = Device::new()?;
    let mut operator = Operator::admin(target).await?;
    ask(target, &device).play(target).await?;
    let pending = rows(&mut operator, &device, "pending", target.fresh).await?;
    operator.approve(&device).await?;
    let paired = rows(&mut operator, &device, "paired", target.fresh).await?;
    Ok(vec![json!({"pending": pending}), json!({"paired": paired})])
}

/// The whole list on a fresh gateway, the device's own rows on another.
async fn rows(operator: &mut Operator, device: &Device, list: &str, whole: bool) -> Result<Value> {
    let reply = operator.call("device.pair.list", json!({})).await?;
    let mut rows = reply["payload"][list].clone();
    if !whole && let Some(rows) = rows.as_array_mut() {
        let id = device.id();
        rows.retain(|row| row["deviceId"] == id.as_str());
    }
    Ok(rows)
}

pub(super) async fn scope_upgrade(target: &Target) -> Result<Vec<Value>> {
    let (device, _live) = paired(target).await?;
    let more =
        || ask(target, &device).scopes(&["operator.read", "operator.write", "operator.admin"]);
    let before = more().play(target).await?.into_log();
    let approval = Operator::admin(target).await?.approve(&device).await?;
    let after = more().play(target).await?.into_log();
    Ok(vec![
        before.into(),
        json!({"approve": approval}),
        after.into(),
    ])
}

pub(super) async fn role_upgrade(target: &Target) -> Result<Vec<Value>> {
    let (device, _live) = paired(target).await?;
    let log = ask(target, &device)
        .role("node")
        .scopes(&[])
        .play(target)
        .await?
        .into_log();
    Ok(vec![log.into()])
}

pub(super) async fn platform_change(target: &Target) -> Result<Vec<Value>> {
    let (device, _live) = paired(target).await?;
    let mut attempt = ask(target, &device);
    attempt.client["platform"] = "linux".into();
    Ok(vec![attempt.play(target).await?.into_log().into()])
}

pub(super) async fn approve_unknown(target: &Target) -> Result<Vec<Value>> {
    let reply = Operator::admin(target)
        .await?
        .call(
            "device.pair.approve",
            json!({"requestId": "no-such-request"}),
        )
        .await?;
    Ok(vec![json!({"r": reply})])
}

pub(super) async fn reject_then_reconnect(target: &Target) -> Result<Vec<Value>> {
    let device = Device::new()?;
    let before = ask(target, &device).play(target).await?.into_log();
    let mut operator = Operator::admin(target).await?;
    let request = operator.request_of(&device).await?;
    let rejection = operator
        .call("device.pair.reject", json!({"requestId": request}))
        .await?;
    let after = ask(target, &device).play(target).await?.into_log();
    Ok(vec![json!({"r1": rejection}), before.into(), after.into()])
}

pub(super) async fn pairing_events(target: &Target) -> Result<Vec<Value>> {
    let mut watcher = Operator::with_scopes(target, &["operator.pairing"])
        .await?
        .into_client();
    let device = Device::new()?;
    ask(target, &device).play(target).await?;
    Operator::admin(target).await?.approve(&device).await?;
    // The event of an approval precedes the answer to it, but on another connection.
    while watcher
        .log()
        .last()
        .is_none_or(|e| e["event"] != "device.pair.resolved")
    {
        watcher.next().await?.context("the watcher is closed")?;
    }
    watcher.quiet().await;
    Ok(vec![json!({"events": watcher.into_log()})])
}
