//! The command line. No secret is ever taken from it.
#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::help;

/// Connects a backend to an OpenClaw gateway, and shows what stands in the way.
///
/// The gateway's token comes from OPENCLAW_GATEWAY_TOKEN, or from the file that
/// OPENCLAW_GATEWAY_TOKEN_FILE names.
#[derive(Debug, Parser)]
#[command(name = "openclaw-adapter", version, after_long_help = help::PROGRAM)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The heading of the options that each command has.
const EVERYWHERE: &str = "Options of every command";

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The gateway's address, such as ws://gateway:18789; goes before OPENCLAW_GATEWAY_URL
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Directory of the device identity; goes before OPENCLAW_ADAPTER_STATE_DIR
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The scopes to ask for, separated by commas or spaces; goes before OPENCLAW_ADAPTER_SCOPES
    ///
    /// With neither, the scopes of the backend's stored device token are asked for; where there is
    /// none yet, operator.read and operator.write.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "LIST", value_parser = parse_scopes)]
    pub(crate) scopes: Option<Scopes>,
    /// An extra header for a proxy in front of the gateway; may be given more than once
    ///
    /// Everybody on the host can see arguments: for a secret, write NAME:@FILE, and the value is
    /// read from the file.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME:VALUE", value_parser = parse_header)]
    pub(crate) header: Vec<(String, String)>,
    /// One JSON object per line on stdout
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect, wait for approval if it is needed, and say so
    #[command(after_long_help = help::CONNECT)]
    Connect(Connect),
    /// Say what is wrong between this host and the gateway, and the one thing to do next
    ///
    /// Walks the way of a connection and prints one line per step: ok, warning, problem or skipped.
    /// It ends with the exit code that connect would end with; warnings alone end with 0.
    ///
    /// It changes nothing on this host, and makes no identity. On the gateway it does what one
    /// connect does: a device that is not approved leaves its request there, or renews the one that
    /// waits there. Asking for more than that one does replaces it, and its id: give --scopes where
    /// the backend's are neither in the environment nor approved yet. Without an identity only the
    /// token is tried, and nothing is left there.
    #[command(after_long_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Call a method by its name, and print what it answers
    ///
    /// Of a method with two answers, agent for one, it prints the first: accepted.
    #[command(after_long_help = help::CALL)]
    Call(Call),
    /// Ask an agent, and print its answer as it comes
    ///
    /// The run goes on at the gateway when the connection is lost, and is followed on as soon as there
    /// is one again. SIGINT or SIGTERM stops it, which may take 20 s; the second one leaves at once.
    #[command(after_long_help = help::RUN)]
    Run(Run),
    /// Print the events of the gateway until SIGINT or SIGTERM
    ///
    /// Gateways send the runs of all sessions to every client that may read. Where something is missing,
    /// a line says so.
    #[command(after_long_help = help::EVENTS)]
    Events(Events),
    /// Look at the device identity, or carry it over
    #[command(subcommand, after_long_help = help::IDENTITY)]
    Identity(Identity),
    /// See and decide which devices may connect
    ///
    /// Run it on the gateway's own host, through its loopback address: there no approval is needed.
    /// Anywhere else this operator's own device has to be approved first; it is not the backend's.
    #[command(subcommand, after_long_help = help::DEVICES)]
    Devices(Devices),
    /// Print what a shell needs to complete these commands
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_long_help = help::MAN)]
    Man {
        /// Write the pages of all commands into this directory instead
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Returns true if the command connects as the backend, with the backend's identity.
    pub(crate) const fn is_the_backends(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Call(_) | Self::Run(_) | Self::Events(_) => true,
            Self::Doctor(doctor) => !doctor.operator,
            Self::Identity(_) | Self::Devices(_) | Self::Completions { .. } | Self::Man { .. } => {
                false
            }
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// Time to wait until ready, such as 90s, 5m or 500ms; 0 tries once. Without it, for ever
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// Stay connected until SIGINT or SIGTERM
    #[arg(long)]
    pub(crate) hold: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// The time for all of it, such as 20s; with more than 30s a tick of the gateway is waited for
    #[arg(long, value_name = "DUR", default_value = "20s", value_parser = parse_span)]
    pub(crate) timeout: Duration,
    /// A method of the gateway that has to be allowed, such as agent; it is not called
    #[arg(long, value_name = "NAME")]
    pub(crate) method: Option<String>,
    /// The gateway's openclaw.json, to compare the token with; else where OpenClaw looks for it
    #[arg(long, value_name = "FILE")]
    pub(crate) openclaw_json: Option<PathBuf>,
    /// Look at the connection of the devices commands instead of the backend's
    #[arg(long)]
    pub(crate) operator: bool,
    /// A message seen elsewhere, such as in the gateway's log; - reads standard input
    #[arg(long, alias = "seen", value_name = "TEXT")]
    pub(crate) symptoms: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// The method, such as health or sessions.list
    pub(crate) method: String,
    /// The parameters as JSON, or - for standard input; {} without them
    #[arg(value_name = "PARAMS_JSON", allow_hyphen_values = true)]
    pub(crate) params: Option<String>,
    /// Time limit, including the connection, such as 90s, 5m or 500ms; 30s without it
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The message to send
    pub(crate) message: String,
    /// The session: its key, such as agent:main:billing, or its name
    #[arg(long, value_name = "K", default_value = "main")]
    pub(crate) session_key: String,
    /// The run's id; one that the gateway knows already is joined, and nothing is asked twice
    #[arg(long = "run-id", value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Time limit of the run, such as 90s or 5m
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Thinking level of the model, such as off or low
    #[arg(long, value_name = "LEVEL")]
    pub(crate) thinking: Option<String>,
    /// Send a turn of the conversation, where messages like /status are commands
    #[arg(long)]
    pub(crate) chat: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Only events of this name, such as chat or cron; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Show the device id, its public key and where it is kept; never the private key
    Show,
    /// Make an identity where there is none, as the first connect does, and show it
    Create,
    /// Print the path of the identity's file
    Path,
    /// Print the identity with its private key, in OpenClaw's own format
    Export,
    /// Take over an identity from a file in OpenClaw's own format; never replaces one
    Import {
        /// The file, or - for standard input
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Devices {
    /// List the requests that wait and the devices that are paired
    List,
    /// Approve a request
    Approve {
        /// The request id, as `list` or the backend's log shows it
        request_id: String,
    },
    /// Reject a request
    Reject {
        /// The request id, as `list` or the backend's log shows it
        request_id: String,
    },
    /// Remove a paired device
    Remove {
        /// The device id, as `list` shows it
        device_id: String,
    },
}

/// A list of scopes in one argument.
#[derive(Clone, Debug)]
pub(crate) struct Scopes(pub(crate) Vec<String>);

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap wants")]
fn parse_scopes(text: &str) -> Result<Scopes, String> {
    Ok(Scopes(
        text.split([',', ' '])
            .filter(|scope| !scope.is_empty())
            .map(ToOwned::to_owned)
            .collect(),
    ))
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            let value = match value.trim().strip_prefix('@') {
                Some(file) => read_header(file)?,
                None => value.trim().to_owned(),
            };
            Ok((name.trim().to_owned(), value))
        }
        _ => Err("a header is NAME:VALUE".to_owned()),
    }
}

/// The value of a header, from a file; its end of line is not part of it.
fn read_header(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("{path} cannot be read: {error}"))
}

