//! The backend of the README, as somebody would run it who has copied it.

use std::process::Stdio;

use openclaw_mock_gateway::{MockGateway, Run};
use openclaw_tests::scenarios::adapter_program;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::pages::{blocks_of, read};
use crate::programs::LIMIT;

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
    // What somebody reads before they have seen anything else should fit on a screen.
    assert!(code.len() <= 32, "{} lines", code.len());
}

#[tokio::test]
async fn the_backend_of_the_readme_waits_for_the_approval_and_asks_an_agent() {
    let name = format!("backend{}", std::env::consts::EXE_SUFFIX);
    let program = adapter_program()
        .unwrap()
        .with_file_name("examples")
        .join(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo test --workspace`, or `cargo build -p openclaw-examples --examples`",
        program.display()
    );
    let gateway = MockGateway::start().await;
    gateway.script_runs(|request| {
        assert_eq!(request.message, "How many invoices are open?");
        Run::text("Three invoices are open.").deltas(3)
    });
    let dir = tempfile::tempdir().unwrap();
    // The variables that the README exports.
    let mut backend = Command::new(program)
        .env_clear()
        .env("HOME", dir.path())
        .env("OPENCLAW_GATEWAY_URL", gateway.url())
        .env("OPENCLAW_GATEWAY_TOKEN", gateway.token())
        .env("OPENCLAW_ADAPTER_STATE_DIR", dir.path().join("openclaw"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let request = gateway.wait_for_pending(LIMIT).await.unwrap();
    gateway.approve(&request.request_id).unwrap();

    let (mut out, mut log) = (String::new(), String::new());
    let read = async {
        let (mut stdout, mut stderr) = (
            backend.stdout.take().unwrap(),
            backend.stderr.take().unwrap(),
        );
        let (read, logged) = tokio::join!(
            stdout.read_to_string(&mut out),
            stderr.read_to_string(&mut log)
        );
        read.unwrap();
        logged.unwrap();
        backend.wait().await.unwrap()
    };
    let status = timeout(LIMIT, read).await.unwrap();
    assert!(status.success(), "{status}: {out}\n{log}");
    assert_eq!(
        out,
        "connected to a gateway 2026.9.6\nThree invoices are open.\n[done]\n"
    );
    let command = format!("openclaw devices approve {}", request.request_id);
    assert!(
        log.contains(&command),
        "the log does not say {command}: {log}"
    );
    assert!(!log.contains(&gateway.token()), "the log has the token");
}
