//! How long an approval takes to reach a backend.

use std::time::Duration;

use anyhow::ensure;

use super::SOON;
use super::first_contact::APPROVED_WITHIN;
use super::stage::Stage;

/// Devices approved for the measurement.
const APPROVALS: usize = 20;

pub(super) async fn approval_latency(stage: &Stage) -> anyhow::Result<String> {
    let mut times = Vec::with_capacity(APPROVALS);
    for number in 1..=APPROVALS {
        let mut backend = stage.backend(&format!("backend-{number}")).hold().start()?;
        let waiting = backend.state("awaiting_approval", SOON).await?;
        let approved = stage.gateway().approve(waiting.text("requestId")?).await?;
        let ready = backend.state("ready", SOON).await?;
        // The CLI says so a little after the gateway has done it, so a backend that asks in between
        // is ready before. That counts as no time at all.
        times.push(ready.at.saturating_duration_since(approved));
        backend.terminate().await?;
    }
    times.sort_unstable();
    let median = (times[(APPROVALS - 1) / 2] + times[APPROVALS / 2]) / 2;
    let worst = times.last().copied().unwrap_or(Duration::MAX);
    let found = format!(
        "median {:.2} s, worst {:.2} s of {APPROVALS}",
        median.as_secs_f64(),
        worst.as_secs_f64()
    );
    ensure!(
        worst <= APPROVED_WITHIN,
        "{found}: over {APPROVED_WITHIN:?}"
    );
    Ok(found)
}
