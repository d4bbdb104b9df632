//! The program at TRACE: what it prints, what the process table shows, and that it starts nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use openclaw_mock_gateway::MockGateway;
use openclaw_tests::scenarios::adapter_program;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::canary::Canaries;

const PATIENCE: Duration = Duration::from_secs(60);

async fn state(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str, said: &mut String) {
    let waiting = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push_str(&line);
            said.push('\n');
            if serde_json::from_str::<Value>(&line).unwrap()["state"] == wanted {
                return;
            }
        }
        panic!("ended before `{wanted}`:\n{said}");
    };
    let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
    assert!(in_time, "no `{wanted}` in time");
}

/// What anybody on the host can see of a process, and what only its user can.
fn process_table(id: u32, names: &[&str]) -> String {
    let read = |name: &&str| fs::read(format!("/proc/{id}/{name}")).unwrap();
    let all: Vec<u8> = names.iter().flat_map(read).collect();
    String::from_utf8_lossy(&all).into_owned()
}

fn children(id: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    tasks.map(|task| of_task(task.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn the_program_at_trace_prints_no_secret_and_starts_nobody() {
    let mut canaries = Canaries::default();
    let dir = tempfile::tempdir().unwrap();
    let token = canaries.make("the shared token");
    let key = canaries.make("the value of an extra header");
    let gateway = MockGateway::builder()
        .token(&token)
        .recording(true)
        .start()
        .await;
    let write = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let header = format!("X-Proxy-Key:@{}", write("key", &key).display());
    let mut child = Command::new(adapter_program().unwrap())
        .args(["connect", "--json", "--hold", "--header", &header])
        .env_clear()
        .env("HOME", dir.path())
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .env("OPENCLAW_GATEWAY_URL", gateway.url())
        .env("OPENCLAW_GATEWAY_TOKEN_FILE", write("token", &token))
        .env("OPENCLAW_ADAPTER_STATE_DIR", dir.path().join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let id = child.id().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.unwrap();
        log
    });
    let mut said = String::new();
    state(&mut lines, "awaiting_approval", &mut said).await;
    let request = gateway.wait_for_pending(PATIENCE).await.unwrap();
    gateway.approve(&request.request_id).unwrap();
    state(&mut lines, "ready", &mut said).await;

    let store = fs::read_to_string(dir.path().join("state/identity/tokens.json")).unwrap();
    let stored: Value = serde_json::from_str(&store).unwrap();
    let device_token = find(&stored, "token").expect("no device token was stored");
    canaries.add("a device token", device_token.as_bytes());
    let seen = process_table(id, &["cmdline", "comm", "environ", "status", "maps"]);
    assert!(seen.contains("X-Proxy-Key:@"));
    canaries.absent("the process table", &seen);
    assert_eq!(children(id), "", "the program has started another one");
    for name in [
        "",
        "identity",
        "identity/tokens.json",
        "identity/device.json",
    ] {
        let path = dir.path().join("state").join(name);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
    }

    gateway.kill();
    state(&mut lines, "backing_off", &mut said).await;
    gateway.start_again().await.unwrap();
    state(&mut lines, "ready", &mut said).await;
    let changed = canaries.make("the changed token");
    gateway.set_token_on_disk(&changed).unwrap();
    gateway.remove(&gateway.paired()[0].device_id).unwrap();
    gateway.restart().await.unwrap();
    state(&mut lines, "stopped", &mut said).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();

    let log = log.await.unwrap();
    assert!(log.contains("DEBUG"), "nothing was logged:\n{log}");
    canaries.absent("stdout", &said);
    canaries.absent("stderr", &log);
    canaries.absent("the recording", &format!("{:?}", gateway.frames()));
}

/// The first text of this name, at any depth.
fn find(value: &Value, name: &str) -> Option<String> {
    let fields = value.as_object()?;
    let own = fields.get(name).and_then(Value::as_str);
    own.map(ToOwned::to_owned)
        .or_else(|| fields.values().find_map(|value| find(value, name)))
}
