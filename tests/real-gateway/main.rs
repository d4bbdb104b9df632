//! Runs the scenarios on real gateways, installed from npm.

#![forbid(unsafe_code)]

mod bridge;
mod cases;
mod cli;
mod doctor;
mod gateway;
mod install;
mod lane;
mod mock_program;
mod net;
mod openclaw_node;
mod process;
mod proxy;
mod report;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Parser;
use futures_util::future::{join_all, try_join_all};
use openclaw_tests::scenarios::{ALL, RUNS, Scenario, Secrets, adapter_program};

use crate::lane::{Candidate, Plan, run_version};
use crate::net::Hosts;
use crate::report::{Results, say};
use crate::version::Version;

/// The versions that must hold: the newest of each protocol generation.
const DEFAULT: [&str; 2] = ["2026.9.6", "2026.2.9"];

/// Exit code after an interrupt, as shells have it.
const INTERRUPTED: u8 = 130;

/// Drives `openclaw-adapter` against real OpenClaw gateways and says what holds.
///
/// Needs npm to fetch the gateways (once, into `OPENCLAW_REAL_GATEWAY_DIR` or the target directory)
/// and nothing else from the network. Gateways and clients run in network namespaces of their own
/// where the system allows it.
#[derive(Debug, Parser)]
#[command(name = "real-gateway", version)]
struct Arguments {
    /// Run only this scenario; may be given more than once.
    #[arg(long = "only", value_name = "NAME")]
    only: Vec<String>,

    /// List the scenarios and end.
    #[arg(long)]
    list: bool,

    /// Print the results as the table of docs/compatibility.md as well.
    #[arg(long)]
    markdown: bool,

    /// Tell remote clients from local ones by a header even where namespaces are allowed.
    #[arg(long)]
    no_namespaces: bool,

    /// What to check.
    #[arg(long, default_value = "scenarios")]
    check: Check,

    /// Play them on the gateway at this URL, on whose host this process runs.
    #[arg(long, hide = true, value_name = "URL")]
    play_cases: Option<String>,

    /// Pass bytes between the sockets in this directory and the ports of this process's loopback.
    #[arg(long, hide = true, value_name = "DIR", requires = "ports")]
    bridge: Option<PathBuf>,

    /// The ports of the gateway and of its model.
    #[arg(long, hide = true, value_delimiter = ',')]
    ports: Vec<u16>,

    /// Versions of `openclaw` to run on; 2026.9.6 and 2026.2.9 if none is named.
    #[arg(value_name = "VERSION")]
    versions: Vec<Version>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Check {
    /// The adapter in its scenarios on real gateways.
    Scenarios,
    /// The recorded cases on real gateways (needs network namespaces).
    Cases,
    /// `openclaw-adapter doctor` on every row of the procedure's table (needs network namespaces).
    Doctor,
    /// The CLI of each version and clients that others wrote, on the mock gateway.
    Mock,
    /// Nothing: only fetches the gateways and those clients.
    Install,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    // What is interrupted is dropped, and what is dropped ends its processes and namespaces.
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = suite(&arguments) => Some(ended),
            () = interrupted() => None,
        }
    });
    drop(runtime);
    match ended {
        Some(Ok(true)) => ExitCode::SUCCESS,
        Some(Ok(false)) => ExitCode::FAILURE,
        Some(Err(error)) => {
            say(format!("real-gateway: {error:#}"));
            ExitCode::FAILURE
        }
        None => {
            say("interrupted; gateways and namespaces are removed");
            ExitCode::from(INTERRUPTED)
        }
    }
}

