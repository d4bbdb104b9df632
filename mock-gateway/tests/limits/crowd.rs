//! Many clients in a process of their own, so that the files and the memory of the tests' process are the
//! mock's alone. The process is this test binary again, told by a variable what to be.

use std::env;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{UPGRADE, runtime};

const ORDER: &str = "CROWD";
const SAYS: &str = "crowd: ";
/// Below the 32 sockets per address that 2026.9.6 allows before hello-ok.
const AT_ONCE: usize = 16;
/// A close frame with code 1000, which the handshake timeout sends to who has upgraded.
const CLOSE: &[u8] = b"\x88\x02\x03\xe8";
/// How many of those who are not let in connect at once.
const IN_A_RUSH: usize = 256;
/// How long the crowd may take for what it is told.
const PATIENCE: Duration = Duration::from_secs(300);

/// How far its clients go.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Every second one sends a part of its request, the others nothing.
    Silent,
    /// As that, but every third one upgrades and then keeps quiet.
    Upgraded,
    /// All of them have their hello-ok and read what comes.
    Live,
}

/// The crowd as the test's process sees it.
pub(crate) struct Crowd {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    /// Starts the process; nobody connects yet.
    pub(crate) fn start(kind: Kind, address: &str, count: usize) -> Self {
        let kind = match kind {
            Kind::Silent => "silent",
            Kind::Upgraded => "upgraded",
            Kind::Live => "live",
        };
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crowd::child_process", "--nocapture"])
            .env(ORDER, format!("{kind} {address} {count}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// Tells it something; the number that it answers.
    async fn tell(&mut self, word: &str) -> usize {
        self.stdin
            .write_all(format!("{word}\n").as_bytes())
            .await
            .unwrap();
        let answer = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some((_, answer)) = line.split_once(SAYS) {
                    return answer.trim().parse().unwrap();
                }
            }
            panic!("the crowd is gone: {:?}", self.child.try_wait());
        };
        timeout(PATIENCE, answer).await.unwrap()
    }

    /// Lets all of them connect; how many did.
    pub(crate) async fn connect(&mut self) -> usize {
        self.tell("connect").await
    }

    /// How many are connected still.
    pub(crate) async fn connected(&mut self) -> usize {
        self.tell("count").await
    }

    /// Lets each of them make a call; how many were answered.
    pub(crate) async fn call(&mut self) -> usize {
        self.tell("call").await
    }

    /// Waits until the others have cut all of them off; how many are still connected.
    pub(crate) async fn gone(&mut self) -> usize {
        self.tell("gone").await
    }

    /// How many events they had, as soon as that is so many.
    pub(crate) async fn events(&mut self, least: usize) -> usize {
        self.tell(&format!("events {least}")).await
    }
}

#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    answered: AtomicUsize,
    events: AtomicUsize,
}

/// Does nothing in an ordinary run; in a child it is the whole process.
#[test]
fn child_process() {
    let Ok(order) = env::var(ORDER) else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let [kind, address, count] = words[..] else {
        panic!("no order: {order}");
    };
    let count: usize = count.parse().unwrap();
    runtime().block_on(async {
        let counts = Arc::new(Counts::default());
        let calls = watch::Sender::new(());
        let mut told = lines();
        while let Some(word) = told.recv().await {
            let (word, number) = word.split_once(' ').unwrap_or((&word, "0"));
            let answer = match word {
                "connect" => {
                    match kind {
                        "live" => let_in(address, count, &counts, &calls).await,
                        kind => stand_around(address, count, kind == "upgraded", &counts).await,
                    }
                    counts.connected.load(Ordering::Acquire)
                }
                "count" => counts.connected.load(Ordering::Acquire),
                "gone" => until(&counts.connected, |now| now == 0).await,
                "events" => {
                    let least: usize = number.parse().unwrap();
                    until(&counts.events, |now| now >= least).await
                }
                "call" => {
                    let before = counts.answered.load(Ordering::Acquire);
                    calls.send_replace(());
                    until(&counts.answered, |now| now >= before + count).await - before
                }
                word => panic!("not told what {word} is"),
            };
            println!("{SAYS}{answer}");
        }
        // Its end must not come as ten thousand farewells.
        std::process::exit(0);
    });
}

