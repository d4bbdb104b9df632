//! `openclaw-adapter`: connects to an OpenClaw gateway from a shell, as a backend would.

mod args;
mod call;
mod connect;
mod devices;
mod doctor;
mod events;
mod exit;
mod identity;
mod output;
mod reach;
mod run;
mod setup;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return broken(&error),
    };
    let ended = runtime.block_on(run(&cli));
    // A name server that does not answer keeps a thread; nobody waits for it.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        // Whoever reads us has gone: nothing is left to say.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done.into(),
        Err(error) => broken(&error),
    }
}

async fn run(cli: &Cli) -> io::Result<Exit> {
    let output = Output {
        json: cli.global.json,
    };
    let builder = match setup::builder(&cli.global) {
        Ok(builder) => builder,
        Err(error) if matches!(cli.command, Command::Doctor(_)) => {
            return doctor::refused(&error, output);
        }
        Err(error) => {
            output.config(&error)?;
            return Ok(Exit::of_config(&error));
        }
    };
    match &cli.command {
        Command::Connect(args) => connect::run(builder, args, output).await,
        Command::Doctor(args) => {
            doctor::run(builder, cli.global.scopes.as_ref(), args, output).await
        }
        Command::Call(args) => call::run(builder, args, output).await,
        Command::Run(args) => run::run(builder, args, output).await,
        Command::Events(args) => events::run(builder, args, output).await,
        Command::Identity(command) => identity::run(&builder, command, output),
        Command::Devices(command) => {
            devices::run(builder, cli.global.scopes.as_ref(), command, output).await
        }
    }
}

/// Logs go to stderr; `RUST_LOG` chooses. A person sees the states on stdout already.
fn start_log(json: bool) {
    let default = if json {
        "openclaw_adapter=info"
    } else {
        "openclaw_adapter=warn,openclaw_adapter::state=off"
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(
            io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none(),
        )
        .init();
}

fn broken(error: &io::Error) -> ExitCode {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "openclaw-adapter: {error}");
    ExitCode::FAILURE
}
