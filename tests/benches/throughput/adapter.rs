//! The work by the adapter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openclaw_adapter::{
    Client, Config, DeviceIdentity, EventFilter, EventItem, EventStream, MemoryStore, Token,
};
use serde_json::{Value, json};

use crate::measure::{Measured, Watch, resident};
use crate::work::{Payload, Piece, Work};

pub(crate) async fn run(url: &str, work: Work) -> Measured {
    // A backend has its identity already.
    let identity = DeviceIdentity::generate(0).unwrap();
    let connect = || connect(url, identity.clone());
    match work {
        Work::Calls { in_flight, count } => {
            let client = connect().await;
            calls(&client, in_flight, count / 10).await;
            let watch = Watch::start();
            let each = calls(&client, in_flight, count).await;
            watch.stop().of(each)
        }
        Work::Events { as_type, count } => {
            let client = connect().await;
            if as_type {
                measured_events::<Piece>(&client, count).await
            } else {
                measured_events::<Value>(&client, count).await
            }
        }
        Work::Dials { count } => {
            for _ in 0..count / 10 {
                connect().await;
            }
            let watch = Watch::start();
            let mut each = Vec::new();
            for _ in 0..count {
                let began = Instant::now();
                let client = connect().await;
                each.push(began.elapsed());
                drop(client);
            }
            watch.stop().of(each)
        }
        Work::Memory { count } => {
            let mut held = vec![connect().await];
            let before = resident();
            for _ in 0..count {
                held.push(connect().await);
            }
            let bytes = resident().zip(before).map(|(now, then)| now - then);
            // Still there, and in use.
            let last = held.last().unwrap();
            last.call_raw("health", json!({})).await.unwrap();
            Measured {
                bytes: bytes.map(|bytes| bytes / count as f64),
                ..Measured::default()
            }
        }
    }
}

async fn connect(url: &str, identity: DeviceIdentity) -> Client {
    let config = Config::builder()
        .url(url)
        .token(Token::new("shared-token-0123").unwrap())
        .store(MemoryStore::with_identity(identity))
        .build()
        .unwrap();
    Client::connect(config).await.unwrap()
}

async fn calls(client: &Client, in_flight: u64, count: u64) -> Vec<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut each = Vec::new();
                let params = json!({"probe":false});
                while next.fetch_add(1, Ordering::Relaxed) < count {
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
    each
}

async fn measured_events<P: Payload>(client: &Client, count: u64) -> Measured {
    let mut stream = client.events_where(EventFilter::named(["agent"]));
    events::<P>(client, &mut stream, count / 10).await;
    let watch = Watch::start();
    events::<P>(client, &mut stream, count).await;
    watch.stop()
}

async fn events<P: Payload>(client: &Client, stream: &mut EventStream, count: u64) {
    let flood = format!("flood-{count}");
    client.call_raw(&flood, json!({})).await.unwrap();
    for seq in 1..=count {
        match stream.next().await {
            Some(EventItem::Event(event)) => {
                assert_eq!(event.payload::<P>().unwrap().seq(), seq);
            }
            other => unreachable!("event {seq} is missing: {other:?}"),
        }
    }
}