/// Waits for a number; the one that did.
async fn until(count: &AtomicUsize, wanted: impl Fn(usize) -> bool) -> usize {
    loop {
        let now = count.load(Ordering::Acquire);
        if wanted(now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the test's process says, line by line, until it is gone.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if sender.blocking_send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Connects, and says no more than a half of what would let it in.
async fn stand_around(address: &str, count: usize, upgrades: bool, counts: &Arc<Counts>) {
    let turns = Arc::new(Semaphore::new(IN_A_RUSH));
    for number in 0..count {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let (counts, address) = (Arc::clone(counts), address.to_owned());
        tokio::spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let said = match number % 3 {
                0 => "",
                2 if upgrades => UPGRADE,
                _ => &UPGRADE[..40],
            };
            socket.write_all(said.as_bytes()).await.unwrap();
            counts.connected.fetch_add(1, Ordering::AcqRel);
            drop(turn);
            let mut seen = Vec::new();
            while socket
                .read_buf(&mut seen)
                .await
                .is_ok_and(|length| length > 0)
            {
                if seen.ends_with(CLOSE) {
                    break;
                }
            }
            counts.connected.fetch_sub(1, Ordering::AcqRel);
        });
    }
    let _all = turns.acquire_many(u32::try_from(IN_A_RUSH).unwrap()).await;
}

async fn let_in(address: &str, count: usize, counts: &Arc<Counts>, calls: &watch::Sender<()>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    for _ in 0..count {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let (counts, calls) = (Arc::clone(counts), calls.subscribe());
        let address = address.to_owned();
        tokio::spawn(async move {
            let socket = hello(&address).await;
            counts.connected.fetch_add(1, Ordering::AcqRel);
            drop(turn);
            live(socket, calls, &counts).await;
            counts.connected.fetch_sub(1, Ordering::AcqRel);
        });
    }
    let _all = turns.acquire_many(u32::try_from(AT_ONCE).unwrap()).await;
}

/// A client that has had its hello-ok.
pub(crate) async fn hello(address: &str) -> WebSocketStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let url = format!("ws://{address}/");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    let params = json!({
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"],
        "client": {"id": "gateway-client", "mode": "backend", "version": "1", "platform": "crowd"},
        "auth": {"token": "t0ken"},
    });
    assert_eq!(call(&mut socket, "connect", &params).await["ok"], true);
    socket
}

fn request(method: &str, params: &Value) -> Message {
    let request = json!({"type": "req", "id": "1", "method": method, "params": params});
    Message::text(request.to_string())
}

/// Makes a call; the answer. Events before it are passed over.
pub(crate) async fn call(
    socket: &mut WebSocketStream<TcpStream>,
    method: &str,
    params: &Value,
) -> Value {
    socket.send(request(method, params)).await.unwrap();
    while let Some(message) = socket.next().await {
        let message = message.unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if frame["id"] == "1" {
            return frame;
        }
    }
    panic!("cut off");
}

/// Reads until the end, and calls when it is told to.
async fn live(
    mut socket: WebSocketStream<TcpStream>,
    mut calls: watch::Receiver<()>,
    counts: &Counts,
) {
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text.contains("\"type\":\"res\"") => {
                    counts.answered.fetch_add(1, Ordering::AcqRel);
                }
                Some(Ok(Message::Text(_))) => {
                    counts.events.fetch_add(1, Ordering::AcqRel);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            told = calls.changed() => {
                if told.is_err() || socket.send(request("health", &json!({}))).await.is_err() {
                    return;
                }
            }
        }
    }
}
