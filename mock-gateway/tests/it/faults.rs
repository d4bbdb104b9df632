use std::time::Duration;

use openclaw_mock_gateway::{
    Edition, ErrorCode, Fault, Locality, MockGateway, On, Pairing, Point, Response, partial_json,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{Ask, Client, Device, Got, accepted, attempt, mock, refused};

const NEW: Edition = Edition::V2026_9_6;
const A_WHILE: Duration = Duration::from_secs(5);

fn open() -> MockGateway {
    MockGateway::builder()
        .token("t0ken")
        .pairing(Pairing::Auto)
        .strict(false)
        .build()
}

async fn live(gateway: &MockGateway) -> Client {
    let device = Device::new(40);
    accepted(gateway, Locality::Remote, &Ask::new(gateway, &device))
        .await
        .0
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_can_be_answered_with_any_status() {
    let gateway = open();
    gateway.inject(Fault::http_with(503, &[("Retry-After", "7")], "later").times(2));
    for _ in 0..2 {
        let response = Client::turned_away(&gateway, Locality::Remote, &[]).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "7");
    }
    live(&gateway).await;
}

#[tokio::test(start_paused = true)]
async fn the_challenge_can_be_left_out_or_broken() {
    let gateway = open();
    gateway.inject(Fault::no_challenge());
    let mut client = Client::dial_quietly(&gateway, Locality::Remote, &[])
        .await
        .expect("open");
    assert!(timeout(A_WHILE, client.next()).await.is_err());
    gateway.inject(Fault::challenge_without_ts());
    let client = Client::dial(&gateway, Locality::Remote).await;
    assert!(client.challenge["nonce"].is_string());
    assert_eq!(client.challenge.get("ts"), None);
}

#[tokio::test(start_paused = true)]
async fn connections_end_with_any_code_at_any_point() {
    let (gateway, device) = (open(), Device::new(41));
    gateway.inject(Fault::close(4999, "at the challenge").at(Point::Challenge));
    let mut client = Client::dial_quietly(&gateway, Locality::Remote, &[])
        .await
        .expect("open");
    assert_eq!(
        client.end().await,
        Got::Closed(4999, "at the challenge".into())
    );

    gateway.inject(Fault::drop_connection().at(Point::Connect));
    let mut client = Client::dial(&gateway, Locality::Remote).await;
    client
        .send(json!({"type": "req", "id": "1", "method": "connect", "params": {}}).to_string())
        .await;
    assert_eq!(client.end().await, Got::Lost);

    gateway.inject(Fault::flapping());
    for _ in 0..3 {
        let (mut client, _) =
            attempt(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        assert_eq!(client.end().await, Got::Closed(1011, "flapping".into()));
    }
    gateway.clear_faults().expect("cleared");
    let mut client = live(&gateway).await;
    gateway.inject(Fault::close(1001, "going away"));
    assert_eq!(client.end().await, Got::Closed(1001, "going away".into()));
}

#[tokio::test(start_paused = true)]
async fn silence_is_silent_in_the_direction_asked_for() {
    let gateway = open();
    let mut client = live(&gateway).await;
    gateway.inject(Fault::silence());
    assert!(
        timeout(A_WHILE, client.call("health", json!({})))
            .await
            .is_err()
    );
    let mut client = live(&gateway).await;
    gateway.inject(Fault::stop_reading());
    assert!(
        timeout(A_WHILE, client.call("health", json!({})))
            .await
            .is_err()
    );
    gateway.emit("chat", &json!({}));
    client.event("chat").await;
}

#[tokio::test(start_paused = true)]
async fn answers_are_lost_doubled_swapped_late_or_misaddressed() {
    let gateway = open();
    let mut client = live(&gateway).await;
    let ask = |id: &str| json!({"type": "req", "id": id, "method": "health"}).to_string();
    let ids = async |client: &mut Client, sent: &[&str], count: usize| {
        for id in sent {
            client.send(ask(id)).await;
        }
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(
                client.next().await.frame()["id"]
                    .as_str()
                    .expect("an id")
                    .to_owned(),
            );
        }
        ids
    };
    gateway.inject(Fault::never_answer());
    assert_eq!(ids(&mut client, &["a", "b"], 1).await, ["b"]);
    gateway.inject(Fault::duplicate_answer());
    assert_eq!(ids(&mut client, &["c"], 2).await, ["c", "c"]);
    gateway.inject(Fault::reorder());
    assert_eq!(ids(&mut client, &["d", "e"], 2).await, ["e", "d"]);
    gateway.inject(Fault::delay(Duration::from_secs(2)));
    assert_eq!(ids(&mut client, &["f", "g"], 2).await, ["g", "f"]);
    gateway.inject(Fault::unknown_id().at(Point::AnswerTo("health".into())));
    assert!(ids(&mut client, &["h"], 1).await[0].starts_with("unknown-"));
    gateway.inject(Fault::drop_mid_frame());
    client.send(ask("i")).await;
    assert_eq!(client.end().await, Got::Lost);
}

#[tokio::test(start_paused = true)]
async fn the_sequence_can_have_a_hole() {
    let gateway = open();
    let mut client = live(&gateway).await;
    gateway.emit("chat", &json!({}));
    gateway.inject(Fault::seq_gap(3));
    gateway.emit("chat", &json!({}));
    assert_eq!(client.event("chat").await["seq"], 1);
    assert_eq!(client.event("chat").await["seq"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_device_can_be_approved_in_the_moment_of_its_refusal() {
    let (gateway, device) = (mock(NEW), Device::new(42));
    gateway.inject(Fault::approve_meanwhile());
    let ask = Ask::new(&gateway, &device);
    let (error, ..) = refused(&gateway, Locality::Remote, &ask).await;
    assert_eq!(error["details"]["reason"], "not-paired");
    accepted(&gateway, Locality::Remote, &ask).await;
}

#[tokio::test]
async fn tcp_is_refused_until_the_faults_are_cleared() {
    let gateway = MockGateway::start().await;
    let address = gateway.url().replace("ws://", "");
    gateway.inject(Fault::refuse_tcp());
    let refused = timeout(A_WHILE, async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    refused.await.expect("refused in the end");
    gateway.clear_faults().expect("listening again");
    tokio::net::TcpStream::connect(&address)
        .await
        .expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn mounted_methods_answer_and_are_counted() {
    let gateway = open();
    On::method("agent.wait")
        .with(partial_json(json!({"runId": "r"})))
        .respond(json!({"status": "ok"}))
        .expect(1)
        .mount(&gateway);
    On::method("agent.wait")
        .with(|params: &Value| params["runId"] == "lost")
        .respond(Response::error(ErrorCode::Unavailable, "gone").retryable(Some(A_WHILE)))
        .mount(&gateway);
    On::method("made.up")
        .respond(json!(7))
        .expect(1..)
        .mount(&gateway);
    let mut client = live(&gateway).await;
    let ok = client.call("agent.wait", json!({"runId": "r"})).await;
    assert_eq!(ok["payload"], json!({"status": "ok"}));
    let lost = client.call("agent.wait", json!({"runId": "lost"})).await;
    assert_eq!(
        lost["error"],
        json!({"code": "UNAVAILABLE", "message": "gone", "retryable": true, "retryAfterMs": 5000})
    );
    assert_eq!(client.call("made.up", json!({})).await["payload"], 7);
    let invalid = client.call("agent.wait", json!({})).await;
    assert_eq!(invalid["error"]["code"], "INVALID_REQUEST");
    gateway.verify();
}

#[tokio::test(start_paused = true)]
async fn an_agent_run_can_be_scripted_step_by_step() {
    let gateway = open();
    let run = Response::ok(json!({"runId": "k", "status": "accepted"}))
        .then_event("agent", json!({"runId": "k", "stream": "assistant"}))
        .then_wait(Duration::from_secs(1))
        .then_ok(json!({"runId": "k", "status": "ok"}));
    On::method("agent").respond(run).expect(1).mount(&gateway);
    let mut client = live(&gateway).await;
    let first = client
        .call("agent", json!({"message": "hi", "idempotencyKey": "k"}))
        .await;
    assert_eq!(first["payload"]["status"], "accepted");
    client.event("agent").await;
    let last = client.next().await.frame();
    assert_eq!(
        (&last["id"], &last["payload"]["status"]),
        (&first["id"], &json!("ok"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_unmet_or_unexpected_call_fails_the_test_on_drop() {
    let gateway = MockGateway::builder()
        .token("t0ken")
        .pairing(Pairing::Auto)
        .build();
    On::method("chat.send").expect(2).mount(&gateway);
    let mut client = live(&gateway).await;
    client.call("tts.status", json!({})).await;
    let report = gateway.report().expect("a report");
    assert!(
        report.contains("chat.send was called 0 times, expected 2 times"),
        "{report}"
    );
    assert!(
        report.contains("tts.status was called, and nothing answers it"),
        "{report}"
    );
    assert!(
        report.contains("-> ") && !report.contains("t0ken"),
        "{report}"
    );
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(gateway)));
    assert!(dropped.is_err());
}
