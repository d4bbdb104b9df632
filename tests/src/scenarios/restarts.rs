//! Either side goes away and comes back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::backend::Backend;
use super::gateway::{Release, Side};
use super::stage::Stage;
use super::transcript::Line;
use super::{BACK_AGAIN, SOON};

/// Exit codes of a call that was not answered, and says so.
const UNREACHABLE: i32 = 13;
const CALL_REFUSED: i32 = 15;
const CONNECTION_LOST: i32 = 16;

/// What 2026.9.6 hints at while it starts; measured.
const START_HINT_MS: u64 = 500;

/// The device id in the adapter's own identity file.
fn device_id(backend: &Backend) -> anyhow::Result<String> {
    let path = backend.state_dir().join("identity/device.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let identity: Value = serde_json::from_str(&text)?;
    Ok(identity
        .get("deviceId")
        .and_then(Value::as_str)
        .context("device.json has no deviceId")?
        .to_owned())
}

fn never_asked(lines: &[Line]) -> anyhow::Result<()> {
    let asked = lines.iter().find(|line| line.state == "awaiting_approval");
    ensure!(asked.is_none(), "approval was asked for again: {asked:?}");
    Ok(())
}

pub(super) async fn backend(stage: &Stage) -> anyhow::Result<String> {
    let (mut first, _) = stage.connected("backend").await?;
    let before = device_id(&first)?;
    first.terminate().await?;

    let mut second = stage.backend("backend").hold().start()?;
    second.state("ready", SOON).await?;
    never_asked(&second.lines())?;
    let after = device_id(&second)?;
    ensure!(
        before == after,
        "another device id after the restart: {before}, then {after}"
    );
    second.terminate().await?;
    Ok("ready without approval, same device id".to_owned())
}

pub(super) async fn two_connections(stage: &Stage) -> anyhow::Result<String> {
    let (mut first, first_ready) = stage.connected("backend").await?;
    let mut second = stage.backend("backend").hold().start()?;
    let second_ready = second.state("ready", SOON).await?;
    never_asked(&second.lines())?;
    ensure!(
        first_ready.text("connId")? != second_ready.text("connId")?,
        "both say they are connection {}",
        first_ready.text("connId")?
    );
    // A third one proves that the gateway has gone on serving after it had the second.
    let mut third = stage.backend("backend").wait(30).start()?;
    let code = third.exit(BACK_AGAIN).await?;
    ensure!(code == 0, "a third connection ended with {code}");
    first.still_quiet()?;
    second.still_quiet()?;
    first.terminate().await?;
    second.terminate().await?;
    Ok("both live".to_owned())
}

/// Starts the gateway again and sees the backend return without asking for anything.
async fn back_again(stage: &Stage, backend: &mut Backend) -> anyhow::Result<Duration> {
    let before = backend.lines().len();
    stage.gateway().start().await?;
    let listening = Instant::now();
    let ready = backend.state("ready", BACK_AGAIN).await?;
    never_asked(&backend.lines()[before..])?;
    Ok(ready.at.saturating_duration_since(listening))
}

pub(super) async fn gateway_stopped(stage: &Stage) -> anyhow::Result<String> {
    let (mut backend, _) = stage.connected("backend").await?;
    // One caller that is known to work, then some whose calls the stop falls into.
    let (code, _) = call(stage, "caller").await?;
    ensure!(
        code == 0,
        "a call to a gateway that is well ended with {code}"
    );
    let callers = ["caller-1", "caller-2", "caller-3"];
    let away_and_back = async {
        stage.gateway().stop().await?;
        backend.state("backing_off", SOON).await?;
        back_again(stage, &mut backend).await
    };
    let calls = futures_util::future::try_join_all(callers.map(|name| call(stage, name)));
    let (took, calls) = tokio::try_join!(away_and_back, calls)?;
    for (code, answered) in calls {
        match code {
            0 => ensure!(answered, "a call ended with 0 and no answer"),
            UNREACHABLE | CALL_REFUSED | CONNECTION_LOST => {}
            other => bail!("a call during the stop ended with {other}"),
        }
    }
    backend.terminate().await?;
    Ok(format!(
        "ready {:.1} s after it listens again, no call lost silently",
        took.as_secs_f64()
    ))
}

/// Asks for the list of devices from the gateway's own loopback: the exit code, and whether there
/// was an answer. Without one the program has to say why.
async fn call(stage: &Stage, name: &str) -> anyhow::Result<(i32, bool)> {
    let mut caller = stage.backend(name).on(Side::Local).devices_list().start()?;
    let code = caller.exit(BACK_AGAIN).await?;
    let answered = caller
        .answers()
        .iter()
        .any(|answer| answer.get("paired").is_some_and(Value::is_array));
    if !answered {
        let lines = caller.lines();
        let stopped = lines.iter().find(|line| line.state == "stopped");
        stopped
            .with_context(|| format!("{name} ended with {code} and did not say why"))?
            .text("message")?;
    }
    Ok((code, answered))
}

pub(super) async fn gateway_killed(stage: &Stage) -> anyhow::Result<String> {
    let (mut backend, _) = stage.connected("backend").await?;
    stage.gateway().kill().await?;
    backend.state("backing_off", SOON).await?;
    let took = back_again(stage, &mut backend).await?;
    backend.terminate().await?;
    Ok(format!(
        "ready {:.1} s after it listens again",
        took.as_secs_f64()
    ))
}

pub(super) async fn gateway_starting(stage: &Stage) -> anyhow::Result<String> {
    stage.approved("backend").await?;
    stage.gateway().stop().await?;
    // Back at the moment the port opens, when 2026.9.6 is still busy inside for 0.5 to 2 s.
    stage.gateway().start().await?;
    let mut backend = stage.backend("backend").hold().start()?;
    backend.state("ready", BACK_AGAIN).await?;
    let lines = backend.lines();
    never_asked(&lines)?;

    let hinted: Vec<u64> = lines
        .iter()
        .filter(|line| line.state == "backing_off")
        .filter(|line| {
            line.text("cause")
                .is_ok_and(|cause| cause.contains("starting"))
        })
        .filter_map(|line| line.value.get("delayMs")?.as_u64())
        .collect();
    for delay in &hinted {
        ensure!(
            (START_HINT_MS..=4 * START_HINT_MS).contains(delay),
            "told to wait {START_HINT_MS} ms, it waits {delay} ms"
        );
    }
    backend.terminate().await?;
    match (stage.gateway().release(), hinted.as_slice()) {
        (Release::V2026_9_6, []) => bail!("the gateway never said that it is starting: {lines:?}"),
        (_, []) => Ok("ready; this version does not say that it is starting".to_owned()),
        (_, delays) => Ok(format!(
            "told to wait {} times ({delays:?} ms), then ready",
            delays.len()
        )),
    }
}
