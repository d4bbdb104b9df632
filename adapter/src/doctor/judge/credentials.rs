//! Token, a gateway's `openclaw.json`, identity.

use super::super::facts::{Credential, Facts, Found, LoginEnd, Perspective};
use super::super::openclaw_json::{Compared, OpenclawJson};
use super::super::report::{Check, Finding, Issue};
use super::super::shape::Shape;
use super::super::symptoms::{AUTH_PROFILES_FIX, NO_CONFIGURATION_FIX};
use super::{end, fix, span};
use crate::base::endpoint::AddressClass;
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::Used;
use crate::logic::refusal::{Refusal, RefusalKind};

/// The command that loads an edit.
const RESTART: &str =
    "Restart the gateway, so that it reads its openclaw.json: docker restart CONTAINER.";

pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![token(facts)];
    findings.extend(openclaw_json(facts));
    findings.push(identity(facts));
    findings
}

fn shape(shape: &Shape) -> String {
    match &shape.hash {
        Some(hash) => format!("{} characters, SHA-256 {hash}…", shape.length),
        None => format!("{} characters", shape.length),
    }
}

/// Compares the token with the file on this host, if there is one.
fn compared(facts: &Facts) -> Option<(String, &Compared)> {
    match &facts.openclaw_json {
        Found::Read { path, content } => Some((path.display().to_string(), &content.secret)),
        _ => None,
    }
}

fn token(facts: &Facts) -> Finding {
    let credential = match &facts.token {
        Ok(credential) => credential,
        Err(error) => return no_token(facts, error),
    };
    let what = if credential.is_password {
        "password"
    } else {
        "token"
    };
    let about = format!(
        "{what} from {}, {}",
        credential.origin,
        shape(&credential.shape)
    );
    let finding = match end(facts) {
        Some(LoginEnd::Accepted {
            used: Used::Device, ..
        }) => bridged(facts, credential, &about),
        Some(LoginEnd::Accepted { .. } | LoginEnd::Pairing(_)) => {
            Finding::ok(Check::Token, format!("{about}: the gateway takes it"))
        }
        Some(LoginEnd::Refused(refusal)) if refusal.kind.is_credentials() => {
            refused(facts, credential, &about, refusal)
        }
        _ => Finding::ok(Check::Token, format!("{about}: not tried")),
    };
    finding
        .with("origin", credential.origin.clone())
        .with("length", credential.shape.length)
        .with("sha256", credential.shape.hash.clone())
}

/// The gateway refused it, and this device's own token served instead.
fn bridged(facts: &Facts, credential: &Credential, about: &str) -> Finding {
    if let Some((path, Compared::Same)) = compared(facts) {
        return Finding::warning(
            Check::Token,
            Issue::TokenMismatchAfterEdit,
            format!(
                "{about}: the gateway refused it, though {path} holds this very token, and this device's own token served instead"
            ),
            RESTART,
        );
    }
    Finding::warning(
        Check::Token,
        Issue::StaleToken,
        format!(
            "{about}: stale, the gateway refused it, and this device's own token served instead"
        ),
        format!(
            "Set {} to {} of the gateway's openclaw.json before the next approval or change of scopes.",
            credential.origin,
            if credential.is_password {
                "gateway.auth.password"
            } else {
                "gateway.auth.token"
            }
        ),
    )
}

fn no_token(facts: &Facts, error: &ConfigError) -> Finding {
    let issue = match error {
        ConfigError::NoToken => Issue::NoToken,
        _ => Issue::Configuration,
    };
    let fix = match (error, &facts.openclaw_json) {
        (ConfigError::NoToken, Found::Read { path, content })
            if matches!(content.secret, Compared::NothingToCompare(_)) =>
        {
            let variable = if content.is_password() {
                "OPENCLAW_GATEWAY_PASSWORD"
            } else {
                "OPENCLAW_GATEWAY_TOKEN"
            };
            format!("Set {variable} to {} of {}.", content.place, path.display())
        }
        _ => fix(error),
    };
    Finding::problem(Check::Token, issue, error.to_string(), fix)
}

