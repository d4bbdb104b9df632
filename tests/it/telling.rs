//! What a client tells those who watch it: its log over hours of trouble, and its spans.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openclaw_adapter::{Client, Config, ConfigBuilder, ConnectionState, MemoryStore, Token};
use openclaw_tests::peer::{builder, wire};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::instrument::Instrument as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

const HOUR: Duration = Duration::from_secs(3600);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

tokio::task_local! {
    static TRACEPARENT: String;
}

/// What is logged on this thread at INFO and above.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::INFO)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

/// Counts the states that a person would call a change: an attempt is none.
fn counting(builder: ConfigBuilder) -> (ConfigBuilder, Arc<AtomicUsize>) {
    let changes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&changes);
    let builder = builder.on_state(move |state| {
        if !matches!(state, ConnectionState::Connecting { .. }) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (builder, changes)
}

fn pairing_required() -> Value {
    json!({"code":"NOT_PAIRED","message":"pairing required: device is not approved yet","details":{
        "code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"eee439f6-1f0e-4a5c-9d36-0b1f8a7c2d11"}})
}

fn wrong_token() -> Value {
    json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch","details":{
        "code":"AUTH_TOKEN_MISMATCH"}})
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_waiting_for_an_approval_is_one_line() {
    let (log, _guard) = Log::start();
    let (builder, mut peer) = builder();
    let client = Client::start(builder.build().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let gateway = tokio::spawn(async move {
        loop {
            let (mut link, request) = peer.connect().await;
            link.refuse(&request, pairing_required()).await;
            link.close(1008, "pairing required").await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    sleep(HOUR).await;
    gateway.abort();
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 300, "asked {asked} times");
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("openclaw devices approve eee439f6-"));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_a_gateway_is_one_line() {
    let (log, _guard) = Log::start();
    let (builder, peer) = builder();
    drop(peer);
    let (builder, changes) = counting(builder);
    let client = Client::start(builder.build().unwrap());
    sleep(HOUR).await;
    let tried = changes.load(Ordering::Relaxed);
    assert!(tried > 100, "tried {tried} times");
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("trying again: "), "{lines:#?}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_hour_with_the_wrong_token_is_one_line_also_where_its_file_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "a-token-of-another-gateway").unwrap();
    for watched in [false, true] {
        let (log, _guard) = Log::start();
        let (wire, mut peer) = wire();
        let builder = Config::builder()
            .url("ws://127.0.0.1:1")
            .store(MemoryStore::new())
            .connector(wire);
        let builder = if watched {
            builder.token_file(&file)
        } else {
            builder.token(Token::new("a-token-of-another-gateway").unwrap())
        };
        let client = Client::start(builder.build().unwrap());
        let gateway = tokio::spawn(async move {
            loop {
                let (mut link, request) = peer.connect().await;
                link.refuse(&request, wrong_token()).await;
                link.close(1008, "unauthorized").await;
            }
        });
        sleep(HOUR).await;
        gateway.abort();
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("stopped: "), "{lines:#?}");
        assert!(!lines[0].contains("a-token-of"), "{lines:#?}");
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_comes_and_goes_is_one_line_for_each_change() {
    let (log, _guard) = Log::start();
    let (builder, mut peer) = builder();
    let (builder, changes) = counting(builder);
    let client = Client::start(builder.build().unwrap());
    let mut state = client.state();
    for _ in 0..5 {
        let link = peer.welcome().await;
        state.wait_for(ConnectionState::is_ready).await.unwrap();
        link.close(1012, "service restart").await;
        state.wait_for(|state| !state.is_ready()).await.unwrap();
    }
    client.close().await;
    // Five times ready, five times trying again, and closed.
    assert_eq!(changes.load(Ordering::Relaxed), 11);
    let lines = log.lines();
    assert_eq!(lines.len(), 11, "{lines:#?}");
    for (words, times) in [("ready", 5), ("trying again: ", 5), ("closed", 1)] {
        let said = lines.iter().filter(|line| line.contains(words)).count();
        assert!(said >= times, "{words}: {lines:#?}");
    }
}

/// A span, as whoever collects them sees it.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps the spans that are over.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut seen = Seen {
            name: span.name(),
            parent: span.parent().map(|parent| parent.name()),
            fields: BTreeMap::new(),
        };
        attributes.record(&mut seen);
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Seen>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let seen = span.extensions_mut().remove::<Seen>().unwrap();
        self.0.lock().unwrap().push(seen);
    }
}

impl Spans {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    /// The spans of this name that are over, in the order of their ends.
    fn of(&self, name: &str) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        seen.iter()
            .filter(|one| one.name == name)
            .cloned()
            .collect()
    }
}

#[track_caller]
fn has(seen: &Seen, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let found = seen.fields.get(name).map(String::as_str);
        assert_eq!(found, Some(*value), "{name} of {seen:#?}");
    }
}

const PLACE: [(&str, &str); 3] = [
    ("otel.kind", "client"),
    ("server.address", "127.0.0.1"),
    ("server.port", "1"),
];

#[tokio::test(start_paused = true)]
async fn each_connection_is_a_span_from_its_attempt_to_its_end() {
    let (spans, _guard) = Spans::start();
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
    let over = spans.of("openclaw.connection");
    assert_eq!(over.len(), 3, "{over:#?}");
    for one in &over {
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
        &over[0],
        &[
            ("error.type", "pairing_required"),
            ("otel.status_code", "ERROR"),
        ],
    );
    let id = ("openclaw.connection.id", "c-1");
    has(
        &over[1],
        &[
            id,
            ("openclaw.protocol", "4"),
            ("openclaw.server.version", "2026.9.6"),
        ],
    );
    has(&over[1], &[("error.type", "closed")]);
    has(&over[2], &[id]);
    assert!(!over[2].fields.contains_key("error.type"), "{over:#?}");
}

#[tokio::test(start_paused = true)]
async fn each_call_and_each_run_is_a_span_in_the_trace_of_its_caller() {
    let (spans, _guard) = Spans::start();
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
    while spans.of("openclaw.run").is_empty() {
        tokio::task::yield_now().await;
    }
    let calls = spans.of("openclaw.call");
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
    let runs = spans.of("openclaw.run");
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
