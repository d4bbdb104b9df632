//! The work by the floor: one task, one socket, no promises.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::measure::{Measured, Watch, resident};
use crate::work::{Payload, Piece, Work};

type Socket = WebSocketStream<TcpStream>;

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: String,
    method: &'a str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    payload: Value,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "event")]
    name: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// What is handed to the consumer: all that an event has.
struct Owned {
    name: String,
    seq: u64,
    payload: Box<RawValue>,
}

pub(crate) async fn run(address: &SocketAddr, work: Work) -> Measured {
    match work {
        Work::Calls { in_flight, count } => {
            let mut socket = connect(address).await;
            calls(&mut socket, in_flight, count / 10).await;
            let watch = Watch::start();
            let each = calls(&mut socket, in_flight, count).await;
            watch.stop().of(each)
        }
        Work::Events { as_type, count } => {
            let mut socket = connect(address).await;
            if as_type {
                measured_events::<Piece>(&mut socket, count).await
            } else {
                measured_events::<Value>(&mut socket, count).await
            }
        }
        Work::Dials { count } => {
            for _ in 0..count / 10 {
                connect(address).await;
            }
            let watch = Watch::start();
            let mut each = Vec::new();
            for _ in 0..count {
                let began = Instant::now();
                let socket = connect(address).await;
                each.push(began.elapsed());
                drop(socket);
            }
            watch.stop().of(each)
        }
        Work::Memory { count } => {
            let mut held = vec![connect(address).await];
            let before = resident();
            for _ in 0..count {
                held.push(connect(address).await);
            }
            let bytes = resident().zip(before).map(|(now, then)| now - then);
            calls(held.last_mut().unwrap(), 1, 1).await;
            Measured {
                bytes: bytes.map(|bytes| bytes / count as f64),
                ..Measured::default()
            }
        }
    }
}

/// The events without anybody to hand them to.
pub(crate) async fn inline(address: &SocketAddr, work: Work) -> Measured {
    let mut socket = connect(address).await;
    let mut watch = Watch::start();
    for count in [work.count() / 10, work.count()] {
        watch = Watch::start();
        flood(&mut socket, count).await;
        for seq in 1..=count {
            let text = text(&mut socket).await;
            let event: Event<'_> = serde_json::from_str(&text).unwrap();
            let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
            assert_eq!((&*event.name, event.seq), ("agent", seq));
            assert_eq!(payload["seq"], seq);
        }
    }
    watch.stop()
}

async fn connect(address: &SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("ws://{address}/");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    text(&mut socket).await;
    send(&mut socket, 0, "connect", &json!({})).await;
    text(&mut socket).await;
    socket
}

async fn text(socket: &mut Socket) -> Utf8Bytes {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return text;
        }
    }
}

async fn send(socket: &mut Socket, id: u64, method: &str, params: &Value) {
    let request = Request {
        kind: "req",
        id: id.to_string(),
        method,
        params,
    };
    let text = serde_json::to_string(&request).unwrap();
    socket.send(Message::text(text)).await.unwrap();
}

async fn calls(socket: &mut Socket, in_flight: u64, count: u64) -> Vec<Duration> {
    let params = json!({"probe":false});
    let mut sent = HashMap::new();
    let mut each = Vec::new();
    let mut next = 1;
    while next <= in_flight.min(count) {
        sent.insert(next, Instant::now());
        send(socket, next, "health", &params).await;
        next += 1;
    }
    while (each.len() as u64) < count {
        let text = text(socket).await;
        let answer: Answer<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(answer.payload["ok"], true);
        let id: u64 = answer.id.parse().unwrap();
        each.push(sent.remove(&id).unwrap().elapsed());
        if next <= count {
            sent.insert(next, Instant::now());
            send(socket, next, "health", &params).await;
            next += 1;
        }
    }
    each
}

async fn flood(socket: &mut Socket, count: u64) {
    send(socket, 0, &format!("flood-{count}"), &json!({})).await;
    text(socket).await;
}

async fn measured_events<P: Payload>(socket: &mut Socket, count: u64) -> Measured {
    events::<P>(socket, count / 10).await;
    let watch = Watch::start();
    events::<P>(socket, count).await;
    watch.stop()
}

/// Reads the events in this task and hands them to another.
async fn events<P: Payload>(socket: &mut Socket, count: u64) {
    let (sender, mut receiver) = mpsc::channel::<Owned>(4096);
    flood(socket, count).await;
    let consumer = tokio::spawn(async move {
        for seq in 1..=count {
            let event = receiver.recv().await.unwrap();
            let payload: P = serde_json::from_str(event.payload.get()).unwrap();
            assert_eq!((&*event.name, event.seq), ("agent", seq));
            assert_eq!(payload.seq(), seq);
        }
    });
    for _ in 0..count {
        let text = text(socket).await;
        let event: Event<'_> = serde_json::from_str(&text).unwrap();
        let owned = Owned {
            name: event.name.into_owned(),
            seq: event.seq,
            payload: event.payload.to_owned(),
        };
        assert!(sender.send(owned).await.is_ok());
    }
    consumer.await.unwrap();
}
