//! `openclaw-adapter connect`: the lines, the waiting, and the end.

use openclaw_mock_gateway::{Edition, MockGateway};

use crate::host::{ClosedPort, Host, PATIENCE};

#[tokio::test]
async fn on_the_gateways_own_host_it_is_ready_at_once_and_ends_with_0() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect", "--json", "--wait", "0"])
        .local(&gateway)
        .run()
        .await;
    ended.ended_with(0);
    assert_eq!(ended.states(), ["connecting", "ready"]);
    assert_eq!(ended.fields("connecting"), ["state", "attempt"]);
    let contract = ["state", "protocol", "serverVersion", "connId", "scopes"];
    assert_eq!(ended.fields("ready")[..5], contract);
    let ready = ended.last();
    assert_eq!(ready["protocol"], 4);
    assert_eq!(ready["serverVersion"], "2026.9.6");
    assert_eq!(
        ready["scopes"],
        serde_json::json!(["operator.read", "operator.write"])
    );
}

#[tokio::test]
async fn without_waiting_an_unknown_device_asks_once_and_ends_with_10_and_the_command() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect", "--json", "--wait", "0"])
        .remote(&gateway)
        .run()
        .await;
    ended.ended_with(10);
    assert_eq!(gateway.connects(), 1);
    let pending = gateway.pending();
    let stopped = ended.last();
    assert_eq!(ended.fields("stopped"), ["state", "kind", "message", "fix"]);
    assert_eq!(stopped["kind"], "pairing_not_approved");
    let command = format!("openclaw devices approve {}", pending[0].request_id);
    assert!(stopped["fix"].as_str().unwrap().contains(&command));
}

#[tokio::test]
async fn name_and_scopes_come_from_the_environment_and_arguments_go_before() {
    for (more, scopes) in [
        (&[][..], vec!["operator.read"]),
        (
            &["--scopes", "operator.read operator.approvals"],
            vec!["operator.read", "operator.approvals"],
        ),
    ] {
        let (gateway, host) = (MockGateway::start().await, Host::new());
        let arguments = [&["connect", "--json", "--wait", "0"], more].concat();
        let ended = host
            .program(&arguments)
            .remote(&gateway)
            .env("OPENCLAW_ADAPTER_DISPLAY_NAME", "billing")
            .env("OPENCLAW_ADAPTER_SCOPES", "operator.read")
            .run()
            .await;
        ended.ended_with(10);
        let pending = gateway.pending().remove(0);
        assert_eq!(pending.display_name.as_deref(), Some("billing"));
        assert_eq!(pending.scopes, scopes);
    }
    let host = Host::new();
    let ended = host
        .program(&["connect", "--json", "--wait", "0"])
        .token("0123456789abcdef")
        .env("OPENCLAW_ADAPTER_SCOPES", "[\"operator.read\"]")
        .run()
        .await;
    ended.ended_with(2);
    let stopped = ended.last();
    assert_eq!(stopped["kind"], "config");
    let fix = stopped["fix"].as_str().unwrap();
    assert!(fix.contains("operator.read,operator.write"), "{fix}");
}

#[tokio::test]
async fn a_limited_wait_shows_the_request_once_and_ends_with_10_and_the_reason() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let began = std::time::Instant::now();
    let ended = host
        .program(&["connect", "--json", "--wait", "2s"])
        .remote(&gateway)
        .run()
        .await;
    ended.ended_with(10);
    assert!(began.elapsed().as_secs() >= 2);
    assert!(gateway.connects() >= 2, "asked again");
    assert_eq!(
        ended.states(),
        ["connecting", "awaiting_approval", "stopped"]
    );
    let contract = ["state", "requestId", "deviceId", "reason", "approveCommand"];
    assert_eq!(ended.fields("awaiting_approval")[..5], contract);
    let (awaiting, pending) = (&ended.lines()[1], &gateway.pending()[0]);
    assert_eq!(awaiting["requestId"], *pending.request_id);
    assert_eq!(awaiting["deviceId"], *pending.device_id);
    assert_eq!(awaiting["reason"], "not-paired");
    let command = format!("openclaw devices approve {}", pending.request_id);
    assert_eq!(awaiting["approveCommand"], *command);
    let stopped = ended.last();
    assert_eq!(stopped["kind"], "pairing_not_approved");
    assert!(stopped["fix"].as_str().unwrap().contains(&command));
}

