//! Judges the gateway's answers: challenge, protocol, clock, login, locality, pairing, tick.

use super::super::facts::{Facts, Found, LoginEnd, Perspective, Sign, Step};
use super::super::openclaw_json::Compared;
use super::super::report::{Check, Finding, Issue};
use super::super::symptoms::OPERATOR_FIX;
use super::credentials::is_about_identity;
use super::{end, late, login, millis, obstacle, skipped, span};
use crate::base::endpoint::DEFAULT_PORT;
use crate::logic::credentials::Used;
use crate::logic::pairing::{PairingReason, PairingRequired, covers};
use crate::logic::refusal::RefusalKind;

/// Below this no person sees the difference between two logs.
const SKEW_MS: u64 = 5_000;

/// A request that nobody asks for is forgotten after this long, on both generations (measured).
const REQUEST_MS: u64 = 300_000;

pub(super) fn before_login(facts: &Facts) -> [Finding; 3] {
    [challenge(facts), protocol(facts), clock(facts)]
}

pub(super) fn after_login(facts: &Facts) -> [Finding; 3] {
    [answer(facts), locality(facts), pairing(facts)]
}

/// The generation, by the challenge or by the hello.
pub(super) fn protocol_number(facts: &Facts) -> Option<u32> {
    match end(facts) {
        Some(LoginEnd::Accepted { hello, .. }) => Some(hello.protocol),
        _ => facts
            .challenge
            .done()
            .map(|challenge| if challenge.is_new_generation { 4 } else { 3 }),
    }
}

fn challenge(facts: &Facts) -> Finding {
    const FIX: &str = "Check that it is a gateway's port: something takes WebSocket connections there, but does not speak as a gateway does. If it is one, look at its log.";
    match &facts.challenge {
        Step::NotReached => skipped(Check::Challenge, obstacle(facts)),
        Step::Late => late(
            Check::Challenge,
            facts,
            "no challenge from the gateway",
            FIX,
        ),
        Step::Failed(what) => Finding::problem(
            Check::Challenge,
            Issue::NoGateway,
            format!("no usable challenge: {what}"),
            FIX,
        ),
        Step::Done(challenge) => {
            let generation = if challenge.is_new_generation {
                "2026.9"
            } else {
                "2026.2"
            };
            Finding::ok(
                Check::Challenge,
                format!("a gateway of the {generation} generation"),
            )
            .with("generation", generation)
        }
    }
}

fn protocol(facts: &Facts) -> Finding {
    if facts.challenge.done().is_none() {
        return skipped(Check::Protocol, obstacle(facts));
    }
    match end(facts) {
        Some(LoginEnd::Accepted { hello, .. }) => Finding::ok(
            Check::Protocol,
            format!(
                "protocol {}, gateway {}",
                hello.protocol, hello.server_version
            ),
        )
        .with("protocol", hello.protocol)
        .with("serverVersion", hello.server_version.clone()),
        Some(LoginEnd::Refused(refusal)) if refusal.kind == RefusalKind::ProtocolMismatch => {
            Finding::problem(
                Check::Protocol,
                Issue::Refused(refusal.kind),
                refusal.to_string(),
                refusal.fix.clone(),
            )
        }
        Some(LoginEnd::Pairing(_) | LoginEnd::Refused(_)) => {
            Finding::ok(Check::Protocol, "3 to 4 offered, and not refused")
        }
        _ => Finding::skipped(Check::Protocol, "only the login shows it"),
    }
}

fn clock(facts: &Facts) -> Finding {
    let Some(challenge) = facts.challenge.done() else {
        return skipped(Check::Clock, obstacle(facts));
    };
    let apart = challenge.ts.abs_diff(challenge.arrived_ms);
    let ahead = challenge.ts > challenge.arrived_ms;
    let finding = if apart < SKEW_MS {
        Finding::ok(
            Check::Clock,
            "the gateway's clock and this host's are together",
        )
    } else {
        let side = if ahead { "ahead of" } else { "behind" };
        Finding::warning(
            Check::Clock,
            Issue::ClockSkew,
            format!(
                "the gateway's clock is {} {side} this host's. The adapter signs with the gateway's time, so that alone does not stop it",
                span(apart)
            ),
            "Set the clock of whichever host is wrong (NTP): other clients are refused when theirs is off by minutes, and certificates and logs depend on it.",
        )
    };
    let skew = i64::try_from(apart).unwrap_or(i64::MAX);
    finding.with("skewMs", if ahead { skew } else { -skew })
}

