//! What a hostile or careless crowd may cost, in a process of its own, so that its memory, threads and
//! sockets are those of these tests alone. They run one after the other for the same reason.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openclaw_mock_gateway::{Edition, MockGateway};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EDITIONS: [Edition; 2] = [Edition::V2026_2_9, Edition::V2026_9_6];
const A_WHILE: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;
/// The test harness starts a thread for each of the tests, whenever it likes.
const HARNESS_THREADS: usize = 3;
/// Of each of the three kinds that the mock reads and throws away: more than 1 GiB together.
const EACH: usize = 350 * MIB;

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

/// One kind of garbage: whether it comes after an upgrade, how it begins, and what follows for ever.
type Garbage = (&'static str, bool, Vec<u8>, Vec<u8>);

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: usize) -> Vec<u8> {
    let length = u16::try_from(payload).unwrap().to_be_bytes();
    [&[first, 0xfe][..], &length, &[0; 4], &vec![0; payload]].concat()
}

fn garbage() -> [Garbage; 4] {
    let endless = vec![0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[0; 125]].concat();
    [
        ("no HTTP", false, Vec::new(), vec![0xa5; MIB]),
        ("a frame of 4 GiB", true, endless, vec![0; MIB]),
        (
            "fragments without an end",
            true,
            frame(0x01, 60_000),
            frame(0x00, 60_000),
        ),
        (
            "pings, and nobody who reads the answers",
            true,
            Vec::new(),
            ping.repeat(8_000),
        ),
    ]
}

/// Writes up to `bytes`, or until the mock takes no more; the most memory in between, above `before`.
async fn pour(
    socket: &mut TcpStream,
    garbage: &Garbage,
    bytes: usize,
    before: usize,
) -> (usize, usize) {
    let (_, _, head, chunk) = garbage;
    let (mut sent, mut most) = (0, 0);
    if socket.write_all(head).await.is_err() {
        return (0, 0);
    }
    while sent < bytes {
        let written = tokio::time::timeout(Duration::from_secs(1), socket.write_all(chunk)).await;
        most = most.max(resident().saturating_sub(before));
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
        sent += chunk.len();
    }
    (sent, most)
}

#[test]
fn a_gigabyte_of_garbage_is_not_kept() {
    let _alone = alone();
    for edition in EDITIONS {
        runtime().block_on(async {
            let gateway = mock(edition).await;
            drop(upgraded(&gateway).await);
            for garbage in &garbage() {
                let (name, after_upgrade, ..) = garbage;
                let before = resident();
                let mut socket = if *after_upgrade {
                    upgraded(&gateway).await
                } else {
                    TcpStream::connect(address(&gateway)).await.unwrap()
                };
                let (sent, most) = pour(&mut socket, garbage, EACH, before).await;
                println!(
                    "{edition}: {name}: {} MiB sent, {} KiB more at most",
                    sent / MIB,
                    most / 1024
                );
                assert!(most < 16 * MIB, "{edition}: {name}: {most} bytes more");
                if !name.starts_with("pings") {
                    assert!(
                        sent >= EACH,
                        "{edition}: {name}: cut off after {sent} bytes"
                    );
                }
                // Still there for others.
                drop(upgraded(&gateway).await);
            }
        });
    }
}

#[test]
fn ten_thousand_half_open_sockets_cost_little_and_end_by_the_handshake_timeout() {
    let _alone = alone();
    // Both ends are in this process.
    let room = file_limit().saturating_sub(open_files() + 64) / 2;
    let count = room.min(10_000);
    if count < 10_000 {
        println!(
            "only {count} sockets instead of 10000: the limit of open files is {}",
            file_limit()
        );
    }
    for edition in EDITIONS {
        runtime().block_on(async {
            let builder = MockGateway::builder()
                .edition(edition)
                .token("t0ken")
                .strict(false);
            let gateway = builder
                .handshake_timeout(Duration::from_secs(8))
                .start()
                .await;
            let (before, files, begin) = (resident(), open_files(), Instant::now());
            let mut sockets = Vec::with_capacity(count);
            for number in 0..count {
                let mut socket = TcpStream::connect(address(&gateway)).await.unwrap();
                // Every second one has begun to speak.
                if number % 2 == 1 {
                    socket.write_all(&UPGRADE.as_bytes()[..40]).await.unwrap();
                }
                sockets.push(socket);
            }
            let all = gateway
                .wait_for(|now| now.connects >= count as u64, A_WHILE)
                .await;
            all.expect("all are accepted");
            drop(upgraded(&gateway).await);
            let each = resident().saturating_sub(before) / count.max(1);
            println!(
                "{edition}: {count} half-open in {:?}, {each} bytes each with both ends",
                begin.elapsed()
            );
            assert!(each < 16 * 1024, "{edition}: {each} bytes each");
            let end = Instant::now() + A_WHILE;
            while open_files() > files + count + 16 && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(
                open_files() <= files + count + 16,
                "{edition}: the mock keeps its ends open"
            );
        });
    }
}

#[test]
fn a_thousand_mocks_leave_no_task_thread_memory_or_port_behind() {
    let _alone = alone();
    let runtime = runtime();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let (tasks, files) = (metrics.num_alive_tasks(), open_files());
        let threads = status("Threads:") + HARNESS_THREADS;
        let mut addresses = Vec::new();
        let mut starts = Vec::new();
        let memory = resident();
        for _ in 0..1_000 {
            let begin = Instant::now();
            let gateway = mock(Edition::V2026_9_6).await;
            starts.push(begin.elapsed());
            drop(upgraded(&gateway).await);
            addresses
                .extend([gateway.url(), gateway.local_url()].map(|url| url.replace("ws://", "")));
        }
        let gone = || {
            metrics.num_alive_tasks() <= tasks
                && status("Threads:") <= threads
                && open_files() <= files
        };
        let end = Instant::now() + A_WHILE;
        while !gone() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(metrics.num_alive_tasks() <= tasks, "tasks are left");
        assert!(status("Threads:") <= threads, "threads are left");
        assert!(
            open_files() <= files,
            "{} files, {files} before",
            open_files()
        );
        for address in &addresses {
            assert!(
                TcpStream::connect(address).await.is_err(),
                "{address} still listens"
            );
        }
        starts.sort();
        let median = starts[starts.len() / 2];
        let more = resident().saturating_sub(memory);
        println!(
            "a start takes {median:?} in the median; 1000 mocks left {} KiB",
            more / 1024
        );
        assert!(
            median < Duration::from_millis(5),
            "a start takes {median:?}"
        );
        assert!(more < 32 * MIB, "{more} bytes are left");
    });
}
