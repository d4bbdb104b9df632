//! Messages on a connection that is through: refused methods, things that are no request, too
//! much at once, and the tick.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Target;
use super::client::Client;
use super::pairing::paired;

/// More than either edition takes in one message.
const OVERSIZE: usize = 26 * 1024 * 1024;

/// The connection of a device that may read and write, with an empty log.
async fn connected(target: &Target) -> Result<Client> {
    let (_, mut client) = paired(target).await?;
    client.clear_log();
    Ok(client)
}

pub(super) async fn pairing_scope_needed(target: &Target) -> Result<Vec<Value>> {
    let mut client = connected(target).await?;
    let list = client.call("device.pair.list", json!({})).await?;
    let approve = client
        .call(
            "device.pair.approve",
            json!({"requestId": "no-such-request"}),
        )
        .await?;
    Ok(vec![json!({"r": list, "r2": approve})])
}

pub(super) async fn rpc_errors(target: &Target) -> Result<Vec<Value>> {
    let mut client = connected(target).await?;
    let mut answers = Vec::new();
    for (method, params) in [
        ("no.such.method", json!({})),
        ("health", json!({"bogus": 1})),
        ("connect", json!({})),
        ("device.pair.list", json!({})),
        ("agent", json!({})),
        ("agent.wait", json!({})),
        ("chat.send", json!({"sessionKey": "main"})),
    ] {
        let mut answer = client.call(method, params).await?;
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("payload");
        }
        answers.push(answer);
    }
    Ok(vec![json!({"rs": answers})])
}

/// A message that is not a request.
pub(super) async fn odd_message(target: &Target, name: &str) -> Result<Vec<Value>> {
    let mut client = connected(target).await?;
    let text = match name {
        "after_not_frame" => json!({"a": 1}).to_string(),
        "after_event" => json!({"type": "event", "event": "x", "payload": {}}).to_string(),
        "after_req_no_id" => json!({"type": "req", "method": "health", "params": {}}).to_string(),
        _ => "garbage".to_owned(),
    };
    client.send_text(text).await?;
    client.settle().await?;
    Ok(vec![json!({"after": client.into_log()})])
}

pub(super) async fn oversize(target: &Target) -> Result<Vec<Value>> {
    let mut client = connected(target).await?;
    client.send_until_closed("x".repeat(OVERSIZE)).await?;
    Ok(vec![json!({"after": client.into_log()})])
}

pub(super) async fn tick(target: &Target) -> Result<Vec<Value>> {
    let mut client = connected(target).await?;
    let tick = client.event("tick", Duration::from_secs(33)).await?;
    Ok(vec![json!({"ticks": [tick]})])
}
