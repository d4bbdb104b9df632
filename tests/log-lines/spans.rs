//! The spans of connections, calls and runs.

use openclaw_adapter::{Client, ConnectionState};
use openclaw_tests::peer::builder;
use serde_json::json;
use tracing::info_span;
use tracing::instrument::Instrument as _;

use super::capture::{Span, Spans};
use super::lines::pairing_required;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

tokio::task_local! {
    static TRACEPARENT: String;
}

#[track_caller]
fn has(span: &Span, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let found = span.fields.get(name).map(String::as_str);
        assert_eq!(found, Some(*value), "{name} of {span:#?}");
    }
}

const PLACE: [(&str, &str); 3] = [
    ("otel.kind", "client"),
    ("server.address", "127.0.0.1"),
    ("server.port", "1"),
];

#[tokio::test(start_paused = true)]
async fn each_connection_is_a_span_from_its_attempt_to_its_end() {
    let spans = Spans::start();
    let (builder, mut peer) = builder();
    let client = async { Client::start(builder.build().unwrap()) }
        .instrument(info_span!("whoever starts it"))
        .await;
    let mut state = client.state();
    let (mut link, request) = peer.connect().await;
    link.refuse(&request, pairing_required()).await;
    drop(link);
    let link = peer.welcome().await;
    state.wait_for(ConnectionState::is_ready).await.unwrap();
    link.close(1011, "internal error").await;
    let link = peer.welcome().await;
    state.wait_for(ConnectionState::is_ready).await.unwrap();
    client.close().await;
    drop(link);
    let ended = spans.named("openclaw.connection");
    assert_eq!(ended.len(), 3, "{ended:#?}");
    for one in &ended {
        has(one, &PLACE);
        has(
            one,
            &[
                ("network.transport", "tcp"),
                ("network.protocol.name", "websocket"),
            ],
        );
        assert_eq!(one.parent, None, "{one:#?}");
    }
    has(
        &ended[0],
        &[
            ("error.type", "pairing_required"),
            ("otel.status_code", "ERROR"),
        ],
    );
    let id = ("openclaw.connection.id", "c-1");
    has(
        &ended[1],
        &[
            id,
            ("openclaw.protocol", "4"),
            ("openclaw.server.version", "2026.9.6"),
        ],
    );
    has(&ended[1], &[("error.type", "closed")]);
    has(&ended[2], &[id]);
    assert!(!ended[2].fields.contains_key("error.type"), "{ended:#?}");
}

#[tokio::test(start_paused = true)]
async fn each_call_and_each_run_is_a_span_in_the_trace_of_its_caller() {
    let spans = Spans::start();
    let (builder, mut peer) = builder();
    let builder = builder.trace_context(|| TRACEPARENT.try_with(Clone::clone).ok());
    let client = Client::start(builder.build().unwrap());
    let mut link = peer.welcome().await;
    client.ready().await.unwrap();
    let asked = tokio::spawn({
        let client = client.clone();
        let asking = async move {
            client.call_raw("health", json!({})).await.unwrap();
            client.call_raw("cron.list", json!({})).await.unwrap_err();
            let mut run = client.agent().run("billing", "hi").start();
            run.outcome().await
        };
        TRACEPARENT.scope(TRACE.to_owned(), asking.instrument(info_span!("request")))
    });
    for method in ["health", "cron.list", "agent"] {
        let request = link.request().await;
        assert_eq!(request["method"], method);
        assert_eq!(request["traceparent"], TRACE, "{method}");
        if method == "health" {
            link.answer(&request, json!({})).await;
        } else {
            let error = json!({"code":"INVALID_REQUEST","message":"not like this"});
            link.refuse(&request, error).await;
        }
    }
    asked.await.unwrap();
    // The run's own task may be a step behind.
    while spans.named("openclaw.run").is_empty() {
        tokio::task::yield_now().await;
    }
    let calls = spans.named("openclaw.call");
    let methods = calls.iter().map(|call| call.fields["rpc.method"].as_str());
    assert_eq!(
        methods.collect::<Vec<_>>(),
        ["health", "cron.list", "agent"]
    );
    for call in &calls {
        has(call, &PLACE);
        has(
            call,
            &[
                ("rpc.system.name", "openclaw"),
                ("otel.name", &call.fields["rpc.method"]),
            ],
        );
    }
    assert!(!calls[0].fields.contains_key("error.type"), "{calls:#?}");
    has(
        &calls[1],
        &[("error.type", "refused"), ("otel.status_code", "ERROR")],
    );
    assert_eq!(calls[0].parent, Some("request"));
    assert_eq!(calls[2].parent, Some("openclaw.run"));
    let runs = spans.named("openclaw.run");
    assert_eq!(runs.len(), 1);
    has(&runs[0], &PLACE);
    has(
        &runs[0],
        &[
            ("gen_ai.operation.name", "invoke_agent"),
            ("gen_ai.provider.name", "openclaw"),
            ("otel.name", "invoke_agent"),
            ("error.type", "not_started"),
        ],
    );
    assert_eq!(runs[0].parent, Some("request"));
}
