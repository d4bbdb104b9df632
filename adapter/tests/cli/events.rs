//! `openclaw-adapter events`: what the gateway tells, one line each.

use openclaw_mock_gateway::{Edition, MockGateway};
use serde_json::{Value, json};

use crate::host::{Host, PATIENCE, Running};

fn is_event(name: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["event"] == name
}

async fn listening(host: &Host, gateway: &MockGateway) -> Running {
    let program = host.program(&["events", "--json", "--event", "news"]);
    let mut running = program.local(gateway).start();
    running.state("ready").await;
    running
}

#[tokio::test]
async fn each_event_is_a_line_until_a_signal_ends_it_with_0() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let mut running = host
            .program(&["events", "--json", "--event", "news", "--event", "cron"])
            .local(&gateway)
            .start();
        running.state("ready").await;
        gateway.emit("other", &json!({"n":0}));
        gateway.emit("news", &json!({"n":1}));
        gateway.emit("cron", &json!({"jobId":"j","action":"added"}));
        let news = running.line("news", is_event("news")).await;
        assert_eq!(news["payload"], json!({"n":1}));
        let cron = running.line("cron", is_event("cron")).await;
        assert_eq!(cron["payload"]["jobId"], "j");
        running.signal("TERM").await;
        let ended = running.ended().await;
        ended.ended_with(0);
        let names: Vec<_> = ended.lines().iter().map(|l| l["event"].clone()).collect();
        assert!(!names.contains(&json!("other")), "{names:?}");
    }
}

#[tokio::test]
async fn a_restart_of_the_gateway_is_a_line_too() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut running = listening(&host, &gateway).await;
    gateway.restart().await.unwrap();
    let again = running.line("resync", |line| line["resync"].is_string());
    assert_eq!(again.await["resync"], "gateway-restarted");
    gateway.emit("news", &json!({"n":2}));
    running.line("news", is_event("news")).await;
    running.signal("INT").await;
    running.ended().await.ended_with(0);
}

#[tokio::test]
async fn what_it_is_too_slow_for_is_counted_and_the_gateway_is_not_held_up() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut running = listening(&host, &gateway).await;
    running.signal("STOP").await;
    // Less than the gateway would close a connection for, and more than a stream holds.
    for n in 0..20_000 {
        gateway.emit("news", &json!({"n":n,"text":"x".repeat(400)}));
    }
    running.signal("CONT").await;
    gateway.emit("news", &json!({"last":true}));
    let last = running.line("the last one", |line| line["payload"]["last"] == true);
    tokio::time::timeout(PATIENCE, last).await.unwrap();
    running.signal("TERM").await;
    let ended = running.ended().await;
    ended.ended_with(0);
    let lines = ended.lines();
    let told = lines.iter().filter(|line| line["event"] == "news").count() as u64;
    let lagged: u64 = lines
        .iter()
        .filter_map(|line| line["lagged"].as_u64())
        .sum();
    assert_eq!(told + lagged, 20_001, "every event is told or counted");
}

#[tokio::test]
async fn a_wrong_token_ends_it_with_11() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let program = host.program(&["events", "--json"]);
    let url = gateway.local_url();
    let ended = program.url(&url).token("not-the-token").run().await;
    ended.ended_with(11);
}
