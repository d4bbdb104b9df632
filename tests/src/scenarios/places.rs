//! Where the client stands, and what the gateway can read.

use anyhow::ensure;

use super::SOON;
use super::gateway::{Refused, Release, Side};
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
    let gateway = stage.gateway();
    // The first process of a device does not know yet what this gateway reads, the next one does.
    let before = gateway.refused(Refused::AtAll).await?;
    let (mut first, ready) = stage.connected("backend").await?;
    first.terminate().await?;
    let between = gateway.refused(Refused::AtAll).await?;
    let mut second = stage.backend("backend").wait(30).start()?;
    second.state("ready", SOON).await?;
    let code = second.exit(SOON).await?;
    ensure!(code == 0, "exit code {code}");
    let after = gateway.refused(Refused::AtAll).await?;
    ensure!(
        after == between,
        "{} refusal(s) before a known device came in",
        after - between
    );

    let protocol = ready
        .value
        .get("protocol")
        .and_then(serde_json::Value::as_u64);
    let (expected, note) = match gateway.release() {
        Release::V2026_2_9 => {
            // Once for the signature, and at least once for the pairing.
            ensure!(
                between - before >= 2,
                "the v3 signature was not tried: {} refusal(s)",
                between - before
            );
            (Some(3), "v3 refused once, v2 remembered")
        }
        Release::V2026_9_6 => (Some(4), "v3"),
        Release::Other => (protocol, "signature as the gateway reads it"),
    };
    ensure!(
        protocol.is_some() && protocol == expected,
        "protocol {protocol:?}, not {expected:?}"
    );
    Ok(format!(
        "ready, protocol {}, {note}",
        protocol.unwrap_or_default()
    ))
}
