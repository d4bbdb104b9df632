//! The backend of the README, run as by a reader who has copied it.

use std::path::Path;
use std::process::Stdio;

use openclaw_mock_gateway::{MockGateway, RunScript};
use openclaw_tests::scenarios::adapter_program;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::pages::{blocks_of, read};
use crate::programs::{LIMIT, mock_program};

#[test]
fn the_backend_of_the_readme_is_the_example_that_is_run() {
    let example = read("examples/backend.rs");
    let is_head =
        |line: &&str| line.starts_with("//!") || line.starts_with("#![") || line.is_empty();
    let code: Vec<&str> = example.lines().skip_while(is_head).collect();
    let shown = blocks_of("README.md")
        .into_iter()
        .find(|block| block.kind == "rust");
    let shown = shown.unwrap();
    assert_eq!(shown.text.lines().collect::<Vec<_>>(), code);
    // As the heading above it says.
    let lines = code.iter().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 25, "{lines} lines");
}

/// The example, with the variables that the README exports.
fn backend(dir: &Path, url: &str, token: &str) -> Child {
    example("backend", dir, url, token)
}

/// The same of another example.
fn example(name: &str, dir: &Path, url: &str, token: &str) -> Child {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = adapter_program()
        .unwrap()
        .with_file_name("examples")
        .join(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo test --workspace`, or `cargo build -p openclaw-examples --examples`",
        program.display()
    );
    Command::new(program)
        .env_clear()
        .env("HOME", dir)
        .env("OPENCLAW_GATEWAY_URL", url)
        .env("OPENCLAW_GATEWAY_TOKEN", token)
        .env("OPENCLAW_ADAPTER_STATE_DIR", dir.join("openclaw"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Returns its output and its log, if it succeeded.
async fn ended_well(backend: Child) -> (String, String) {
    let output = timeout(LIMIT, backend.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}: {out}\n{log}", output.status);
    (out, log)
}

#[tokio::test]
async fn the_backend_of_the_readme_waits_for_the_approval_and_asks_an_agent() {
    let gateway = MockGateway::start().await;
    gateway.script_runs(|request| {
        assert_eq!(request.message, "How many invoices are open?");
        RunScript::text("Three invoices are open.").deltas(3)
    });
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(dir.path(), &gateway.url(), &gateway.token());
    let request = gateway.wait_for_pending(LIMIT).await.unwrap();
    gateway.approve(&request.request_id).unwrap();

    let (out, log) = ended_well(backend).await;
    assert_eq!(
        out,
        "connected to a gateway 2026.9.6\nThree invoices are open.\n[done]\n"
    );
    let command = format!("openclaw devices approve {}", request.request_id);
    assert!(log.contains(&command), "no {command} in the log: {log}");
    assert!(!log.contains(&gateway.token()), "the log has the token");
}

#[tokio::test]
async fn the_backend_of_the_readme_is_answered_by_the_mock_as_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut gateway = Command::new(mock_program())
        .args(["run", "--json", "--port", "0", "--state-dir", "gateway"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let ready = async {
        loop {
            let line = said.next_line().await.unwrap().unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == "ready" {
                return line["url"].as_str().unwrap().to_owned();
            }
        }
    };
    let url = timeout(LIMIT, ready).await.unwrap();
    // Where the README says that the token is.
    let config = std::fs::read(dir.path().join("gateway/openclaw.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let token = config["gateway"]["auth"]["token"].as_str().unwrap();

    let (out, _) = ended_well(backend(dir.path(), &url, token)).await;
    assert!(out.ends_with("\n[done]\n"), "{out}");
}

#[tokio::test]
async fn the_reconnect_demo_is_played_on_a_gateway_of_ones_own_until_ctrl_c() {
    let gateway = MockGateway::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut demo = example(
        "reconnect_demo",
        dir.path(),
        &gateway.url(),
        &gateway.token(),
    );
    let request = gateway.wait_for_pending(LIMIT).await.unwrap();
    gateway.approve(&request.request_id).unwrap();

    let mut said = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut until = async |words: &str| {
        let mut facts = Vec::new();
        while let Some(line) = timeout(LIMIT, said.next_line()).await.unwrap().unwrap() {
            if line.contains(words) {
                return facts;
            }
            facts.extend(line.trim().strip_prefix("ok  ").map(ToOwned::to_owned));
        }
        panic!("it ended before `{words}`: {facts:?}");
    };
    let facts = until("until Ctrl-C").await;
    for fact in ["nobody was asked again", "connected again by itself"] {
        assert!(facts.iter().any(|said| said == fact), "{facts:?}");
    }
    gateway.restart().await.unwrap();
    until("connected to 2026.9.6 again").await;

    let id = demo.id().unwrap().to_string();
    let interrupted = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(interrupted.unwrap().success());
    until("Closed.").await;
    let status = timeout(LIMIT, demo.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}
