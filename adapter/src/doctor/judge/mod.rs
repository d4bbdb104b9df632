//! From what was seen to what it means. No I/O, no clock.
//!
//! Every check is judged by itself; what depends on an earlier one that failed is skipped. The first
//! problem in the order of the checks is the one to mend.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

mod credentials;
mod gateway;
mod network;
mod scopes;

use std::time::Duration;

use super::facts::{Facts, Login, LoginEnd, Step};
use super::report::{Check, Finding, Issue, Report};
use crate::logic::config_error::ConfigError;

/// Judges everything.
pub(super) fn report(facts: &Facts) -> Report {
    let mut findings = symptoms(facts);
    findings.extend(network::all(facts));
    findings.extend(gateway::before_login(facts));
    findings.extend(credentials::all(facts));
    findings.extend(gateway::after_login(facts));
    findings.push(scopes::scopes(facts));
    findings.push(gateway::tick(facts));
    Report::of(findings)
}

/// Not even a configuration: the environment holds something that cannot be used.
pub(super) fn not_configured(error: &ConfigError) -> Report {
    let mut findings = vec![bad_configuration(error)];
    findings.extend(
        [
            Check::Address,
            Check::Name,
            Check::Tcp,
            Check::Tls,
            Check::Upgrade,
            Check::Challenge,
            Check::Protocol,
            Check::Clock,
            Check::Token,
            Check::Identity,
            Check::Login,
            Check::Locality,
            Check::Pairing,
            Check::Scopes,
            Check::Tick,
        ]
        .map(|check| Finding::skipped(check, "the configuration comes first")),
    );
    Report::of(findings)
}

/// This host's own disk did not answer in time.
pub(super) fn no_disk(limit: Duration) -> Report {
    Report::of(vec![Finding::problem(
        Check::Identity,
        Issue::Identity,
        format!("the state directory or another file was not read within {limit:?}"),
        "Check the file system of the state directory: a network volume may hang.",
    )])
}

fn bad_configuration(error: &ConfigError) -> Finding {
    let issue = match error {
        ConfigError::Store(_) | ConfigError::InlineIdentity(_) => Issue::Identity,
        ConfigError::NoToken => Issue::NoToken,
        _ => Issue::Configuration,
    };
    Finding::problem(Check::Configuration, issue, error.to_string(), fix(error))
}

fn fix(error: &ConfigError) -> String {
    error.fix().unwrap_or_default()
}

fn symptoms(facts: &Facts) -> Vec<Finding> {
    let Some(symptoms) = &facts.symptoms else {
        return Vec::new();
    };
    if symptoms.is_empty() {
        return vec![Finding::skipped(
            Check::Symptoms,
            "nothing that is known here is in the given text",
        )];
    }
    symptoms
        .iter()
        .map(|symptom| {
            Finding::warning(
                Check::Symptoms,
                symptom.issue,
                format!("\"{}\": {}", symptom.words, symptom.cause),
                symptom.fix,
            )
        })
        .collect()
}

/// Returns the finding of a check that an earlier failure prevented.
fn skipped(check: Check, earlier: Check) -> Finding {
    Finding::skipped(check, format!("{earlier} comes first"))
}

fn late(check: Check, facts: &Facts, what: &str, fix: &str) -> Finding {
    Finding::problem(
        check,
        Issue::Late,
        format!("{what} within {:?}", facts.limit),
        fix,
    )
}

fn login(facts: &Facts) -> Option<&Login> {
    facts.login.done()
}

fn end(facts: &Facts) -> Option<&LoginEnd> {
    login(facts).map(|login| &login.end)
}

/// The first check that did not come out, of those that the login needs.
fn obstacle(facts: &Facts) -> Check {
    if facts.address.is_err() {
        Check::Address
    } else if facts.setup.is_err() {
        Check::Configuration
    } else if facts.name.done().is_none() && !matches!(facts.name, Step::NotReached) {
        Check::Name
    } else if network::is_refused_plain(facts) {
        Check::Address
    } else if facts.tcp.done().is_none() {
        Check::Tcp
    } else if facts.upgrade.done().is_none() {
        if matches!(facts.tls, Step::Failed(_) | Step::Late) {
            Check::Tls
        } else {
            Check::Upgrade
        }
    } else if facts.challenge.done().is_none() {
        Check::Challenge
    } else if facts.token.is_err() {
        Check::Token
    } else {
        Check::Login
    }
}

/// A span of time as a person says it.
fn span(ms: u64) -> String {
    let in_whole = |unit: u64| ms.saturating_add(unit / 2) / unit;
    let seconds = in_whole(1000);
    match seconds {
        _ if ms < 1000 => format!("{ms} ms"),
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", in_whole(60_000)),
        7200..=172_799 => format!("{} h", in_whole(3_600_000)),
        _ => format!("{} days", in_whole(86_400_000)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
