//! What each kind of hostility costs in memory and time. Each runs in a process of its own, whose peak
//! is asked of the kernel, with both ends in it: the true figures are smaller.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use openclaw_adapter::{Client, ConnectionState, EventFilter};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::raw::{CHALLENGE, Hostile, PATIENCE, frame, hello_with, text};

const CASE: &str = "OPENCLAW_TEST_HOSTILE_CASE";
const CHILD: &str = "cost::child_process";
const MIB: usize = 1024 * 1024;
/// What is sent where there is no end of it: several times the largest message that is read.
const ENDLESS: usize = 160 * MIB;
/// A little less than the largest message that is read, which is 32 MiB.
const LARGE: usize = 30 * MIB;

/// A line of `/proc/self/status` in bytes.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// A kind of hostility, and how many MiB it may cost.
const CASES: [(&str, usize); 21] = [
    ("an HTTP header without an end", 8),
    ("an error page without an end", 8),
    ("silence instead of an answer", 8),
    ("a frame that claims 1 GiB", 8),
    ("a frame that claims 8 EiB", 8),
    ("fragments without an end", 72),
    ("empty fragments without an end", 8),
    ("pings, and nobody who reads the answers", 8),
    ("pings after the hello", 8),
    ("events instead of a challenge", 8),
    ("challenges without an end", 8),
    ("a nonce of 30 MiB", 72),
    ("a hello of 30 MiB", 72),
    ("a refusal of 30 MiB", 72),
    ("a pairing request for millions of scopes", 72),
    ("a million answers to nobody", 8),
    ("events that nobody reads", 16),
    ("events of 30 MiB that nobody reads", 136),
    ("deep JSON", 48),
    ("bytes that are no frames", 8),
    ("an error of 30 MiB to a call", 72),
];

/// Sends what `next` gives until it was enough, the client hangs up, or it does not read for a second.
async fn pour(stream: &mut TcpStream, enough: usize, mut next: impl FnMut() -> Vec<u8>) -> usize {
    let mut sent = 0;
    while sent < enough {
        let chunk = next();
        let written = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&chunk));
        if !matches!(written.await, Ok(Ok(()))) {
            break;
        }
        sent += chunk.len();
    }
    sent
}

/// The same again and again.
fn again(chunk: Vec<u8>) -> impl FnMut() -> Vec<u8> {
    move || chunk.clone()
}

/// Many small frames in one write.
fn many(frame: &[u8]) -> Vec<u8> {
    frame.repeat((256 * 1024 / frame.len()).max(1))
}

/// One text frame of 30 MiB and more, written piece by piece: `head`, then `filler` again and again, then
/// `tail`. What this end holds of it is nothing.
async fn large(stream: &mut TcpStream, head: &str, filler: &str, tail: &str) -> usize {
    let piece = filler.repeat(256 * 1024 / filler.len());
    let pieces = LARGE / piece.len();
    let length = head.len() + pieces * piece.len() + tail.len();
    let mut begin = vec![0x81, 127];
    begin.extend((length as u64).to_be_bytes());
    begin.extend(head.as_bytes());
    let mut sent = pour(stream, 1, again(begin)).await;
    sent += pour(stream, pieces * piece.len(), again(piece.into_bytes())).await;
    sent + pour(stream, 1, again(tail.as_bytes().to_vec())).await
}

async fn until(client: &Client, wanted: impl Fn(&ConnectionState) -> bool) {
    let mut states = client.state();
    let waiting = tokio::time::timeout(PATIENCE, states.wait_for(wanted));
    let Ok(state) = waiting.await else {
        panic!("it does not come to its end: {:?}", client.state().borrow());
    };
    drop(state.unwrap());
}

fn gave_up(state: &ConnectionState) -> bool {
    matches!(
        state,
        ConnectionState::BackingOff { .. } | ConnectionState::Stopped { .. }
    )
}

