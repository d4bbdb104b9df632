//! What is left in the memory of a process after a client is closed. Read through `/proc`, by
//! another process, so that the search does not find itself.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openclaw_adapter::{Client, Config, FileStore, IdentityStore as _};
use openclaw_mock_gateway::MockGateway;
use openclaw_tests::scenarios::Secrets;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use crate::canary::hex;

const DUTY: &str = "OPENCLAW_TEST_MEMORY_DIR";
const URL: &str = "OPENCLAW_TEST_MEMORY_URL";
const CHILD: &str = "memory::child_process";
const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: [u8; 4096] = [0; 4096];
const MARK: &[u8] = b"the-memory-was-really-read";

/// Does nothing in an ordinary run; in a child it is the whole process.
#[test]
fn child_process() {
    let (Ok(dir), Ok(url)) = (std::env::var(DUTY), std::env::var(URL)) else {
        return;
    };
    let mark = std::hint::black_box(MARK.to_vec());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let say = |word: &str| {
        println!("\n{word}");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    };
    runtime.block_on(async {
        let config = Config::builder()
            .url(url)
            .token_file(format!("{dir}/token"))
            .state_dir(format!("{dir}/state"));
        let client = Client::connect(config.build().unwrap()).await.unwrap();
        let call = client.call_raw("health", serde_json::json!({}));
        drop(call.await.unwrap());
        say("connected");
        client.close().await;
        drop(client);
    });
    drop(runtime);
    say("closed");
    drop(mark);
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn go_on(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Everything that it can write to.
    fn memory(&self) -> Vec<u8> {
        let id = self.0.id();
        let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
        let memory = File::open(format!("/proc/{id}/mem")).unwrap();
        let mut all = Vec::new();
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, modes) = (words.next().unwrap(), words.next().unwrap());
            if !modes.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            let mut region = vec![0; usize::try_from(address(to) - address(from)).unwrap()];
            // Some regions of the kernel's own cannot be read.
            if memory.read_exact_at(&mut region, address(from)).is_ok() {
                // Most of it was never written to, and searching takes its time.
                let pages = region.chunks(PAGE.len());
                all.extend(pages.filter(|page| *page != PAGE).flatten());
            }
        }
        all
    }
}

/// Waits until a child has come to this point.
fn wait_for(said: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    while line.trim() != word {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "ended before {word}");
    }
}

fn count(memory: &[u8], secret: &[u8]) -> usize {
    let (first, rest) = secret.split_first().unwrap();
    let starts = memory.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts
        .filter(|(at, _)| memory[at + 1..].starts_with(rest))
        .count()
}

#[test]
fn a_closed_client_leaves_no_key_and_no_shared_token_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let token = Secrets::default().new_token().unwrap();
    fs::write(dir.path().join("token"), &token).unwrap();
    let gateway = runtime.block_on(MockGateway::builder().token(&token).start());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(DUTY, dir.path())
        .env(URL, gateway.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Process(child);
    let mut said = BufReader::new(child.0.stdout.take().unwrap());
    let request = runtime
        .block_on(gateway.wait_for_pending(PATIENCE))
        .unwrap();
    gateway.approve(&request.request_id).unwrap();
    wait_for(&mut said, "connected");

    let store = FileStore::new(dir.path().join("state"));
    let inner = store.state_dir().join("identity");
    assert!(store.load().unwrap().is_some());
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(inner.join(name)).unwrap()).unwrap()
    };
    let pem = read("device.json")["privateKeyPem"].take();
    let body = pem.as_str().unwrap().lines().nth(1).unwrap().to_owned();
    let seed = STANDARD.decode(&body).unwrap().split_off(16);
    let tokens = fs::read_to_string(inner.join("tokens.json")).unwrap();
    let device_token = tokens.split("\"token\": \"").nth(1).unwrap();
    let device_token = device_token.split('"').next().unwrap();
    let digits = hex(&seed);
    // What RFC 8032 signs with: the hash of the key, the first half with some bits set.
    let mut expanded = Sha512::digest(&seed).to_vec();
    let nonce_key = expanded.split_off(32);
    let secrets: [(&str, Vec<u8>); 8] = [
        ("the private key", seed.clone()),
        ("the inner bytes of its scalar", expanded[1..31].to_vec()),
        ("what its nonces are made of", nonce_key),
        ("the private key as text of its file", body.into_bytes()),
        (
            "the private key as base64",
            STANDARD.encode(&seed).into_bytes(),
        ),
        ("the private key in hex", digits.into_bytes()),
        ("the shared token", token.into_bytes()),
        ("the device token", device_token.as_bytes().to_vec()),
    ];

    let while_connected = child.memory();
    child.go_on();
    wait_for(&mut said, "closed");
    let after = child.memory();
    assert!(count(&while_connected, &seed) > 0, "it has no key to use?");
    assert!(count(&after, MARK) > 0, "the memory was not read");
    let mut left = Vec::new();
    for (name, secret) in &secrets {
        let (before, after) = (count(&while_connected, secret), count(&after, secret));
        println!("{name}: {before} times while connected, {after} times after the close");
        // A device token comes in a frame that `tungstenite` reads into a buffer of its own, which
        // is not wiped. It is worth nothing without the key.
        if after > 0 && *name != "the device token" {
            left.push(*name);
        }
    }
    assert!(left.is_empty(), "left in memory: {left:?}");
}
