//! Address, name, TCP, TLS, upgrade.

use std::io::ErrorKind;
use std::net::IpAddr;

use super::super::facts::{Address, Facts, Found, Plain, Step, TlsFault, UpgradeFault};
use super::super::report::{Check, Finding, Issue};
use super::super::symptoms::Symptom;
use super::{bad_configuration, late, millis, skipped};
use crate::base::endpoint::{AddressClass, DEFAULT_PORT, class_of};
use crate::logic::proxy::Answerer;
use crate::logic::refusal::UpgradeRefusal;

pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts
        .setup
        .as_ref()
        .err()
        .map(bad_configuration)
        .into_iter()
        .collect();
    findings.extend([
        address(facts),
        name(facts),
        tcp(facts),
        tls(facts),
        upgrade(facts),
    ]);
    findings
}

/// Returns true if the rule for plain `ws://` prevented the dial. A name without an address is in
/// the way of more than that.
pub(super) fn is_refused_plain(facts: &Facts) -> bool {
    !matches!(facts.name, Step::Failed(_))
        && facts
            .address
            .as_ref()
            .is_ok_and(|address| address.plain == Plain::Refused)
}

/// Port 80 is hardly ever a gateway's: mostly it is where `ws://` without a port leads to.
const fn is_port_of_scheme(address: &Address) -> bool {
    !address.is_tls && address.port == 80
}

const fn class_name(class: AddressClass) -> &'static str {
    match class {
        AddressClass::Loopback => "loopback",
        AddressClass::Private => "a private address",
        AddressClass::LinkLocal => "a link-local address",
        AddressClass::Cgnat => "a CGNAT address",
        AddressClass::LocalName => "a local name",
        AddressClass::Public => "a public address",
    }
}

fn address(facts: &Facts) -> Finding {
    let address = match &facts.address {
        Ok(address) => address,
        Err(error) => {
            return Finding::problem(
                Check::Address,
                Issue::Address,
                error.to_string(),
                "Correct OPENCLAW_GATEWAY_URL: it is ws://HOST:18789 or wss://HOST.",
            );
        }
    };
    let class = class_name(address.class);
    let text = if is_port_of_scheme(address) {
        format!(
            "{} (without a port ws:// means 80; a gateway's is {DEFAULT_PORT})",
            address.text
        )
    } else {
        address.text.clone()
    };
    let finding = match address.plain {
        _ if address.is_tls => Finding::ok(Check::Address, format!("{text}, {class}, encrypted")),
        Plain::Fine => Finding::ok(
            Check::Address,
            format!("{text}, plain ws:// to {class}, which is allowed"),
        ),
        Plain::Overruled => Finding::warning(
            Check::Address,
            Issue::PlainWs,
            format!("{text}, plain ws:// to {class}: allowed only because the rule is overruled"),
            "Use wss:// if anybody else can read along on the way to the gateway.",
        ),
        Plain::Refused => {
            let message = format!(
                "{text}, plain ws:// to {class}: everybody on the way could read the token, so nothing was sent"
            );
            let fix = "Use wss://, or set OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 if the way is private though the name does not show it.";
            if is_refused_plain(facts) {
                Finding::problem(Check::Address, Issue::PlainWs, message, fix)
            } else {
                Finding::warning(Check::Address, Issue::PlainWs, message, fix)
            }
        }
    };
    finding
        .with("url", address.text.clone())
        .with("host", address.host.clone())
        .with("port", address.port)
}

fn name(facts: &Facts) -> Finding {
    let Ok(address) = &facts.address else {
        return skipped(Check::Name, Check::Address);
    };
    let host = &address.host;
    match &facts.name {
        Step::NotReached if facts.setup.is_err() => skipped(Check::Name, Check::Configuration),
        Step::NotReached => Finding::skipped(
            Check::Name,
            "the backend opens its connections in its own way",
        ),
        Step::Late => late(
            Check::Name,
            facts,
            &format!("no answer about {host} from the name server"),
            "Check this host's name servers (/etc/resolv.conf).",
        ),
        Step::Failed(what) => Finding::problem(
            Check::Name,
            Issue::NameUnknown,
            format!("{host} has no address: {what}"),
            "Correct the host in OPENCLAW_GATEWAY_URL, or have this host find its address (DNS, /etc/hosts, or the same container network as the gateway).",
        ),
        Step::Done(_) if address.is_literal => {
            Finding::skipped(Check::Name, "an address needs no name server")
        }
        Step::Done(addresses) => resolved(address, addresses),
    }
}

