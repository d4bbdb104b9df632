//! A small client of its own: neither the adapter's types nor the mock's are used to talk.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use openclaw_mock_gateway::{Edition, Locality, MockGateway};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) const READ_WRITE: [&str; 2] = ["operator.read", "operator.write"];

/// A device with its key.
pub(crate) struct Device {
    key: SigningKey,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
        }
    }

    pub(crate) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes())
    }

    pub(crate) fn id(&self) -> String {
        let digest = Sha256::digest(self.key.verifying_key().to_bytes());
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// What a connect says; changed before it is sent.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) device: Option<&'a Device>,
    pub(crate) token: Option<String>,
    pub(crate) device_token: Option<String>,
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) caps: Vec<&'a str>,
    pub(crate) role: &'a str,
    pub(crate) client: (&'a str, &'a str),
    pub(crate) platform: &'a str,
    pub(crate) protocol: (u32, u32),
    pub(crate) version: &'a str,
    pub(crate) skew_ms: i64,
    pub(crate) nonce: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(gateway: &MockGateway, device: &'a Device) -> Self {
        Self {
            device: Some(device),
            token: Some(gateway.token()),
            device_token: None,
            scopes: READ_WRITE.to_vec(),
            caps: Vec::new(),
            role: "operator",
            client: ("gateway-client", "backend"),
            platform: "backend",
            protocol: (3, 4),
            version: "v2",
            skew_ms: 0,
            nonce: None,
        }
    }

    pub(crate) fn cli(gateway: &MockGateway, device: &'a Device, scopes: &[&'a str]) -> Self {
        Self {
            client: ("cli", "cli"),
            scopes: scopes.to_vec(),
            ..Self::new(gateway, device)
        }
    }

    pub(crate) fn without_device(mut self) -> Self {
        self.device = None;
        self
    }

    pub(crate) fn params(&self, challenge: &Value) -> Value {
        let signed_at = challenge["ts"].as_i64().expect("ts") + self.skew_ms;
        let nonce = self
            .nonce
            .unwrap_or_else(|| challenge["nonce"].as_str().expect("nonce"));
        let mut params = json!({
            "minProtocol": self.protocol.0, "maxProtocol": self.protocol.1, "role": self.role,
            "scopes": self.scopes, "caps": self.caps,
            "client": {
                "id": self.client.0, "mode": self.client.1, "version": "0.0.1",
                "platform": self.platform, "displayName": "tester",
            },
        });
        let token = self
            .token
            .clone()
            .or_else(|| self.device_token.clone())
            .unwrap_or_default();
        for (name, value) in [("token", &self.token), ("deviceToken", &self.device_token)] {
            if let Some(value) = value {
                params["auth"][name] = value.as_str().into();
            }
        }
        if let Some(device) = self.device {
            let mut payload = format!(
                "{}|{}|{}|{}|{}|{}|{signed_at}|{token}|{nonce}",
                self.version,
                device.id(),
                self.client.0,
                self.client.1,
                self.role,
                self.scopes.join(","),
            );
            if self.version == "v3" {
                let _ = write!(payload, "|{}|", self.platform);
            }
            let signature = device.key.sign(payload.as_bytes());
            params["device"] = json!({
                "id": device.id(), "publicKey": device.public_key(), "signedAt": signed_at,
                "nonce": nonce, "signature": URL_SAFE_NO_PAD.encode(signature.to_bytes()),
            });
        }
        params
    }
}

/// What came: a frame, or the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Frame(Value),
    Closed(u16, String),
    Lost,
}

impl Got {
    pub(crate) fn frame(self) -> Value {
        match self {
            Self::Frame(frame) => frame,
            other => panic!("a frame was expected, not {other:?}"),
        }
    }
}

pub(crate) struct Client {
    socket: WebSocketStream<DuplexStream>,
    pub(crate) challenge: Value,
    next_id: u32,
    methods: HashMap<String, String>,
}

impl Client {
    /// Dials over an in-memory stream; the mock's end runs in a task of its own.
    pub(crate) async fn dial(gateway: &MockGateway, locality: Locality) -> Self {
        let mut client = Self::dial_quietly(gateway, locality, &[])
            .await
            .expect("an upgrade");
        client.challenge = client.next().await.frame()["payload"].clone();
        client
    }

