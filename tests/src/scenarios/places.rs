//! Where the client stands, and what the gateway can read.

use anyhow::ensure;

use super::SOON;
use super::gateway::{Release, Side};
use super::stage::Stage;

pub(super) async fn own_loopback(stage: &Stage) -> anyhow::Result<String> {
    let mut backend = stage.backend("backend").on(Side::Local).wait(30).start()?;
    backend.state("ready", SOON).await?;
    let code = backend.exit(SOON).await?;
    ensure!(code == 0, "exit code {code}");
    let asked = backend.count("awaiting_approval");
    ensure!(
        asked == 0,
        "approval was asked for on the gateway's own loopback"
    );
    Ok("ready at once, no approval".to_owned())
}

pub(super) async fn signature_version(stage: &Stage) -> anyhow::Result<String> {
    // The first process of a device does not know yet what this gateway reads, the next one does.
    let (mut first, ready) = stage.connected("backend").await?;
    first.terminate().await?;
    let mut second = stage.backend("backend").wait(30).start()?;
    second.state("ready", SOON).await?;
    let code = second.exit(SOON).await?;
    ensure!(code == 0, "exit code {code}");
    let stopped = first.count("stopped") + second.count("stopped");
    ensure!(stopped == 0, "stopped on the way to ready");

    let protocol = ready
        .value
        .get("protocol")
        .and_then(serde_json::Value::as_u64);
    let expected = match stage.gateway().release() {
        Release::V2026_2_9 => Some(3),
        Release::V2026_9_6 => Some(4),
        Release::Other => protocol,
    };
    ensure!(
        protocol.is_some() && protocol == expected,
        "protocol {protocol:?}, not {expected:?}"
    );
    Ok(format!("ready, protocol {}", protocol.unwrap_or_default()))
}