/// Plays one kind to a client; how many bytes were sent.
async fn play(case: &str, hostile: &Hostile, client: &Client) -> usize {
    const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nX: ";
    const PAGE: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 1073741824\r\n\r\n";
    let junk = || again(vec![b'x'; 256 * 1024]);
    let ping = || again(many(&frame(0x89, &[b'p'; 125])));
    match case {
        "an HTTP header without an end" => {
            let (mut stream, _) = hostile.asked().await;
            stream.write_all(UPGRADED).await.unwrap();
            pour(&mut stream, ENDLESS, junk()).await
        }
        "an error page without an end" => {
            let (mut stream, _) = hostile.asked().await;
            stream.write_all(PAGE).await.unwrap();
            pour(&mut stream, ENDLESS, junk()).await
        }
        "silence instead of an answer" => {
            let (stream, _) = hostile.asked().await;
            until(client, gave_up).await;
            drop(stream);
            0
        }
        "a frame that claims 1 GiB" | "a frame that claims 8 EiB" => {
            let mut stream = hostile.welcomed().await;
            let size = if case.ends_with("1 GiB") {
                1_u64 << 30
            } else {
                1 << 63
            };
            let head = [&[0x81, 127][..], &size.to_be_bytes()].concat();
            stream.write_all(&head).await.unwrap();
            pour(&mut stream, ENDLESS, junk()).await
        }
        "fragments without an end" => {
            let mut stream = hostile.welcomed().await;
            stream.write_all(&frame(0x01, b"x")).await.unwrap();
            pour(
                &mut stream,
                ENDLESS,
                again(frame(0x00, &vec![b'x'; 60_000])),
            )
            .await
        }
        "empty fragments without an end" => {
            let mut stream = hostile.upgraded().await;
            stream.write_all(&frame(0x01, b"x")).await.unwrap();
            pour(&mut stream, ENDLESS, again(many(&frame(0x00, b"")))).await
        }
        "pings, and nobody who reads the answers" => {
            let mut stream = hostile.upgraded().await;
            pour(&mut stream, ENDLESS, ping()).await
        }
        "pings after the hello" => {
            let mut stream = hostile.welcomed().await;
            pour(&mut stream, ENDLESS, ping()).await
        }
        "events instead of a challenge" => {
            let mut stream = hostile.upgraded().await;
            let event = text(r#"{"type":"event","event":"presence","payload":{}}"#);
            pour(&mut stream, ENDLESS, again(many(&event))).await
        }
        "challenges without an end" => {
            let mut stream = hostile.welcomed().await;
            pour(&mut stream, ENDLESS / 8, again(many(&text(CHALLENGE)))).await
        }
        "a nonce of 30 MiB" => {
            let mut stream = hostile.upgraded().await;
            let (head, tail) = CHALLENGE.split_once("n-1").unwrap();
            let sent = large(&mut stream, head, "n", tail).await;
            until(client, gave_up).await;
            sent
        }
        "a hello of 30 MiB" => {
            let mut stream = hostile.challenged().await;
            let hello = hello_with(r#","snapshot":[0]"#);
            let (head, tail) = hello.split_once("0]").unwrap();
            let sent = large(&mut stream, head, "0,", &format!("0]{tail}")).await;
            until(client, gave_up).await;
            sent
        }
        "a refusal of 30 MiB" => {
            let mut stream = hostile.challenged().await;
            let head = r#"{"type":"res","id":"0","ok":false,"error":{"code":"X","message":"no","details":["#;
            let sent = large(&mut stream, head, "0,", "0]}}").await;
            until(client, gave_up).await;
            sent
        }
        "a pairing request for millions of scopes" => {
            let mut stream = hostile.challenged().await;
            // As many as fit into what is read of a refusal, and as many as fit into a frame.
            let head = r#"{"type":"res","id":"0","ok":false,"error":{"code":"NOT_PAIRED","message":"pairing required","details":{"code":"PAIRING_REQUIRED","requestId":"r-1","requestedScopes":["#;
            let some = r#""o","#.repeat(60_000);
            let small = format!("{head}{some}\"o\"]}}}}}}");
            let sent = pour(&mut stream, 1, again(text(&small))).await;
            until(client, |state| {
                matches!(state, ConnectionState::AwaitingApproval { pairing, .. } if pairing.requested_scopes.len() == 64)
            })
            .await;
            let mut stream = hostile.challenged().await;
            let sent = sent + large(&mut stream, head, r#""o","#, r#""o"]}}}"#).await;
            until(client, gave_up).await;
            sent
        }
        "a million answers to nobody" => {
            let mut stream = hostile.welcomed().await;
            let mut id = 0_u64;
            let answers = move || {
                let from = id;
                id += 10_000;
                (from..id)
                    .flat_map(|id| text(&format!(r#"{{"type":"res","id":"{id}","ok":true}}"#)))
                    .collect()
            };
            let each = text(r#"{"type":"res","id":"100000","ok":true}"#).len();
            pour(&mut stream, 1_000_000 * each, answers).await
        }
        "events that nobody reads" => {
            let streams = (
                client.events(),
                client.events_where(EventFilter::named(["agent"])),
            );
            let mut socket = hostile.welcomed().await;
            let word = "x".repeat(200);
            let event = format!(r#"{{"type":"event","event":"agent","payload":"{word}","seq":1}}"#);
            let sent = pour(&mut socket, ENDLESS, again(many(&text(&event)))).await;
            drop(streams);
            sent
        }
        "events of 30 MiB that nobody reads" => {
            let streams = (
                client.events(),
                client.events_where(EventFilter::named(["agent"])),
            );
            let mut socket = hostile.welcomed().await;
            let mut sent = 0;
            for _ in 0..6 {
                let head = r#"{"type":"event","event":"agent","payload":""#;
                sent += large(&mut socket, head, "x", r#"","seq":1}"#).await;
            }
            drop(streams);
            sent
        }
        "deep JSON" => {
            let _events = client.events();
            let mut stream = hostile.welcomed().await;
            let depth = MIB / 2;
            let (open, close) = (r#"{"a":["#.repeat(depth / 8), "]}".repeat(depth / 8));
            let frames = [
                format!(r#"{{"type":"event","event":"x","payload":{open}{close}}}"#),
                format!(r#"{{"type":"res","id":"1","ok":false,"error":{open}{close}}}"#),
                format!(r#"{{"type":{open}{close}}}"#),
                open,
            ];
            let mut next = frames.iter().map(|frame| text(frame)).cycle();
            pour(&mut stream, ENDLESS / 8, || next.next().unwrap()).await
        }
        "bytes that are no frames" => {
            let mut stream = hostile.welcomed().await;
            let mut rng = fastrand::Rng::with_seed(7);
            pour(&mut stream, ENDLESS, || {
                std::iter::repeat_with(|| rng.u8(..)).take(MIB).collect()
            })
            .await
        }
        "an error of 30 MiB to a call" => {
            let call = tokio::spawn({
                let client = client.clone();
                async move { client.call_raw("health", json!({})).await }
            });
            let mut stream = hostile.welcomed().await;
            let head = r#"{"type":"res","id":"1","ok":false,"error":{"code":"X","message":"no","details":["#;
            let sent = large(&mut stream, head, "0,", "0]}}").await;
            let error = call.await.unwrap().unwrap_err();
            assert!(error.to_string().len() < 2_000);
            sent
        }
        other => panic!("no such case: {other}"),
    }
}

/// Does nothing in an ordinary run; in a child it is the whole process.
#[test]
fn child_process() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let hostile = Hostile::new().await;
        // Whatever is made once is made now.
        let client = hostile.start();
        drop(hostile.welcomed().await);
        client.close().await;

        let client = Client::start(
            hostile
                .builder()
                .event_capacity(1_000, 4 * MIB)
                .build()
                .unwrap(),
        );
        let (before, begin) = (status("VmRSS:"), Instant::now());
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let sent = play(&case, &hostile, &client).await;
        // It is still there, and ends when it is told to.
        let ended = tokio::time::timeout(PATIENCE, client.close()).await;
        ended.expect("close() does not return");
        assert!(client.state().borrow().is_stopped());
        let more = status("VmHWM:").saturating_sub(before);
        println!("\nresult {sent} {more} {}", begin.elapsed().as_millis());
    });
}

/// Plays a case in a process of its own; the bytes that it cost.
fn cost(case: &str) -> usize {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {said}{complaints}");
    assert!(!complaints.contains("panicked"), "{case}: {complaints}");
    let line = said.lines().find_map(|line| line.strip_prefix("result "));
    let numbers = line.unwrap().split(' ');
    let numbers: Vec<usize> = numbers.map(|number| number.parse().unwrap()).collect();
    numbers[1]
}

#[test]
fn whatever_a_gateway_sends_costs_a_bounded_amount_of_memory_and_time() {
    // They mostly wait for a client that does not read.
    const AT_ONCE: usize = 4;
    let cases = Mutex::new(CASES.iter());
    let too_much = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || cases.lock().unwrap().next();
                while let Some(&(case, most)) = next() {
                    let more = cost(case);
                    if more > most * MIB {
                        let line = format!("{case}: {} MiB of {most}", more / MIB);
                        too_much.lock().unwrap().push(line);
                    }
                }
            });
        }
    });
    let too_much = too_much.into_inner().unwrap();
    assert!(too_much.is_empty(), "{too_much:#?}");
}
