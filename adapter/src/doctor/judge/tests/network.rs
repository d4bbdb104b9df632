//! Faults before a gateway is reached.

use super::*;

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

    // A name that nobody knows is in the way whatever the scheme.
    plain.name = Step::Failed("Name or service not known".into());
    verdict(
        &plain,
        Status::Problem,
        Issue::NameUnknown,
        "Correct the host",
    );
    let found = find(&plain, Check::Tcp);
    assert_eq!(found.message, "name comes first");

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
        "extra header \"host\"",
    );

    let silent = Facts {
        challenge: Step::Late,
        ..stopped_at_upgrade(Step::Done(Duration::ZERO))
    };
    verdict(&silent, Status::Problem, Issue::Late, "gateway's port");
}

#[test]
fn an_address_without_a_port_is_told_where_gateways_listen() {
    for fault in [connection_refused(), Step::Late] {
        let mut facts = stopped_at_tcp(fault);
        let address = facts.address.as_mut().unwrap();
        (address.text, address.port) = ("ws://gateway:80".into(), 80);
        let report = report(&facts);
        let action = &report.verdict.action;
        assert!(action.contains("ws://HOST:18789"), "{action}");
        let message = &report.finding(Check::Address).unwrap().message;
        assert!(
            message.contains("without a port ws:// means 80"),
            "{message}"
        );
        // Behind a proxy 443 is as it should be.
        facts.address.as_mut().unwrap().is_tls = true;
        assert!(!find(&facts, Check::Address).message.contains("means 80"));
    }
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
        (TlsFault::ClientCertificate, "no client certificate"),
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
            400,
            "400 No required SSL certificate was sent",
            Some(Answerer::Nginx),
            Issue::UpgradeRefused,
            "no client certificate",
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
fn a_configuration_that_cannot_be_read_skips_the_rest() {
    let error = ConfigError::Token {
        origin: "OPENCLAW_GATEWAY_TOKEN".into(),
        problem: crate::base::secret::TokenError::Blank,
    };
    let report = not_configured(&error);
    assert_eq!(report.verdict.issue, Some(Issue::Configuration));
    let action = &report.verdict.action;
    assert!(
        action.starts_with("Set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token"),
        "{action}"
    );
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
