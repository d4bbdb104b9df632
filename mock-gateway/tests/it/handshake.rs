use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, Pairing};
use serde_json::{Value, json};

use crate::client::{Ask, Client, Device, Got, accepted, mock, paired, refused};

const OLD: Edition = Edition::V2026_2_9;
const NEW: Edition = Edition::V2026_9_6;

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_unknown_remote_device_is_told_to_pair() {
    let device = Device::new(1);
    let gateway = mock(NEW);
    let (error, code, reason) =
        refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    let id = gateway.pending()[0].request_id.clone();
    assert_eq!(
        error,
        json!({
            "code": "NOT_PAIRED", "message": "pairing required: device is not approved yet",
            "details": {
                "code": "PAIRING_REQUIRED", "reason": "not-paired", "requestId": id,
                "remediationHint": "Approve this device from the pending pairing requests.",
                "deviceId": device.id(), "requestedRole": "operator",
                "requestedScopes": ["operator.read", "operator.write"],
            },
        })
    );
    assert_eq!(code, 1008);
    assert_eq!(
        reason,
        format!("pairing required: device is not approved yet (requestId: {id})")
    );

    let gateway = mock(OLD);
    let (error, code, reason) =
        refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    let id = &gateway.pending()[0].request_id;
    assert_eq!(
        error,
        json!({"code": "NOT_PAIRED", "message": "pairing required", "details": {"requestId": id}})
    );
    assert_eq!((code, reason.as_str()), (1008, "pairing required"));
}