fn resolved(address: &Address, addresses: &[IpAddr]) -> Finding {
    let list = addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!("{} is {list}", address.host);
    let leaves = addresses
        .iter()
        .any(|ip| class_of(*ip) == AddressClass::Public);
    let finding = if leaves && !address.is_tls && address.plain == Plain::Fine {
        Finding::warning(
            Check::Name,
            Issue::PlainWs,
            format!(
                "{message}: a public address, though the name looks local, and ws:// is not encrypted"
            ),
            "Use wss://, or have the name lead to an address of this network.",
        )
    } else {
        Finding::ok(Check::Name, message)
    };
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    finding.with("addresses", list)
}

fn tcp(facts: &Facts) -> Finding {
    let Ok(address) = &facts.address else {
        return skipped(Check::Tcp, Check::Address);
    };
    let place = format!("{} port {}", address.host, address.port);
    match &facts.tcp {
        Step::NotReached if is_refused_plain(facts) => skipped(Check::Tcp, Check::Address),
        Step::NotReached if facts.setup.is_err() => skipped(Check::Tcp, Check::Configuration),
        Step::NotReached => skipped(Check::Tcp, Check::Name),
        Step::Late => late(
            Check::Tcp,
            facts,
            &format!("no answer from {place}"),
            &port_of_scheme_fix(address).unwrap_or_else(|| {
                "Check the address, and that no firewall drops connections from this host to it."
                    .to_owned()
            }),
        ),
        Step::Failed(fault) => {
            let what = match fault.kind {
                ErrorKind::ConnectionRefused => format!("nothing listens on {place}"),
                ErrorKind::TimedOut => format!("{place} does not answer"),
                _ => format!("no connection to {place}: {}", fault.what),
            };
            let (issue, cause, fix) = why_down(facts, address);
            Finding::problem(Check::Tcp, issue, format!("{what}{cause}"), fix)
        }
        Step::Done(tcp) => {
            let peer = tcp.peer.map(|peer| peer.to_string());
            let message = match &peer {
                Some(peer) => format!("connected to {peer} in {} ms", tcp.took.as_millis()),
                None => format!("connected in {} ms", tcp.took.as_millis()),
            };
            Finding::ok(Check::Tcp, message)
                .with("peer", peer)
                .with("local", tcp.local.map(|local| local.to_string()))
                .with("tookMs", millis(tcp.took))
        }
    }
}

/// Explains a closed port as far as this host can know: issue, details and next step.
fn why_down(facts: &Facts, address: &Address) -> (Issue, String, String) {
    if let Some(symptom) = does_not_start(facts) {
        return (
            symptom.issue,
            format!("; it was seen to say \"{}\"", symptom.words),
            symptom.fix.to_owned(),
        );
    }
    if let Some(fix) = port_of_scheme_fix(address) {
        return (Issue::Unreachable, String::new(), fix);
    }
    if let Found::Read { path, content } = &facts.openclaw_json
        && address.class != AddressClass::Public
    {
        let path = path.display();
        let port = content.port.unwrap_or(DEFAULT_PORT);
        if port != address.port {
            return (
                Issue::Unreachable,
                format!("; {path} says port {port}"),
                format!(
                    "Set OPENCLAW_GATEWAY_URL to port {port}, or start the gateway on port {}.",
                    address.port
                ),
            );
        }
        if let Some(bad) = content.bad_profiles.first() {
            return (
                Issue::ConfigInvalidAuthProfiles,
                format!(
                    "; the gateway does not start with {path} as it is: {} {}",
                    bad.place, bad.what
                ),
                super::super::symptoms::AUTH_PROFILES_FIX.to_owned(),
            );
        }
        if content.bind.as_deref() == Some("loopback") && address.class != AddressClass::Loopback {
            return (
                Issue::Unreachable,
                format!("; {path} says bind: loopback"),
                "Set gateway.bind to \"lan\" in the gateway's openclaw.json and restart the gateway, or dial ws://127.0.0.1 on its own host.".to_owned(),
            );
        }
    }
    let fix = if address.class == AddressClass::Loopback {
        "Start the gateway on this host, or set OPENCLAW_GATEWAY_URL to where it runs; in a container 127.0.0.1 is the container itself.".to_owned()
    } else {
        "Start the gateway, and see that it listens on more than its loopback (gateway.bind \"lan\") and that the port is published; or correct OPENCLAW_GATEWAY_URL.".to_owned()
    };
    (Issue::Unreachable, String::new(), fix)
}

fn port_of_scheme_fix(address: &Address) -> Option<String> {
    is_port_of_scheme(address).then(|| {
        format!(
            "Write the gateway's port into OPENCLAW_GATEWAY_URL: ws://HOST:{DEFAULT_PORT}, unless it was set to another one."
        )
    })
}

