//! The floor: one task, one socket, no promises.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::{Times, times};

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
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(default)]
    payload: Value,
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

async fn text(socket: &mut Socket) -> String {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return text.as_str().to_owned();
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

pub(crate) async fn calls(address: &SocketAddr, in_flight: u64, calls: u64) -> Times {
    let mut socket = connect(address).await;
    let params = json!({"probe":false});
    let mut sent = HashMap::new();
    let mut each = Vec::new();
    let began = Instant::now();
    let mut next = 1;
    while next <= in_flight {
        sent.insert(next, Instant::now());
        send(&mut socket, next, "health", &params).await;
        next += 1;
    }
    while (each.len() as u64) < calls {
        let text = text(&mut socket).await;
        let frame: Frame<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(frame.payload["ok"], true);
        let id: u64 = frame.id.parse().unwrap();
        each.push(sent.remove(&id).unwrap().elapsed());
        if next <= calls {
            sent.insert(next, Instant::now());
            send(&mut socket, next, "health", &params).await;
            next += 1;
        }
    }
    times(began, each)
}

pub(crate) async fn events(address: &SocketAddr, events: u64) -> Duration {
    let mut socket = connect(address).await;
    let began = Instant::now();
    send(&mut socket, 1, &format!("flood-{events}"), &json!({})).await;
    text(&mut socket).await;
    for seq in 1..=events {
        let text = text(&mut socket).await;
        let frame: Frame<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(frame.payload["seq"], seq);
    }
    began.elapsed()
}

pub(crate) async fn dials(address: &SocketAddr, dials: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..dials {
        connect(address).await;
    }
    began.elapsed()
}