fn answer(facts: &Facts) -> Finding {
    let end = match &facts.login {
        Step::NotReached => return skipped(Check::Login, obstacle(facts)),
        Step::Late => {
            return late(
                Check::Login,
                facts,
                "no answer to connect",
                "Look at the gateway's log: it took the connection and hangs, or is very slow.",
            );
        }
        Step::Failed(never) => match *never {},
        Step::Done(login) => &login.end,
    };
    match end {
        LoginEnd::Accepted { hello, used } => {
            let by = match used {
                Used::Device => "device token",
                Used::Secret => hello.auth_method.as_deref().unwrap_or("shared secret"),
            };
            Finding::ok(
                Check::Login,
                format!("let in by {by}, connection {}", hello.conn_id),
            )
            .with("connId", hello.conn_id.clone())
        }
        LoginEnd::Pairing(_) => Finding::ok(
            Check::Login,
            "the token was taken, and an approval is asked for",
        ),
        LoginEnd::Refused(refusal) if refusal.kind.is_credentials() => {
            skipped(Check::Login, Check::Token)
        }
        LoginEnd::Refused(refusal) if is_about_identity(refusal.kind) => {
            skipped(Check::Login, Check::Identity)
        }
        LoginEnd::Refused(refusal) if refusal.kind == RefusalKind::ProtocolMismatch => {
            skipped(Check::Login, Check::Protocol)
        }
        LoginEnd::Refused(refusal) if refusal.kind == RefusalKind::ScopeMismatch => {
            skipped(Check::Login, Check::Scopes)
        }
        LoginEnd::Refused(refusal) => Finding::problem(
            Check::Login,
            Issue::Refused(refusal.kind),
            format!("refused: {refusal}"),
            refusal.fix.clone(),
        ),
        LoginEnd::UpgradeRefused(refusal) => super::network::refused(Check::Login, refusal),
        LoginEnd::NotNow { kind, what, fix } => Finding::problem(
            Check::Login,
            Issue::Refused(*kind),
            format!("not now: {what}"),
            fix.clone(),
        )
        .with("transient", true),
        LoginEnd::Failed(what) => Finding::problem(
            Check::Login,
            Issue::ConnectionLost,
            what.clone(),
            "Look at the gateway's log: it ended the connection instead of answering.",
        )
        .with("transient", true),
    }
}

/// The locality that the gateway assigns to this host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Local,
    Remote,
}

/// Returns the locality that the gateway should assign, and the reason.
fn expected(facts: &Facts) -> Option<(Place, String)> {
    let address = facts.address.as_ref().ok()?;
    let peer = facts.tcp.done()?.peer?;
    if address.is_forwarded {
        return Some((
            Place::Remote,
            "an extra header names another client address".to_owned(),
        ));
    }
    if !peer.ip().to_canonical().is_loopback() {
        return Some((
            Place::Remote,
            format!("it is reached over the network, at {peer}"),
        ));
    }
    // 2026.2.9 also wants the name of a local host in the Host header (measured).
    let names_local = matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1")
        || address.host.ends_with(".ts.net");
    if protocol_number(facts) == Some(3) && !names_local {
        return Some((
            Place::Remote,
            format!(
                "it is of the 2026.2 generation and takes only localhost, 127.0.0.1 and ::1 for its own host, not {}",
                address.host
            ),
        ));
    }
    Some((Place::Local, "it is reached over loopback".to_owned()))
}

/// Returns the locality that its answer shows.
fn observed(facts: &Facts) -> Option<Place> {
    let login = login(facts)?;
    match &login.end {
        // Measured: neither generation asks a client on its loopback for an approval, unless the
        // device already has an open request.
        LoginEnd::Pairing(pairing) if pairing.reason == PairingReason::NotPaired => {
            Some(Place::Remote)
        }
        // Measured on 2026.9.6: without a device the scopes are kept on loopback only.
        LoginEnd::Accepted { hello, .. } if !login.with_device && hello.protocol >= 4 => {
            match (hello.scopes.is_empty(), facts.profile.scopes.is_empty()) {
                (true, false) => Some(Place::Remote),
                (false, _) => Some(Place::Local),
                (true, true) => None,
            }
        }
        // Measured on 2026.9.6: a backend on loopback is let in without a device token.
        LoginEnd::Accepted { hello, .. }
            if login.with_device && hello.protocol >= 4 && hello.device_token.is_none() =>
        {
            Some(Place::Local)
        }
        _ => None,
    }
}

