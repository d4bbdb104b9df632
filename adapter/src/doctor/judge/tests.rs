//! Facts in, findings out: one row per thing that can be wrong.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::facts::*;
use super::super::openclaw_json::OpenclawJson;
use super::super::report::{Finding, Status};
use super::super::seen::recognise;
use super::*;
use crate::credentials::{Secret, Used};
use crate::endpoint::{AddressClass, EndpointError};
use crate::identity::{DeviceId, DeviceIdentity};
use crate::pairing::PairingRequired;
use crate::protocol::connect::tests::profile;
use crate::protocol::{GatewayError, Hello};
use crate::proxy::{Answerer, Cloudflare};
use crate::refusal::{FixHints, Refusal, RefusalKind, UpgradeRefusal};
use crate::secret::Token;

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
            token_origin: "OPENCLAW_GATEWAY_TOKEN",
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
        seen: None,
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
        seen: Some(recognise("no configuration file provided: not found")),
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
fn the_first_obstacle_is_named_and_the_rest_is_skipped() {
    let url = |error| Facts {
        address: Err(ConfigError::Url(error)),
        name: Step::NotReached,
        ..stopped_at_tcp(Step::NotReached)
    };
    verdict(
        &url(EndpointError::NoScheme),
        Status::Problem,
        Issue::Address,
        "OPENCLAW_GATEWAY_URL",
    );

    let mut plain = stopped_at_tcp(Step::NotReached);
    let address = plain.address.as_mut().unwrap();
    (address.class, address.plain) = (AddressClass::Public, Plain::Refused);
    verdict(&plain, Status::Problem, Issue::PlainWs, "wss://");
    assert_eq!(find(&plain, Check::Tcp).status, Status::Skipped);

    let nameless = Facts {
        name: Step::Failed("Name or service not known".into()),
        ..stopped_at_tcp(Step::NotReached)
    };
    verdict(
        &nameless,
        Status::Problem,
        Issue::NameUnknown,
        "container network",
    );
    assert_eq!(
        find(&nameless, Check::Challenge).message,
        "name comes first"
    );

    verdict(
        &stopped_at_tcp(connection_refused()),
        Status::Problem,
        Issue::Unreachable,
        "gateway.bind",
    );
    verdict(
        &stopped_at_tcp(Step::Late),
        Status::Problem,
        Issue::Late,
        "firewall",
    );

    let header = Facts {
        setup: Err(ConfigError::Header {
            name: "host".into(),
        }),
        name: Step::NotReached,
        ..stopped_at_tcp(Step::NotReached)
    };
    verdict(
        &header,
        Status::Problem,
        Issue::Configuration,
        "message names",
    );

    let silent = Facts {
        challenge: Step::Late,
        ..stopped_at_upgrade(Step::Done(Duration::ZERO))
    };
    verdict(&silent, Status::Problem, Issue::Late, "gateway's port");
}

#[test]
fn tls_failures_say_which_side_to_change() {
    for (fault, action) in [
        (TlsFault::NotTls, "ws:// instead of wss://"),
        (
            TlsFault::Certificate {
                what: "expired".into(),
                fix: "renew the gateway's certificate".into(),
            },
            "Renew the gateway's certificate.",
        ),
        (TlsFault::Other("eof".into()), "wss://"),
    ] {
        let mut facts = stopped_at_upgrade(Step::NotReached);
        facts.address.as_mut().unwrap().is_tls = true;
        facts.tls = Step::Failed(fault);
        verdict(&facts, Status::Problem, Issue::Tls, action);
        assert_eq!(find(&facts, Check::Upgrade).message, "tls comes first");
    }
}

#[test]
fn whoever_answers_the_upgrade_is_told_apart() {
    let edge = |meaning| Some(Answerer::Cloudflare(meaning));
    for (status, message, by, issue, action) in [
        (
            403,
            "Proxy client attribution is required",
            Some(Answerer::Gateway),
            Issue::ProxyAttribution,
            "trustedProxies",
        ),
        (
            403,
            "Just a moment...",
            edge(Cloudflare::Challenge),
            Issue::Cloudflare,
            "bot checks",
        ),
        (
            530,
            "error code: 1033",
            edge(Cloudflare::NoOrigin),
            Issue::Cloudflare,
            "cloudflared",
        ),
        (
            502,
            "Bad Gateway",
            Some(Answerer::Nginx),
            Issue::Away,
            "proxy_pass",
        ),
        (
            426,
            "Upgrade Required",
            Some(Answerer::Nginx),
            Issue::UpgradeRefused,
            "proxy_set_header",
        ),
        (401, "", None, Issue::UpgradeRefused, "extra header"),
        (
            400,
            "The plain HTTP request was sent to HTTPS port",
            Some(Answerer::Nginx),
            Issue::UpgradeRefused,
            "wss://",
        ),
        (
            503,
            "Too many unauthenticated sockets",
            Some(Answerer::Gateway),
            Issue::Away,
            "Wait",
        ),
    ] {
        let facts = stopped_at_upgrade(upgrade(status, message, by));
        verdict(&facts, Status::Problem, issue, action);
        assert_eq!(find(&facts, Check::Upgrade).data["httpStatus"], status);
    }
}

