//! What a client on the gateway's own host is given.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::client::Via;
use super::device::Device;
use super::handshake::{Attempt, attempt};
use super::{Edition, Target};

/// The list of this case was recorded with the devices of earlier connects in it, so those come
/// first here, in the same order: the list is sorted by time.
pub(super) async fn cli_then_list(target: &Target) -> Result<Vec<Value>> {
    let mut ours = Vec::new();
    for name in [
        "unpaired_remote",
        "unpaired_sig_v2",
        "unpaired_sig_v3",
        "another_remote",
        "unknown_scope",
        "no_scopes",
        "node_role",
        "admin_scope",
        "protocol_3_only",
        "protocol_4_only",
        "protocol_3_to_4",
        "instance_id",
        "remote_cli",
        "forwarded_header",
        "another_remote",
        "local_backend",
        "local_cli",
    ] {
        let device = Device::new()?;
        let remote = Attempt::new(target, Via::Remote, Some(&device));
        let earlier = match name {
            "another_remote" => remote,
            "unknown_scope" => remote.scopes(&["operator.everything"]),
            "no_scopes" => remote.scopes(&[]),
            "admin_scope" => remote.scopes(&["operator.admin"]),
            "remote_cli" => {
                let mut attempt = remote.cli("darwin");
                if target.edition == Edition::V2026_9_6 {
                    attempt.client["deviceFamily"] = "Mac".into();
                }
                attempt
            }
            _ => attempt(target, name)
                .context("no such case")?
                .with_device(&device),
        };
        ours.push(device.id());
        earlier.play(target).await?;
        next_millisecond().await;
    }
    let cli = Device::new()?;
    ours.push(cli.id());
    let mut client = Attempt::new(target, Via::Local, Some(&cli))
        .cli("linux")
        .scopes(&["operator.pairing"])
        .play(target)
        .await?;
    client.call("device.pair.list", json!({})).await?;
    let mut log = client.into_log();
    if !target.fresh
        && let Some(reply) = log.last_mut()
    {
        for list in ["paired", "pending"] {
            if let Some(rows) = reply["payload"][list].as_array_mut() {
                rows.retain(|row| ours.iter().any(|id| row["deviceId"] == id.as_str()));
            }
        }
    }
    Ok(vec![log.into()])
}

/// Rows made within one millisecond have no order, so no two are.
async fn next_millisecond() {
    let now = || {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis())
    };
    let start = now();
    while now() == start {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
