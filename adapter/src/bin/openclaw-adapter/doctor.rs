//! `openclaw-adapter doctor`: the library's examination, printed.

use std::io::{self, Read as _};
use std::path::PathBuf;

use openclaw_adapter::doctor::{
    Finding, Issue, Options, Perspective, Report, Status, examine, not_configured,
};
use openclaw_adapter::{ConfigBuilder, ConfigError, RefusalKind};
use serde_json::Value;

use crate::args::{Doctor, Scopes};
use crate::exit::Exit;
use crate::output::Output;
use crate::setup::{self, Signals};
use crate::terminal::{Look, Mark};

/// As much of a log as is looked through.
const MAX_SEEN: u64 = 4 * 1024 * 1024;

pub(crate) async fn run(
    builder: ConfigBuilder,
    scopes: Option<&Scopes>,
    args: &Doctor,
    output: Output,
) -> io::Result<Exit> {
    let builder = if args.operator {
        match setup::operator(builder, scopes) {
            Ok(builder) => builder,
            Err(error) => return refused(&error, output),
        }
    } else {
        builder
    };
    let options = match options(args) {
        Ok(options) => options,
        Err(message) => {
            output.stopped("config", &message, "")?;
            return Ok(Exit::Usage);
        }
    };
    let mut signals = Signals::listen()?;
    let report = tokio::select! {
        report = examine(&builder, &options) => report,
        signal = signals.next() => return Ok(signal),
    };
    print(&report, output)?;
    Ok(exit(&report))
}

/// The environment cannot be read as a configuration.
pub(crate) fn refused(error: &ConfigError, output: Output) -> io::Result<Exit> {
    let report = not_configured(error);
    print(&report, output)?;
    Ok(exit(&report))
}

fn options(args: &Doctor) -> Result<Options, String> {
    let mut options = Options::new().timeout(args.timeout);
    options = match &args.openclaw_json {
        Some(named) => options.named_openclaw_json(named),
        None => options.openclaw_json(candidates()),
    };
    if args.operator {
        options = options.perspective(Perspective::Operator);
    }
    if let Some(method) = &args.method {
        options = options.method(method);
    }
    if let Some(symptoms) = &args.symptoms {
        options = options.symptoms(text(symptoms).map_err(|error| format!("{symptoms}: {error}"))?);
    }
    Ok(options)
}

/// The text itself, or standard input for `-`.
fn text(symptoms: &str) -> io::Result<String> {
    if symptoms != "-" {
        return Ok(symptoms.to_owned());
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_SEEN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The paths at which OpenClaw itself looks for its configuration.
fn candidates() -> Vec<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = variable("OPENCLAW_STATE_DIR");
    let home = variable("HOME").map(|home| home.join(".openclaw"));
    variable("OPENCLAW_CONFIG_PATH")
        .into_iter()
        .chain(state.map(|dir| dir.join("openclaw.json")))
        .chain(home.map(|dir| dir.join("openclaw.json")))
        .collect()
}

fn print(report: &Report, output: Output) -> io::Result<()> {
    for finding in &report.findings {
        output.print(finding, || {
            line(output.stdout, finding, &report.verdict.action)
        })?;
    }
    output.print(&report.verdict, || {
        let next = output.stdout.strong(&report.verdict.action);
        format!("\nnext: {next}")
    })
}

/// `next` is said at the end, so it is not said here as well.
fn line(look: Look, finding: &Finding, next: &str) -> String {
    let mark = match finding.status {
        Status::Ok => Mark::Good,
        Status::Warning => Mark::Warning,
        Status::Problem => Mark::Bad,
        Status::Skipped => Mark::Minor,
    };
    let status = look.mark(mark, &format!("{:<8}", finding.status.as_str()));
    let check = finding.check.as_str();
    let issue = finding
        .issue
        .map_or_else(String::new, |issue| format!(" [{issue}]"));
    let fix = match finding.fix.as_deref() {
        Some(fix) if fix != next => format!("\n{:23} {fix}", ""),
        _ => String::new(),
    };
    format!("{status} {check:<14} {}{issue}{fix}", finding.message)
}

/// The exit code of the table that all commands share: what `connect` makes of the first problem.
fn exit(report: &Report) -> Exit {
    let first = report
        .findings
        .iter()
        .find(|finding| finding.status == Status::Problem);
    match first {
        None => Exit::Done,
        // Whoever it comes from: `connect` tries again.
        Some(finding) if finding.data.get("transient").and_then(Value::as_bool) == Some(true) => {
            Exit::Unreachable
        }
        Some(finding) => finding.issue.map_or(Exit::Refused, of_issue),
    }
}

fn of_issue(issue: Issue) -> Exit {
    match issue {
        Issue::Configuration | Issue::NoToken | Issue::Address | Issue::PlainWs => Exit::Usage,
        Issue::PairingRequired | Issue::PairingRequiredCli => Exit::NotApproved,
        Issue::TokenMismatch | Issue::TokenMismatchAfterEdit => Exit::Credentials,
        // The scopes of a token are not the token.
        Issue::Refused(RefusalKind::ScopeMismatch) => Exit::Refused,
        Issue::Refused(kind) => Exit::of_kind(kind),
        Issue::NameUnknown
        | Issue::Unreachable
        | Issue::Tls
        | Issue::Away
        | Issue::NoGateway
        | Issue::Late
        | Issue::ConfigInvalidAuthProfiles
        | Issue::ConfigInvalid => Exit::Unreachable,
        Issue::Identity => Exit::Identity,
        Issue::ConnectionLost | Issue::Silent => Exit::ConnectionLost,
        _ => Exit::Refused,
    }
}
