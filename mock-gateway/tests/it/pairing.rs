use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, Pairing};
use serde_json::json;

use crate::client::{Ask, Device, Got, accepted, mock, paired, refused};

const OLD: Edition = Edition::V2026_2_9;
const NEW: Edition = Edition::V2026_9_6;
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn operators_hear_of_a_request_before_the_device_is_refused() {
    for edition in Edition::ALL {
        let (gateway, device, operator) = (mock(edition), Device::new(1), Device::new(2));
        let ask = Ask::cli(
            &gateway,
            &operator,
            &["operator.pairing", "operator.read", "operator.write"],
        );
        let (mut cli, _) = accepted(&gateway, Locality::Local, &ask).await;
        refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        let requested = cli.event("device.pair.requested").await;
        assert!(requested["seq"].is_u64());
        let request = &requested["payload"];
        assert_eq!(request["remoteIp"], "10.77.0.2");
        assert_eq!(
            (&request["silent"], &request["isRepair"]),
            (&json!(false), &json!(false))
        );
        let listed = cli.call("device.pair.list", json!({})).await;
        assert_eq!(&listed["payload"]["pending"][0], request);
        let id = request["requestId"].clone();
        let approved = cli
            .call("device.pair.approve", json!({"requestId": id}))
            .await;
        let record = &approved["payload"]["device"];
        assert_eq!(
            record["tokens"][0]["scopes"],
            json!(["operator.read", "operator.write"])
        );
        assert_eq!(record["tokens"][0].get("token"), None);
        let again = cli
            .call("device.pair.approve", json!({"requestId": id}))
            .await;
        let text = if edition == NEW {
            "device pairing approval denied"
        } else {
            "unknown requestId"
        };
        assert_eq!(
            again["error"],
            json!({"code": "INVALID_REQUEST", "message": text})
        );
        accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_resolved_event_comes_before_the_reply() {
    let (gateway, device, operator) = (mock(NEW), Device::new(3), Device::new(4));
    let ask = Ask::cli(&gateway, &operator, &["operator.admin"]);
    let (mut cli, _) = accepted(&gateway, Locality::Local, &ask).await;
    refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    let id = gateway.pending()[0].request_id.clone();
    cli.event("device.pair.requested").await;
    cli.send(
        json!({"type": "req", "id": "a", "method": "device.pair.reject", "params": {"requestId": id}})
            .to_string(),
    )
    .await;
    let resolved = cli.next().await.frame();
    assert_eq!(resolved["event"], "device.pair.resolved");
    assert_eq!(resolved["payload"]["decision"], "rejected");
    assert_eq!(
        cli.next().await.frame()["payload"],
        json!({"requestId": id, "deviceId": device.id()})
    );
    refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    assert_ne!(gateway.pending()[0].request_id, id);
}

#[tokio::test(start_paused = true)]
async fn a_wider_ask_supersedes_the_request_in_the_new_edition() {
    let (gateway, device, operator) = (mock(NEW), Device::new(5), Device::new(6));
    let (mut cli, _) = accepted(
        &gateway,
        Locality::Local,
        &Ask::cli(&gateway, &operator, &["operator.pairing"]),
    )
    .await;
    let narrow = Ask {
        scopes: vec!["operator.read"],
        ..Ask::new(&gateway, &device)
    };
    refused(&gateway, Locality::Remote, &narrow).await;
    let first = cli.event("device.pair.requested").await["payload"]["requestId"].clone();
    refused(&gateway, Locality::Remote, &narrow).await;
    let wide = Ask {
        scopes: vec!["operator.admin"],
        ..narrow
    };
    refused(&gateway, Locality::Remote, &wide).await;
    let resolved = cli.next().await.frame();
    assert_eq!(resolved["payload"]["requestId"], first);
    assert_eq!(resolved["payload"]["decision"], "rejected");
    let requested = cli.next().await.frame();
    assert_eq!(
        requested["payload"]["scopes"],
        json!(["operator.read", "operator.admin"])
    );
}

#[tokio::test(start_paused = true)]
async fn upgrades_have_their_own_reasons() {
    let (gateway, device) = (mock(NEW), Device::new(7));
    paired(&gateway, &device).await;
    let base = Ask::new(&gateway, &device);
    let reason = async |ask: Ask<'_>| {
        let (error, _, reason) = refused(&gateway, Locality::Remote, &ask).await;
        assert!(reason.len() <= 120, "{reason}");
        error["details"]["reason"].clone()
    };
    let scopes = vec!["operator.read", "operator.admin"];
    assert_eq!(
        reason(Ask {
            scopes,
            ..base.clone()
        })
        .await,
        "scope-upgrade"
    );
    let node = Ask {
        role: "node",
        scopes: vec![],
        ..base.clone()
    };
    assert_eq!(reason(node).await, "role-upgrade");
    assert_eq!(
        reason(Ask {
            platform: "darwin",
            ..base.clone()
        })
        .await,
        "metadata-upgrade"
    );
    accepted(
        &gateway,
        Locality::Remote,
        &Ask {
            platform: " Backend ",
            ..base.clone()
        },
    )
    .await;
    gateway.revoke(&device.id(), "operator").expect("revoked");
    assert_eq!(reason(base).await, "role-upgrade");
}

#[tokio::test(start_paused = true)]
async fn live_sessions_of_a_removed_device_end_in_the_new_edition_only() {
    for (edition, verb) in [
        (NEW, "remove"),
        (NEW, "rotate"),
        (NEW, "revoke"),
        (OLD, "revoke"),
    ] {
        let (gateway, device) = (mock(edition), Device::new(8));
        paired(&gateway, &device).await;
        let (mut live, _) =
            accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        match verb {
            "remove" => gateway.remove(&device.id()),
            "rotate" => gateway.rotate(&device.id(), "operator", None),
            _ => gateway.revoke(&device.id(), "operator"),
        }
        .expect("done");
        if edition == NEW {
            assert_eq!(
                live.end().await,
                Got::Closed(4001, "device removed".into()),
                "{verb}"
            );
        } else {
            assert_eq!(live.call("health", json!({})).await["ok"], true);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_rotates_its_own_token_gets_it_before_the_close() {
    let (gateway, device) = (mock(NEW), Device::new(9));
    let scopes = vec!["operator.pairing"];
    let ask = Ask {
        scopes,
        ..Ask::new(&gateway, &device)
    };
    refused(&gateway, Locality::Remote, &ask).await;
    gateway
        .approve(&gateway.pending()[0].request_id)
        .expect("approved");
    let (_, hello) = accepted(&gateway, Locality::Remote, &ask).await;
    let token = hello["auth"]["deviceToken"].as_str().map(str::to_owned);
    let (mut own, _) = accepted(&gateway, Locality::Remote, &Ask { token, ..ask }).await;
    let params = json!({"deviceId": device.id(), "role": "operator"});
    let rotated = own.call("device.token.rotate", params).await;
    assert_eq!(rotated["payload"]["tokenDelivery"], "in-band");
    assert_eq!(rotated["payload"]["token"].as_str().map(str::len), Some(43));
    assert_eq!(own.end().await, Got::Closed(4001, "device removed".into()));
}

#[tokio::test(start_paused = true)]
async fn the_gateway_can_decide_requests_by_itself() {
    let device = Device::new(10);
    let build = |pairing| MockGateway::builder().pairing(pairing).build();

    let gateway = build(Pairing::Auto);
    accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;

    let gateway = build(Pairing::AfterTries(2));
    let ask = Ask::new(&gateway, &device);
    refused(&gateway, Locality::Remote, &ask).await;
    refused(&gateway, Locality::Remote, &ask).await;
    accepted(&gateway, Locality::Remote, &ask).await;

    let gateway = build(Pairing::AfterDelay(Duration::from_secs(3)));
    let ask = Ask::new(&gateway, &device);
    refused(&gateway, Locality::Remote, &ask).await;
    gateway
        .wait_for(|now| now.paired.len() == 1, SOON)
        .await
        .expect("approved");
    accepted(&gateway, Locality::Remote, &ask).await;

    let gateway = build(Pairing::Reject);
    refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    assert!(gateway.pending().is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_expire_by_the_gateways_clock() {
    let (gateway, device) = (mock(OLD), Device::new(11));
    refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    let request = gateway.wait_for_pending(SOON).await.expect("pending");
    gateway.advance_clock(Duration::from_secs(301));
    assert!(gateway.pending().is_empty());
    let error = gateway.approve(&request.request_id).expect_err("expired");
    assert_eq!(
        error.to_string(),
        "the gateway refused: INVALID_REQUEST: unknown requestId"
    );
}

#[tokio::test]
async fn a_state_directory_keeps_devices_and_honours_edits() {
    let temp = tempfile::tempdir().expect("a directory");
    for edition in Edition::ALL {
        let dir = temp.path().join(edition.version());
        let build = || {
            MockGateway::builder()
                .edition(edition)
                .state_dir(&dir)
                .build()
        };
        let device = Device::new(12);
        let gateway = build();
        paired(&gateway, &device).await;
        let token = gateway.token();
        drop(gateway);
        let gateway = build();
        assert_eq!(gateway.token(), token);
        accepted(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        std::fs::write(dir.join("devices/paired.json"), "{}").expect("edited");
        refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
        let pending = std::fs::read_to_string(dir.join("devices/pending.json")).expect("written");
        assert!(pending.contains(&device.id()));
    }
}