#[test]
fn a_port_or_bind_that_the_gateways_own_file_tells_otherwise_is_named() {
    let with = |config: Value| Facts {
        openclaw_json: file(&config, SECRET),
        ..stopped_at_tcp(connection_refused())
    };
    let port = with(json!({"gateway":{"port":19001}}));
    verdict(&port, Status::Problem, Issue::Unreachable, "19001");
    let bind = with(json!({"gateway":{"bind":"loopback"}}));
    verdict(&bind, Status::Problem, Issue::Unreachable, "\"lan\"");
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
fn other_refusals_stand_where_they_belong() {
    for (kind, check) in [
        (RefusalKind::TokenMissing, Check::Token),
        (RefusalKind::PasswordMissing, Check::Token),
        (RefusalKind::ProtocolMismatch, Check::Protocol),
        (RefusalKind::SignatureInvalid, Check::Identity),
        (RefusalKind::ScopeMismatch, Check::Scopes),
        (RefusalKind::OriginNotAllowed, Check::Login),
        (RefusalKind::InvalidParams, Check::Login),
    ] {
        let facts = ended(refused(kind, "no"));
        verdict(&facts, Status::Problem, Issue::Refused(kind), "");
        assert_eq!(find(&facts, check).status, Status::Problem, "{kind:?}");
    }
}

#[test]
fn a_gateway_that_starts_or_limits_is_waited_for() {
    for kind in [RefusalKind::Unavailable, RefusalKind::RateLimited] {
        let facts = ended(LoginEnd::NotNow {
            kind,
            what: "later".into(),
            fix: "Wait.".into(),
        });
        verdict(&facts, Status::Problem, Issue::Refused(kind), "Wait.");
    }
}

#[test]
fn a_clock_that_is_off_is_a_warning_with_its_sign() {
    for (ts, skew) in [(NOW + 600_000, 599_997), (NOW - 600_000, -600_003)] {
        let facts = Facts {
            challenge: Step::Done(Challenge {
                is_new_generation: true,
                ts,
                arrived_ms: NOW + 3,
            }),
            ..healthy()
        };
        verdict(&facts, Status::Warning, Issue::ClockSkew, "NTP");
        assert_eq!(find(&facts, Check::Clock).data["skewMs"], skew);
    }
}

#[test]
fn a_request_shows_its_id_its_age_and_the_command() {
    let facts = Facts {
        requested_at_ms: Some(NOW - 61_000),
        ..ended(pairing("scope-upgrade"))
    };
    let finding = find(&facts, Check::Pairing);
    assert_eq!(finding.data["requestId"], "r-1");
    assert_eq!(finding.data["ageMs"], 61_000);
    assert_eq!(
        finding.data["approveCommand"],
        "openclaw devices approve r-1"
    );
    assert!(finding.message.contains("61 s old"), "{}", finding.message);
    assert_eq!(
        find(&facts, Check::Scopes).data["approved"],
        json!(["operator.read"])
    );
}

#[test]
fn without_an_identity_the_token_is_judged_and_the_approval_foretold() {
    let login = |protocol, scopes: Value| Facts {
        identity: Ok(None),
        login: Step::Done(Login {
            with_device: false,
            end: LoginEnd::Accepted {
                hello: hello(protocol, &scopes, None),
                used: Used::Secret,
            },
        }),
        ..healthy()
    };
    let remote = login(4, json!([]));
    verdict(
        &remote,
        Status::Problem,
        Issue::PairingRequired,
        "Start the backend",
    );
    assert_eq!(find(&remote, Check::Token).status, Status::Ok);
    assert_eq!(find(&remote, Check::Standing).data["observed"], true);

    let mut local = login(4, json!(["operator.read", "operator.write"]));
    local.tcp = Step::Done(Tcp {
        took: Duration::ZERO,
        peer: Some("127.0.0.1:18789".parse().unwrap()),
        local: None,
    });
    verdict(
        &local,
        Status::Warning,
        Issue::NoIdentity,
        "Start the backend",
    );

    let operator = Facts {
        perspective: Perspective::Operator,
        ..login(3, json!(["operator.pairing"]))
    };
    verdict(
        &operator,
        Status::Problem,
        Issue::PairingRequiredCli,
        "docker exec",
    );
}

#[test]
fn a_loopback_that_is_not_the_gateways_own_is_told() {
    let mut facts = ended(pairing("not-paired"));
    facts.tcp = Step::Done(Tcp {
        took: Duration::ZERO,
        peer: Some("127.0.0.1:18789".parse().unwrap()),
        local: None,
    });
    facts.address.as_mut().unwrap().host = "127.0.0.1".into();
    let finding = find(&facts, Check::Standing);
    assert_eq!(finding.issue, Some(Issue::NotLoopback));
    verdict(
        &facts,
        Status::Problem,
        Issue::PairingRequired,
        "approve r-1",
    );
}

#[test]
fn the_old_generation_looks_at_the_host_name_too() {
    let mut facts = healthy();
    facts.tcp = Step::Done(Tcp {
        took: Duration::ZERO,
        peer: Some("127.0.0.1:18789".parse().unwrap()),
        local: None,
    });
    facts.login = Step::Done(Login {
        with_device: true,
        end: LoginEnd::Accepted {
            hello: hello(
                3,
                &json!(["operator.read", "operator.write"]),
                Some("device-token-0123"),
            ),
            used: Used::Secret,
        },
    });
    let standing = |facts: &Facts| find(facts, Check::Standing).data["standing"].clone();
    assert_eq!(standing(&facts), "remote");
    facts.address.as_mut().unwrap().host = "localhost".into();
    assert_eq!(standing(&facts), "local");
    facts.address.as_mut().unwrap().is_forwarded = true;
    assert_eq!(standing(&facts), "remote");
}

#[test]
fn a_method_is_allowed_or_names_its_scope() {
    let with = |method: &str| Facts {
        method: Some(method.into()),
        ..healthy()
    };
    for allowed in ["agent", "health", "config.get", "talk.client.create"] {
        verdict(&with(allowed), Status::Ok, None, "Nothing");
    }
    let admin = with("config.set");
    verdict(&admin, Status::Problem, Issue::Scope, "operator.admin");
    assert_eq!(find(&admin, Check::Scopes).data["needed"], "operator.admin");
    verdict(
        &with("node.event"),
        Status::Problem,
        Issue::Scope,
        "role operator",
    );
    for unknown in ["some.plugin", "no.such\u{1b}[2J"] {
        let facts = with(unknown);
        verdict(&facts, Status::Warning, Issue::Scope, "name of the method");
        assert!(!find(&facts, Check::Scopes).message.contains('\u{1b}'));
    }
}

#[test]
fn silence_and_an_early_end_are_problems_and_haste_is_not() {
    let with = |tick| Facts { tick, ..healthy() };
    let waited = Duration::from_secs(31);
    verdict(
        &with(Step::Done(Sign::Nothing { waited })),
        Status::Problem,
        Issue::Silent,
        "log",
    );
    verdict(
        &with(Step::Failed("the gateway restarts (close 1012)".into())),
        Status::Problem,
        Issue::ConnectionLost,
        "log",
    );
    let after = Duration::from_millis(1);
    verdict(
        &with(Step::Done(Sign::Pong { after })),
        Status::Ok,
        None,
        "Nothing",
    );
    verdict(
        &with(Step::Done(Sign::TooEarly)),
        Status::Ok,
        None,
        "Nothing",
    );
}

#[test]
fn a_configuration_that_cannot_be_read_skips_the_rest() {
    let error = ConfigError::Token {
        origin: "OPENCLAW_GATEWAY_TOKEN".into(),
        problem: crate::secret::TokenError::Blank,
    };
    let report = not_configured(&error);
    assert_eq!(report.verdict.issue, Some(Issue::Configuration));
    assert_eq!(
        report
            .findings
            .iter()
            .filter(|finding| finding.status == Status::Skipped)
            .count(),
        15
    );
    assert_eq!(
        no_disk(Duration::from_secs(1)).verdict.issue,
        Some(Issue::Identity)
    );
}

#[test]
fn spans_are_said_as_people_say_them() {
    for (ms, text) in [
        (999, "999 ms"),
        (61_000, "61 s"),
        (300_000, "5 min"),
        (7_200_000, "2 h"),
        (259_200_000, "3 days"),
    ] {
        assert_eq!(span(ms), text);
    }
}