fn refused(facts: &Facts, credential: &Credential, about: &str, refusal: &Refusal) -> Finding {
    let problem = |issue, more: &str, fix: String| {
        Finding::problem(
            Check::Token,
            issue,
            format!("{about}: refused, {refusal}{more}"),
            fix,
        )
    };
    // A password is not compared with the token of a file.
    if refusal.kind != RefusalKind::TokenMismatch || credential.is_password {
        return problem(Issue::Refused(refusal.kind), "", refusal.fix.clone());
    }
    match compared(facts) {
        Some((path, Compared::Same)) => problem(
            Issue::TokenMismatchAfterEdit,
            &format!(
                "; {path} holds this very token, so it was edited after the gateway started, or it is another gateway's"
            ),
            "Restart the gateway, so that it reads its openclaw.json: docker restart CONTAINER."
                .to_owned(),
        ),
        Some((path, Compared::Differs(_))) => problem(
            Issue::TokenMismatch,
            &format!("; {path} holds another one"),
            format!(
                "Copy gateway.auth.token of {path} to {} and restart the backend; if that file was edited after the gateway started, restart the gateway first.",
                credential.origin
            ),
        ),
        _ => problem(Issue::TokenMismatch, "", refusal.fix.clone()),
    }
}

fn openclaw_json(facts: &Facts) -> Option<Finding> {
    let (path, content) = match &facts.openclaw_json {
        Found::NotAsked => return None,
        Found::Nowhere => return Some(no_file(facts)),
        Found::Unreadable {
            path,
            why,
            is_named,
        } => {
            let message = format!("{} cannot be read: {why}", path.display());
            return Some(if *is_named {
                Finding::warning(
                    Check::OpenclawJson,
                    Issue::Configuration,
                    message,
                    "Name a gateway's openclaw.json that this user may read, or none (--openclaw-json).",
                )
            } else {
                Finding::skipped(Check::OpenclawJson, message)
            });
        }
        Found::Read { path, content } => (path.display().to_string(), content),
    };
    Some(read(facts, &path, content).with("path", path))
}

fn no_file(facts: &Facts) -> Finding {
    let is_in = matches!(end(facts), Some(LoginEnd::Accepted { .. }));
    if facts.perspective == Perspective::Operator && !is_in {
        return Finding::warning(
            Check::OpenclawJson,
            Issue::NoConfigurationFile,
            "no openclaw.json where this runs: the openclaw CLI has no configuration file here either",
            NO_CONFIGURATION_FIX,
        );
    }
    Finding::skipped(
        Check::OpenclawJson,
        "no gateway's openclaw.json on this host",
    )
}

fn read(facts: &Facts, path: &str, content: &OpenclawJson) -> Finding {
    if let Some(why) = content.unreadable {
        return Finding::warning(
            Check::OpenclawJson,
            Issue::ConfigInvalid,
            format!("{path} cannot be understood: {why}"),
            "Run `openclaw config validate` on the gateway's host.",
        );
    }
    if let Some(bad) = content.bad_profiles.first() {
        let message = format!("Config invalid: {} {} ({path})", bad.place, bad.what);
        let places: Vec<String> = content
            .bad_profiles
            .iter()
            .map(|bad| bad.place.clone())
            .collect();
        return if facts.tcp.done().is_some() {
            Finding::warning(
                Check::OpenclawJson,
                Issue::ConfigInvalidAuthProfiles,
                format!(
                    "{message}: what runs has an earlier version of it and would not start again"
                ),
                AUTH_PROFILES_FIX,
            )
        } else {
            Finding::problem(
                Check::OpenclawJson,
                Issue::ConfigInvalidAuthProfiles,
                message,
                AUTH_PROFILES_FIX,
            )
        }
        .with("places", places);
    }
    compare(facts, path, content)
}

