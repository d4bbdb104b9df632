//! Facts in, findings out: one row per thing that can be wrong.

mod credentials;
mod gateway;
mod network;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::facts::*;
use super::super::openclaw_json::OpenclawJson;
use super::super::report::{Finding, Status};
use super::super::shape::Shape;
use super::super::symptoms::recognise;
use super::*;
use crate::base::endpoint::{AddressClass, EndpointError};
use crate::base::identity::{DeviceId, DeviceIdentity};
use crate::base::secret::Token;
use crate::logic::credentials::{Secret, Used};
use crate::logic::pairing::PairingRequired;
use crate::logic::proxy::{Answerer, Cloudflare};
use crate::logic::refusal::{FixHints, Refusal, RefusalKind, UpgradeRefusal};
use crate::protocol::connect::tests::profile;
use crate::protocol::{GatewayError, Hello};

const NOW: u64 = 1_795_375_154_446;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn device() -> DeviceId {
    DeviceIdentity::generate(NOW).unwrap().id().clone()
}

fn hello(protocol: u32, scopes: &Value, device_token: Option<&str>) -> Arc<Hello> {
    let payload = json!({
        "type": "hello-ok", "protocol": protocol,
        "server": {"version": "2026.9.6", "connId": "c-1"},
        "features": {"methods": ["agent", "some.plugin"], "events": []},
        "auth": {"role": "operator", "scopes": scopes, "deviceToken": device_token},
        "policy": {"tickIntervalMs": 30_000},
    });
    Arc::new(Hello::parse(&payload.to_string(), &profile()).unwrap())
}

fn accepted(used: Used) -> LoginEnd {
    LoginEnd::Accepted {
        hello: hello(
            4,
            &json!(["operator.read", "operator.write"]),
            Some("device-token-0123"),
        ),
        used,
    }
}

fn error(value: Value) -> GatewayError {
    serde_json::from_value(value).unwrap()
}

fn refused(kind: RefusalKind, message: &str) -> LoginEnd {
    LoginEnd::Refused(Arc::new(Refusal {
        kind,
        fix: kind.fix(&FixHints {
            origin: "OPENCLAW_GATEWAY_TOKEN",
            is_password: false,
        }),
        error: GatewayError::from_words(message),
    }))
}

fn pairing(reason: &str) -> LoginEnd {
    let refusal = error(json!({"code":"NOT_PAIRED","message":"pairing required",
        "details":{"reason":reason,"requestId":"r-1","approvedScopes":["operator.read"]}}));
    LoginEnd::Pairing(Arc::new(PairingRequired::from_error(
        &refusal,
        &device(),
        &profile(),
        None,
    )))
}

fn file(value: &Value, ours: &str) -> Found {
    let ours = Secret::Token(Token::new(ours).unwrap());
    Found::Read {
        path: "/data/openclaw.json".into(),
        content: OpenclawJson::read(&value.to_string(), Some(&ours)),
    }
}

fn upgrade(
    status: u16,
    message: &str,
    answered_by: Option<Answerer>,
) -> Step<Duration, UpgradeFault> {
    Step::Failed(UpgradeFault::Refused(UpgradeRefusal {
        status,
        message: message.to_owned(),
        location: None,
        retry_after: None,
        answered_by,
    }))
}

/// A paired backend on another host than its gateway, all well.
fn healthy() -> Facts {
    Facts {
        perspective: Perspective::Backend,
        limit: Duration::from_secs(20),
        now_ms: NOW,
        address: Ok(Address {
            text: "ws://gateway:18789".into(),
            host: "gateway".into(),
            port: 18789,
            is_tls: false,
            class: AddressClass::LocalName,
            is_literal: false,
            plain: Plain::Fine,
            is_forwarded: false,
        }),
        setup: Ok(()),
        name: Step::Done(vec!["10.88.0.1".parse().unwrap()]),
        tcp: Step::Done(Tcp {
            took: Duration::from_millis(2),
            peer: Some("10.88.0.1:18789".parse().unwrap()),
            local: Some("10.88.0.2:40000".parse().unwrap()),
        }),
        tls: Step::NotReached,
        upgrade: Step::Done(Duration::from_millis(1)),
        challenge: Step::Done(Challenge {
            is_new_generation: true,
            ts: NOW,
            arrived_ms: NOW + 3,
        }),
        token: Ok(Credential {
            origin: "OPENCLAW_GATEWAY_TOKEN".into(),
            is_password: false,
            shape: Shape {
                length: 32,
                hash: Some("9f9f5111".into()),
            },
        }),
        openclaw_json: Found::Nowhere,
        identity: Ok(Some(Identity {
            device: device(),
            created_at_ms: NOW - 86_400_000 * 3,
            place: "/state/identity/device.json".into(),
            mode: Some(0o600),
            token_scopes: None,
        })),
        login: Step::Done(Login {
            with_device: true,
            end: accepted(Used::Secret),
        }),
        requested_at_ms: None,
        tick: Step::Done(Sign::Frame {
            name: "health".into(),
            after: Duration::from_millis(4),
        }),
        profile: Asked {
            scopes: profile().scopes,
            place: "/state/identity/device.json".into(),
        },
        method: None,
        symptoms: None,
    }
}

/// The facts of a login that ended so.
fn ended(end: LoginEnd) -> Facts {
    let with_device = true;
    Facts {
        login: Step::Done(Login { with_device, end }),
        tick: Step::NotReached,
        ..healthy()
    }
}

/// The facts of a walk that did not come to a socket.
fn stopped_at_tcp(fault: Step<Tcp, TcpFault>) -> Facts {
    Facts {
        tcp: fault,
        ..stopped_at_upgrade(Step::NotReached)
    }
}

