//! The shared token: wrong, rotated, and never shown.

use std::fs;

use openclaw_mock_gateway::MockGateway;
use serde_json::Value;

use crate::host::{Host, PATIENCE};

const WRONG: &str = "a-token-of-another-gateway";

#[tokio::test]
async fn a_wrong_token_ends_with_11_after_at_most_two_attempts_and_says_what_to_do() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect", "--json"])
        .url(&gateway.url())
        .token(WRONG)
        .run()
        .await;
    ended.ended_with(11);
    assert!(gateway.connects() <= 2);
    let stopped = ended.last();
    assert_eq!(stopped["kind"], "token_mismatch");
    let fix = stopped["fix"].as_str().unwrap();
    for needle in [
        "gateway.auth.token",
        "OPENCLAW_GATEWAY_TOKEN",
        "restart the gateway",
    ] {
        assert!(fix.contains(needle), "{needle} is not in: {fix}");
    }
}

#[tokio::test]
async fn a_token_file_that_is_put_right_makes_a_held_backend_ready_by_itself() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let file = host.write("token", WRONG);
    let mut backend = host
        .program(&["connect", "--json", "--hold"])
        .url(&gateway.local_url())
        .token_file(&file)
        .start();
    let stopped = backend.state("stopped").await;
    assert_eq!(stopped["kind"], "token_mismatch");
    assert!(
        stopped["fix"]
            .as_str()
            .unwrap()
            .contains(file.to_str().unwrap())
    );
    fs::write(&file, format!("{}\n", gateway.token())).unwrap();
    backend.state("ready").await;
    backend.signal("TERM").await;
    backend.ended().await.ended_with(0);
}

#[tokio::test]
async fn a_token_file_that_stays_wrong_ends_a_limited_wait_with_11() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let file = host.write("token", WRONG);
    let ended = host
        .program(&["connect", "--json", "--wait", "2s"])
        .url(&gateway.url())
        .token_file(&file)
        .run()
        .await;
    ended.ended_with(11);
    assert_eq!(ended.states(), ["connecting", "stopped"]);
}

#[tokio::test]
async fn an_approved_device_gets_in_with_a_stale_token_and_is_warned_once() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut backend = host
        .program(&["connect", "--json", "--wait", "60s"])
        .remote(&gateway)
        .start();
    let awaiting = backend.state("awaiting_approval").await;
    gateway
        .approve(awaiting["requestId"].as_str().unwrap())
        .unwrap();
    backend.ended().await.ended_with(0);
    let ended = host
        .program(&["connect", "--json", "--wait", "60s"])
        .url(&gateway.url())
        .token(WRONG)
        .run()
        .await;
    ended.ended_with(0);
    assert_eq!(ended.last()["authMethod"], "device-token");
    let warnings = ended.stderr.matches("OPENCLAW_GATEWAY_TOKEN is stale");
    assert_eq!(warnings.count(), 1, "{}", ended.stderr);
}

/// Everything that is secret goes through the program here, with the log as loud as it gets.
#[tokio::test]
async fn no_secret_is_printed_or_stands_in_the_process_table() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut backend = host
        .program(&["connect", "--json", "--hold", "--header", "X-Team: blue"])
        .remote(&gateway)
        .env("RUST_LOG", "trace")
        .start();
    let awaiting = backend.state("awaiting_approval").await;
    let visible = backend.command_line();
    assert!(visible.contains("--hold"), "{visible}");
    assert!(!visible.contains(&gateway.token()));
    gateway
        .approve(awaiting["requestId"].as_str().unwrap())
        .unwrap();
    backend.state("ready").await;
    gateway.restart().await.unwrap();
    backend.state("ready").await;
    gateway.kill();
    backend.state("backing_off").await;
    gateway.start_again().await.unwrap();
    backend.state("ready").await;
    backend.signal("TERM").await;
    let ended = backend.ended().await;
    ended.ended_with(0);
    assert!(ended.stderr.lines().count() > 5, "the log is on");

    let identity = fs::read_to_string(host.state_dir().join("identity/device.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let key = identity["privateKeyPem"].as_str().unwrap();
    ended.hides(key.lines().nth(1).unwrap());
    let tokens = fs::read_to_string(host.state_dir().join("identity/tokens.json")).unwrap();
    let device = &gateway.paired()[0];
    let device_token = device.tokens["operator"].expose();
    assert!(tokens.contains(device_token), "it is the stored one");
    ended.hides(device_token);
}

#[tokio::test]
async fn a_refused_token_is_not_repeated_either() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect"])
        .url(&gateway.url())
        .token(WRONG)
        .env("RUST_LOG", "trace")
        .run()
        .await;
    // That the token is not printed is checked for every program.
    ended.ended_with(11);
    ended.says(&["token mismatch"]);
    assert_eq!(
        gateway
            .wait_for(|now| now.live == 0, PATIENCE)
            .await
            .unwrap()
            .live,
        0
    );
}