fn locality(facts: &Facts) -> Finding {
    if facts.challenge.done().is_none() {
        return skipped(Check::Locality, obstacle(facts));
    }
    let text = |place| match place {
        Place::Local => "local",
        Place::Remote => "remote",
    };
    let (place, why, is_observed) = match (observed(facts), expected(facts)) {
        (Some(Place::Remote), Some((Place::Local, _))) => {
            return Finding::warning(
                Check::Locality,
                Issue::NotLoopback,
                "the gateway takes this host for a remote one, though it is reached over loopback: a published container port or a proxy is in between",
                at_its_port(facts, "For the way without approval, run it where the gateway itself runs: docker exec -u node CONTAINER …, with --url ws://127.0.0.1:18789."),
            )
            .with("locality", "remote")
            .with("observed", true);
        }
        (Some(Place::Local), Some((Place::Remote, why))) => {
            let why = format!("though {why}; a proxy on its host that it trusts may be in between");
            (Place::Local, why, true)
        }
        (Some(place), Some((_, why))) => (place, why, true),
        (Some(place), None) => (place, "its answer shows it".to_owned(), true),
        (None, Some((place, why))) => (place, why, false),
        (None, None) => {
            return Finding::skipped(
                Check::Locality,
                "the backend opens its connections in its own way",
            );
        }
    };
    let verb = if is_observed { "takes" } else { "should take" };
    let consequence = match place {
        Place::Local => "so no approval is needed",
        Place::Remote => "so each device needs an approval",
    };
    Finding::ok(
        Check::Locality,
        format!(
            "the gateway {verb} this host for a {} one: {why}, {consequence}",
            text(place)
        ),
    )
    .with("locality", text(place))
    .with("observed", is_observed)
}

fn pairing(facts: &Facts) -> Finding {
    match login(facts) {
        None => skipped(Check::Pairing, obstacle(facts)),
        Some(login) => match &login.end {
            LoginEnd::Pairing(pairing) => asked(facts, pairing),
            LoginEnd::Accepted { .. } if !login.with_device => unnamed(facts),
            LoginEnd::Accepted { hello, .. } if hello.device_token.is_some() => Finding::ok(
                Check::Pairing,
                "approved: the gateway has a token for this device",
            )
            .with("paired", true),
            LoginEnd::Accepted { .. } => Finding::ok(
                Check::Pairing,
                "not needed here: the gateway let us in without",
            )
            .with("paired", false),
            LoginEnd::Refused(refusal) if refusal.kind.is_credentials() => {
                skipped(Check::Pairing, Check::Token)
            }
            _ => skipped(Check::Pairing, Check::Login),
        },
    }
}

/// There is no device to approve yet.
fn unnamed(facts: &Facts) -> Finding {
    let place = observed(facts).or_else(|| expected(facts).map(|(place, _)| place));
    if facts.identity.is_err() {
        return skipped(Check::Pairing, Check::Identity);
    }
    if place == Some(Place::Local) {
        return Finding::ok(
            Check::Pairing,
            "not needed here, once there is an identity: the gateway takes this host for its own",
        )
        .with("paired", false);
    }
    if facts.perspective == Perspective::Operator {
        return Finding::problem(
            Check::Pairing,
            Issue::PairingRequiredCli,
            "pairing required: an operator's client that comes over the network has to be approved itself",
            at_its_port(facts, OPERATOR_FIX),
        )
        .with("paired", false);
    }
    Finding::problem(
        Check::Pairing,
        Issue::PairingRequired,
        "pairing required: there is no identity yet, so nobody can have approved it, and nothing waits for approval",
        "Start the backend (or `openclaw-adapter connect`), and approve the request that it names on the gateway's host: openclaw devices approve REQUEST_ID.",
    )
    .with("paired", false)
}

fn asked(facts: &Facts, pairing: &PairingRequired) -> Finding {
    let now = facts
        .challenge
        .done()
        .map_or(facts.now_ms, |challenge| challenge.ts);
    // By the gateway's own clock, which stamped the request.
    let age = facts.requested_at_ms.map(|at| now.saturating_sub(at));
    let age_text = match age {
        Some(age) => format!(" ({} old)", span(age)),
        None => String::new(),
    };
    let id = pairing
        .request_id
        .as_deref()
        .unwrap_or("without a usable id");
    let what = match &pairing.reason {
        PairingReason::NotPaired => "this device is not approved yet",
        PairingReason::ScopeUpgrade => "this device is approved, but not for these scopes",
        PairingReason::RoleUpgrade => {
            "this device is approved, but not for this role, or its token was revoked"
        }
        PairingReason::MetadataUpgrade => {
            "this device is approved, but with another platform or device family"
        }
        PairingReason::Other(_) => "the gateway wants an approval",
    };
    // Measured: a further connect gives the request new time on 2026.9.6, but not on 2026.2.9.
    let since = match protocol_number(facts) {
        Some(3) => "made",
        _ => "last asked for",
    };
    let message = format!(
        "pairing required ({}): {what}; request {id}{age_text} is kept for {} after it was {since}",
        pairing.reason,
        span(REQUEST_MS)
    );
    let command = pairing.approve_command();
    let (issue, fix) = match facts.perspective {
        Perspective::Operator => (Issue::PairingRequiredCli, at_its_port(facts, OPERATOR_FIX)),
        Perspective::Backend => (
            Issue::PairingRequired,
            match without_approval(&facts.profile.scopes, pairing) {
                Some(way) => format!(
                    "{way}; otherwise approve, on the gateway's host: {command} (in its container: {}).",
                    at_its_port(facts, &in_container(&command))
                ),
                None => format!(
                    "On the gateway's host: {command} (in its container: {}).",
                    at_its_port(facts, &in_container(&command))
                ),
            },
        ),
    };
    Finding::problem(Check::Pairing, issue, message, fix)
        .with("paired", false)
        .with("requestId", pairing.request_id.clone())
        .with("ageMs", age)
        .with("deviceId", pairing.device_id.as_str())
        .with("reason", pairing.reason.as_str())
        .with("approveCommand", command)
}

