//! `openclaw-adapter`: connects to an OpenClaw gateway from a shell, as a backend would.

mod args;
mod call;
mod completions;
mod connect;
mod connect_once;
mod countdown;
mod devices;
mod doctor;
mod events;
mod exit;
mod help;
mod identity;
mod output;
mod run;
mod setup;
mod terminal;

use std::io;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::output::Output;
use crate::terminal::Look;

fn main() -> ExitCode {
    let cli = arguments();
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
    let output = Output::new(cli.global.json);
    // These ask neither the environment nor a gateway.
    match &cli.command {
        Command::Completions { shell } => return completions::completions(*shell),
        Command::Man { dir } => return completions::man(dir.as_deref(), output),
        _ => {}
    }
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
    let builder = if cli.command.is_the_backends() {
        setup::backend(builder).await
    } else {
        builder
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
        // Done above.
        Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Done),
    }
}

/// The command line; ends the program where it is none. Help and complaints keep to the same rule of
/// colour as everything else, which a variable such as `CLICOLOR_FORCE` does not change.
fn arguments() -> Cli {
    let colour = if Look::of_stdout().has_colour() && Look::of_stderr().has_colour() {
        ColorChoice::Auto
    } else {
        ColorChoice::Never
    };
    let mut command = Cli::command().color(colour);
    let matches = command.get_matches_mut();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
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
        .with_writer(|| terminal::Log)
        .with_ansi(Look::of_stderr().has_colour())
        .init();
}

fn broken(error: &io::Error) -> ExitCode {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "openclaw-adapter: {error}");
    ExitCode::FAILURE
}