/// Resolves when somebody wants the program to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let (Ok(mut term), Ok(mut hangup)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        ) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Everything that was asked for; whether all of it holds.
async fn suite(arguments: &Arguments) -> anyhow::Result<bool> {
    if let Some(dir) = &arguments.bridge {
        bridge::run(dir, &arguments.ports).await?;
        return Ok(true);
    }
    if let Some(url) = &arguments.play_cases {
        let version = arguments.versions.first().context("no version is named")?;
        cases::play(url, version.as_str()).await?;
        return Ok(true);
    }
    let chosen = choose(&arguments.only)?;
    if arguments.list {
        for scenario in &chosen {
            say(format!(
                "{:<28} {}: {}",
                scenario.name, scenario.row, scenario.shows
            ));
        }
        return Ok(true);
    }
    let started = Instant::now();
    let program = adapter_program()?;
    let versions = if arguments.versions.is_empty() {
        DEFAULT
            .iter()
            .map(|version| version.parse().map_err(anyhow::Error::msg))
            .collect::<anyhow::Result<Vec<Version>>>()?
    } else {
        arguments.versions.clone()
    };

    net::sweep();
    let (hosts, ground) = ground(arguments.no_namespaces);
    say(format!("adapter: {}", program.display()));
    say(ground);

    let root = install::root()?;
    let mut candidates = Vec::with_capacity(versions.len());
    for version in versions {
        let install = install::install(&root, &version, say)
            .await
            .with_context(|| format!("install openclaw {version}"))?;
        let can_remove = cli::can_remove(&install).await?;
        candidates.push(Candidate {
            version,
            install,
            can_remove,
        });
    }

    if arguments.check == Check::Install {
        install::install_clients(&root, say).await?;
        return Ok(true);
    }

    if arguments.check == Check::Mock {
        for candidate in &candidates {
            mock_program::check(
                &root,
                &candidate.version,
                &candidate.install,
                candidate.can_remove,
            )
            .await
            .with_context(|| format!("the mock program as {}", candidate.version))?;
            say(format!(
                "{:<10} the CLI cannot tell the mock program",
                candidate.version
            ));
        }
        if let Some(candidate) = candidates.first() {
            openclaw_node::check(&root, &candidate.install)
                .await
                .context("openclaw-node on the mock")?;
            say("openclaw-node takes a turn on the mock");
        }
        return Ok(true);
    }

    let secrets = Secrets::default();
    if arguments.check == Check::Cases {
        for candidate in &candidates {
            cases::check(candidate, &secrets)
                .await
                .with_context(|| format!("the recorded cases on {}", candidate.version))?;
        }
        return Ok(true);
    }

    if arguments.check == Check::Doctor {
        if !hosts {
            say("skipped: the doctor is asked on the hosts of a backend and of a gateway, which takes namespaces".to_owned());
            return Ok(true);
        }
        try_join_all(candidates.iter().map(async |candidate| {
            doctor::check(candidate, &program, &secrets)
                .await
                .with_context(|| format!("the doctor on {}", candidate.version))
        }))
        .await?;
        return Ok(true);
    }

    let starting = tokio::sync::Mutex::new(());
    let mut results: Vec<_> = candidates
        .iter()
        .map(|candidate| (candidate.version.clone(), Results::new()))
        .collect();
    let calm = tokio::sync::Semaphore::new(0);
    let plan = |chosen, with_model| Plan {
        chosen,
        with_model,
        program: &program,
        hosts,
        secrets: &secrets,
        starting: &starting,
        calm: &calm,
    };
    let (runs, others): (Vec<Scenario>, Vec<Scenario>) =
        chosen.iter().partition(|s| needs_model(s));
    let all = |plan| {
        join_all(
            candidates
                .iter()
                .map(move |candidate| run_version(plan, candidate)),
        )
    };
    // One after the other, but for those that only wait: what is measured of approvals should not
    // depend on how busy the models of the runs are.
    let (found, found_of_runs) = tokio::join!(all(plan(&others, false)), async {
        let versions = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        // Never closed; were it, the runs would only begin earlier.
        drop(calm.acquire_many(versions).await);
        all(plan(&runs, true)).await
    });
    for ((_, results), found) in results.iter_mut().zip(found.into_iter().zip(found_of_runs)) {
        results.extend(found.0);
        results.extend(found.1);
    }

    for (version, results) in &results {
        say(report::table(version, &chosen, results));
    }
    if arguments.markdown {
        say(report::markdown(&results, &chosen, &command_line(), ground));
    }
    let (passed, failed, skipped) =
        report::counts(results.iter().flat_map(|(_, results)| results.values()));
    say(format!(
        "all of it took {:.0} s",
        started.elapsed().as_secs_f64()
    ));
    say(format!(
        "{passed} passed, {failed} failed, {skipped} skipped"
    ));
    Ok(failed == 0)
}

fn needs_model(scenario: &Scenario) -> bool {
    RUNS.iter().any(|run| run.name == scenario.name)
}

fn choose(only: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let all = || ALL.iter().chain(RUNS);
    if let Some(unknown) = only
        .iter()
        .find(|name| !all().any(|scenario| scenario.name == **name))
    {
        bail!("there is no scenario {unknown}; --list names them");
    }
    Ok(all()
        .filter(|scenario| only.is_empty() || only.iter().any(|name| name == scenario.name))
        .copied()
        .collect())
}

/// Whether remote clients get a host of their own, and a sentence that says so.
fn ground(no_namespaces: bool) -> (bool, &'static str) {
    if no_namespaces {
        return (
            false,
            "Remote clients are told by a forwarding header, as asked; gateways share this system's network.",
        );
    }
    match Hosts::allowed() {
        Ok(()) => (
            true,
            "Gateways and remote clients run in network namespaces without a way out.",
        ),
        Err(error) => {
            say(format!("no network namespaces here: {error:#}"));
            (
                false,
                "Remote clients are told by a forwarding header; gateways share this system's network.",
            )
        }
    }
}

fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "cargo run -p openclaw-tests --bin real-gateway -- {}",
        arguments.join(" ")
    )
}
