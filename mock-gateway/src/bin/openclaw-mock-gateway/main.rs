//! A mock OpenClaw gateway as a program, to stand where a real one would.

#![forbid(unsafe_code)]

mod cli;
mod listen;
mod say;
mod signals;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};
use openclaw_mock_gateway::{
    Edition, MockError, MockGateway, ReloadMode, Scenario, ScenarioError, StateDir,
};

use crate::cli::{Cli, Command, Run};
use crate::listen::Address;
use crate::say::Voice;
use crate::signals::{Signal, Signals};

/// Why the program ends before it has listened.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Gateway(#[from] MockError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Listen(#[from] listen::Taken),
    #[error("{}: {invalid}", path.display())]
    Config {
        path: std::path::PathBuf,
        invalid: listen::Invalid,
    },
    #[error("cannot read the token file {}: {source}", path.display())]
    TokenFile {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("the token file {} is empty", path.display())]
    NoToken { path: std::path::PathBuf },
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let coloured = say::is_coloured();
    let choice = if coloured {
        ColorChoice::Auto
    } else {
        ColorChoice::Never
    };
    let mut command = Cli::command().color(choice);
    let matches = command.get_matches_mut();
    let Cli {
        command: Command::Run(run),
    } = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit());
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(coloured)
        .init();
    match serve(&run).await {
        Ok(code) => code,
        Err(refusal) => {
            say::refusal(&refusal);
            refused(run.edition)
        }
    }
}

/// Returns what a gateway of the edition exits with when it does not start. Measured on both.
fn refused(edition: Edition) -> ExitCode {
    match edition {
        Edition::V2026_2_9 => ExitCode::from(1),
        _ => ExitCode::from(78),
    }
}

async fn serve(run: &Run) -> Result<ExitCode, Refusal> {
    // Before anything is announced, so that a signal right after the ready line is not missed.
    let mut signals = Signals::watch().map_err(Refusal::Signals)?;
    let state_dir = StateDir::new(&run.state_dir);
    let anthropic = std::env::var_os("ANTHROPIC_API_KEY").is_some_and(|key| !key.is_empty());
    let token = run.token_file.as_deref().map(read_token).transpose()?;
    let scenario = run.scenario.as_deref().map(Scenario::load).transpose()?;
    let boot = state_dir.boot(anthropic).map_err(MockError::from)?;
    let config = state_dir.config().map_err(MockError::from)?;
    let invalid = |invalid| Refusal::Config {
        path: state_dir.config_path(),
        invalid,
    };
    let address = Address::choose(run.bind.as_ref(), run.port, &config).map_err(invalid)?;
    let proxies = listen::trusted_proxies(&config).map_err(invalid)?;
    let (listener, second) = address.bind(run.edition)?;
    let port = listener.local_addr().map_err(MockError::Listen)?.port();

    let mut builder = MockGateway::builder()
        .edition(run.edition)
        .pairing(run.pairing.into())
        .treat_loopback_as_remote(run.treat_loopback_as.is_some())
        .recording(false)
        .strict(false)
        .state_dir(&run.state_dir);
    if state_dir.wants_reload() {
        builder = builder.reload(ReloadMode::AsTheEdition);
    }
    for proxy in proxies {
        builder = builder.trusted_proxy(proxy);
    }
    if let Some(token) = token {
        builder = builder.token(token);
    }
    if let Some(scenario) = scenario {
        builder = builder.scenario(scenario);
    }
    if let Some(listener) = second {
        builder = builder.also_on(listener);
    }
    let gateway = builder.try_start_on(listener).await?;
    if run.scenario.is_none() {
        gateway.script_runs(|_| {
            openclaw_mock_gateway::RunScript::text(
                "I am a mock gateway, and nobody has told me what to say (--scenario FILE).",
            )
        });
    }

    let voice = Voice {
        json: run.json,
        edition: run.edition,
        url: address.url(port),
        port,
        config_path: boot.config_path,
        state_dir: run.state_dir.clone(),
        created: boot.created,
    };
    voice.banner(&gateway.token());
    voice.ready();
    loop {
        match signals.next().await {
            Signal::Stop(name) => {
                voice.event("stopping", name);
                gateway.stop().await;
                voice.event("stopped", name);
                return Ok(match gateway.finish() {
                    None => ExitCode::SUCCESS,
                    Some(report) => {
                        say::report(&report);
                        ExitCode::FAILURE
                    }
                });
            }
            Signal::Restart(name) => {
                voice.event("restarting", name);
                gateway.restart().await?;
                voice.ready();
            }
        }
    }
}

fn read_token(path: &std::path::Path) -> Result<String, Refusal> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(Refusal::NoToken { path }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(Refusal::TokenFile { path, source }),
    }
}
