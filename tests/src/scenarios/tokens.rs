//! The shared token: wrong, missing, changed.

use anyhow::{Context as _, ensure};

use super::backend::{Backend, Credential};
use super::gateway::Refused;
use super::stage::Stage;
use super::{BACK_AGAIN, SOON};

/// Exit code for a refused token.
const TOKEN_REFUSED: i32 = 11;

/// Exit code for a configuration that cannot work.
const CONFIGURATION: i32 = 2;

/// The variable a backend's token is expected in.
const VARIABLE: &str = "OPENCLAW_GATEWAY_TOKEN";

pub(super) async fn wrong_for_a_new_device(stage: &Stage) -> anyhow::Result<String> {
    let refused_before = stage.gateway().refused(Refused::ForCredentials).await?;
    let mut backend = stage
        .backend("backend")
        .credential(Credential::Variable(stage.other_token()?))
        .wait(60)
        .start()?;
    let stopped = backend.state("stopped", SOON).await?;
    let kind = stopped.text("kind")?;
    ensure!(kind == "token_mismatch", "stopped for {kind}");
    let code = backend.exit(SOON).await?;
    ensure!(
        code == TOKEN_REFUSED,
        "exit code {code}, not {TOKEN_REFUSED}"
    );

    // One that found the gateway not ready to judge anything does not count.
    let attempts = backend.count("connecting") - backend.count("backing_off");
    ensure!(
        attempts <= 2,
        "{attempts} attempts with a token that is wrong"
    );
    let refused = stage.gateway().refused(Refused::ForCredentials).await? - refused_before;
    ensure!(
        (1..=2).contains(&refused),
        "the gateway refused {refused} connects for their token"
    );
    stopped.text("message")?;
    let fix = stopped.text("fix")?;
    ensure!(
        fix.contains("gateway.auth.token") && fix.contains("openclaw.json"),
        "the fix does not say where the token lives: {fix}"
    );
    ensure!(
        fix.contains("restart"),
        "the fix does not speak of a restart: {fix}"
    );
    Ok(format!(
        "stopped, token_mismatch, exit {code}, refused {refused} time(s)"
    ))
}

/// The one warning there must be, once the device token had to serve.
async fn warned_of_a_stale_variable(backend: &mut Backend) -> anyhow::Result<()> {
    backend.says(&["WARN", VARIABLE, "stale"], SOON).await?;
    let warnings = backend.warnings(&[VARIABLE, "stale"]);
    ensure!(
        warnings == 1,
        "{warnings} warnings that {VARIABLE} is stale, not one"
    );
    Ok(())
}

pub(super) async fn wrong_for_an_approved_device(stage: &Stage) -> anyhow::Result<String> {
    stage.approved("backend").await?;
    let mut backend = stage
        .backend("backend")
        .credential(Credential::Variable(stage.other_token()?))
        .hold()
        .start()?;
    backend.state("ready", SOON).await?;
    warned_of_a_stale_variable(&mut backend).await?;
    backend.terminate().await?;
    Ok("ready by its device token, one warning".to_owned())
}

pub(super) async fn file_rewritten(stage: &Stage) -> anyhow::Result<String> {
    stage.approved("backend").await?;
    // Without its device token the device has nothing but the shared one to come in with.
    let tokens = stage.state_dir("backend").join("identity/tokens.json");
    tokio::fs::remove_file(&tokens)
        .await
        .with_context(|| format!("remove {}", tokens.display()))?;
    let path = stage.dir().join("token");
    write_secret(&path, &stage.other_token()?).await?;

    let mut backend = stage
        .backend("backend")
        .credential(Credential::File(path.clone()))
        .hold()
        .start()?;
    let stopped = backend.state("stopped", SOON).await?;
    let kind = stopped.text("kind")?;
    ensure!(kind == "token_mismatch", "stopped for {kind}");
    write_secret(&path, &stage.gateway().token()).await?;
    let rewritten = std::time::Instant::now();
    let ready = backend.state("ready", SOON).await?;
    let took = ready.at.saturating_duration_since(rewritten);
    backend.terminate().await?;
    Ok(format!(
        "ready {:.1} s after the file was replaced",
        took.as_secs_f64()
    ))
}

/// Replaces a file in one step, as a secret mounted into a container is replaced.
async fn write_secret(path: &std::path::Path, token: &str) -> anyhow::Result<()> {
    let next = path.with_extension("next");
    tokio::fs::write(&next, format!("{token}\n")).await?;
    only_for_the_owner(&next).await?;
    tokio::fs::rename(&next, path).await?;
    Ok(())
}

#[cfg(unix)]
async fn only_for_the_owner(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).await
}

#[cfg(not(unix))]
async fn only_for_the_owner(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

pub(super) async fn none(stage: &Stage) -> anyhow::Result<String> {
    let mut backend = stage
        .backend("backend")
        .credential(Credential::None)
        .wait(60)
        .start()?;
    let code = backend.exit(SOON).await?;
    ensure!(
        code == CONFIGURATION,
        "exit code {code}, not {CONFIGURATION}"
    );
    let attempts = backend.count("connecting");
    ensure!(
        attempts == 0,
        "it dialled {attempts} time(s) without a token"
    );
    let stdout: Vec<String> = backend
        .lines()
        .iter()
        .map(|line| line.value.to_string())
        .collect();
    let said = format!("{}\n{}", backend.stderr(), stdout.join("\n"));
    ensure!(
        said.contains(VARIABLE),
        "it does not say which variable to set: {said}"
    );
    Ok(format!("exit {code}, names {VARIABLE}"))
}

pub(super) async fn changed_while_connected(stage: &Stage) -> anyhow::Result<String> {
    let gateway = stage.gateway();
    let (mut backend, _) = stage.connected("backend").await?;
    gateway.edit_token(&stage.other_token()?).await?;

    let mut note = "";
    let ready = tokio::select! {
        ready = backend.state("ready", BACK_AGAIN) => Some(ready?),
        // 2026.2.9 restarts in process and ends, with status 0, if a client is just shaking hands.
        ended = gateway.ended() => {
            ended?;
            note = "; the gateway ended while restarting itself and was started again";
            None
        }
    };
    if ready.is_none() {
        gateway.start().await?;
        backend.state("ready", BACK_AGAIN).await?;
    }
    warned_of_a_stale_variable(&mut backend).await?;
    backend.terminate().await?;

    // The device is the same one, and the new token lets it in as before.
    let mut backend = stage.backend("backend").hold().start()?;
    backend.state("ready", SOON).await?;
    let warnings = backend.warnings(&[VARIABLE]);
    ensure!(
        warnings == 0,
        "{warnings} warning(s) about the variable with the new token"
    );
    backend.terminate().await?;
    Ok(format!("ready by its device token, one warning{note}"))
}
