//! What an operator's tools see of a client: traces, metrics, counts.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use openclaw_adapter::{Client, Config, MemoryStore, Token};
use openclaw_mock_gateway::{Edition, MockGateway};
use openclaw_tests::peer::{builder, old_hello};
use serde_json::json;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

tokio::task_local! {
    static TRACEPARENT: String;
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_caller_goes_with_its_call_where_the_protocol_has_a_place() {
    let (builder, mut peer) = builder();
    let builder = builder.trace_context(|| TRACEPARENT.try_with(Clone::clone).ok());
    let client = Client::start(builder.build().unwrap());
    let health = |trace: Option<&str>| {
        let (client, trace) = (client.clone(), trace.map(ToOwned::to_owned));
        tokio::spawn(async move {
            match trace {
                Some(trace) => {
                    let call = async { client.call_raw("health", json!({})).await };
                    TRACEPARENT.scope(trace, call).await
                }
                None => client.call_raw("health", json!({})).await,
            }
        })
    };
    let mut link = peer.welcome().await;
    for (trace, sent) in [
        (Some(TRACE), json!(TRACE)),
        (None, json!(null)),
        (Some(r#"00-x","method":"config.set"#), json!(null)),
    ] {
        let call = health(trace);
        let request = link.request().await;
        assert_eq!(request["traceparent"], sent);
        assert_eq!(request["method"], "health");
        link.answer(&request, json!(1)).await;
        call.await.unwrap().unwrap();
    }
    drop(link);
    let mut link = peer.welcome_with(old_hello(1000)).await;
    let call = health(Some(TRACE));
    let request = link.request().await;
    assert!(request.get("traceparent").is_none());
    link.answer(&request, json!(1)).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn both_editions_take_a_call_with_a_trace() {
    for edition in [Edition::V2026_2_9, Edition::V2026_9_6] {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let config = Config::builder()
            .url(gateway.local_url())
            .token(Token::new(gateway.token()).unwrap())
            .store(MemoryStore::new())
            .trace_context(|| Some(TRACE.to_owned()))
            .build()
            .unwrap();
        let client = Client::connect(config).await.unwrap();
        let health = client.call_raw("health", json!({})).await.unwrap();
        assert_eq!(health["ok"], true);
        client.close().await;
    }
}

#[test]
fn metrics_count_what_happens_under_their_documented_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut ready = 0.0;
    let mut snapshot = Vec::new();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let gateway = MockGateway::start().await;
            let config = Config::builder()
                .url(gateway.local_url())
                .token(Token::new(gateway.token()).unwrap())
                .store(MemoryStore::new())
                .build()
                .unwrap();
            let client = Client::connect(config).await.unwrap();
            client.call_raw("health", json!({})).await.unwrap();
            let refused = client.call_raw("no.such.method", json!({})).await;
            refused.unwrap_err();
            let mut events = client.events();
            gateway.emit("tick", &json!({"ts": 1}));
            events.next().await.unwrap();
            for (key, _, _, value) in snapshotter.snapshot().into_vec() {
                if let ("openclaw_client_ready", DebugValue::Gauge(value)) =
                    (key.key().name(), &value)
                {
                    ready = value.into_inner();
                }
                snapshot.push((key, value));
            }
            client.close().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
    });
    assert!((ready - 1.0).abs() < f64::EPSILON, "{ready}");
    let counter = |name: &str| {
        snapshot
            .iter()
            .find_map(|(key, value)| match value {
                DebugValue::Counter(count) if key.key().name() == name => Some(*count),
                _ => None,
            })
            .unwrap_or_default()
    };
    assert_eq!(counter("openclaw_client_connect_attempts_total"), 1);
    assert_eq!(counter("openclaw_client_connections_total"), 1);
    assert!(counter("openclaw_client_events_total") >= 1);
    let mut calls: Vec<_> = snapshot
        .iter()
        .filter(|(key, _)| key.key().name() == "openclaw_client_call_duration_seconds")
        .map(|(key, _)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            labels.join(" ")
        })
        .collect();
    calls.sort();
    assert_eq!(
        calls,
        [
            "rpc_method=health outcome=ok",
            "rpc_method=no.such.method outcome=refused"
        ]
    );
    // A snapshot takes the gauge to zero, so that what is seen here is the way back.
    let after = snapshotter.snapshot().into_vec();
    let left = after.iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Gauge(value) if key.key().name() == "openclaw_client_ready" => {
            Some(value.into_inner())
        }
        _ => None,
    });
    let left = left.map(|left| left + ready);
    assert!(
        left.is_some_and(|left| left.abs() < f64::EPSILON),
        "{left:?}"
    );
}
