//! A device the gateway does not know yet.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::SOON;
use super::gateway::Release;
use super::stage::Stage;

/// How long approval may take to reach the backend.
pub(crate) const APPROVED_WITHIN: Duration = Duration::from_secs(3);

/// How long a gateway keeps a request it hears nothing more of; measured on 2026.2.9 and 2026.9.6.
const REQUEST_LIVES: Duration = Duration::from_secs(300);

pub(super) async fn first_start(stage: &Stage) -> anyhow::Result<String> {
    let mut backend = stage.backend("backend").hold().start()?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    let request_id = waiting.text("requestId")?;
    let device_id = waiting.text("deviceId")?;

    let row = stage.request(request_id).await?;
    ensure!(
        row.device_id == device_id,
        "the list has device {}, the backend says {device_id}",
        row.device_id
    );
    ensure!(
        row.display_name.as_deref() == Some("backend-adapter"),
        "displayName is {:?}, not backend-adapter",
        row.display_name
    );
    ensure!(
        row.platform.as_deref() == Some("backend"),
        "platform is {:?}, not backend",
        row.platform
    );
    ensure!(
        row.scopes == ["operator.read", "operator.write"],
        "the request asks for {:?}",
        row.scopes
    );
    let reason = waiting.text("reason")?;
    ensure!(
        reason == "not-paired",
        "the reason is {reason}, not not-paired"
    );
    let command = waiting.text("approveCommand")?;
    ensure!(
        command == format!("openclaw devices approve {request_id}"),
        "the command to type is `{command}`"
    );
    backend
        .says(&["WARN", request_id, device_id, command], SOON)
        .await?;

    backend.terminate().await?;
    Ok("awaiting approval, the request is in the list".to_owned())
}

pub(super) async fn approval(stage: &Stage) -> anyhow::Result<String> {
    let mut backend = stage.backend("backend").hold().start()?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    let approved = stage.gateway().approve(waiting.text("requestId")?).await?;
    let ready = backend.state("ready", SOON).await?;
    let took = ready.at.saturating_duration_since(approved);
    ensure!(
        took <= APPROVED_WITHIN,
        "ready only {took:?} after the CLI had said Approved"
    );
    ensure!(
        ready.list("scopes").unwrap_or_default() == ["operator.read", "operator.write"],
        "ready with other scopes: {}",
        ready.value
    );

    let device_id = waiting.text("deviceId")?;
    let paired = stage.gateway().paired().await?;
    ensure!(
        paired.iter().any(|row| row.device_id == device_id),
        "device {device_id} is not in the list of paired devices"
    );
    let path = backend.state_dir().join("identity/tokens.json");
    let text = tokio::fs::read_to_string(&path)
        .await
        .with_context(|| format!("the device token is not stored in {}", path.display()))?;
    let stored: Value = serde_json::from_str(&text).context("tokens.json is not JSON")?;
    ensure!(holds_a_token(&stored), "tokens.json holds no token");
    only_for_the_owner(&path)?;

    backend.terminate().await?;
    let after = if took.is_zero() {
        "before the CLI had said so".to_owned()
    } else {
        format!("{:.1} s after the CLI said so", took.as_secs_f64())
    };
    Ok(format!("ready {after}, device token stored"))
}

fn holds_a_token(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (name == "token" && value.as_str().is_some_and(|token| !token.is_empty()))
                || holds_a_token(value)
        }),
        Value::Array(items) => items.iter().any(holds_a_token),
        _ => false,
    }
}

#[cfg(unix)]
fn only_for_the_owner(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
    Ok(())
}

#[cfg(not(unix))]
fn only_for_the_owner(_: &std::path::Path) -> anyhow::Result<()> {
    Ok(())
}

pub(super) async fn nobody_approves(stage: &Stage) -> anyhow::Result<String> {
    let gateway = stage.gateway();
    let mut backend = stage.backend("backend").hold().start()?;
    let first = backend.state("awaiting_approval", SOON).await?;
    let first_id = first.text("requestId")?;

    // In steps, so that a gateway whose clock is shifted rather than waited for still hears from
    // the backend as often as a real one does.
    let step = REQUEST_LIVES / 3;
    for _ in 0..3 {
        gateway.pass_time(step).await?;
    }
    // 2026.2.9 forgets at 300.4 s; what keeps a request does so for longer than that.
    gateway.pass_time(Duration::from_secs(12)).await?;

    let again = backend.unread();
    let found = match (gateway.release(), again.as_slice()) {
        (Release::V2026_2_9 | Release::Other, [second]) => {
            let second_id = second.text("requestId")?;
            ensure!(
                second_id != first_id,
                "the same request was announced again"
            );
            "forgotten after 300 s, a new id announced once, approved"
        }
        (Release::V2026_9_6 | Release::Other, []) => "the same request all the time, approved",
        (_, lines) => bail!(
            "after {REQUEST_LIVES:?} the backend had said {:?}",
            lines
                .iter()
                .map(|line| line.value.to_string())
                .collect::<Vec<_>>()
        ),
    };
    let request_id = match again.last() {
        Some(second) => second.text("requestId")?,
        None => first_id,
    };
    stage.request(request_id).await?;
    gateway.approve(request_id).await?;
    backend.state("ready", SOON).await?;
    backend.terminate().await?;
    Ok(found.to_owned())
}

pub(super) async fn state_deleted(stage: &Stage) -> anyhow::Result<String> {
    let (mut backend, _) = stage.connected("backend").await?;
    let before = backend.lines();
    let before = before
        .iter()
        .find(|line| line.state == "awaiting_approval")
        .context("the first approval")?;
    backend.terminate().await?;
    tokio::fs::remove_dir_all(backend.state_dir()).await?;

    let mut backend = stage.backend("backend").hold().start()?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    ensure!(
        waiting.text("deviceId")? != before.text("deviceId")?,
        "the same device id without its state directory"
    );
    ensure!(
        waiting.text("requestId")? != before.text("requestId")?,
        "the same request id for another device"
    );
    stage.gateway().approve(waiting.text("requestId")?).await?;
    backend.state("ready", SOON).await?;
    backend.terminate().await?;
    Ok("a new identity, a new request, approved".to_owned())
}

pub(super) async fn rejected(stage: &Stage) -> anyhow::Result<String> {
    let mut backend = stage.backend("backend").hold().start()?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    stage.gateway().reject(waiting.text("requestId")?).await?;
    let again = backend.state("awaiting_approval", SOON).await?;
    ensure!(
        again.text("requestId")? != waiting.text("requestId")?,
        "a rejected request was announced again"
    );
    stage.gateway().approve(again.text("requestId")?).await?;
    backend.state("ready", SOON).await?;
    backend.terminate().await?;
    Ok("a new request, approved".to_owned())
}
