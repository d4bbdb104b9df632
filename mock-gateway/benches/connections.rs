//! How many live connections one mock holds on two threads, what each costs, and how fast it answers.
//!
//! `cargo bench -p openclaw-mock-gateway`; the clients are in a process of their own, so that the memory
//! shown is the mock's. `CONNECTIONS` changes their number.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program for a person to read"
)]

use std::env;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _, stream};
use openclaw_mock_gateway::{Edition, MockGateway, On};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const ADDRESS: &str = "CLIENTS_OF";
const TOKEN: &str = "t0ken";
const CALLS: u32 = 20_000;
/// Below the 32 sockets per address that 2026.9.6 allows before hello-ok.
const AT_ONCE: usize = 16;

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
            for edition in [Edition::V2026_2_9, Edition::V2026_9_6] {
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
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(120);
    let open = gateway.wait_for(|now| now.live == connections, limit).await;
    open.unwrap();
    let took = begin.elapsed();
    let each = resident().saturating_sub(before) / connections.max(1);
    println!("{edition}: {connections} live connections, opened in {took:.1?}, {each} KiB each");
    let begin = Instant::now();
    gateway.emit("tick", &json!({"ts": 1}));
    println!(
        "{edition}: one event to all of them queued in {:.1?}",
        begin.elapsed()
    );
    drop(child.stdin.take());
    let ended = tokio::task::spawn_blocking(move || child.wait());
    assert!(
        ended.await.unwrap().unwrap().success(),
        "the clients failed"
    );
}

async fn clients(address: &str, connections: usize) {
    let mut open: Vec<_> = stream::iter(0..connections)
        .map(|_| client(address))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let done = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    done.await.unwrap().unwrap();
    let begin = Instant::now();
    for number in 0..CALLS {
        let index = number as usize % open.len();
        call(&mut open[index], "made.up", &json!({})).await;
    }
    let took = begin.elapsed();
    println!(
        "  {CALLS} calls one after the other in {took:.1?}, {:.0?} each",
        took.div_f64(f64::from(CALLS))
    );
}

async fn client(address: &str) -> WebSocketStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let url = format!("ws://{address}/");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    let params = json!({
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"],
        "client": {"id": "gateway-client", "mode": "backend", "version": "1", "platform": "bench"},
        "auth": {"token": TOKEN},
    });
    call(&mut socket, "connect", &params).await;
    socket
}

async fn call(socket: &mut WebSocketStream<TcpStream>, method: &str, params: &Value) {
    let request = json!({"type": "req", "id": "1", "method": method, "params": params});
    socket
        .send(Message::text(request.to_string()))
        .await
        .unwrap();
    while let Some(message) = socket.next().await {
        let frame: Value = serde_json::from_str(message.unwrap().to_text().unwrap()).unwrap();
        if frame["id"] == "1" {
            assert_eq!(frame["ok"], true, "{frame}");
            return;
        }
    }
    panic!("cut off");
}
