//! The stand-alone program, as whoever starts it sees it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]
#![cfg(unix)]

mod program;

use std::fs;
use std::path::Path;

use program::{Program, Session, edit, refused, token};
use serde_json::{Value, json};

const RESTART: &str = "USR1";

#[tokio::test]
async fn the_first_start_makes_a_configuration_and_later_ones_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Program::start(dir.path(), &[]).await;
    let made = token(dir.path());
    assert_eq!(made.len(), 48);
    for name in ["pending.json", "paired.json"] {
        let text = fs::read_to_string(dir.path().join("devices").join(name)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({}));
    }
    assert_eq!(first.stop().await, Some(0));

    let second = Program::start(dir.path(), &[]).await;
    assert_eq!(token(dir.path()), made);
    let session = Session::connect(&second, &made).await;
    assert_eq!(session.hello["ok"], true, "{}", session.hello);
}

#[tokio::test]
async fn an_anthropic_key_in_the_environment_becomes_a_profile() {
    let dir = tempfile::tempdir().unwrap();
    let _program = Program::start_with(dir.path(), &[], &[("ANTHROPIC_API_KEY", "k")]).await;
    let text = fs::read_to_string(dir.path().join("openclaw.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let profile = json!({"provider": "anthropic", "mode": "api_key"});
    assert_eq!(config["auth"]["profiles"]["anthropic"], profile);
}

#[tokio::test]
async fn the_banner_has_a_line_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), &[]).await;
    let expected = format!("Token:   {}", token(dir.path()));
    assert!(program.banner().await.contains(&expected));
}

#[tokio::test]
async fn a_token_from_a_file_is_the_gateways() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "from-a-file\n").unwrap();
    let flags = ["--token-file", file.to_str().unwrap()];
    let program = Program::start(&dir.path().join("state"), &flags).await;
    let session = Session::connect(&program, "from-a-file").await;
    assert_eq!(session.hello["ok"], true, "{}", session.hello);
}

#[tokio::test]
async fn sigterm_tells_the_clients_and_ends_with_0() {
    for edition in ["2026.2.9", "2026.9.6"] {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::start(dir.path(), &["--edition", edition]).await;
        let mut session = Session::connect(&program, &token(dir.path())).await;
        let stopped = program.stop().await;
        let (shutdown, close) = session.until_closed().await;
        assert_eq!(shutdown["reason"], "gateway stopping", "{edition}");
        assert_eq!(close, (1012, "service restart".to_owned()), "{edition}");
        assert_eq!(stopped, Some(0), "{edition}");
    }
}

#[tokio::test]
async fn an_edited_token_counts_from_the_next_restart_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path(), &[]).await;
    let old = token(dir.path());
    edit(dir.path(), |config| {
        config["gateway"]["auth"]["token"] = "new".into();
    });

    let mut before = Session::connect(&program, &old).await;
    assert_eq!(before.hello["ok"], true, "{}", before.hello);
    let too_early = Session::connect(&program, "new").await;
    assert_eq!(too_early.code(), "AUTH_TOKEN_MISMATCH");

    program.signal(RESTART);
    let (shutdown, close) = before.until_closed().await;
    assert_eq!(shutdown["reason"], "gateway restarting");
    assert_eq!(close.0, 1012);
    program.ready().await;
    let after = Session::connect(&program, "new").await;
    assert_eq!(after.hello["ok"], true, "{}", after.hello);
    assert_eq!(
        Session::connect(&program, &old).await.code(),
        "AUTH_TOKEN_MISMATCH"
    );
}

#[tokio::test]
async fn clients_over_loopback_are_local_unless_told_otherwise() {
    let scopes = async |flags: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::start(dir.path(), flags).await;
        let session = Session::connect(&program, &token(dir.path())).await;
        session.hello["payload"]["auth"]["scopes"].clone()
    };
    // Measured on 2026.9.6: a backend without a device keeps its scopes on the gateway's host only.
    assert_eq!(scopes(&[]).await, json!(["operator.read"]));
    assert_eq!(scopes(&["--treat-loopback-as", "remote"]).await, json!([]));
}

#[tokio::test]
async fn a_configuration_that_a_gateway_refuses_is_refused_with_the_way_out() {
    let said = async |config: &str, edition: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("openclaw.json");
        fs::write(&path, config).unwrap();
        let (code, text) = refused(dir.path(), &["--edition", edition]).await;
        assert!(text.contains(path.to_str().unwrap()), "no path in: {text}");
        (code, text)
    };
    let profiles = r#"{"gateway": {"mode": "local", "auth": {"token": "t"}},
        "auth": {"profiles": {"anthropic": {"type": "api_key"}}}}"#;
    let (code, text) = said(profiles, "2026.9.6").await;
    assert!(text.contains("Config invalid: auth.profiles"), "{text}");
    assert!(
        text.contains(r#"{"provider": "anthropic", "mode": "api_key"}"#),
        "{text}"
    );
    assert_eq!(code, Some(78));
    assert_eq!(said(profiles, "2026.2.9").await.0, Some(1));

    let template = r#"{"gateway": {"auth": {"token": "REPLACE_WITH_GENERATED_TOKEN"}}}"#;
    let (_, text) = said(template, "2026.9.6").await;
    assert!(text.contains("delete openclaw.json"), "{text}");

    let (_, text) = said(r#"{"gateway": {"#, "2026.9.6").await;
    assert!(text.contains("Config invalid"), "{text}");

    let port = r#"{"gateway": {"port": "x", "auth": {"token": "t"}}}"#;
    let (_, text) = said(port, "2026.9.6").await;
    assert!(text.contains("Config invalid: gateway.port"), "{text}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = Program::start(&dir.path().join("a"), &[]).await;
    let port = first.port.to_string();
    let (code, text) = refused(Path::new(&dir.path().join("b")), &["--port", &port]).await;
    assert!(
        text.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{text}"
    );
    assert_ne!(code, Some(0));
}
