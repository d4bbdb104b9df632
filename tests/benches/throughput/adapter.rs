//! The same work by the adapter.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openclaw_adapter::{
    Client, Config, DeviceIdentity, EventFilter, EventItem, MemoryStore, Token,
};
use serde_json::{Value, json};

use crate::{Times, times};

fn config(address: &SocketAddr, store: MemoryStore) -> Config {
    Config::builder()
        .url(format!("ws://{address}"))
        .token(Token::new("shared-token-0123").unwrap())
        .store(store)
        .event_capacity(1 << 20, 1 << 30)
        .build()
        .unwrap()
}

pub(crate) async fn calls(address: &SocketAddr, in_flight: u64, calls: u64) -> Times {
    let client = Client::connect(config(address, MemoryStore::new()))
        .await
        .unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut each = Vec::new();
                let params = json!({"probe":false});
                while next.fetch_add(1, Ordering::Relaxed) < calls {
                    let sent = Instant::now();
                    let answer = client.call_raw("health", &params).await.unwrap();
                    assert_eq!(answer["ok"], true);
                    each.push(sent.elapsed());
                }
                each
            })
        })
        .collect();
    let mut each = Vec::new();
    for worker in workers {
        each.extend(worker.await.unwrap());
    }
    let times = times(began, each);
    client.close().await;
    times
}

pub(crate) async fn events(address: &SocketAddr, events: u64) -> Duration {
    let client = Client::connect(config(address, MemoryStore::new()))
        .await
        .unwrap();
    let mut stream = client.events_where(EventFilter::named(["agent"]));
    let began = Instant::now();
    let flood = format!("flood-{events}");
    client.call_raw(&flood, json!({})).await.unwrap();
    for seq in 1..=events {
        let Some(EventItem::Event(event)) = stream.next().await else {
            unreachable!("an event is missing");
        };
        let payload: Value = event.payload().unwrap();
        assert_eq!(payload["seq"], seq);
    }
    let took = began.elapsed();
    client.close().await;
    took
}

pub(crate) async fn dials(address: &SocketAddr, dials: u32) -> Duration {
    // A backend has its identity already.
    let identity = DeviceIdentity::generate(0).unwrap();
    let began = Instant::now();
    for _ in 0..dials {
        let store = MemoryStore::with_identity(identity.clone());
        Client::connect(config(address, store)).await.unwrap();
    }
    began.elapsed()
}
