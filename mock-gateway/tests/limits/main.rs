//! Memory, threads and sockets that many clients may cost, in a process of its own, so that they
//! are those of these tests alone. They run one after the other for the same reason.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say what they measured"
)]

mod crowd;
mod garbage;
mod half_open;
mod live;
mod mocks;

use std::env;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_mock_gateway::{Edition, MockGateway};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EDITIONS: [Edition; 2] = [Edition::V2026_2_9, Edition::V2026_9_6];
const A_WHILE: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;

/// The test harness starts a thread for each of the tests, whenever it likes.
const HARNESS_THREADS: usize = 4;

/// The size of a test: what `OPENCLAW_TESTS_<NAME>` says, else `exhaustive` with `OPENCLAW_TESTS_TIER=exhaustive`.
fn size(name: &str, quick: usize, exhaustive: usize) -> usize {
    match (
        env::var(format!("OPENCLAW_TESTS_{name}")),
        env::var("OPENCLAW_TESTS_TIER").as_deref(),
    ) {
        (Ok(own), _) => own.parse().unwrap(),
        (Err(_), Ok("exhaustive")) => exhaustive,
        (Err(_), Ok("quick") | Err(_)) => quick,
        (Err(_), Ok(other)) => panic!("OPENCLAW_TESTS_TIER={other}: use quick or exhaustive"),
    }
}

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of `/proc/self/status`, as a number.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Threads of this process.
fn threads() -> usize {
    status("Threads:")
}

/// Memory of this process in bytes.
fn resident() -> usize {
    status("VmRSS:") * 1024
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How many files this process may have open.
fn file_limit() -> usize {
    let text = fs::read_to_string("/proc/self/limits").unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.unwrap().split_whitespace().nth(3).unwrap();
    soft.parse().unwrap_or(usize::MAX)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

async fn mock(edition: Edition) -> MockGateway {
    let builder = MockGateway::builder().edition(edition).token("t0ken");
    builder.strict(false).start().await
}

fn address(gateway: &MockGateway) -> String {
    gateway.url().replace("ws://", "")
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A socket that has had its challenge.
async fn upgraded(gateway: &MockGateway) -> TcpStream {
    let mut socket = TcpStream::connect(address(gateway)).await.unwrap();
    socket.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(9).any(|window| window == b"challenge") {
        assert!(socket.read_buf(&mut seen).await.unwrap() > 0, "cut off");
    }
    socket
}
