//! A gateway's end of a connection, played by hand over an in-memory stream.
//!
//! It shares nothing with the adapter or the mock gateway: frames are written as plain JSON, so that
//! a test can say and see exactly what goes over the wire, on virtual time.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a peer that cannot go on fails the test it plays in"
)]

use std::io;

use futures_util::{SinkExt as _, StreamExt as _};
use openclaw_adapter::{
    Client, Config, ConfigBuilder, Connecting, Connection, Connector, MemoryStore, Token,
};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The adapter's side: each dial hands the other end of a new stream to the [`Peer`].
#[derive(Debug)]
pub struct Wire {
    dials: mpsc::UnboundedSender<DuplexStream>,
}

impl Connector for Wire {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            self.dials
                .send(theirs)
                .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }
}

/// The gateway's side. Dropping it refuses every further dial.
#[derive(Debug)]
pub struct Peer {
    dials: mpsc::UnboundedReceiver<DuplexStream>,
}

/// A new wire and its peer.
#[must_use]
pub fn wire() -> (Wire, Peer) {
    let (dials, theirs) = mpsc::unbounded_channel();
    (Wire { dials }, Peer { dials: theirs })
}

/// The configuration of a client whose gateway is a peer.
pub fn builder() -> (ConfigBuilder, Peer) {
    let (wire, peer) = wire();
    let builder = Config::builder()
        .url("ws://127.0.0.1:1")
        .token(Token::new("shared-token-0123").expect("a token"))
        .store(MemoryStore::new())
        .seed(7)
        .connector(wire);
    (builder, peer)
}

/// A client that dials a peer.
#[must_use]
pub fn start() -> (Client, Peer) {
    let (builder, peer) = builder();
    (
        Client::start(builder.build().expect("a configuration")),
        peer,
    )
}

/// A client that is connected to a peer.
pub async fn ready() -> (Client, Peer, Link) {
    let (client, mut peer) = start();
    let link = peer.welcome().await;
    client.ready().await.expect("not ready");
    (client, peer, link)
}

impl Peer {
    /// The next dial, before the HTTP upgrade.
    pub async fn dialled(&mut self) -> DuplexStream {
        self.dials.recv().await.expect("the client is gone")
    }

    /// Whether somebody has dialled and was not answered yet.
    #[must_use]
    pub fn is_dialled(&self) -> bool {
        !self.dials.is_empty()
    }

    /// The next dial, upgraded.
    pub async fn accept(&mut self) -> Link {
        let stream = self.dialled().await;
        Link {
            socket: tokio_tungstenite::accept_async(stream)
                .await
                .expect("the upgrade failed"),
        }
    }

    /// The next dial, upgraded; `None` if the client has given it up meanwhile.
    pub async fn try_accept(&mut self) -> Option<Link> {
        let stream = self.dialled().await;
        let socket = tokio_tungstenite::accept_async(stream).await.ok()?;
        Some(Link { socket })
    }

    /// The next dial, up to its `connect` request: sends a challenge of the 2026.9 generation.
    pub async fn connect(&mut self) -> (Link, Value) {
        let mut link = self.accept().await;
        link.challenge().await;
        let request = link.request().await;
        assert_eq!(request["method"], "connect");
        (link, request)
    }

    /// The next dial, let in.
    pub async fn welcome(&mut self) -> Link {
        self.welcome_with(hello()).await
    }

    /// The next dial, let in with a hello of the test's own.
    pub async fn welcome_with(&mut self, hello: Value) -> Link {
        let (mut link, request) = self.connect().await;
        link.answer(&request, hello).await;
        link
    }
}

/// One upgraded connection.
#[derive(Debug)]
pub struct Link {
    socket: WebSocketStream<DuplexStream>,
}

impl Link {
    /// Sends any text.
    pub async fn text(&mut self, text: impl Into<String>) {
        // A client that has gone is a fact that the test sees elsewhere.
        let _ = self.socket.send(Message::text(text.into())).await;
    }

    /// Sends a frame.
    pub async fn frame(&mut self, frame: Value) {
        self.text(frame.to_string()).await;
    }

    /// Sends the challenge.
    pub async fn challenge(&mut self) {
        self.event(
            "connect.challenge",
            json!({"nonce":"n-1","ts":1_795_375_154_446_u64,"capabilities":["model-catalog-snapshot"]}),
        )
        .await;
    }

    /// Sends an event.
    pub async fn event(&mut self, event: &str, payload: Value) {
        self.frame(json!({"type":"event","event":event,"payload":payload}))
            .await;
    }

    /// Sends an event with its number.
    pub async fn numbered(&mut self, seq: u64, event: &str, payload: Value) {
        self.frame(json!({"type":"event","event":event,"payload":payload,"seq":seq}))
            .await;
    }

    /// Answers a request.
    pub async fn answer(&mut self, request: &Value, payload: Value) {
        self.frame(json!({"type":"res","id":request["id"],"ok":true,"payload":payload}))
            .await;
    }

    /// Refuses a request.
    pub async fn refuse(&mut self, request: &Value, error: Value) {
        self.frame(json!({"type":"res","id":request["id"],"ok":false,"error":error}))
            .await;
    }

    /// The next request; panics if the client closes instead.
    pub async fn request(&mut self) -> Value {
        self.next().await.expect("the client closed")
    }

    /// The next request, or `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Value> {
        while let Some(Ok(message)) = self.socket.next().await {
            match message {
                Message::Text(text) => {
                    return Some(serde_json::from_str(&text).expect("not JSON"));
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
        None
    }

    /// Closes with a code and a reason.
    pub async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A hello of the 2026.9 generation, cut to what a client has to read.
#[must_use]
pub fn hello() -> Value {
    json!({
        "type":"hello-ok","protocol":4,
        "server":{"version":"2026.9.6","connId":"c-1","bootId":"b-1"},
        "features":{"methods":["health"],"events":["tick"]},
        "snapshot":{"presence":[],"health":{},"stateVersion":{"presence":1,"health":1},"uptimeMs":1},
        "auth":{"method":"token","role":"operator","scopes":["operator.read","operator.write"]},
        "policy":{"maxPayload":26_214_400,"maxBufferedBytes":52_428_800,"tickIntervalMs":30_000}
    })
}

/// A hello of the 2026.2 generation, cut in the same way. `uptime_ms` is all it says of its process.
#[must_use]
pub fn old_hello(uptime_ms: u64) -> Value {
    json!({
        "type":"hello-ok","protocol":3,
        "server":{"version":"dev","host":"gateway","connId":"c-1"},
        "features":{"methods":["health"],"events":["tick"]},
        "snapshot":{"presence":[],"health":{},"stateVersion":{"presence":1,"health":1},"uptimeMs":uptime_ms},
        "policy":{"maxPayload":524_288,"maxBufferedBytes":1_572_864,"tickIntervalMs":30_000}
    })
}
