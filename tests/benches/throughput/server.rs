//! A server that does as little as possible: it answers by cutting strings.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795375154446,"capabilities":[]}}"#;
const HELLO: &str = r#"{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6","connId":"c","bootId":"b"},"features":{"methods":[],"events":[]},"snapshot":{"uptimeMs":1},"auth":{"role":"operator","scopes":["operator.read","operator.write"]},"policy":{"maxPayload":26214400,"maxBufferedBytes":52428800,"tickIntervalMs":30000}}"#;
/// As large as the answers of a gateway that says little.
const PAYLOAD: &str = r#"{"ok":true,"ts":1795375154446,"durationMs":3,"channels":{},"defaultAgentId":"main","sessions":{"count":2,"recent":["agent:main:main"]}}"#;

/// So many bytes of events go out in one write.
const PORTION: usize = 64 * 1024;

/// Starts the server on a thread of its own.
pub(crate) fn start() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    receiver.recv().unwrap()
}

async fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    socket.send(Message::text(CHALLENGE)).await.ok()?;
    loop {
        let Message::Text(text) = socket.next().await?.ok()? else {
            continue;
        };
        let id = between(&text, r#""id":""#)?.to_owned();
        let method = between(&text, r#""method":""#)?;
        let payload = if method == "connect" { HELLO } else { PAYLOAD };
        let answer = format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{payload}}}"#);
        let flood: Option<u64> = method
            .strip_prefix("flood-")
            .and_then(|count| count.parse().ok());
        socket.send(Message::text(answer)).await.ok()?;
        socket.flush().await.ok()?;
        if let Some(count) = flood {
            pour(socket.get_mut(), count).await.ok()?;
        }
    }
}

/// Writes so many events, as frames that are put together here: a library that does it would be slower than
/// the clients.
async fn pour(stream: &mut TcpStream, count: u64) -> std::io::Result<()> {
    let mut frames = Vec::with_capacity(2 * PORTION);
    for seq in 1..=count {
        let event = format!(
            r#"{{"type":"event","event":"agent","payload":{{"runId":"0b1e9c1e-run","seq":{seq},"stream":"assistant","ts":1795375154446,"sessionKey":"agent:main:main","data":{{"text":"All that was said so far, and some more of it","delta":"more of it"}}}},"seq":{seq}}}"#
        );
        // A whole text message, with a length in two bytes.
        frames.extend([0x81, 126]);
        frames.extend(u16::try_from(event.len()).unwrap().to_be_bytes());
        frames.extend(event.as_bytes());
        if frames.len() > PORTION || seq == count {
            stream.write_all(&frames).await?;
            frames.clear();
        }
    }
    Ok(())
}

fn between<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let rest = text.get(text.find(start)? + start.len()..)?;
    rest.get(..rest.find('"')?)
}
