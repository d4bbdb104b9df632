//! The scopes: asked for, approved, and needed for a method.

use super::super::facts::{Facts, LoginEnd};
use super::super::methods::{Needs, needs};
use super::super::report::{Check, Finding, Issue};
use super::gateway::protocol_number;
use super::{end, login, obstacle, skipped};
use crate::base::sanitize::printable;
use crate::logic::pairing::covers;
use crate::logic::refusal::RefusalKind;

pub(super) fn scopes(facts: &Facts) -> Finding {
    let asked = &facts.profile.scopes;
    let approved = approved(facts);
    let finding = judge(facts, approved.as_deref());
    let needed =
        facts
            .method
            .as_deref()
            .and_then(|method| match needs(protocol_number(facts)?, method)? {
                Needs::Scope(scope) => Some(scope),
                Needs::Nothing | Needs::NodeRole => None,
            });
    finding
        .with("asked", asked.clone())
        .with("approved", approved)
        .with("needed", needed)
        .with("method", facts.method.as_deref().map(printable))
}

/// Returns the scopes of this device, where they are known.
fn approved(facts: &Facts) -> Option<Vec<String>> {
    let login = login(facts)?;
    match &login.end {
        LoginEnd::Accepted { hello, .. } if login.with_device => Some(hello.scopes.clone()),
        LoginEnd::Pairing(pairing) => pairing.approved_scopes.clone(),
        _ => None,
    }
}

fn list(scopes: &[String]) -> String {
    if scopes.is_empty() {
        "none".to_owned()
    } else {
        scopes.join(" ")
    }
}

fn judge(facts: &Facts, approved: Option<&[String]>) -> Finding {
    let asked = &facts.profile.scopes;
    if let Some(LoginEnd::Refused(refusal)) = end(facts)
        && refusal.kind == RefusalKind::ScopeMismatch
    {
        return Finding::problem(
            Check::Scopes,
            Issue::Refused(refusal.kind),
            format!("asked for {}: refused, {refusal}", list(asked)),
            refusal.fix.clone(),
        );
    }
    let mut message = format!("asked for {}", list(asked));
    if let Some(approved) = approved {
        message.push_str("; approved ");
        message.push_str(&list(approved));
    }
    if let Some(method) = facts.method.as_deref() {
        return with_method(facts, method, &message);
    }
    if facts.login.done().is_none() {
        return skipped(Check::Scopes, obstacle(facts));
    }
    match (end(facts), approved) {
        (Some(LoginEnd::Accepted { .. }), Some(approved)) if !covers(approved, asked) => {
            Finding::warning(
                Check::Scopes,
                Issue::Scope,
                message,
                "Ask for fewer scopes, or have the wider ones approved: openclaw devices list on the gateway's host.",
            )
        }
        _ => Finding::ok(Check::Scopes, message),
    }
}

fn with_method(facts: &Facts, method: &str, message: &str) -> Finding {
    let shown = printable(method);
    let asked = &facts.profile.scopes;
    let Some(protocol) = protocol_number(facts) else {
        return skipped(Check::Scopes, obstacle(facts));
    };
    match needs(protocol, method) {
        Some(Needs::Nothing) => {
            Finding::ok(Check::Scopes, format!("{message}; {shown} needs none"))
        }
        Some(Needs::Scope(scope)) if has(asked, scope) => {
            Finding::ok(Check::Scopes, format!("{message}; {shown} needs {scope}"))
        }
        Some(Needs::Scope(scope)) => Finding::problem(
            Check::Scopes,
            Issue::Scope,
            format!("{message}; {shown} needs {scope}"),
            format!(
                "Ask for {scope} as well (ConfigBuilder::scopes, OPENCLAW_ADAPTER_SCOPES, or --scopes {},{scope}) and approve the upgrade on the gateway's host.",
                asked.join(",")
            ),
        ),
        Some(Needs::NodeRole) => Finding::problem(
            Check::Scopes,
            Issue::Scope,
            format!("{message}; {shown} is only for clients with the role node"),
            "Use another method: a backend has the role operator.",
        ),
        None => {
            let announced = match end(facts) {
                Some(LoginEnd::Accepted { hello, .. }) if hello.announces(method) => {
                    "the gateway has it, but which scope it needs is not known here"
                }
                Some(LoginEnd::Accepted { .. }) => "the gateway does not announce it",
                _ => "it is not known here",
            };
            Finding::warning(
                Check::Scopes,
                Issue::Scope,
                format!("{message}; {shown}: {announced}"),
                "Check the name of the method; if it is a new one, its refusal names the scope that it needs.",
            )
        }
    }
}

/// Measured on 2026.9.6: write also allows what is for talk.
fn has(asked: &[String], scope: &str) -> bool {
    covers(asked, &[scope.to_owned()])
        || (scope == "operator.talk" && asked.iter().any(|asked| asked == "operator.write"))
}
