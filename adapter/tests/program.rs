//! The program as a shell sees it. That these tests exist is also what makes `cargo test` build it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::process::{Command, Output};

/// Runs the program in an empty environment with a state directory of its own.
fn run(state_dir: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_openclaw-adapter"))
        .args(arguments)
        .env_clear()
        .env("HOME", state_dir)
        .env("OPENCLAW_ADAPTER_STATE_DIR", state_dir.join("state"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn without_a_token_it_says_which_variable_to_set_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        dir.path(),
        &["connect", "--json", "--url", "ws://127.0.0.1:1"],
    );

    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("OPENCLAW_GATEWAY_TOKEN"), "{said}");
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["connect", "--no-such-thing"]);

    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).is_empty());
}
