//! The report: one finding per check, and one verdict.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::logic::refusal::RefusalKind;

/// A check; in the order of a report.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// A message seen elsewhere.
    Symptoms,
    /// Variables, extra headers and the TLS set-up.
    Configuration,
    /// The gateway's address: its form, its class, and the rule for plain `ws://`.
    Address,
    /// The addresses of the host name.
    Name,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake and the certificate.
    Tls,
    /// The HTTP upgrade, which a proxy may answer.
    Upgrade,
    /// The gateway's first frame.
    Challenge,
    /// The gateway's generation and the protocol of the connection.
    Protocol,
    /// The gateway's clock against this host's.
    Clock,
    /// The token or password: where it is from, and whether the gateway takes it.
    Token,
    /// A gateway's `openclaw.json` that this host can read.
    OpenclawJson,
    /// The device identity.
    Identity,
    /// The gateway's answer to `connect`.
    Login,
    /// The gateway's view of this host: local or remote.
    Locality,
    /// The approval of this device.
    Pairing,
    /// The scopes asked for, approved, and needed.
    Scopes,
    /// A tick or pong after the login.
    Tick,
}

impl Check {
    /// A stable word for it, as in the program's `--json` output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Address => "address",
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Challenge => "challenge",
            Self::Protocol => "protocol",
            Self::Clock => "clock",
            Self::Token => "token",
            Self::OpenclawJson => "openclaw_json",
            Self::Identity => "identity",
            Self::Login => "login",
            Self::Locality => "locality",
            Self::Pairing => "pairing",
            Self::Scopes => "scopes",
            Self::Tick => "tick",
            Self::Symptoms => "symptoms",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of a check. The greater, the worse.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not looked at: an earlier check failed, or there is nothing to look at.
    Skipped,
    /// As it should be.
    Ok,
    /// A backend works, but somebody should know.
    Warning,
    /// A backend does not work.
    Problem,
}

impl Status {
    /// A stable word for it, as in the program's `--json` output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of what is wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Issue {
    /// A variable, a header, the TLS set-up or a file that was named cannot be used.
    Configuration,
    /// No token and no password.
    NoToken,
    /// The gateway's address cannot be used.
    Address,
    /// Plain `ws://` would cross a public network.
    PlainWs,
    /// The host name has no address.
    NameUnknown,
    /// Nothing accepts a TCP connection there.
    Unreachable,
    /// The TLS handshake failed.
    Tls,
    /// Something refused the upgrade for good.
    UpgradeRefused,
    /// A proxy adds headers that the gateway does not take from it.
    ProxyAttribution,
    /// Cloudflare answered instead of the gateway.
    Cloudflare,
    /// The gateway, or a proxy in front of it, is away or busy.
    Away,
    /// The peer is not a gateway, or hangs.
    NoGateway,
    /// The gateway refused this connection. Two kinds have variants of their own:
    /// [`TokenMismatch`](Self::TokenMismatch) and [`PairingRequired`](Self::PairingRequired).
    Refused(RefusalKind),
    /// The token is not the one that the gateway holds in memory.
    TokenMismatch,
    /// The token is the one in `openclaw.json`, but not the one in the gateway's memory: the file
    /// was edited, and the gateway was not restarted since.
    TokenMismatchAfterEdit,
    /// The gateway refused the token, and this device's own token served instead.
    StaleToken,
    /// This backend is not approved yet.
    PairingRequired,
    /// An operator's client came over the network instead of the gateway's loopback.
    PairingRequiredCli,
    /// The loopback of this host is not the gateway's.
    NotLoopback,
    /// `auth.profiles` of `openclaw.json` is such that the gateway does not start.
    ConfigInvalidAuthProfiles,
    /// `openclaw.json` is otherwise such that the gateway does not start.
    ConfigInvalid,
    /// The `openclaw` CLI has no configuration where it runs.
    NoConfigurationFile,
    /// The clocks differ.
    ClockSkew,
    /// The identity cannot be used.
    Identity,
    /// There is no identity yet.
    NoIdentity,
    /// The scopes do not allow the method that was asked about.
    Scope,
    /// The connection ended right after the login.
    ConnectionLost,
    /// Nothing comes from the gateway.
    Silent,
    /// The time for the whole examination is over.
    Late,
}