/// An advice with the gateway's loopback in it, where a file that is not another gateway's says that
/// it listens on another port.
fn at_its_port(facts: &Facts, advice: &str) -> String {
    let port = match &facts.openclaw_json {
        Found::Read { content, .. } if !matches!(content.secret, Compared::Differs(_)) => {
            content.port
        }
        _ => None,
    };
    let port = port.unwrap_or(DEFAULT_PORT);
    advice.replace(
        &format!("127.0.0.1:{DEFAULT_PORT}"),
        &format!("127.0.0.1:{port}"),
    )
}

/// Returns the next step for scopes that were not approved and that the backend does not need: an approval would
/// give them to it.
fn without_approval(asked: &[String], pairing: &PairingRequired) -> Option<String> {
    if pairing.reason != PairingReason::ScopeUpgrade {
        return None;
    }
    let approved = pairing.approved_scopes.as_deref().unwrap_or_default();
    let (fewer, more): (Vec<&str>, Vec<&str>) = asked
        .iter()
        .map(String::as_str)
        .partition(|scope| covers(approved, &[(*scope).to_owned()]));
    let more = if more.is_empty() {
        "more than was approved".to_owned()
    } else {
        more.join(" ")
    };
    let fewer = if fewer.is_empty() {
        "ask for fewer scopes: OPENCLAW_ADAPTER_SCOPES, or --scopes".to_owned()
    } else {
        let fewer = fewer.join(",");
        format!(
            "ask only for what is approved: OPENCLAW_ADAPTER_SCOPES={fewer}, or --scopes {fewer}"
        )
    };
    Some(format!("If the backend does not need {more}, {fewer}"))
}

fn in_container(command: &str) -> String {
    let rest = command.strip_prefix("openclaw ").unwrap_or(command);
    format!(
        "docker exec -u node CONTAINER node /app/openclaw.mjs {rest} --url ws://127.0.0.1:18789 --token TOKEN"
    )
}

pub(super) fn tick(facts: &Facts) -> Finding {
    const FIX: &str =
        "Look at the gateway's load and log, and at proxies on the way that hold messages back.";
    let Some(LoginEnd::Accepted { hello, .. }) = end(facts) else {
        let earlier = if matches!(end(facts), Some(LoginEnd::Pairing(_))) {
            Check::Pairing
        } else {
            obstacle(facts)
        };
        return skipped(Check::Tick, earlier);
    };
    let interval = millis(hello.policy.tick_interval);
    let every = span(interval);
    let finding = match &facts.tick {
        Step::Done(Sign::Frame { name, after }) => Finding::ok(
            Check::Tick,
            format!("alive: {name} after {}; a tick is due every {every}", span(millis(*after))),
        )
        .with("sign", name.clone())
        .with("afterMs", millis(*after)),
        Step::Done(Sign::Pong { after }) => Finding::ok(
            Check::Tick,
            format!("alive: a ping was answered after {}; a tick is due every {every}, and was not waited for", span(millis(*after))),
        )
        .with("sign", "pong")
        .with("afterMs", millis(*after)),
        Step::Done(Sign::Nothing { waited }) => Finding::problem(
            Check::Tick,
            Issue::Silent,
            format!("nothing came for {}; a tick is due every {every}", span(millis(*waited))),
            FIX,
        ),
        Step::Done(Sign::TooEarly) | Step::NotReached | Step::Late => Finding::skipped(
            Check::Tick,
            format!("no time was left to wait for one; a tick is due every {every}"),
        ),
        Step::Failed(what) => Finding::problem(
            Check::Tick,
            Issue::ConnectionLost,
            format!("the connection ended after the login: {what}"),
            FIX,
        ),
    };
    finding.with("intervalMs", interval)
}
