//! What an operator's tools see of a client: traces, metrics, counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use openclaw_adapter::{Client, Config, ConnectionState, MemoryStore, Token};
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

/// Keeps what is counted, by name and labels.
#[derive(Debug, Default)]
struct Books {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    calls: Mutex<BTreeMap<String, Arc<Times>>>,
}

/// How often a duration was told.
#[derive(Debug, Default)]
struct Times(AtomicU64);

impl HistogramFn for Times {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds), "{seconds} s");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn name(key: &Key) -> String {
    let labels = key.labels();
    let labels = labels.map(|label| format!(" {}={}", label.key(), label.value()));
    format!("{}{}", key.name(), labels.collect::<String>())
}

impl Books {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let mut counters = self.counters.lock().unwrap();
        Arc::clone(counters.entry(name(key)).or_default())
    }

    fn count(&self, name: &str) -> u64 {
        let counters = self.counters.lock().unwrap();
        counters
            .get(name)
            .map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Gauges are kept as the bits of a float.
    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.count(name))
    }

    /// The states that clients are in, and how many.
    fn states(&self) -> Vec<String> {
        let counters = self.counters.lock().unwrap();
        let states = counters.iter().filter_map(|(name, cell)| {
            let state = name.strip_prefix("openclaw_client_states state=")?;
            let clients = f64::from_bits(cell.load(Ordering::Relaxed));
            (clients != 0.0).then(|| format!("{state}: {clients}"))
        });
        states.collect()
    }
}

impl Recorder for Books {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut calls = self.calls.lock().unwrap();
        Histogram::from_arc(Arc::clone(calls.entry(name(key)).or_default()))
    }
}

#[test]
fn metrics_count_what_happens_under_their_documented_names() {
    let books = Books::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&books, || {
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
            let ready = books.gauge("openclaw_client_ready");
            assert!((ready - 1.0).abs() < f64::EPSILON, "{ready}");
            assert_eq!(books.states(), ["ready: 1"]);

            let mut state = client.state();
            let waits =
                |state: &ConnectionState| matches!(state, ConnectionState::BackingOff { .. });
            gateway.kill();
            state.wait_for(waits).await.unwrap();
            assert_eq!(books.states(), ["backing_off: 1"]);
            client.close().await;
        });
    });
    let ready = books.gauge("openclaw_client_ready");
    assert!(ready.abs() < f64::EPSILON, "{ready}");
    assert!(books.states().is_empty());
    assert!(books.count("openclaw_client_connect_attempts_total") >= 1);
    assert_eq!(books.count("openclaw_client_connections_total"), 1);
    assert!(books.count("openclaw_client_events_total") >= 1);
    let calls = books.calls.lock().unwrap();
    let calls: Vec<_> = calls
        .iter()
        .map(|(name, times)| (name.as_str(), times.0.load(Ordering::Relaxed)))
        .collect();
    let call = "openclaw_client_call_duration_seconds";
    assert_eq!(
        calls,
        [
            (&*format!("{call} rpc_method=health outcome=ok"), 1),
            (
                &*format!("{call} rpc_method=no.such.method outcome=refused"),
                1
            ),
        ]
    );
}