impl Issue {
    /// A stable word for it, as in the program's `--json` output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::NoToken => "no_token",
            Self::Address => "address",
            Self::PlainWs => "plain_ws",
            Self::NameUnknown => "name_unknown",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::UpgradeRefused => "upgrade_refused",
            Self::ProxyAttribution => "proxy_attribution",
            Self::Cloudflare => "cloudflare",
            Self::Away => "away",
            Self::NoGateway => "no_gateway",
            Self::Refused(kind) => kind.as_str(),
            Self::TokenMismatch => "token_mismatch",
            Self::TokenMismatchAfterEdit => "token_mismatch_after_edit",
            Self::StaleToken => "stale_token",
            Self::PairingRequired => "pairing_required",
            Self::PairingRequiredCli => "pairing_required_cli",
            Self::NotLoopback => "not_loopback",
            Self::ConfigInvalidAuthProfiles => "config_invalid_auth_profiles",
            Self::ConfigInvalid => "config_invalid",
            Self::NoConfigurationFile => "no_configuration_file",
            Self::ClockSkew => "clock_skew",
            Self::Identity => "identity",
            Self::NoIdentity => "no_identity",
            Self::Scope => "scope",
            Self::ConnectionLost => "connection_lost",
            Self::Silent => "silent",
            Self::Late => "late",
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Issue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The finding of one check.
///
/// As JSON: `{"check","status","message"}`, then `issue`, `fix` and `data` where there are any.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The result.
    pub status: Status,
    /// One sentence or two for a person; safe to print, and without any secret.
    pub message: String,
    /// The name of what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<Issue>,
    /// The next step, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The same for a program. Names are in camel case; more may come in later versions.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

impl Finding {
    fn new(check: Check, status: Status, message: impl Into<String>) -> Self {
        Self {
            check,
            status,
            message: message.into(),
            issue: None,
            fix: None,
            data: Map::new(),
        }
    }

    pub(super) fn ok(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, message)
    }

    pub(super) fn skipped(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Status::Skipped, message)
    }

    pub(super) fn warning(
        check: Check,
        issue: Issue,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::bad(check, Status::Warning, issue, message, fix)
    }

    pub(super) fn problem(
        check: Check,
        issue: Issue,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::bad(check, Status::Problem, issue, message, fix)
    }

    fn bad(
        check: Check,
        status: Status,
        issue: Issue,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            issue: Some(issue),
            fix: Some(fix.into()),
            ..Self::new(check, status, message)
        }
    }

    /// Adds a fact for programs; an absent one is left out.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.data.insert(name.to_owned(), value);
        }
        self
    }
}

/// The verdict of the whole report.
///
/// As JSON: `{"verdict","issue","action"}`; `issue` is `null` when nothing is wrong.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The worst status of all checks.
    #[serde(rename = "verdict")]
    pub status: Status,
    /// The name of what to mend first.
    pub issue: Option<Issue>,
    /// The one next thing to do.
    pub action: String,
}

/// The findings of an examination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// One finding per check, in the order of [`Check`].
    pub findings: Vec<Finding>,
    /// The verdict of the whole report.
    pub verdict: Verdict,
}

impl Report {
    /// The first problem decides what to do, because the later ones may follow from it; without
    /// one, the first warning.
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        let status = findings
            .iter()
            .map(|finding| finding.status)
            .max()
            .unwrap_or(Status::Ok)
            .max(Status::Ok);
        let first = findings
            .iter()
            .find(|finding| finding.status == status && status > Status::Ok);
        let verdict = Verdict {
            status,
            issue: first.and_then(|finding| finding.issue),
            action: first
                .and_then(|finding| finding.fix.clone())
                .unwrap_or_else(|| "Nothing to do.".to_owned()),
        };
        Self { findings, verdict }
    }

    /// The finding of one check.
    #[must_use]
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }

    /// Returns true if a backend with this configuration works.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.verdict.status < Status::Problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_problem_decides_and_a_warning_only_without_one() {
        let warning = Finding::warning(Check::Clock, Issue::ClockSkew, "off", "Set it.");
        let first = Finding::problem(Check::Token, Issue::NoToken, "none", "Give one.");
        let second = Finding::problem(Check::Identity, Issue::Identity, "broken", "Mend it.");
        let report = Report::of(vec![warning.clone(), first, second]);
        assert_eq!(report.verdict.issue, Some(Issue::NoToken));
        assert_eq!(report.verdict.action, "Give one.");
        assert!(!report.is_healthy());
        let report = Report::of(vec![warning]);
        assert_eq!(report.verdict.action, "Set it.");
        assert!(report.is_healthy());
    }

    #[test]
    fn all_well_and_all_skipped_leave_nothing_to_do() {
        for findings in [vec![], vec![Finding::skipped(Check::Tls, "plain ws://")]] {
            let verdict = Report::of(findings).verdict;
            assert_eq!((verdict.status, verdict.issue), (Status::Ok, None));
            assert_eq!(verdict.action, "Nothing to do.");
        }
    }

    #[test]
    fn a_finding_as_json_leaves_out_what_it_has_not() {
        let finding = Finding::ok(Check::Tcp, "connected").with("tookMs", 3);
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"check":"tcp","status":"ok","message":"connected","data":{"tookMs":3}}"#
        );
        let verdict = Report::of(vec![]).verdict;
        assert_eq!(
            serde_json::to_string(&verdict).unwrap(),
            r#"{"verdict":"ok","issue":null,"action":"Nothing to do."}"#
        );
    }
}
