//! `openclaw-adapter doctor`: what it says, how it ends, and what an examination leaves behind.

mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use openclaw_mock_gateway::{Edition, Frame, MockGateway};
use serde_json::Value;

use crate::host::{Ended, Host};

const WRONG: &str = "a-token-of-another-gateway";

fn finding(ended: &Ended, check: &str) -> Value {
    let lines = ended.lines();
    let found = lines.into_iter().find(|line| line["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in:\n{}", ended.text()))
}

/// What the last line says, and that words and exit code agree with it.
struct Answer {
    json: Ended,
}

impl Answer {
    fn verdict(&self) -> Value {
        self.json.last()
    }
}

/// Asks twice: for programs and for people.
async fn ask(
    host: &Host,
    gateway: Option<&MockGateway>,
    url: &str,
    token: &str,
    more: &[&str],
) -> Answer {
    let run = |json: &'static [&'static str]| {
        let arguments: Vec<&str> = ["doctor"].iter().chain(json).chain(more).copied().collect();
        let program = host.program(&arguments).url(url).token(token);
        program.run()
    };
    let json = run(&["--json"]).await;
    let words = run(&[]).await;
    assert_eq!(json.code, words.code);
    let verdict = json.last();
    let last = words.stdout.last().unwrap();
    assert_eq!(
        *last,
        format!("next: {}", verdict["action"].as_str().unwrap())
    );
    if let Some(issue) = verdict["issue"].as_str() {
        words.says(&[&format!("[{issue}]")]);
    }
    for ended in [&json, &words] {
        assert!(
            !ended.text().contains('\u{1b}') && ended.stderr.is_empty(),
            "{}",
            ended.stderr
        );
        if let Some(gateway) = gateway {
            ended.hides(&gateway.token());
        }
    }
    Answer { json }
}

/// From another host than the gateway's, with its token.
async fn ask_remote(host: &Host, gateway: &MockGateway, more: &[&str]) -> Answer {
    ask(host, Some(gateway), &gateway.url(), &gateway.token(), more).await
}

/// A gateway with files, in a directory of the host.
async fn with_files(edition: Edition, host: &Host) -> MockGateway {
    MockGateway::builder()
        .edition(edition)
        .state_dir(host.path("gateway"))
        .start()
        .await
}

fn openclaw_json(host: &Host) -> String {
    host.path("gateway/openclaw.json").display().to_string()
}

#[tokio::test]
async fn nothing_is_made_where_there_is_no_identity_and_the_token_is_judged_all_the_same() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let right = ask_remote(&host, &gateway, &[]).await;
        assert_eq!(finding(&right.json, "token")["status"], "ok");
        assert_eq!(finding(&right.json, "identity")["issue"], "no_identity");
        let wrong = ask(&host, Some(&gateway), &gateway.url(), WRONG, &[]).await;
        assert_eq!(wrong.verdict()["issue"], "token_mismatch");
        assert!(gateway.pending().is_empty() && gateway.paired().is_empty());
        assert!(!host.state_dir().exists(), "{edition}");
    }
}

#[tokio::test]
async fn an_examination_leaves_the_state_directory_as_it_was() {
    let gateway = MockGateway::start().await;
    let host = Host::new();
    host.program(&["connect", "--wait", "0"])
        .remote(&gateway)
        .run()
        .await
        .ended_with(10);
    gateway.approve(&gateway.pending()[0].request_id).unwrap();
    let snapshot = || -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(host.path("state/identity"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = snapshot();
    let paired = ask_remote(&host, &gateway, &[]).await;
    paired.json.ended_with(0);
    // The gateway gave a device token, which a client would have stored.
    assert_eq!(finding(&paired.json, "pairing")["data"]["paired"], true);
    assert_eq!(snapshot(), before);
}

#[tokio::test]
async fn every_line_has_its_shape_and_the_last_one_is_the_verdict() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let answer = ask(
        &host,
        Some(&gateway),
        &gateway.local_url(),
        &gateway.token(),
        &["--method", "agent"],
    )
    .await;
    let lines = answer.json.lines();
    let (verdict, findings) = lines.split_last().unwrap();
    for line in findings {
        let status = line["status"].as_str().unwrap();
        assert!(["ok", "warning", "problem", "skipped"].contains(&status));
        assert!(line["check"].is_string() && line["message"].is_string());
        let is_bad = status == "warning" || status == "problem";
        assert_eq!(
            line["issue"].is_string() && line["fix"].is_string(),
            is_bad,
            "{line}"
        );
    }
    assert!(verdict["verdict"].is_string() && verdict["action"].is_string());
    let scopes = finding(&answer.json, "scopes");
    assert_eq!(scopes["data"]["needed"], "operator.write");
}

#[tokio::test]
async fn a_method_beyond_the_scopes_ends_with_12_and_names_the_scope() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let method = ["--method", "config.set"];
        let answer = ask(
            &host,
            Some(&gateway),
            &gateway.local_url(),
            &gateway.token(),
            &method,
        )
        .await;
        answer.json.ended_with(12);
        assert_eq!(answer.verdict()["issue"], "scope", "{edition}");
        answer.json.says(&["operator.admin"]);
    }
}

