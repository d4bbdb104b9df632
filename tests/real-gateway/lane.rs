//! All scenarios of one version: which run on which gateway, and what may run side by side.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openclaw_tests::scenarios::{Gateway, Manner, Outcome, Report, Scenario, Secrets, run};

use crate::gateway::{Ground, RealGateway};
use crate::install::Install;
use crate::net::Hosts;
use crate::report::{self, Results, say};
use crate::version::Version;

/// What every gateway of a run has in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// The scenarios to run.
    pub(crate) chosen: &'a [Scenario],
    /// Whether they need a gateway with a model.
    pub(crate) with_model: bool,
    /// The adapter.
    pub(crate) program: &'a Path,
    /// Whether remote clients get a host of their own.
    pub(crate) hosts: bool,
    /// What must not be printed.
    pub(crate) secrets: &'a Secrets,
    /// Held while a gateway starts for the first time: each keeps all of two cores busy, and one
    /// after the other they are there no later than all at once.
    pub(crate) starting: &'a tokio::sync::Mutex<()>,
    /// Gets a permit for every version that has only slow scenarios left, which wait and need no
    /// processor: what must not run beside the others may begin.
    pub(crate) calm: &'a tokio::sync::Semaphore,
}

/// A version that is installed.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Its name.
    pub(crate) version: Version,
    /// Where it is.
    pub(crate) install: Install,
    /// Whether it has `openclaw devices remove`.
    pub(crate) can_remove: bool,
}

/// Runs what was chosen on one version.
///
/// Gentle scenarios share a gateway with the slow ones, which only wait; those that stop it or
/// change its token have another one. On each of the two they run one after the other.
pub(crate) async fn run_version(plan: Plan<'_>, candidate: &Candidate) -> Results {
    let results = Mutex::new(Results::new());
    let of = |manner| {
        plan.chosen
            .iter()
            .filter(move |scenario| scenario.manner == manner)
    };
    let gentle: Vec<&Scenario> = of(Manner::Gentle).collect();
    let slow: Vec<&Scenario> = of(Manner::Slow).collect();
    let rough: Vec<&Scenario> = of(Manner::Rough).collect();
    let lane = Lane {
        plan,
        candidate,
        version: &candidate.version,
        results: &results,
    };
    let (tell, mut busy) = tokio::sync::watch::channel(2_u8);
    let done = || tell.send_modify(|lanes| *lanes -= 1);
    tokio::join!(
        lane.calm(&gentle, &slow, &done),
        async {
            lane.rough(&rough).await;
            done();
        },
        async {
            // The sender outlives this future.
            let _ = busy.wait_for(|lanes| *lanes == 0).await;
            plan.calm.add_permits(1);
        },
    );
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Lane<'a> {
    plan: Plan<'a>,
    candidate: &'a Candidate,
    version: &'a Version,
    results: &'a Mutex<Results>,
}

impl Lane<'_> {
    async fn calm(&self, gentle: &[&Scenario], slow: &[&Scenario], gentle_done: &impl Fn()) {
        let all = [slow, gentle].concat();
        let Some(gateway) = self.gateway(&all).await else {
            gentle_done();
            return;
        };
        let slow = slow.iter().map(|scenario| self.one(&gateway, scenario));
        tokio::join!(futures_util::future::join_all(slow), async {
            self.in_turn(&gateway, gentle).await;
            gentle_done();
        });
    }

    async fn rough(&self, scenarios: &[&Scenario]) {
        if let Some(gateway) = self.gateway(scenarios).await {
            self.in_turn(&gateway, scenarios).await;
        }
    }

    async fn in_turn(&self, gateway: &Arc<dyn Gateway>, scenarios: &[&Scenario]) {
        for scenario in scenarios {
            self.one(gateway, scenario).await;
        }
    }

    async fn one(&self, gateway: &Arc<dyn Gateway>, scenario: &Scenario) {
        let report = run(scenario, gateway, self.plan.program, self.plan.secrets).await;
        self.keep(scenario, report);
    }

    fn keep(&self, scenario: &Scenario, report: Report) {
        say(report::line(self.version, scenario, &report));
        self.results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(scenario.name, report);
    }

    /// A gateway for these scenarios; without one they have all failed.
    async fn gateway(&self, scenarios: &[&Scenario]) -> Option<Arc<dyn Gateway>> {
        if scenarios.is_empty() {
            return None;
        }
        let launched = async {
            let _alone = self.plan.starting.lock().await;
            let started = Instant::now();
            let ground = if self.plan.hosts {
                Ground::Hosts(Hosts::new()?)
            } else {
                Ground::Header
            };
            let gateway = RealGateway::launch(
                self.candidate,
                ground,
                self.plan.secrets,
                self.plan.with_model,
            )
            .await?;
            Ok::<_, anyhow::Error>((gateway, started.elapsed()))
        };
        match launched.await {
            Ok((gateway, took)) => {
                say(format!(
                    "{:<10} a gateway listens after {:.1} s",
                    self.version,
                    took.as_secs_f64()
                ));
                Some(Arc::new(gateway))
            }
            Err(error) => {
                let why = self
                    .plan
                    .secrets
                    .redact(&format!("there is no gateway: {error:#}"));
                for scenario in scenarios {
                    let report = Report {
                        outcome: Outcome::Failed(why.clone()),
                        took: Duration::ZERO,
                    };
                    self.keep(scenario, report);
                }
                None
            }
        }
    }
}