fn does_not_start(facts: &Facts) -> Option<Symptom> {
    facts
        .symptoms
        .as_ref()?
        .iter()
        .find(|symptom| {
            matches!(
                symptom.issue,
                Issue::ConfigInvalidAuthProfiles | Issue::ConfigInvalid
            )
        })
        .copied()
}

fn tls(facts: &Facts) -> Finding {
    let Ok(address) = &facts.address else {
        return skipped(Check::Tls, Check::Address);
    };
    if !address.is_tls {
        return Finding::skipped(Check::Tls, "ws:// has none");
    }
    match &facts.tls {
        Step::NotReached => skipped(Check::Tls, Check::Tcp),
        Step::Late => late(
            Check::Tls,
            facts,
            "no end of the TLS handshake",
            "Check that the port of OPENCLAW_GATEWAY_URL is the one for wss://.",
        ),
        Step::Failed(TlsFault::Certificate { what, fix }) => {
            Finding::problem(Check::Tls, Issue::Tls, what.clone(), sentence(fix))
        }
        Step::Failed(TlsFault::NotTls) => Finding::problem(
            Check::Tls,
            Issue::Tls,
            "what listens there speaks no TLS",
            "Write ws:// instead of wss://, or the port of the proxy that does the TLS.",
        ),
        Step::Failed(TlsFault::ClientCertificate) => Finding::problem(
            Check::Tls,
            Issue::Tls,
            "what answers there wants a client certificate, and those are not supported",
            NO_CLIENT_CERTIFICATES,
        ),
        Step::Failed(TlsFault::Other(what)) => Finding::problem(
            Check::Tls,
            Issue::Tls,
            format!("the TLS handshake failed: {what}"),
            "Check that the port of OPENCLAW_GATEWAY_URL is the one for wss://; a gateway without TLS wants ws://.",
        ),
        Step::Done(tls) => {
            let trust = if tls.is_pinned {
                "the pinned certificate"
            } else {
                "a certificate that this system trusts"
            };
            Finding::ok(Check::Tls, format!("{}, {trust}", tls.version))
                .with("version", tls.version.clone())
                .with("fingerprint", tls.fingerprint.clone())
                .with("tookMs", millis(tls.took))
        }
    }
}

const NO_CLIENT_CERTIFICATES: &str = "Have the proxy in front of the gateway ask this backend for no client certificate (nginx: ssl_verify_client), or dial the gateway past it.";

/// An advice that stands behind a semicolon elsewhere.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), characters.as_str())
    })
}

fn upgrade(facts: &Facts) -> Finding {
    match &facts.upgrade {
        Step::NotReached => skipped(Check::Upgrade, super::obstacle(facts)),
        Step::Late => late(
            Check::Upgrade,
            facts,
            "no answer to the WebSocket upgrade",
            "Check that it is the gateway's port: something accepts connections there and says nothing.",
        ),
        Step::Failed(UpgradeFault::Failed(what)) => Finding::problem(
            Check::Upgrade,
            Issue::NoGateway,
            what.clone(),
            "Check that it is the gateway's port, and that a port with TLS is dialled by wss://.",
        ),
        Step::Failed(UpgradeFault::Refused(refusal)) => refused(Check::Upgrade, refusal),
        Step::Done(took) => Finding::ok(
            Check::Upgrade,
            format!("a WebSocket after {} ms", took.as_millis()),
        )
        .with("tookMs", millis(*took)),
    }
}

/// An HTTP answer that was no upgrade.
pub(super) fn refused(check: Check, refusal: &UpgradeRefusal) -> Finding {
    let issue = match &refusal.answered_by {
        Some(Answerer::Cloudflare(_)) => Issue::Cloudflare,
        Some(Answerer::Gateway) if refusal.status == 403 => Issue::ProxyAttribution,
        _ if refusal.is_transient() => Issue::Away,
        _ => Issue::UpgradeRefused,
    };
    // The words of nginx.
    let says = |words| refusal.message.contains(words);
    let fix = if says("plain HTTP request was sent to HTTPS port") {
        "Write wss:// instead of ws://: that port wants TLS.".to_owned()
    } else if says("No required SSL certificate was sent") {
        NO_CLIENT_CERTIFICATES.to_owned()
    } else {
        refusal.fix()
    };
    Finding::problem(check, issue, refusal.to_string(), fix)
        .with("httpStatus", refusal.status)
        .with(
            "answeredBy",
            refusal.answered_by.as_ref().map(ToString::to_string),
        )
        .with("location", refusal.location.clone())
        .with("retryAfterMs", refusal.retry_after.map(millis))
        .with("transient", refusal.is_transient())
}
