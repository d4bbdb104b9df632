//! The flags.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use openclaw_mock_gateway::{Edition, Pairing};

/// A mock OpenClaw gateway: tokens, device pairing and close codes as the real one has them.
#[derive(Debug, Parser)]
#[command(name = "openclaw-mock-gateway", version, about, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Examples:
  openclaw-mock-gateway run                                on ws://127.0.0.1:18789
  openclaw-mock-gateway run --port 0 --json                a free port; the ready line says which
  openclaw-mock-gateway run --bind lan --pairing auto      other hosts, without approvals
  openclaw-mock-gateway run --edition 2026.2.9 --scenario bad-day.json

Signals: SIGTERM and SIGINT (Ctrl-C) stop it, SIGHUP and SIGUSR1 restart it in process.

Exit codes: 0 stopped by a signal; 1 a scenario expected something in vain; 2 usage; and where it
does not start, 78, or 1 with --edition 2026.2.9.

Environment: OPENCLAW_STATE_DIR for --state-dir; ANTHROPIC_API_KEY, whose profile the first start
writes; RUST_LOG for the log on stderr; NO_COLOR.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Listens until SIGTERM; SIGHUP or SIGUSR1 restarts it in process.
    #[command(after_help = AFTER)]
    Run(Run),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Where to listen: `loopback`, `lan` (all addresses) or an address of this host. Without it,
    /// `gateway.bind` of the configuration, else `loopback`.
    #[arg(long)]
    pub(crate) bind: Option<Bind>,
    /// The port; 0 picks a free one. Without it, `gateway.port` of the configuration, else 18789.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Holds `openclaw.json` and `devices/`. An empty one is filled on the first start.
    #[arg(
        long,
        value_name = "DIR",
        env = "OPENCLAW_STATE_DIR",
        default_value = "openclaw-mock-gateway"
    )]
    pub(crate) state_dir: PathBuf,
    /// The release to be.
    #[arg(long, default_value = "2026.9.6", value_name = "2026.2.9|2026.9.6")]
    pub(crate) edition: Edition,
    /// A file with the token to use; it is put into the configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Who approves devices: a person, or the gateway itself.
    #[arg(long, default_value = "manual")]
    pub(crate) pairing: Approval,
    /// For hosts without a second address: clients over loopback count as remote.
    #[arg(long, value_name = "remote")]
    pub(crate) treat_loopback_as: Option<Elsewhere>,
    /// A JSON file with faults, answers of methods and events to push; the README describes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// Says what happens as JSON on stdout, one object per line; the banner goes to stderr.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Approval {
    Manual,
    Auto,
}

impl From<Approval> for Pairing {
    fn from(approval: Approval) -> Self {
        match approval {
            Approval::Manual => Self::Manual,
            Approval::Auto => Self::Auto,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Elsewhere {
    Remote,
}

#[derive(Clone, Debug)]
pub(crate) enum Bind {
    Loopback,
    Lan,
    Address(IpAddr),
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "lan" => Ok(Self::Lan),
            address => address
                .parse()
                .map(Self::Address)
                .map_err(|_| "use loopback, lan, or an address of this host".to_owned()),
        }
    }
}