#[tokio::test]
async fn an_approval_within_the_wait_ends_it_with_0_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let mut backend = host
            .program(&["connect", "--json", "--wait", "60s"])
            .remote(&gateway)
            .start();
        let awaiting = backend.state("awaiting_approval").await;
        gateway
            .approve(awaiting["requestId"].as_str().unwrap())
            .unwrap();
        let ended = backend.ended().await;
        ended.ended_with(0);
        assert_eq!(ended.last()["state"], "ready", "{edition}");
        assert_eq!(ended.last()["protocol"], edition.protocol());
        // The same device, so nobody is asked again.
        let again = host
            .program(&["connect", "--json", "--wait", "0"])
            .remote(&gateway)
            .run()
            .await;
        again.ended_with(0);
        assert_eq!(again.states(), ["connecting", "ready"], "{edition}");
    }
}

#[tokio::test]
async fn for_a_person_the_wait_names_the_command_in_plain_text() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect", "--wait", "1s"])
        .remote(&gateway)
        .run()
        .await;
    ended.ended_with(10);
    let id = gateway.pending().remove(0).request_id;
    assert!(
        ended
            .text()
            .contains(&format!("openclaw devices approve {id}"))
    );
    assert!(!ended.text().contains('\u{1b}') && !ended.stderr.contains('\u{1b}'));
    assert!(
        !ended.stderr.contains("waiting for approval"),
        "said twice:\n{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_a_proxy_or_the_gateways_door_refuses_ends_with_12() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&[
            "connect",
            "--json",
            "--header",
            "X-Forwarded-For: 203.0.113.9",
        ])
        .local(&gateway)
        .run()
        .await;
    ended.ended_with(12);
    assert_eq!(ended.last()["kind"], "upgrade_refused");
    ended.says(&["HTTP 403", "gateway.trustedProxies"]);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_ends_with_13_after_one_attempt_without_waiting() {
    let (port, host) = (ClosedPort::new(), Host::new());
    let ended = host
        .program(&["connect", "--json", "--wait", "0"])
        .url(&port.url())
        .token("shared-token-0123")
        .run()
        .await;
    ended.ended_with(13);
    assert_eq!(ended.states(), ["connecting", "stopped"]);
    assert_eq!(ended.last()["kind"], "unreachable");
    ended.says(&["Connection refused"]);
}

#[tokio::test]
async fn a_gateway_that_stays_away_ends_with_13_when_the_time_is_over() {
    let (port, host) = (ClosedPort::new(), Host::new());
    let ended = host
        .program(&["connect", "--json", "--wait", "1500ms"])
        .url(&port.url())
        .token("shared-token-0123")
        .run()
        .await;
    ended.ended_with(13);
    assert_eq!(
        ended.fields("backing_off"),
        ["state", "attempt", "delayMs", "cause"]
    );
    let stopped = ended.last();
    assert_eq!(stopped["kind"], "unreachable");
    assert!(stopped["message"].as_str().unwrap().contains("1.5s"));
}

#[tokio::test]
async fn a_gateway_that_comes_within_the_wait_is_met() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    gateway.stop().await;
    let mut backend = host
        .program(&["connect", "--json", "--wait", "60s"])
        .local(&gateway)
        .start();
    backend.state("backing_off").await;
    gateway.start_again().await.unwrap();
    backend.ended().await.ended_with(0);
}

#[tokio::test]
async fn held_it_outlives_a_restart_of_the_gateway_and_ends_well_on_sigterm() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut backend = host
        .program(&["connect", "--json", "--hold"])
        .local(&gateway)
        .start();
    let first = backend.state("ready").await;
    gateway.restart().await.unwrap();
    backend.state("backing_off").await;
    let second = backend.state("ready").await;
    assert_ne!(first["connId"], second["connId"]);
    backend.signal("TERM").await;
    let ended = backend.ended().await;
    ended.ended_with(0);
    assert_eq!(ended.last()["state"], "ready");
    gateway
        .wait_for(|now| now.live == 0, PATIENCE)
        .await
        .expect("the connection is closed");
}

#[tokio::test]
async fn ended_by_a_signal_before_it_is_done_it_says_so_as_shells_do() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (gateway, host) = (MockGateway::start().await, Host::new());
        let mut backend = host
            .program(&["connect", "--json"])
            .remote(&gateway)
            .start();
        backend.state("awaiting_approval").await;
        backend.signal(signal).await;
        backend.ended().await.ended_with(code);
    }
}

#[tokio::test]
async fn for_a_person_a_stop_is_said_once() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect"])
        .url(&gateway.url())
        .token("a-token-of-another-gateway")
        .run()
        .await;
    ended.ended_with(11);
    assert!(ended.text().contains("stopped: "));
    assert!(!ended.stderr.contains("stopped"), "{}", ended.stderr);
}
