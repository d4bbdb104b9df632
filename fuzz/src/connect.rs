//! A client of the mock gateway that sends anything. Nobody is let in without the token, and every
//! answer is a frame.

use std::cell::OnceCell;
use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Runtime;

const TOKEN: &str = "t0ken-of-the-mock";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The first byte chooses the edition and from where the client comes; each line after it is a text
/// frame of the client.
pub fn connect(data: &[u8]) {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    let Some((choice, lines)) = data.split_first() else {
        return;
    };
    let edition = if choice & 1 == 0 {
        Edition::V2026_9_6
    } else {
        Edition::V2026_2_9
    };
    let locality = if choice & 2 == 0 {
        Locality::Local
    } else {
        Locality::Remote
    };
    let answers = RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let built = builder.enable_time().start_paused(true).build();
            built.expect("a runtime")
        });
        runtime.block_on(talk(edition, locality, lines))
    });
    let mut is_in = false;
    for answer in &answers {
        let answer: Value = serde_json::from_str(answer).expect("an answer that is not JSON");
        assert!(answer["type"] == "event" || answer["type"] == "res");
        is_in |= answer["payload"]["type"] == "hello-ok";
    }
    assert!(!is_in || has_token(lines), "let in without the token");
}

/// Whether a frame of the client offers the token.
fn has_token(lines: &[u8]) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| {
        serde_json::from_slice::<Value>(line).is_ok_and(|frame| {
            let auth = &frame["params"]["auth"];
            auth["token"] == TOKEN || auth["password"] == TOKEN
        })
    })
}

/// What the mock answers.
async fn talk(edition: Edition, locality: Locality, lines: &[u8]) -> Vec<String> {
    let builder = MockGateway::builder().edition(edition).token(TOKEN);
    let gateway = builder.strict(false).build();
    let (ours, theirs) = tokio::io::duplex(4 * 1024 * 1024);
    let talking = tokio::time::timeout(Duration::from_secs(60), client(ours, lines));
    let (heard, ()) = tokio::join!(talking, gateway.serve(theirs, locality));
    heard.expect("the mock does not let go of a client")
}

async fn client(mut stream: DuplexStream, lines: &[u8]) -> Vec<String> {
    let _ = stream.write_all(UPGRADE.as_bytes()).await;
    for line in lines.split(|byte| *byte == b'\n') {
        let _ = stream.write_all(&frame(0x81, line)).await;
    }
    let _ = stream.write_all(&frame(0x88, &[3, 0xe8])).await;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    texts(&heard)
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ ..=125) => frame.push(0x80 | short.to_be_bytes()[1]),
        Ok(medium) => {
            frame.push(0xfe);
            frame.extend(medium.to_be_bytes());
        }
        Err(_) => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The text frames after the answer to the upgrade.
fn texts(heard: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    let blank = heard.windows(4).position(|window| window == b"\r\n\r\n");
    let mut rest = blank.map_or(&[][..], |at| &heard[at + 4..]);
    while let [first, length, ..] = *rest {
        let (length, at) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            127 => {
                let bytes: [u8; 8] = rest[2..10].try_into().expect("eight bytes");
                (
                    usize::try_from(u64::from_be_bytes(bytes)).expect("a length"),
                    10,
                )
            }
            short => (usize::from(short), 2),
        };
        let Some(payload) = rest.get(at..at + length) else {
            break;
        };
        if first == 0x81 {
            texts.push(String::from_utf8(payload.to_vec()).expect("a text that is not UTF-8"));
        }
        rest = &rest[at + length..];
    }
    texts
}
