//! Running one scenario to a verdict.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use futures_util::FutureExt as _;

use super::gateway::Gateway;
use super::secrets::Secrets;
use super::stage::Stage;
use super::{Manner, Scenario};

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; what was found.
    Passed(String),
    /// It does not; why, and what everybody printed, without secrets.
    Failed(String),
    /// The gateway cannot show it; why.
    Skipped(String),
}

/// Why a scenario turned out, half-way, to be nothing this gateway can show.
#[derive(Debug)]
pub(crate) struct CannotShow(pub(crate) String);

impl fmt::Display for CannotShow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotShow {}

/// A scenario's outcome and the time it took.
#[derive(Debug, Clone)]
pub struct Report {
    /// What came of it.
    pub outcome: Outcome,
    /// From its start to its end.
    pub took: Duration,
}

/// Runs one scenario, once.
///
/// Never fails by itself: an error, a panic, a scenario that takes too long and a backend that broke
/// a rule of the contract are all [`Outcome::Failed`]. Backends are gone when it returns.
///
/// # Cancel safety
///
/// Dropped half-way it kills the backends it started; the gateway stays as it is.
pub async fn run(
    scenario: &Scenario,
    gateway: &Arc<dyn Gateway>,
    program: &Path,
    secrets: &Secrets,
) -> Report {
    let started = Instant::now();
    let outcome = if let Err(reason) = (scenario.applies)(&**gateway) {
        Outcome::Skipped(reason.to_owned())
    } else {
        attempt(scenario, gateway, program, secrets).await
    };
    Report {
        outcome,
        took: started.elapsed(),
    }
}

async fn attempt(
    scenario: &Scenario,
    gateway: &Arc<dyn Gateway>,
    program: &Path,
    secrets: &Secrets,
) -> Outcome {
    let stage = match Stage::new(Arc::clone(gateway), program, secrets.clone()) {
        Ok(stage) => stage,
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    let play = async {
        // A rough scenario that failed may have left the gateway down. It is started for the next
        // one, which would otherwise fail for no reason of its own.
        if scenario.manner == Manner::Rough && !gateway.is_up() {
            gateway.start().await?;
        }
        let found = (scenario.run)(&stage).await?;
        stage.check_outputs()?;
        Ok::<_, anyhow::Error>(found)
    };
    let limited = tokio::time::timeout(scenario.limit, AssertUnwindSafe(play).catch_unwind());
    let error = match limited.await {
        Ok(Ok(Ok(found))) => return Outcome::Passed(secrets.redact(&found)),
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => anyhow!("the scenario itself panicked"),
        Err(_) => anyhow!("not done within {:?}", scenario.limit),
    };
    if let Some(reason) = error.downcast_ref::<CannotShow>() {
        return Outcome::Skipped(secrets.redact(&reason.0));
    }
    Outcome::Failed(format!(
        "{}\n{}  gateway {}:\n{}",
        secrets.redact(&format!("{error:#}")),
        stage.outputs(),
        gateway.version(),
        secrets.redact(&gateway.log_tail())
    ))
}