    pub(crate) async fn dial_quietly(
        gateway: &MockGateway,
        locality: Locality,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(gateway.serve(far, locality));
        let mut request = "ws://localhost/".into_client_request()?;
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        let (socket, _) = tokio_tungstenite::client_async(request, near).await?;
        Ok(Self {
            socket,
            challenge: Value::Null,
            next_id: 0,
            methods: HashMap::new(),
        })
    }

    /// What the upgrade is answered with instead.
    pub(crate) async fn turned_away(
        gateway: &MockGateway,
        locality: Locality,
        headers: &[(&'static str, &str)],
    ) -> Response<Option<Vec<u8>>> {
        match Self::dial_quietly(gateway, locality, headers).await {
            Err(Error::Http(response)) => *response,
            other => panic!("not refused by HTTP: {:?}", other.err()),
        }
    }

    /// The socket, for a test that reads on its own.
    pub(crate) fn into_socket(self) -> WebSocketStream<DuplexStream> {
        self.socket
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.socket
            .send(Message::text(text.into()))
            .await
            .expect("sent");
    }

    /// The next text frame or the end.
    pub(crate) async fn next(&mut self) -> Got {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Got::Frame(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Got::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Got::Lost,
            }
        }
    }

    /// The next event of this name; other frames are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let frame = self.next().await.frame();
            if frame["event"] == name {
                return frame;
            }
        }
    }

    /// The end; frames before it are passed over.
    pub(crate) async fn end(&mut self) -> Got {
        loop {
            match self.next().await {
                Got::Frame(_) => {}
                end => return end,
            }
        }
    }

    async fn response(&mut self, id: &str) -> Value {
        loop {
            let frame = self.next().await.frame();
            if frame["id"] == id {
                return frame;
            }
        }
    }

    pub(crate) async fn connect(&mut self, ask: &Ask<'_>) -> Value {
        let params = ask.params(&self.challenge);
        self.call("connect", params).await
    }

    /// Calls a method; events that come in between are passed over.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.response(&id).await
    }

    /// Calls a method and does not wait for an answer.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> String {
        self.next_id += 1;
        let id = format!("r{}", self.next_id);
        self.methods.insert(id.clone(), method.to_owned());
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.send(frame.to_string()).await;
        id
    }

    /// What a request was for.
    pub(crate) fn method_of(&self, id: &str) -> Option<&str> {
        self.methods.get(id).map(String::as_str)
    }
}

/// Dials and connects; a refusal is followed by its close.
pub(crate) async fn attempt(
    gateway: &MockGateway,
    locality: Locality,
    ask: &Ask<'_>,
) -> (Client, Value) {
    let mut client = Client::dial(gateway, locality).await;
    let answer = client.connect(ask).await;
    (client, answer)
}

/// A refused attempt: its error, its close code and reason.
pub(crate) async fn refused(
    gateway: &MockGateway,
    locality: Locality,
    ask: &Ask<'_>,
) -> (Value, u16, String) {
    let (mut client, answer) = attempt(gateway, locality, ask).await;
    assert_eq!(answer["ok"], false, "{answer}");
    match client.end().await {
        Got::Closed(code, reason) => (answer["error"].clone(), code, reason),
        other => panic!("a close was expected, not {other:?}"),
    }
}

/// An accepted attempt and its hello-ok.
pub(crate) async fn accepted(
    gateway: &MockGateway,
    locality: Locality,
    ask: &Ask<'_>,
) -> (Client, Value) {
    let (client, answer) = attempt(gateway, locality, ask).await;
    assert_eq!(answer["ok"], true, "{answer}");
    let hello = answer["payload"].clone();
    (client, hello)
}

/// A device that was approved, and its token.
pub(crate) async fn paired(gateway: &MockGateway, device: &Device) -> String {
    let ask = Ask::new(gateway, device);
    refused(gateway, Locality::Remote, &ask).await;
    gateway
        .approve(&gateway.pending()[0].request_id)
        .expect("approved");
    let (_, hello) = accepted(gateway, Locality::Remote, &ask).await;
    hello["auth"]["deviceToken"]
        .as_str()
        .expect("a device token")
        .to_owned()
}

pub(crate) fn mock(edition: Edition) -> MockGateway {
    MockGateway::builder()
        .edition(edition)
        .token("t0ken")
        .strict(false)
        .build()
}