#[tokio::test(start_paused = true)]
async fn an_approved_device_gets_its_token_and_may_log_in_with_it() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(2));
        let token = paired(&gateway, &device).await;
        let ask = Ask {
            token: Some(token.clone()),
            ..Ask::new(&gateway, &device)
        };
        let (_, hello) = accepted(&gateway, Locality::Remote, &ask).await;
        assert_eq!(hello["auth"]["deviceToken"], token);
        assert_eq!(hello["protocol"], edition.protocol());
        if edition == NEW {
            assert_eq!(hello["auth"]["method"], "device-token");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hello_ok_has_the_keys_of_its_edition() {
    let device = Device::new(3);
    let gateway = mock(OLD);
    let (_, hello) = accepted(&gateway, Locality::Local, &Ask::new(&gateway, &device)).await;
    assert_eq!(
        keys(&hello),
        [
            "auth",
            "canvasHostUrl",
            "features",
            "policy",
            "protocol",
            "server",
            "snapshot",
            "type"
        ]
    );
    assert_eq!(
        keys(&hello["auth"]),
        ["deviceToken", "issuedAtMs", "role", "scopes"]
    );

    let gateway = mock(NEW);
    let (_, hello) = accepted(
        &gateway,
        Locality::Local,
        &Ask::cli(&gateway, &device, &["operator.admin"]),
    )
    .await;
    assert_eq!(
        keys(&hello),
        [
            "auth",
            "controlUiLinkReaders",
            "controlUiWidgetKinds",
            "features",
            "pluginSurfaceUrls",
            "policy",
            "protocol",
            "server",
            "snapshot",
            "type",
        ]
    );
    assert_eq!(
        keys(&hello["snapshot"]),
        [
            "appliedConfigHash",
            "authMode",
            "configPath",
            "health",
            "presence",
            "sessionDefaults",
            "stateDir",
            "stateVersion",
            "suspension",
            "updateSchedule",
            "uptimeMs",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_less_remote_client_keeps_its_scopes_in_the_old_edition_only() {
    let device = Device::new(4);
    for (edition, scopes) in [(OLD, json!(null)), (NEW, json!([]))] {
        let gateway = mock(edition);
        let ask = Ask::new(&gateway, &device).without_device();
        let (mut client, hello) = accepted(&gateway, Locality::Remote, &ask).await;
        assert_eq!(hello["auth"]["scopes"], scopes);
        let status = client.call("status", json!({})).await;
        assert_eq!(status["ok"], edition == OLD);
    }
}

#[tokio::test(start_paused = true)]
async fn signatures_are_judged_per_edition() {
    let device = Device::new(5);
    for (edition, version, good) in [
        (OLD, "v2", true),
        (OLD, "v3", false),
        (NEW, "v2", true),
        (NEW, "v3", true),
        (NEW, "v1", false),
    ] {
        let gateway = mock(edition);
        let ask = Ask {
            version,
            ..Ask::new(&gateway, &device)
        };
        let (error, _, _) = refused(&gateway, Locality::Remote, &ask).await;
        let expected = if good {
            "NOT_PAIRED"
        } else {
            "INVALID_REQUEST"
        };
        assert_eq!(error["code"], expected, "{edition} {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_signatures_and_foreign_nonces_are_refused() {
    let device = Device::new(6);
    for (edition, limit) in [(OLD, 600_000), (NEW, 120_000)] {
        let gateway = mock(edition);
        let at = async |skew_ms| {
            refused(
                &gateway,
                Locality::Remote,
                &Ask {
                    skew_ms,
                    ..Ask::new(&gateway, &device)
                },
            )
            .await
            .2
        };
        assert!(at(1_000 - limit).await.starts_with("pairing required"));
        assert_eq!(at(-limit - 1_000).await, "device signature expired");
        assert_eq!(at(limit + 1_000).await, "device signature expired");
        let ask = Ask {
            nonce: Some("abc"),
            ..Ask::new(&gateway, &device)
        };
        assert_eq!(
            refused(&gateway, Locality::Remote, &ask).await.2,
            "device nonce mismatch"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_told_apart_by_the_new_edition() {
    let (gateway, device) = (mock(NEW), Device::new(7));
    let token = paired(&gateway, &device).await;
    let base = Ask::new(&gateway, &device);
    let wrong = || Some("wrong".to_owned());
    let details = async |ask: Ask<'_>| {
        let (error, code, reason) = refused(&gateway, Locality::Remote, &ask).await;
        assert_eq!((code, &json!(reason)), (1008, &error["message"]));
        error["details"].clone()
    };
    assert_eq!(
        details(Ask {
            token: wrong(),
            ..base.clone()
        })
        .await,
        json!({
            "code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch",
            "canRetryWithDeviceToken": true, "recommendedNextStep": "retry_with_device_token",
        })
    );
    assert_eq!(
        details(Ask {
            token: wrong(),
            device_token: wrong(),
            ..base.clone()
        })
        .await["code"],
        "AUTH_DEVICE_TOKEN_MISMATCH"
    );
    let wide = vec!["operator.admin"];
    let ask = Ask {
        token: None,
        device_token: Some(token.clone()),
        scopes: wide,
        ..base.clone()
    };
    assert_eq!(details(ask).await["code"], "AUTH_SCOPE_MISMATCH");
    let ask = Ask {
        token: None,
        ..base.clone()
    };
    assert_eq!(details(ask).await["code"], "AUTH_TOKEN_MISSING");
    let ask = Ask {
        token: wrong(),
        device_token: Some(token),
        ..base
    };
    let (_, hello) = accepted(&gateway, Locality::Remote, &ask).await;
    assert_eq!(hello["auth"]["method"], "device-token");
}

#[tokio::test(start_paused = true)]
async fn the_old_edition_says_token_mismatch_to_everything() {
    let (gateway, device) = (mock(OLD), Device::new(8));
    let token = paired(&gateway, &device).await;
    let text = "unauthorized: gateway token mismatch (provide gateway auth token)";
    for (token, scopes) in [
        ("wrong", "operator.read"),
        (token.as_str(), "operator.admin"),
    ] {
        let ask = Ask {
            token: Some(token.to_owned()),
            scopes: vec![scopes],
            ..Ask::new(&gateway, &device)
        };
        let (error, code, reason) = refused(&gateway, Locality::Remote, &ask).await;
        assert_eq!(error, json!({"code": "INVALID_REQUEST", "message": text}));
        assert_eq!((code, reason.as_str()), (1008, text));
    }
    let ask = Ask {
        device_token: Some(token),
        ..Ask::new(&gateway, &device)
    };
    let (_, _, reason) = refused(&gateway, Locality::Remote, &ask).await;
    assert_eq!(
        reason,
        "invalid connect params: at /auth: unexpected property 'deviceToken'"
    );
}

#[tokio::test(start_paused = true)]
async fn ten_failures_lock_an_address_out_but_not_its_device_token() {
    let (gateway, device) = (mock(NEW), Device::new(9));
    let token = paired(&gateway, &device).await;
    let wrong = Ask {
        token: Some("wrong".into()),
        ..Ask::new(&gateway, &device)
    }
    .without_device();
    for _ in 0..10 {
        let (error, ..) = refused(&gateway, Locality::Remote, &wrong).await;
        assert_eq!(error["details"]["code"], "AUTH_TOKEN_MISMATCH");
    }
    let right = Ask {
        token: Some(gateway.token()),
        ..wrong.clone()
    };
    let (error, ..) = refused(&gateway, Locality::Remote, &right).await;
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(error["retryable"], true);
    assert!(
        error["retryAfterMs"]
            .as_u64()
            .is_some_and(|ms| ms > 290_000 && ms <= 300_000)
    );
    let (error, ..) = refused(&gateway, Locality::Remote, &Ask::new(&gateway, &device)).await;
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(
        error.get("retryable"),
        None,
        "it fell through to the device token"
    );
    let ask = Ask {
        token: Some(token),
        ..Ask::new(&gateway, &device)
    };
    accepted(&gateway, Locality::Remote, &ask).await;
    gateway.advance_clock(Duration::from_secs(301));
    accepted(&gateway, Locality::Remote, &right).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_over_loopback_is_answered_later_each_time() {
    let (gateway, device) = (mock(NEW), Device::new(10));
    let wrong = Ask {
        token: Some("wrong".into()),
        ..Ask::new(&gateway, &device)
    };
    for expected in [250, 500, 1000] {
        let begin = tokio::time::Instant::now();
        refused(&gateway, Locality::Local, &wrong).await;
        let took = begin.elapsed().as_millis();
        assert!(
            (expected..expected + 20).contains(&took),
            "{took} ms instead of {expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_protocol_range_has_to_hold_the_edition() {
    let device = Device::new(11);
    for edition in Edition::ALL {
        let gateway = mock(edition);
        let own = edition.protocol();
        for protocol in [(1, own - 1), (own + 1, own + 2)] {
            let ask = Ask {
                protocol,
                ..Ask::new(&gateway, &device)
            };
            let (error, code, reason) = refused(&gateway, Locality::Remote, &ask).await;
            assert_eq!((code, reason.as_str()), (1002, "protocol mismatch"));
            assert_eq!(error["details"]["expectedProtocol"], own);
        }
    }
    let gateway = mock(NEW);
    let probe = Ask {
        protocol: (3, 3),
        client: ("cli", "probe"),
        ..Ask::new(&gateway, &device)
    };
    accepted(&gateway, Locality::Local, &probe).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_when_its_time_is_up() {
    for (edition, seconds) in [(OLD, 10), (NEW, 15)] {
        let gateway = mock(edition);
        let begin = tokio::time::Instant::now();
        let mut client = Client::dial(&gateway, Locality::Remote).await;
        assert_eq!(client.next().await, Got::Closed(1000, String::new()));
        assert_eq!(begin.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn first_messages_that_are_no_connect_end_the_connection() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        for (text, code, reason) in [
            ("garbage", 1000, ""),
            (r#"{"a":1}"#, 1008, "invalid request frame"),
            (
                r#"{"type":"req","method":"connect"}"#,
                1008,
                "invalid request frame",
            ),
            (
                r#"{"type":"req","id":"x","method":"health"}"#,
                1008,
                "invalid handshake: first request must be connect",
            ),
        ] {
            let mut client = Client::dial(&gateway, Locality::Remote).await;
            client.send(text).await;
            assert_eq!(
                client.end().await,
                Got::Closed(code, reason.to_owned()),
                "{text}"
            );
        }
        let mut client = Client::dial(&gateway, Locality::Remote).await;
        let limit = if edition == NEW { 65_536 } else { 524_288 };
        client.send("x".repeat(limit + 1)).await;
        assert_eq!(client.end().await, Got::Closed(1009, String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_thirty_third_unauthenticated_socket_is_refused() {
    let gateway = mock(NEW);
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Client::dial(&gateway, Locality::Remote).await);
    }
    let response = Client::turned_away(&gateway, Locality::Remote, &[]).await;
    assert_eq!(response.status(), 503);
    open.pop();
    // The clock stands until nobody has anything left to do: by then the place is free.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Client::dial(&gateway, Locality::Remote).await;
    let old = mock(OLD);
    for _ in 0..36 {
        open.push(Client::dial(&old, Locality::Remote).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forwarding_header_is_refused_by_the_new_edition_and_makes_remote_in_the_old() {
    let header = [("x-forwarded-for", "10.9.8.7")];
    let response = Client::turned_away(&mock(NEW), Locality::Local, &header).await;
    assert_eq!(response.status(), 403);
    let (gateway, device) = (mock(OLD), Device::new(12));
    let mut client = Client::dial_quietly(&gateway, Locality::Local, &header)
        .await
        .expect("open");
    client.challenge = client.next().await.frame()["payload"].clone();
    let answer = client.connect(&Ask::new(&gateway, &device)).await;
    assert_eq!(answer["error"]["message"], "pairing required");
    assert_eq!(gateway.pending()[0].remote_ip, None);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_starting_says_when_to_come_back() {
    let device = Device::new(13);
    let builder = MockGateway::builder().startup_delay(Duration::from_millis(800));
    let gateway = builder.pairing(Pairing::Auto).build();
    let ask = Ask::new(&gateway, &device);
    let (error, code, reason) = refused(&gateway, Locality::Remote, &ask).await;
    assert_eq!((code, reason.as_str()), (1013, "gateway starting"));
    assert_eq!(
        error,
        json!({
            "code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": true,
            "retryAfterMs": 500, "details": {"reason": "startup-sidecars"},
        })
    );
    tokio::time::advance(Duration::from_millis(800)).await;
    accepted(&gateway, Locality::Remote, &ask).await;
}

#[tokio::test(start_paused = true)]
async fn local_clients_pair_silently_and_a_backend_not_at_all_in_the_new_edition() {
    let device = Device::new(14);
    let old = mock(OLD);
    accepted(&old, Locality::Local, &Ask::new(&old, &device)).await;
    assert_eq!(old.paired().len(), 1);
    let new = mock(NEW);
    let (_, hello) = accepted(&new, Locality::Local, &Ask::new(&new, &device)).await;
    assert_eq!(hello["auth"].get("deviceToken"), None);
    assert!(new.paired().is_empty());
    let (_, hello) = accepted(
        &new,
        Locality::Local,
        &Ask::cli(&new, &device, &["operator.read"]),
    )
    .await;
    assert!(hello["auth"]["deviceToken"].is_string());
    assert_eq!(new.paired()[0].approved_via.as_deref(), Some("silent"));
}
