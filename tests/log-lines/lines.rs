//! The log of a client over hours of trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openclaw_adapter::{Client, Config, ConfigBuilder, ConnectionState, MemoryStore, Token};
use openclaw_tests::peer::{builder, wire};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::Level;

use super::capture::Log;

const HOUR: Duration = Duration::from_secs(3600);

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

pub(crate) fn pairing_required() -> Value {
    json!({"code":"NOT_PAIRED","message":"pairing required: device is not approved yet","details":{
        "code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"eee439f6-1f0e-4a5c-9d36-0b1f8a7c2d11"}})
}

fn wrong_token() -> Value {
    json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch","details":{
        "code":"AUTH_TOKEN_MISMATCH"}})
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_waiting_for_an_approval_is_one_line() {
    let log = Log::start(Level::INFO);
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
    let log = Log::start(Level::INFO);
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
        let log = Log::start(Level::INFO);
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
    let log = Log::start(Level::INFO);
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
    for (text, times) in [("ready", 5), ("trying again: ", 5), ("closed", 1)] {
        let found = lines.iter().filter(|line| line.contains(text)).count();
        assert!(found >= times, "{text}: {lines:#?}");
    }
}