/// `1500ms`, `90s`, `5m`, `2h`, or seconds without a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds_per_unit = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a duration is a number with ms, s, m or h".to_owned()),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * seconds_per_unit).ok())
        .ok_or_else(|| "a duration is a number with ms, s, m or h".to_owned())
}

/// A duration in which something can happen.
fn parse_span(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("with no time at all nothing can be looked at".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1.5h", 5_400_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(ms),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1s",
            "1 fortnight",
            "1..2s",
            "99999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_examination_without_any_time_is_refused() {
        for text in ["0", "0ms", "0.0h"] {
            let error = Cli::try_parse_from(["openclaw-adapter", "doctor", "--timeout", text]);
            let said = error.unwrap_err().to_string();
            assert!(said.contains("no time at all"), "{said}");
        }
        assert_eq!(parse_span("1ms").unwrap(), Duration::from_millis(1));
    }

    #[test]
    fn a_header_keeps_the_colons_of_its_value() {
        assert_eq!(
            parse_header("X-Time: 10:30").unwrap(),
            ("X-Time".to_owned(), "10:30".to_owned())
        );
        assert!(parse_header("no-colon").is_err());
    }

    #[test]
    fn a_header_may_come_from_a_file_which_no_process_table_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "s3cret\n").unwrap();
        let argument = format!("X-Key: @{}", path.display());
        assert_eq!(
            parse_header(&argument).unwrap(),
            ("X-Key".to_owned(), "s3cret".to_owned())
        );
        assert!(parse_header("X-Key:@/no/such/file").is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