fn compare(facts: &Facts, path: &str, content: &OpenclawJson) -> Finding {
    let place = content.place;
    let ok = |message: String| Finding::ok(Check::OpenclawJson, message);
    let is_near = facts
        .address
        .as_ref()
        .is_ok_and(|address| address.class != AddressClass::Public);
    match &content.secret {
        Compared::Absent => ok(format!(
            "{path} holds no {place}: that gateway has it from somewhere else"
        )),
        Compared::Elsewhere => ok(format!(
            "{path}: {place} is a reference, so it cannot be compared"
        )),
        Compared::NothingToCompare(found) => ok(format!(
            "{path}: {place} has {}",
            found
                .as_ref()
                .map_or_else(|| "no shape to show".to_owned(), shape)
        )),
        Compared::Same => {
            ok(format!("{path}: {place} is the same as the backend's")).with("token", "same")
        }
        Compared::Differs(found) => {
            let theirs = found
                .as_ref()
                .map_or_else(String::new, |found| format!(" ({})", shape(found)));
            let message = format!("{path}: {place} differs from the backend's{theirs}");
            let what = if content.is_password() {
                "password"
            } else {
                "token"
            };
            let finding = match end(facts) {
                // The gateway knows better than a file: the file is newer, or another gateway's.
                Some(
                    LoginEnd::Accepted {
                        used: Used::Secret, ..
                    }
                    | LoginEnd::Pairing(_),
                ) if is_near => Finding::warning(
                    Check::OpenclawJson,
                    Issue::TokenMismatchAfterEdit,
                    format!(
                        "{message}, which the gateway takes: the file was edited after the gateway started, or it is another gateway's"
                    ),
                    format!(
                        "Give the backend the {what} of that file and restart the gateway, if the file is this gateway's: at its next start it will refuse the backend's."
                    ),
                ),
                Some(LoginEnd::Accepted { .. } | LoginEnd::Pairing(_)) => {
                    ok(format!("{message}: it is another gateway's"))
                }
                _ => Finding::warning(
                    Check::OpenclawJson,
                    if content.is_password() {
                        Issue::Refused(RefusalKind::PasswordMismatch)
                    } else {
                        Issue::TokenMismatch
                    },
                    message,
                    format!(
                        "Copy {place} of {path} to the backend, if the file is this gateway's."
                    ),
                ),
            };
            finding.with("token", "differs")
        }
    }
}

fn identity(facts: &Facts) -> Finding {
    let identity = match &facts.identity {
        Err(fault) => {
            return Finding::problem(
                Check::Identity,
                Issue::Identity,
                fault.what.clone(),
                fault.fix.clone(),
            );
        }
        // `devices list` makes its own when it is needed; nobody approved it before.
        Ok(None) if facts.perspective == Perspective::Operator => {
            return Finding::ok(
                Check::Identity,
                format!(
                    "none yet in {}; made by the first `openclaw-adapter devices list`",
                    facts.profile.place
                ),
            )
            .with("path", facts.profile.place.clone());
        }
        Ok(None) => {
            return Finding::warning(
                Check::Identity,
                Issue::NoIdentity,
                format!("none yet in {}; the first connect makes one, and this does not", facts.profile.place),
                "Start the backend, which makes its identity; if it had one before, the state directory was lost: keep it on a volume, or take over a copy with `openclaw-adapter identity import FILE`.",
            )
            .with("path", facts.profile.place.clone());
        }
        Ok(Some(identity)) => identity,
    };
    let age =
        (identity.created_at_ms > 0).then(|| facts.now_ms.saturating_sub(identity.created_at_ms));
    let mode = identity.mode.map(|mode| format!("{mode:04o}"));
    let mut message = format!("device {} in {}", identity.device.short(), identity.place);
    if let Some(mode) = &mode {
        message.push_str(", mode ");
        message.push_str(mode);
    }
    if let Some(age) = age {
        message.push_str(", made ");
        message.push_str(&span(age));
        message.push_str(" ago");
    }
    // The gateway's words about the device are about this.
    let finding = match end(facts) {
        Some(LoginEnd::Refused(refusal)) if is_about_identity(refusal.kind) => Finding::problem(
            Check::Identity,
            Issue::Refused(refusal.kind),
            format!("{message}: refused, {refusal}"),
            refusal.fix.clone(),
        ),
        _ => Finding::ok(Check::Identity, message),
    };
    finding
        .with("deviceId", identity.device.as_str())
        .with("path", identity.place.clone())
        .with("mode", mode)
        .with("createdAtMs", identity.created_at_ms)
        .with("ageMs", age)
        .with("tokenScopes", identity.token_scopes.clone())
}

/// Returns true if a refusal is about the device and its signature.
pub(super) const fn is_about_identity(kind: RefusalKind) -> bool {
    matches!(
        kind,
        RefusalKind::SignatureInvalid
            | RefusalKind::SignatureExpired
            | RefusalKind::NonceMismatch
            | RefusalKind::DeviceIdMismatch
            | RefusalKind::PublicKeyInvalid
            | RefusalKind::DeviceIdentityRequired
    )
}
