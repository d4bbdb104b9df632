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

use program::{Device, Program, Session, edit, refused, token};
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
async fn loopback_is_both_of_its_addresses() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("this host has no ::1");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path(), &["--bind", "loopback"]).await;
    for host in ["127.0.0.1", "[::1]", "127.0.0.1"] {
        let mut session = Session::open_at(&program, host).await;
        let challenge = session.frame().await.expect("a challenge");
        assert_eq!(challenge["event"], "connect.challenge", "{host}");
        program.signal(RESTART);
        session.until_the_end().await;
        program.ready().await;
    }
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
        let (shutdown, close) = session.until_the_end().await;
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
    let (shutdown, close) = before.until_the_end().await;
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
async fn a_scenario_is_played_from_the_start_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scenario.json");
    let scenario = json!({
        "faults": [{"fault": "close", "code": 4321, "reason": "as told", "at": "challenge"}],
        "methods": [{"method": "made.up", "respond": [{"waitMs": 20}, {"ok": {"from": "a file"}}]}],
        "events": [{"event": "tick", "payload": "pushed", "afterMs": 10, "everyMs": 50}],
    });
    fs::write(&file, scenario.to_string()).unwrap();
    let state = dir.path().join("state");
    let program = Program::start(&state, &["--scenario", file.to_str().unwrap()]).await;
    let mut closed = Session::open(&program).await;
    assert_eq!(closed.until_the_end().await.1, (4321, "as told".to_owned()));
    let mut session = Session::connect(&program, &token(&state)).await;
    let answer = session.call("made.up").await;
    assert_eq!(answer["payload"], json!({"from": "a file"}));
    while session.frame().await.expect("an event")["payload"] != "pushed" {}
}

#[tokio::test]
async fn a_scenario_that_expected_other_calls_ends_the_program_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scenario.json");
    let scenario = json!({"methods": [{"method": "made.up", "expect": 1}]});
    fs::write(&file, scenario.to_string()).unwrap();
    let flags = ["--scenario", file.to_str().unwrap()];
    for calls in 0..3 {
        let state = dir.path().join(calls.to_string());
        let program = Program::start(&state, &flags).await;
        let mut session = Session::connect(&program, &token(&state)).await;
        for _ in 0..calls {
            session.call("made.up").await;
        }
        let (code, said) = program.stop_and_listen().await;
        assert_eq!(code, Some(i32::from(calls != 1)), "{calls}: {said}");
        let line = format!("made.up was called {calls} times, expected 1 times");
        assert_eq!(said.contains(&line), calls != 1, "{calls}: {said}");
    }
}

#[tokio::test]
async fn a_scenario_that_says_nonsense_is_refused_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scenario.json");
    fs::write(&file, r#"{"faults": [{"fault": "http", "status": 99}]}"#).unwrap();
    let state = dir.path().join("state");
    let (code, text) = refused(&state, &["--scenario", file.to_str().unwrap()]).await;
    let said = format!(
        "{}: faults[0].status: expected a whole number from 200 to 599, found 99\n",
        file.display()
    );
    assert_eq!(text, said);
    assert_eq!(code, Some(78));
    assert!(
        !state.exists(),
        "nothing is made before the scenario is read"
    );
}

/// The modes of a file and of the two others that clients' secrets or requests are in.
fn modes(state_dir: &Path) -> Vec<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let files = [
        "openclaw.json",
        "devices/pending.json",
        "devices/paired.json",
    ];
    let mode = |name: &&str| {
        fs::metadata(state_dir.join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    files.iter().map(|name| mode(name) & 0o777).collect()
}

#[tokio::test]
async fn files_are_for_the_owner_only_from_the_first_start_on() {
    let dir = tempfile::tempdir().unwrap();
    let _program = Program::start(dir.path(), &[]).await;
    assert_eq!(modes(dir.path()), [0o600; 3]);
}

#[tokio::test]
async fn without_an_anthropic_key_there_is_no_profile() {
    for key in [&[][..], &[("ANTHROPIC_API_KEY", "")]] {
        let dir = tempfile::tempdir().unwrap();
        let _program = Program::start_with(dir.path(), &[], key).await;
        let text = fs::read_to_string(dir.path().join("openclaw.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config.get("auth"), None, "{config}");
    }
}

#[tokio::test]
async fn sighup_restarts_in_the_same_process_and_on_the_same_port() {
    for edition in ["2026.2.9", "2026.9.6"] {
        let dir = tempfile::tempdir().unwrap();
        let mut program = Program::start(dir.path(), &["--edition", edition]).await;
        let (pid, port) = (program.pid(), program.port);
        let mut before = Session::connect(&program, &token(dir.path())).await;
        program.signal("HUP");
        let (shutdown, close) = before.until_the_end().await;
        assert_eq!(shutdown["reason"], "gateway restarting", "{edition}");
        assert_eq!(close, (1012, "service restart".to_owned()), "{edition}");
        program.ready().await;
        assert_eq!((program.pid(), program.port), (pid, port));
        let after = Session::connect(&program, &token(dir.path())).await;
        assert_eq!(after.hello["ok"], true, "{}", after.hello);
    }
}

#[tokio::test]
async fn edited_device_files_count_at_once() {
    for edition in ["2026.2.9", "2026.9.6"] {
        let dir = tempfile::tempdir().unwrap();
        let flags = ["--edition", edition, "--treat-loopback-as", "remote"];
        let program = Program::start(dir.path(), &flags).await;
        let (device, secret) = (Device::new(7), token(dir.path()));
        let refused = Session::connect_as(&program, &secret, &device).await;
        assert_eq!(
            refused.hello["error"]["code"], "NOT_PAIRED",
            "{}",
            refused.hello
        );
        let files =
            ["pending.json", "paired.json"].map(|name| dir.path().join("devices").join(name));
        let read = |path: &Path| -> Value {
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let pending = read(&files[0]);
        let request = pending
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        assert_eq!(request["deviceId"], device.id());
        assert_eq!(modes(dir.path()), [0o600; 3]);

        // What a person does without the command: the request is taken out and the device put in.
        let mut paired = request.clone();
        paired.as_object_mut().unwrap().remove("requestId");
        for stamp in ["createdAtMs", "approvedAtMs"] {
            paired[stamp] = request["ts"].clone();
        }
        paired["tokens"]["operator"] = json!({
            "token": "by-hand", "role": "operator", "scopes": ["operator.read"],
            "createdAtMs": request["ts"],
        });
        fs::write(&files[0], "{}").unwrap();
        fs::write(&files[1], json!({device.id(): paired}).to_string()).unwrap();
        let accepted = Session::connect_as(&program, &secret, &device).await;
        assert_eq!(accepted.hello["ok"], true, "{edition}: {}", accepted.hello);

        fs::write(&files[1], "{}").unwrap();
        let removed = Session::connect_as(&program, &secret, &device).await;
        assert_eq!(
            removed.hello["error"]["code"], "NOT_PAIRED",
            "{}",
            removed.hello
        );
        assert_eq!(read(&files[0]).as_object().unwrap().len(), 1);
    }
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

#[test]
fn without_a_terminal_neither_help_nor_complaint_has_colour() {
    for (arguments, code, words) in [
        (&["run", "--help"][..], 0, "Examples"),
        (&["run", "--nonsense"], 2, "--nonsense"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_openclaw-mock-gateway"))
            .args(arguments)
            .envs([("CLICOLOR_FORCE", "1"), ("TERM", "xterm")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(words) && !said.contains('\u{1b}'), "{said}");
    }
}