fn stopped_at_upgrade(fault: Step<Duration, UpgradeFault>) -> Facts {
    Facts {
        upgrade: fault,
        challenge: Step::NotReached,
        login: Step::NotReached,
        tick: Step::NotReached,
        ..healthy()
    }
}

fn connection_refused() -> Step<Tcp, TcpFault> {
    Step::Failed(TcpFault {
        kind: ErrorKind::ConnectionRefused,
        what: "Connection refused (os error 111)".into(),
    })
}

fn find(facts: &Facts, check: Check) -> Finding {
    let report = report(facts);
    report.finding(check).unwrap().clone()
}

#[track_caller]
fn verdict(facts: &Facts, status: Status, issue: impl Into<Option<Issue>>, action: &str) {
    let report = report(facts);
    let found = (report.verdict.status, report.verdict.issue);
    assert_eq!(found, (status, issue.into()), "{report:#?}");
    assert!(
        report.verdict.action.contains(action),
        "`{action}` is not in: {}",
        report.verdict.action
    );
    let skipped = |finding: &&Finding| finding.status == Status::Skipped;
    for finding in report.findings.iter().filter(skipped) {
        assert!(
            finding.issue.is_none() && finding.fix.is_none(),
            "{finding:?}"
        );
    }
    for finding in &report.findings {
        let bad = finding.status >= Status::Warning;
        assert_eq!(bad, finding.issue.is_some(), "{finding:?}");
        let fix = finding.fix.as_deref().unwrap_or("none.");
        assert!(fix.ends_with('.'), "{fix}");
    }
}

#[test]
fn a_paired_backend_has_nothing_to_do() {
    verdict(&healthy(), Status::Ok, None, "Nothing to do.");
    let report = report(&healthy());
    let order: Vec<Check> = report
        .findings
        .iter()
        .map(|finding| finding.check)
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(
        order.len(),
        17 - 1,
        "one finding per check, but nothing was seen elsewhere"
    );
}

#[test]
fn each_row_of_the_procedures_table_has_its_name_and_its_way_out() {
    let mismatch = || {
        refused(
            RefusalKind::TokenMismatch,
            "unauthorized: gateway token mismatch",
        )
    };
    let config = |token: &str| json!({"gateway":{"auth":{"token":token}}});

    let unknown = ended(mismatch());
    verdict(
        &unknown,
        Status::Problem,
        Issue::TokenMismatch,
        "restart the gateway first",
    );
    let other = Facts {
        openclaw_json: file(&config("the-token-of-the-gateway-itself"), SECRET),
        ..ended(mismatch())
    };
    verdict(
        &other,
        Status::Problem,
        Issue::TokenMismatch,
        "Copy gateway.auth.token of /data/openclaw.json",
    );

    let edited = Facts {
        openclaw_json: file(&config(SECRET), SECRET),
        ..ended(mismatch())
    };
    verdict(
        &edited,
        Status::Problem,
        Issue::TokenMismatchAfterEdit,
        "docker restart",
    );

    let cli = Facts {
        perspective: Perspective::Operator,
        ..ended(pairing("not-paired"))
    };
    verdict(
        &cli,
        Status::Problem,
        Issue::PairingRequiredCli,
        "--url ws://127.0.0.1:18789",
    );

    let backend = ended(pairing("not-paired"));
    verdict(
        &backend,
        Status::Problem,
        Issue::PairingRequired,
        "openclaw devices approve r-1",
    );

    let profiles = Facts {
        openclaw_json: file(
            &json!({"auth":{"profiles":{"anthropic":{"type":"api_key"}}}}),
            SECRET,
        ),
        ..stopped_at_tcp(connection_refused())
    };
    verdict(
        &profiles,
        Status::Problem,
        Issue::ConfigInvalidAuthProfiles,
        "\"mode\": \"api_key\"",
    );

    let wrong_path = Facts {
        symptoms: Some(recognise("no configuration file provided: not found")),
        ..healthy()
    };
    verdict(
        &wrong_path,
        Status::Warning,
        Issue::NoConfigurationFile,
        "node /app/openclaw.mjs",
    );
}

#[test]
fn a_stale_token_that_the_device_token_bridges_is_a_warning() {
    let facts = Facts {
        tick: healthy().tick,
        ..ended(accepted(Used::Device))
    };
    verdict(
        &facts,
        Status::Warning,
        Issue::StaleToken,
        "OPENCLAW_GATEWAY_TOKEN",
    );
}

#[test]
fn a_token_that_only_the_file_knows_is_not_called_stale() {
    let facts = Facts {
        openclaw_json: file(&json!({"gateway":{"auth":{"token":SECRET}}}), SECRET),
        tick: healthy().tick,
        ..ended(accepted(Used::Device))
    };
    let issue = Issue::TokenMismatchAfterEdit;
    verdict(&facts, Status::Warning, issue, "Restart the gateway");
}

#[test]
fn an_edit_that_is_not_loaded_yet_is_told_before_the_restart() {
    let config = json!({"gateway":{"auth":{"token":"the-next-token-0123456789"}}});
    let facts = Facts {
        openclaw_json: file(&config, SECRET),
        ..healthy()
    };
    verdict(
        &facts,
        Status::Warning,
        Issue::TokenMismatchAfterEdit,
        "restart the gateway",
    );
}

#[test]
fn spans_are_said_as_people_say_them() {
    for (ms, text) in [
        (999, "999 ms"),
        (61_000, "61 s"),
        (119_700, "2 min"),
        (599_990, "10 min"),
        (300_000, "5 min"),
        (7_200_000, "2 h"),
        (259_200_000, "3 days"),
    ] {
        assert_eq!(span(ms), text);
    }
}
