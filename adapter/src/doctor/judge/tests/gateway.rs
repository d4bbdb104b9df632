//! Answers of a gateway, and its view of this host.

use super::*;

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
    assert_eq!(find(&remote, Check::Locality).data["observed"], true);

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
    let finding = find(&facts, Check::Locality);
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
    let locality = |facts: &Facts| find(facts, Check::Locality).data["locality"].clone();
    assert_eq!(locality(&facts), "remote");
    facts.address.as_mut().unwrap().host = "localhost".into();
    assert_eq!(locality(&facts), "local");
    facts.address.as_mut().unwrap().is_forwarded = true;
    assert_eq!(locality(&facts), "remote");
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
fn the_age_of_a_request_stands_apart_from_how_long_it_is_kept() {
    let facts = Facts {
        requested_at_ms: Some(NOW - 73_000),
        ..ended(pairing("not-paired"))
    };
    let message = find(&facts, Check::Pairing).message;
    let words = "request r-1 (73 s old) is kept for 5 min after";
    assert!(message.contains(words), "{message}");
}

#[test]
fn commands_for_the_gateways_host_have_the_port_that_its_file_says() {
    let config = |token: &str| json!({"gateway":{"port":19001,"auth":{"token":token}}});
    let with = |perspective, token: &str| Facts {
        perspective,
        openclaw_json: file(&config(token), SECRET),
        ..ended(pairing("not-paired"))
    };
    for (perspective, issue) in [
        (Perspective::Backend, Issue::PairingRequired),
        (Perspective::Operator, Issue::PairingRequiredCli),
    ] {
        let facts = with(perspective, SECRET);
        verdict(&facts, Status::Problem, issue, "--url ws://127.0.0.1:19001");
        // With another token it is another gateway's.
        let other = with(perspective, "another-gateways-token-0123");
        verdict(&other, Status::Problem, issue, "--url ws://127.0.0.1:18789");
    }
}
