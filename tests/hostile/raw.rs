//! A gateway's end of a TCP connection, down to the single byte.

use std::time::Duration;

use openclaw_adapter::{Client, Config, ConfigBuilder, MemoryStore, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n-1","ts":1795375154446,"capabilities":[]}}"#;

/// The answer to `connect`, which has the id 0, with a member more.
pub(crate) fn hello_with(member: &str) -> String {
    format!(
        r#"{{"type":"res","id":"0","ok":true,"payload":{{"type":"hello-ok","protocol":4,"server":{{"version":"2026.9.6","connId":"c-1"}},"features":{{}},"auth":{{"role":"operator","scopes":[]}}{member}}}}}"#
    )
}

/// An unmasked frame, as a gateway sends it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => bytes.push(short),
        (_, Ok(medium)) => {
            bytes.push(126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

pub(crate) struct Hostile {
    listener: TcpListener,
}

impl Hostile {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    pub(crate) fn builder(&self) -> ConfigBuilder {
        Config::builder()
            .url(format!("ws://{}", self.listener.local_addr().unwrap()))
            .token(Token::new("shared-token-0123").unwrap())
            .store(MemoryStore::new())
            .connect_timeout(Duration::from_secs(2))
    }

    pub(crate) fn start(&self) -> Client {
        Client::start(self.builder().build().unwrap())
    }

    /// The next connection, with its request read.
    pub(crate) async fn asked(&self) -> (TcpStream, String) {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept());
        let (mut stream, _) = accepted.await.expect("nobody comes").unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        (stream, String::from_utf8(request).unwrap())
    }

    /// The next connection, upgraded.
    pub(crate) async fn upgraded(&self) -> TcpStream {
        let (mut stream, request) = self.asked().await;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    }

    /// The next connection, with its answer to the challenge.
    pub(crate) async fn challenged(&self) -> TcpStream {
        let mut stream = self.upgraded().await;
        stream.write_all(&text(CHALLENGE)).await.unwrap();
        assert_ne!(stream.read(&mut [0; 8192]).await.unwrap(), 0);
        stream
    }

    /// The next connection, let in.
    pub(crate) async fn welcomed(&self) -> TcpStream {
        let mut stream = self.challenged().await;
        stream.write_all(&text(&hello_with(""))).await.unwrap();
        stream
    }
}
