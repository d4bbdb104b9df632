//! The operator changes what a device may do.

use anyhow::{bail, ensure};

use super::SOON;
use super::backend::Backend;
use super::gateway::Release;
use super::run::CannotShow;
use super::stage::Stage;

/// A scope that no backend has by default.
const MORE: [&str; 3] = ["operator.read", "operator.write", "operator.approvals"];

pub(super) async fn removed(stage: &Stage) -> anyhow::Result<String> {
    let (mut backend, _) = stage.connected("backend").await?;
    let first = backend.lines();
    let first_id = first
        .iter()
        .find(|line| line.state == "awaiting_approval")
        .map(|line| line.text("requestId"));
    let device_id = device_id(&backend)?;
    stage.gateway().remove(&device_id).await?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    let reason = waiting.text("reason")?;
    ensure!(
        reason == "not-paired",
        "the reason is {reason}, not not-paired"
    );
    ensure!(
        waiting.text("deviceId")? == device_id,
        "another device asks: {}",
        waiting.value
    );
    let request_id = waiting.text("requestId")?;
    ensure!(
        first_id.is_none_or(|first| first.is_ok_and(|first| first != request_id)),
        "the request that was approved is announced again"
    );
    stage.request(request_id).await?;
    stage.gateway().approve(request_id).await?;
    backend.state("ready", SOON).await?;
    backend.terminate().await?;
    Ok("awaiting approval again, approved".to_owned())
}

/// The device id in the request the backend announced first.
fn device_id(backend: &Backend) -> anyhow::Result<String> {
    for line in backend.lines() {
        if line.state == "awaiting_approval" {
            return Ok(line.text("deviceId")?.to_owned());
        }
    }
    bail!("the backend never asked for approval")
}

pub(super) async fn rotated_then_revoked(stage: &Stage) -> anyhow::Result<String> {
    let gateway = stage.gateway();
    let (mut backend, _) = stage.connected("backend").await?;
    let device_id = device_id(&backend)?;

    let before = backend.lines().len();
    if let Err(error) = gateway.rotate(&device_id).await {
        // Measured on 2026.5.28: its CLI asks as a device of its own, which may not do this to
        // another one. That says nothing about a backend.
        ensure!(gateway.release() == Release::Other, "{error:#}");
        bail!(CannotShow(format!(
            "the operator may not rotate it: {error:#}"
        )));
    }
    let after_rotation = match gateway.release() {
        // The session is closed with 4001 and the shared token brings the new device token.
        Release::V2026_9_6 => {
            backend.state("ready", SOON).await?;
            let asked = backend.lines()[before..]
                .iter()
                .any(|line| line.state == "awaiting_approval");
            ensure!(!asked, "a rotated token had to be approved");
            "rotated: ready again by itself"
        }
        // The session stays; the new token is there at the next connect.
        Release::V2026_2_9 => {
            one_more_connect(stage).await?;
            backend.still_quiet()?;
            "rotated: stays connected, the next connect is ready"
        }
        Release::Other => {
            one_more_connect(stage).await?;
            if backend.unread().is_empty() {
                "rotated: stays connected, the next connect is ready"
            } else {
                backend.state("ready", SOON).await?;
                "rotated: ready again by itself"
            }
        }
    };

    gateway.revoke(&device_id).await?;
    let asks = match gateway.release() {
        Release::V2026_9_6 => true,
        Release::V2026_2_9 => false,
        // A short visit shows whether approval is asked for now.
        Release::Other => {
            let mut visitor = stage.backend("backend").wait(2).start()?;
            visitor.exit(SOON).await? != 0
        }
    };
    let after_revocation = if asks {
        let waiting = backend.state("awaiting_approval", SOON).await?;
        let reason = waiting.text("reason")?;
        ensure!(
            reason == "role-upgrade",
            "the reason is {reason}, not role-upgrade"
        );
        gateway.approve(waiting.text("requestId")?).await?;
        backend.state("ready", SOON).await?;
        "revoked: asks for approval (role-upgrade), approved"
    } else {
        one_more_connect(stage).await?;
        backend.still_quiet()?;
        "revoked: stays connected, the next connect is ready"
    };
    backend.terminate().await?;
    Ok(format!("{after_rotation}; {after_revocation}"))
}

/// The same device connects once more beside the first, and needs nobody for it.
async fn one_more_connect(stage: &Stage) -> anyhow::Result<()> {
    let mut second = stage.backend("backend").wait(30).start()?;
    second.state("ready", SOON).await?;
    let code = second.exit(SOON).await?;
    ensure!(
        code == 0,
        "the same device could not connect again: exit {code}"
    );
    let asked = second.count("awaiting_approval");
    ensure!(asked == 0, "the same device had to be approved again");
    Ok(())
}

pub(super) async fn more_scopes(stage: &Stage) -> anyhow::Result<String> {
    stage.approved("backend").await?;
    let mut backend = stage.backend("backend").scopes(&MORE).hold().start()?;
    let waiting = backend.state("awaiting_approval", SOON).await?;
    let reason = waiting.text("reason")?.to_owned();
    let requested = waiting.list("requestedScopes").unwrap_or_default();
    ensure!(
        requested == MORE,
        "requestedScopes is {requested:?}, asked were {MORE:?}"
    );
    let approved = waiting.list("approvedScopes");
    match stage.gateway().release() {
        Release::V2026_9_6 => {
            ensure!(
                reason == "scope-upgrade",
                "the reason is {reason}, not scope-upgrade"
            );
            ensure!(
                approved.as_deref()
                    == Some(&["operator.read".to_owned(), "operator.write".to_owned()]),
                "approvedScopes is {approved:?}"
            );
        }
        // This release gives no reason on the wire. What the adapter knows better it knows from the
        // device token it holds.
        Release::V2026_2_9 | Release::Other => {
            ensure!(
                ["scope-upgrade", "not-paired"].contains(&reason.as_str()),
                "the reason is {reason}"
            );
        }
    }
    let row = stage.request(waiting.text("requestId")?).await?;
    ensure!(
        row.scopes == MORE,
        "the request in the list asks for {:?}",
        row.scopes
    );

    stage.gateway().approve(&row.request_id).await?;
    let ready = backend.state("ready", SOON).await?;
    let mut scopes = ready.list("scopes").unwrap_or_default();
    scopes.sort();
    let mut wanted: Vec<String> = MORE.iter().map(ToString::to_string).collect();
    wanted.sort();
    ensure!(scopes == wanted, "ready with {scopes:?}");
    backend.terminate().await?;
    Ok(format!(
        "awaiting approval, reason {reason}, scopes named, approved"
    ))
}
