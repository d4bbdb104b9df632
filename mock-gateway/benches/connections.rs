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
use std::io::{BufRead as _, BufReader, Write as _};
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
        Err(_) => threads.block_on(mock(connections)),
    }
}

/// Memory of this process in KiB.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// 2026.9.6 only: 2026.2.9 tells every client about every other one's hello-ok, so that it is the events
/// that would be measured.
async fn mock(connections: usize) {
    let builder = MockGateway::builder()
        .edition(Edition::V2026_9_6)
        .token(TOKEN);
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
    let limit = Duration::from_secs(120);
    let open = gateway.wait_for(|now| now.live == connections, limit).await;
    open.unwrap();
    let took = begin.elapsed();
    let each = resident().saturating_sub(before) / connections.max(1);
    println!("{connections} live connections, opened in {took:.1?}, {each} KiB each in the mock");
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
    let mut open: Vec<_> = stream::iter(0..connections)
        .map(|_| client(address))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let line = || tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    line().await.unwrap().unwrap();
    let begin = Instant::now();
    for number in 0..CALLS {
        let index = number as usize % open.len();
        call(&mut open[index], "made.up", &json!({})).await;
    }
    let took = begin.elapsed();
    let each = took.div_f64(f64::from(CALLS));
    println!("{CALLS} calls one after the other over all of them in {took:.1?}, {each:.0?} each");
    // Its end, when the mock is gone.
    line().await.unwrap().unwrap();
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
