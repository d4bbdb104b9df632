use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, ReloadMode};
use serde_json::{Value, json};

use crate::client::{Ask, Client, Device, Got, accepted, mock, paired, refused};

const OLD: Edition = Edition::V2026_2_9;
const NEW: Edition = Edition::V2026_9_6;

async fn live(gateway: &MockGateway, device: &Device) -> Client {
    paired(gateway, device).await;
    accepted(gateway, Locality::Remote, &Ask::new(gateway, device))
        .await
        .0
}

#[tokio::test(start_paused = true)]
async fn calls_are_refused_as_recorded() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        let mut client = live(&gateway, &device).await;
        let forbidden = |scope: &str| match edition {
            Edition::V2026_2_9 => {
                json!({"code": "INVALID_REQUEST", "message": format!("missing scope: {scope}")})
            }
            _ => json!({
                "code": "FORBIDDEN", "message": format!("missing scope: {scope}"),
                "details": {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]},
            }),
        };
        let mut error =
            async |method: &str, params: Value| client.call(method, params).await["error"].clone();
        assert_eq!(
            error("no.such.method", json!({})).await,
            forbidden("operator.admin")
        );
        assert_eq!(
            error("connect", json!({})).await,
            forbidden("operator.admin")
        );
        assert_eq!(
            error("device.pair.list", json!({})).await,
            forbidden("operator.pairing")
        );
        assert_eq!(error("health", json!({"bogus": 1})).await, Value::Null);
        let text = match edition {
            Edition::V2026_2_9 => {
                "invalid agent params: must have required property 'message'; must have required property \
                 'idempotencyKey'"
            }
            _ => "invalid agent params: must have required property 'message'",
        };
        assert_eq!(
            error("agent", json!({})).await,
            json!({"code": "INVALID_REQUEST", "message": text})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_admin_is_told_about_unknown_methods_and_second_connects() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(2));
        let ask = Ask::cli(&gateway, &device, &["operator.admin"]);
        let (mut client, _) = accepted(&gateway, Locality::Local, &ask).await;
        let unknown = client.call("no.such", json!({})).await;
        assert_eq!(unknown["error"]["message"], "unknown method: no.such");
        let second = client.call("connect", json!({})).await;
        assert_eq!(
            second["error"]["message"],
            "connect is only valid as the first request"
        );
        for method in ["health", "status", "system-presence"] {
            assert_eq!(client.call(method, json!({})).await["ok"], true, "{method}");
        }
        let config = client.call("config.get", json!({})).await;
        let text = config.to_string();
        assert!(text.contains("__OPENCLAW_REDACTED__") && !text.contains("t0ken"));
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_requests_are_answered_and_forgiven() {
    let (gateway, device) = (mock(NEW), Device::new(3));
    let mut client = live(&gateway, &device).await;
    for (text, id, message) in [
        (
            r#"{"a":1}"#,
            json!("invalid"),
            "must have required property 'type'; at root: unexpected property 'a'",
        ),
        (
            r#"{"type":"req","id":7,"method":"health"}"#,
            json!(7),
            "at /id: must be string",
        ),
        ("[1,2]", json!("invalid"), "must be object"),
    ] {
        client.send("no json").await;
        client.send(text).await;
        let frame = client.next().await.frame();
        assert_eq!(frame["id"], id);
        assert_eq!(
            frame["error"]["message"],
            format!("invalid request frame: {message}")
        );
    }
    assert_eq!(client.call("health", json!({})).await["ok"], true);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_ends_the_connection() {
    let (gateway, device) = (mock(OLD), Device::new(4));
    let mut client = live(&gateway, &device).await;
    client.send("x".repeat(524_289)).await;
    assert_eq!(client.end().await, Got::Closed(1009, String::new()));
}

#[tokio::test(start_paused = true)]
async fn events_are_counted_per_connection_or_for_all() {
    for edition in Edition::ALL {
        let (gateway, one, two) = (mock(edition), Device::new(5), Device::new(6));
        let mut first = live(&gateway, &one).await;
        gateway.emit("chat", &json!({"n": 1}));
        let mut second = live(&gateway, &two).await;
        gateway.emit("chat", &json!({"n": 2}));
        first.event("chat").await;
        let seqs = (
            first.event("chat").await["seq"].clone(),
            second.event("chat").await["seq"].clone(),
        );
        match edition {
            Edition::V2026_2_9 => assert_eq!(seqs.0, seqs.1),
            _ => assert_eq!(seqs, (json!(2), json!(1))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_come_every_thirty_seconds() {
    let (gateway, device) = (mock(NEW), Device::new(7));
    let mut client = live(&gateway, &device).await;
    let first = client.event("tick").await["payload"]["ts"]
        .as_u64()
        .expect("ts");
    let second = client.event("tick").await["payload"]["ts"]
        .as_u64()
        .expect("ts");
    assert!((29_990..30_010).contains(&(second - first)));
}

#[tokio::test(start_paused = true)]
async fn an_eleventh_call_for_another_role_ends_the_connection_of_the_new_edition() {
    let (gateway, device) = (mock(NEW), Device::new(8));
    let mut client = live(&gateway, &device).await;
    for _ in 0..11 {
        client.call("node.event", json!({})).await;
    }
    assert_eq!(
        client.end().await,
        Got::Closed(1008, "repeated unauthorized calls".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_announced_and_closes_with_1012() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(9));
        let mut client = live(&gateway, &device).await;
        let (end, ()) = tokio::join!(
            async {
                let notice = client.event("shutdown").await;
                (notice["payload"].clone(), client.end().await)
            },
            gateway.stop()
        );
        let notice = match edition {
            Edition::V2026_2_9 => json!({"reason": "gateway stopping", "restartExpectedMs": null}),
            _ => json!({"reason": "gateway stopping"}),
        };
        assert_eq!(end, (notice, Got::Closed(1012, "service restart".into())));
    }
}

#[tokio::test(start_paused = true)]
async fn an_edited_token_waits_for_the_restart_unless_reload_is_on() {
    let device = Device::new(10);
    let gateway = mock(NEW);
    gateway.set_token_on_disk("other").expect("written");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        (gateway.token(), gateway.token_on_disk()),
        ("t0ken".into(), "other".into())
    );
    gateway.restart().await.expect("restarted");
    assert_eq!(gateway.token(), "other");
    refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_closes_shared_secret_sessions_only_in_the_new_edition() {
    let device = Device::new(11);
    let build = |edition| {
        let builder = MockGateway::builder().edition(edition).token("t0ken");
        builder
            .reload(ReloadMode::AsTheEdition)
            .strict(false)
            .build()
    };
    let gateway = build(NEW);
    let token = Some(paired(&gateway, &device).await);
    let ask = Ask::new(&gateway, &device);
    let (mut shared, _) = accepted(&gateway, Locality::Remote, &ask).await;
    let (mut own, _) = accepted(&gateway, Locality::Remote, &Ask { token, ..ask }).await;
    gateway.set_token_on_disk("other").expect("written");
    assert_eq!(
        shared.end().await,
        Got::Closed(4001, "gateway auth changed".into())
    );
    own.event("config.changed").await;
    assert_eq!(gateway.token(), "other");

    let gateway = build(OLD);
    let mut client = live(&gateway, &device).await;
    gateway.set_token_on_disk("other").expect("written");
    let notice = client.event("shutdown").await;
    assert_eq!(
        notice["payload"],
        json!({"reason": "gateway restarting", "restartExpectedMs": 1500})
    );
    assert_eq!(
        client.end().await,
        Got::Closed(1012, "service restart".into())
    );
}

#[tokio::test(start_paused = true)]
async fn the_new_edition_pings_and_gives_up_on_a_missed_pong() {
    let (gateway, device) = (mock(NEW), Device::new(12));
    let client = live(&gateway, &device).await;
    // The client is not polled any more, so that nobody answers the ping.
    let gone = gateway.wait_for(|now| now.live == 0, Duration::from_secs(120));
    gone.await.expect("terminated");
    drop(client);
}

#[tokio::test]
async fn ports_and_devices_outlive_a_stop_and_a_kill() {
    let gateway = MockGateway::builder().strict(false).start().await;
    let url = gateway.url();
    assert_ne!(url, gateway.local_url());
    let address = url.trim_start_matches("ws://").to_owned();
    for graceful in [true, false] {
        tokio::net::TcpStream::connect(&address)
            .await
            .expect("listening");
        if graceful {
            gateway.stop().await;
        } else {
            gateway.kill();
            tokio::task::yield_now().await;
        }
        tokio::net::TcpStream::connect(&address)
            .await
            .expect_err("refused");
        gateway.start_again().await.expect("listening again");
        assert_eq!(gateway.url(), url);
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_frames_go_both_ways_and_hide_secrets() {
    let (gateway, device) = (mock(NEW), Device::new(13));
    let token = paired(&gateway, &device).await;
    let text = format!("{:?}", gateway.frames());
    assert!(text.contains("\"connect\"") && text.contains("hello-ok"));
    assert!(!text.contains("t0ken") && !text.contains(&token));
}
