//! `openclaw-adapter devices`: the operator's side, without Node.

use openclaw_mock_gateway::{Edition, MockGateway};
use serde_json::Value;

use crate::host::{Ended, Host, Running};

async fn devices(host: &Host, gateway: &MockGateway, arguments: &[&str]) -> Ended {
    let mut all = vec!["devices", "--json"];
    all.extend(arguments);
    host.program(&all).local(gateway).run().await
}

/// A backend that waits for approval, and what it says of that.
async fn waiting(host: &Host, gateway: &MockGateway) -> (Running, Value) {
    let program = host.program(&["connect", "--json", "--hold"]);
    let mut backend = program.remote(gateway).start();
    let awaiting = backend.state("awaiting_approval").await;
    (backend, awaiting)
}

fn only<'a>(list: &'a Value, which: &str) -> &'a Value {
    let items = list[which].as_array().unwrap();
    assert_eq!(items.len(), 1, "{which} of {list}");
    &items[0]
}

#[tokio::test]
async fn a_waiting_backend_is_listed_approved_and_becomes_ready_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let (there, here) = (Host::new(), Host::new());
        let (mut backend, awaiting) = waiting(&there, &gateway).await;
        let id = awaiting["requestId"].as_str().unwrap();

        let listed = devices(&here, &gateway, &["list"]).await;
        listed.ended_with(0);
        let list = listed.last();
        let pending = only(&list, "pending");
        assert_eq!(pending["requestId"], awaiting["requestId"]);
        assert_eq!(pending["deviceId"], awaiting["deviceId"]);
        assert_eq!(pending["displayName"], "backend-adapter");

        let approved = devices(&here, &gateway, &["approve", id]).await;
        approved.ended_with(0);
        assert_eq!(approved.last()["requestId"], awaiting["requestId"]);
        let ready = backend.state("ready").await;
        assert_eq!(ready["protocol"], edition.protocol());

        let list = devices(&here, &gateway, &["list"]).await.last();
        let paired = list["paired"].as_array().unwrap();
        assert!(
            paired
                .iter()
                .any(|device| device["deviceId"] == awaiting["deviceId"]),
            "{list}"
        );
        backend.signal("TERM").await;
        backend.ended().await.ended_with(0);
    }
}

#[tokio::test]
async fn the_operator_may_share_the_backends_state_directory() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let (mut backend, awaiting) = waiting(&host, &gateway).await;
    let id = awaiting["requestId"].as_str().unwrap();
    devices(&host, &gateway, &["approve", id])
        .await
        .ended_with(0);
    backend.state("ready").await;
    let shown = host.program(&["identity", "show", "--json"]).run().await;
    assert_eq!(shown.last()["deviceId"], awaiting["deviceId"]);
}

#[tokio::test]
async fn a_rejected_backend_asks_again_under_another_id() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let (mut backend, first) = waiting(&host, &gateway).await;
    let id = first["requestId"].as_str().unwrap();
    let rejected = devices(&host, &gateway, &["reject", id]).await;
    rejected.ended_with(0);
    assert_eq!(rejected.last()["requestId"], first["requestId"]);
    let second = backend.state("awaiting_approval").await;
    assert_ne!(second["requestId"], first["requestId"]);
    assert_eq!(second["deviceId"], first["deviceId"]);
}

#[tokio::test]
async fn a_removed_backend_asks_for_approval_again() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let (mut backend, first) = waiting(&host, &gateway).await;
    let id = first["requestId"].as_str().unwrap();
    devices(&host, &gateway, &["approve", id])
        .await
        .ended_with(0);
    backend.state("ready").await;
    let device = first["deviceId"].as_str().unwrap();
    let removed = devices(&host, &gateway, &["remove", device]).await;
    removed.ended_with(0);
    assert_eq!(removed.last()["deviceId"], first["deviceId"]);
    let second = backend.state("awaiting_approval").await;
    assert_eq!(second["deviceId"], first["deviceId"]);
    assert!(gateway.paired().is_empty());
}

#[tokio::test]
async fn what_the_gateway_refuses_ends_with_15_and_a_way_out() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    for command in ["approve", "reject"] {
        let ended = devices(&host, &gateway, &[command, "no-such-request"]).await;
        ended.ended_with(15);
        let stopped = ended.last();
        assert_eq!(stopped["kind"], "call_refused");
        assert!(
            stopped["fix"]
                .as_str()
                .unwrap()
                .contains("openclaw-adapter devices list"),
            "{stopped}"
        );
    }
    devices(&host, &gateway, &["remove", &"0".repeat(64)])
        .await
        .ended_with(15);
}

#[tokio::test]
async fn the_old_generation_cannot_remove_and_the_program_says_so() {
    let gateway = MockGateway::builder()
        .edition(Edition::V2026_2_9)
        .start()
        .await;
    let ended = devices(&Host::new(), &gateway, &["remove", &"0".repeat(64)]).await;
    ended.ended_with(15);
    ended.says(&["does not exist on this gateway", "devices/paired.json"]);
}

#[tokio::test]
async fn an_operator_elsewhere_has_to_be_approved_first_and_is_told_where_not() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["devices", "list", "--json"])
        .remote(&gateway)
        .run()
        .await;
    ended.ended_with(10);
    let id = gateway.pending().remove(0).request_id;
    ended.says(&["loopback", &format!("openclaw devices approve {id}")]);
}

#[tokio::test]
async fn an_operator_with_a_wrong_token_ends_with_11() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["devices", "list", "--json"])
        .url(&gateway.local_url())
        .token("a-token-of-another-gateway")
        .run()
        .await;
    ended.ended_with(11);
    assert_eq!(ended.last()["kind"], "token_mismatch");
}

#[tokio::test]
async fn an_operator_does_not_wait_for_a_gateway_that_is_not_there() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    gateway.stop().await;
    let began = std::time::Instant::now();
    let ended = devices(&host, &gateway, &["list"]).await;
    ended.ended_with(13);
    assert_eq!(ended.last()["kind"], "unreachable");
    ended.says(&["Connection refused"]);
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_operator_waits_for_a_gateway_that_is_starting() {
    // On a busy machine the program itself may be slower to start than the gateway.
    for seconds in [2, 6, 18] {
        let gateway = MockGateway::builder()
            .startup_delay(std::time::Duration::from_secs(seconds))
            .start()
            .await;
        let ended = devices(&Host::new(), &gateway, &["list"]).await;
        ended.ended_with(0);
        if gateway.connects() >= 2 {
            return;
        }
    }
    panic!("it was never refused at first");
}

#[tokio::test]
async fn for_a_person_the_list_is_plain_text() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    host.program(&["connect", "--wait", "0"])
        .remote(&gateway)
        .run()
        .await
        .ended_with(10);
    let ended = host
        .program(&["devices", "list"])
        .local(&gateway)
        .env("NO_COLOR", "1")
        .run()
        .await;
    ended.ended_with(0);
    let id = gateway.pending().remove(0).request_id;
    ended.says(&["Pending (1)", &id, "backend-adapter", "Paired (0)"]);
    assert!(!ended.text().contains('\u{1b}'));
}
