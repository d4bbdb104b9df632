//! Device tokens, in either field, good and bad, and what removing or revoking does to a session.

use anyhow::Result;
use serde_json::{Value, json};

use super::Target;
use super::client::{Client, Via};
use super::device::Device;
use super::handshake::Attempt;
use super::operator::Operator;
use super::pairing::{device_token, paired};

/// A connect of a device with this `auth`.
async fn connect(target: &Target, device: &Device, auth: Value) -> Result<Value> {
    let client = Attempt::new(target, Via::Remote, Some(device))
        .auth(auth)
        .play(target)
        .await?;
    Ok(client.into_log().into())
}

async fn paired_with_token(target: &Target) -> Result<(Device, Client, String)> {
    let (device, client) = paired(target).await?;
    let token = device_token(&client)?;
    Ok((device, client, token))
}

pub(super) async fn as_token(target: &Target) -> Result<Vec<Value>> {
    let (device, _live, token) = paired_with_token(target).await?;
    Ok(vec![
        connect(target, &device, json!({"token": token})).await?,
    ])
}

pub(super) async fn in_its_field(target: &Target) -> Result<Vec<Value>> {
    let (device, _live, token) = paired_with_token(target).await?;
    Ok(vec![
        connect(target, &device, json!({"deviceToken": token})).await?,
    ])
}

pub(super) async fn with_wrong_shared(target: &Target) -> Result<Vec<Value>> {
    let (device, _live, token) = paired_with_token(target).await?;
    let auth = json!({"token": "wrong", "deviceToken": token});
    Ok(vec![connect(target, &device, auth).await?])
}

pub(super) async fn wrong_device_token(target: &Target) -> Result<Vec<Value>> {
    let (device, _live) = paired(target).await?;
    let auth = json!({"deviceToken": "bogus"});
    Ok(vec![connect(target, &device, auth).await?])
}

pub(super) async fn wrong_shared_when_paired(target: &Target) -> Result<Vec<Value>> {
    let (device, _live) = paired(target).await?;
    Ok(vec![
        connect(target, &device, json!({"token": "wrong"})).await?,
    ])
}

pub(super) async fn remove_live_device(target: &Target) -> Result<Vec<Value>> {
    let (device, mut live) = paired(target).await?;
    let removal = Operator::admin(target)
        .await?
        .call("device.pair.remove", json!({"deviceId": device.id()}))
        .await?;
    live.clear_log();
    live.settle().await?;
    let again = connect(target, &device, json!({"token": target.token})).await?;
    Ok(vec![
        json!({"r": removal}),
        json!({"live": live.into_log()}),
        again,
    ])
}

pub(super) async fn revoke_live_token(target: &Target) -> Result<Vec<Value>> {
    let (device, mut live, token) = paired_with_token(target).await?;
    let params = json!({"deviceId": device.id(), "role": "operator"});
    let revocation = Operator::admin(target)
        .await?
        .call("device.token.revoke", params)
        .await?;
    live.clear_log();
    live.settle().await?;
    let with_old = connect(target, &device, json!({"deviceToken": token})).await?;
    let with_shared = connect(target, &device, json!({"token": target.token})).await?;
    Ok(vec![
        json!({"r": revocation}),
        json!({"live": live.into_log()}),
        with_old,
        with_shared,
    ])
}
