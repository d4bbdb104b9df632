//! How many live connections one mock holds on two threads, what each costs, and how fast it answers.
//!
//! `cargo bench -p openclaw-mock-gateway`; the clients are in a process of their own, so that the memory
//! shown is the mock's. `CONNECTIONS` changes their number.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a person to read"
)]

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, SplitSink};
use futures_util::{SinkExt as _, StreamExt as _};
use openclaw_mock_gateway::{Edition, MockGateway, On};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const ADDRESS: &str = "CLIENTS_OF";
const TOKEN: &str = "t0ken";
const CALLS: u32 = 20_000;
/// Below the 32 sockets per address that 2026.9.6 allows before hello-ok.
const AT_ONCE: usize = 16;

type Sender = SplitSink<WebSocketStream<TcpStream>, Message>;

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let connections = env::var("CONNECTIONS").map_or(5_000, |text| text.parse().unwrap());
    match env::var(ADDRESS) {
        Ok(address) => threads.block_on(clients(&address, connections)),
        Err(_) => {
            for edition in [Edition::V2026_9_6, Edition::V2026_2_9] {
                threads.block_on(mock(edition, connections));
            }
        }
    }
}

/// Memory of this process in KiB.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// 2026.2.9 tells everybody of its health whenever somebody comes: with 5,000 clients 12.5 million events.
async fn mock(edition: Edition, connections: usize) {
    let builder = MockGateway::builder().edition(edition).token(TOKEN);
    let gateway = builder.recording(false).strict(false).start().await;
    On::method("made.up")
        .respond(json!({"a": 1}))
        .mount(&gateway);
    let before = resident();
    let begin = Instant::now();
    let mut child = Command::new(env::current_exe().unwrap())
        .env(ADDRESS, gateway.local_url().replace("ws://", ""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(600);
    let open = gateway.wait_for(|now| now.live == connections, limit).await;
    open.unwrap();
    let took = begin.elapsed();
    let each = resident().saturating_sub(before) / connections.max(1);
    println!(
        "{edition}: {connections} live connections, opened in {took:.1?}, {each} KiB each in the mock"
    );
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let told = tokio::task::spawn_blocking(move || {
        stdin.write_all(b"go\n").unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        (stdin, line)
    });
    let (stdin, line) = told.await.unwrap();
    print!("{line}");
    assert_eq!(gateway.live(), connections, "some were lost");
    // First the mock, so that it does not tell every client about every other one's end.
    drop(gateway);
    drop(stdin);
    assert!(child.wait().unwrap().success(), "the clients failed");
}

async fn clients(address: &str, connections: usize) {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let events = Arc::new(AtomicU64::new(0));
    let mut open: Vec<Sender> = stream::iter(0..connections)
        .map(|_| client(address, answers.clone(), Arc::clone(&events)))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let line = || tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    line().await.unwrap().unwrap();
    let begin = Instant::now();
    for number in 0..CALLS {
        let index = number as usize % open.len();
        open[index]
            .send(request("made.up", &json!({})))
            .await
            .unwrap();
        answered.recv().await.unwrap();
    }
    let took = begin.elapsed();
    let each = took.div_f64(f64::from(CALLS));
    let events = events.load(Ordering::Acquire);
    println!(
        "{CALLS} calls one after the other over all of them in {took:.1?}, {each:.0?} each; {events} events so far"
    );
    // Its end, when the mock is gone.
    line().await.unwrap().unwrap();
}

/// A client that reads what comes, as real ones do.
async fn client(
    address: &str,
    answers: mpsc::UnboundedSender<()>,
    events: Arc<AtomicU64>,
) -> Sender {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let url = format!("ws://{address}/");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    let params = json!({
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"],
        "client": {"id": "gateway-client", "mode": "backend", "version": "1", "platform": "bench"},
        "auth": {"token": TOKEN},
    });
    socket.send(request("connect", &params)).await.unwrap();
    while !is_answer(&socket.next().await.unwrap().unwrap()) {}
    let (sender, mut reader) = socket.split();
    tokio::spawn(async move {
        while let Some(Ok(message)) = reader.next().await {
            if !is_answer(&message) {
                events.fetch_add(1, Ordering::AcqRel);
            } else if answers.send(()).is_err() {
                return;
            }
        }
    });
    sender
}

fn request(method: &str, params: &Value) -> Message {
    let request = json!({"type": "req", "id": "1", "method": method, "params": params});
    Message::text(request.to_string())
}

fn is_answer(message: &Message) -> bool {
    let text = message.to_text().unwrap_or_default();
    assert!(!text.contains("\"ok\":false"), "{text}");
    text.contains("\"type\":\"res\"")
}