#[tokio::test]
async fn without_a_token_the_way_is_walked_as_far_as_it_goes() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["doctor", "--json"])
        .url(&gateway.url())
        .run()
        .await;
    ended.ended_with(2);
    assert_eq!(ended.last()["issue"], "no_token");
    assert_eq!(finding(&ended, "challenge")["status"], "ok");
    assert_eq!(finding(&ended, "login")["message"], "token comes first");
    let offered = |frame: &Frame| frame.json["method"] == "connect";
    assert!(!gateway.frames().iter().any(offered), "nothing was offered");
    let blank = host
        .program(&["doctor", "--json"])
        .url(&gateway.url())
        .env("OPENCLAW_GATEWAY_TOKEN", "undefined")
        .run()
        .await;
    blank.ended_with(2);
    assert_eq!(finding(&blank, "configuration")["status"], "problem");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_ends_with_13_and_a_broken_identity_with_14() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    fs::create_dir_all(host.path("state/identity")).unwrap();
    host.write("state/identity/device.json", "{");
    for (name, mode) in [
        ("state", 0o700),
        ("state/identity", 0o700),
        ("state/identity/device.json", 0o600),
    ] {
        fs::set_permissions(host.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let identity = ask_remote(&host, &gateway, &[]).await;
    identity.json.ended_with(14);
    assert_eq!(finding(&identity.json, "token")["status"], "ok");
    let (url, token) = (gateway.url(), gateway.token());
    gateway.stop().await;
    let away = ask(&Host::new(), None, &url, &token, &[]).await;
    away.json.ended_with(13);
    assert_eq!(away.verdict()["issue"], "unreachable");
}

#[tokio::test]
async fn an_openclaw_json_that_was_named_has_to_be_there() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let (url, token) = (gateway.local_url(), gateway.token());
    let asked = async |more: &[&str]| ask(&host, Some(&gateway), &url, &token, more).await;
    let named = asked(&["--openclaw-json", "/nope"]).await;
    named.json.ended_with(0);
    let found = finding(&named.json, "openclaw_json");
    assert_eq!(found["status"], "warning");
    named.json.says(&["/nope cannot be read"]);
    let unnamed = asked(&[]).await;
    assert_eq!(finding(&unnamed.json, "openclaw_json")["status"], "skipped");
}

#[tokio::test]
async fn a_state_directory_that_is_a_file_is_named_anew_and_not_moved_away() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let file = host.write("passwd", "").display().to_string();
    let named = ["--state-dir", file.as_str()];
    let (url, token) = (gateway.local_url(), gateway.token());
    let answer = ask(&host, Some(&gateway), &url, &token, &named).await;
    answer.json.ended_with(14);
    let action = answer.verdict()["action"].clone();
    assert!(
        action
            .as_str()
            .unwrap()
            .contains("(or --state-dir) to a directory"),
        "{action}"
    );
}

#[tokio::test]
async fn something_that_takes_connections_and_says_nothing_is_left_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let host = Host::new();
    let answer = ask(&host, None, &url, WRONG, &["--timeout", "500ms"]).await;
    answer.json.ended_with(13);
    assert_eq!(finding(&answer.json, "upgrade")["issue"], "late");
}

#[tokio::test]
async fn a_backend_with_fewer_scopes_is_healthy_and_nothing_more_is_asked_for() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let connect = ["connect", "--json", "--wait", "60s"];
        let backend = |arguments: &[&str]| host.program(arguments).remote(&gateway);
        let mut waiting = backend(&connect)
            .env("OPENCLAW_ADAPTER_SCOPES", "operator.read")
            .env("OPENCLAW_ADAPTER_DISPLAY_NAME", "billing")
            .start();
        let asked = waiting.state("awaiting_approval").await;
        // While it waits, a doctor with the backend's environment finds its request.
        let doctor = backend(&["doctor", "--json"])
            .env("OPENCLAW_ADAPTER_SCOPES", "operator.read")
            .env("OPENCLAW_ADAPTER_DISPLAY_NAME", "billing")
            .run()
            .await;
        doctor.ended_with(10);
        let pending = gateway.pending();
        assert_eq!(pending.len(), 1, "{edition}");
        assert_eq!(pending[0].request_id, asked["requestId"].as_str().unwrap());
        assert_eq!(pending[0].display_name.as_deref(), Some("billing"));
        gateway.approve(&pending[0].request_id).unwrap();
        waiting.ended().await.ended_with(0);

        // Once it was approved, no environment is needed for it.
        for arguments in [
            &["doctor", "--json"][..],
            &["connect", "--json", "--wait", "0"],
            &["call", "health", "--json"],
        ] {
            let ended = backend(arguments).run().await;
            ended.ended_with(0);
            assert!(gateway.pending().is_empty(), "{edition}: {arguments:?}");
        }
        let doctor = backend(&["doctor", "--json"]).run().await;
        let scopes = finding(&doctor, "scopes");
        assert_eq!(scopes["status"], "ok");
        assert_eq!(
            scopes["data"]["asked"],
            serde_json::json!(["operator.read"])
        );

        // Whoever asks for more is told the way without an approval first.
        let more = ["--scopes", "operator.read,operator.write"];
        let wider = ask(&host, None, &gateway.url(), &gateway.token(), &more).await;
        wider.json.ended_with(10);
        let id = gateway.pending().remove(0).request_id;
        let action = wider.verdict()["action"].as_str().unwrap().to_owned();
        assert!(
            action.starts_with(
                "If the backend does not need operator.write, ask only for what is approved: OPENCLAW_ADAPTER_SCOPES=operator.read, or --scopes operator.read; otherwise approve"
            ) && action.contains(&format!("openclaw devices approve {id}")),
            "{edition}: {action}"
        );
        gateway.reject(&id).unwrap();

        // The operator's connection is another one.
        let operator = backend(&["doctor", "--json", "--operator"])
            .env("OPENCLAW_ADAPTER_SCOPES", "operator.read")
            .run()
            .await;
        assert_eq!(
            finding(&operator, "scopes")["data"]["asked"],
            serde_json::json!(["operator.pairing"])
        );
    }
}
