//! `openclaw-adapter run`: an answer as it streams, and the exit codes.

use std::time::Duration;

use openclaw_mock_gateway::{Edition, Fault, MockGateway, RunScript};

use crate::host::{Host, Program};

const TEXT: &str = "Two lines,\nthe second one ends here.";

fn run(host: &Host, gateway: &MockGateway, arguments: &[&str]) -> Program {
    let mut all = vec!["run"];
    all.extend(arguments);
    host.program(&all).local(gateway)
}

async fn gateway(edition: Edition, script: fn() -> RunScript) -> MockGateway {
    let gateway = MockGateway::builder().edition(edition).start().await;
    gateway.script_runs(move |_| script());
    gateway
}

#[tokio::test]
async fn the_answer_and_nothing_else_is_on_stdout() {
    for edition in Edition::ALL {
        let gateway = gateway(edition, || RunScript::text(TEXT).deltas(5)).await;
        let host = Host::new();
        for way in [&["hi"][..], &["hi", "--chat"]] {
            let ended = run(&host, &gateway, way).run().await;
            ended.ended_with(0);
            assert_eq!(ended.text(), TEXT);
        }
    }
}

#[tokio::test]
async fn with_json_the_id_comes_first_and_the_outcome_last() {
    let gateway = gateway(Edition::V2026_9_6, || RunScript::text(TEXT).deltas(5)).await;
    let host = Host::new();
    let arguments = [
        "hi",
        "--session-key",
        " Billing ",
        "--run-id",
        "k-1",
        "--json",
    ];
    let ended = run(&host, &gateway, &arguments).run().await;
    ended.ended_with(0);
    let lines = ended.lines();
    assert_eq!(lines[0]["item"], "run");
    assert_eq!(lines[0]["runId"], "k-1");
    assert_eq!(lines[1]["item"], "accepted");
    assert_eq!(lines[1]["sessionKey"], "agent:main:billing");
    let deltas = lines.iter().filter(|line| line["item"] == "text");
    let text: String = deltas.filter_map(|line| line["delta"].as_str()).collect();
    assert_eq!(text, TEXT);
    let last = ended.last();
    assert_eq!(
        (&last["item"], &last["outcome"], &last["text"]),
        (&"ended".into(), &"done".into(), &TEXT.into())
    );
    assert_eq!(last["usage"]["output"], 7);
}

#[tokio::test]
async fn a_run_that_fails_ends_with_15_and_the_reason() {
    for edition in Edition::ALL {
        let gateway = gateway(edition, || {
            RunScript::silent()
                .fails("the model is on fire")
                .attempts(1)
        })
        .await;
        let host = Host::new();
        let ended = run(&host, &gateway, &["hi", "--json"]).run().await;
        ended.ended_with(15);
        assert_eq!(ended.last()["outcome"], "failed");
        ended.says(&["on fire"]);
    }
}

#[tokio::test]
async fn a_run_that_the_gateway_refuses_ends_with_15() {
    let gateway = gateway(Edition::V2026_9_6, || RunScript::text(TEXT)).await;
    let host = Host::new();
    let arguments = ["hi", "--scopes", "operator.read", "--json"];
    let ended = run(&host, &gateway, &arguments).run().await;
    ended.ended_with(15);
    assert_eq!(ended.last()["kind"], "call_refused");
    ended.says(&["operator.write"]);
}

#[tokio::test]
async fn a_run_is_followed_over_a_lost_connection() {
    for edition in Edition::ALL {
        let gateway = gateway(edition, || {
            RunScript::text(TEXT)
                .deltas(6)
                .delay_per_delta(Duration::from_millis(400))
        })
        .await;
        let host = Host::new();
        let mut running = run(&host, &gateway, &["hi", "--json"]).start();
        running.line("text", |line| line["item"] == "text").await;
        gateway.inject(Fault::drop_connection());
        running
            .line("interrupted", |line| line["item"] == "interrupted")
            .await;
        let ended = running.ended().await;
        ended.ended_with(0);
        assert_eq!(ended.last()["text"], TEXT);
    }
}

#[tokio::test]
async fn a_run_that_a_restart_has_swallowed_ends_with_16() {
    let gateway = gateway(Edition::V2026_2_9, || {
        RunScript::text(TEXT).deltas(3).hangs()
    })
    .await;
    let host = Host::new();
    let mut running = run(&host, &gateway, &["hi", "--json"]).start();
    running.line("text", |line| line["item"] == "text").await;
    gateway.restart().await.unwrap();
    let ended = running.ended().await;
    ended.ended_with(16);
    assert_eq!(ended.last()["outcome"], "lost");
}

#[tokio::test]
async fn a_signal_stops_the_run_and_the_second_one_leaves() {
    let gateway = gateway(Edition::V2026_9_6, || {
        RunScript::text(TEXT).deltas(3).hangs()
    })
    .await;
    let host = Host::new();
    let mut running = run(&host, &gateway, &["hi", "--json"]).start();
    running.line("text", |line| line["item"] == "text").await;
    running.signal("INT").await;
    let ended = running.ended().await;
    ended.ended_with(130);
    assert_eq!(ended.last()["outcome"], "aborted");

    // 2026.2.9 cannot stop a run of `agent`.
    let old = self::gateway(Edition::V2026_2_9, || {
        RunScript::text(TEXT).deltas(3).hangs()
    })
    .await;
    let mut running = run(&host, &old, &["hi", "--json"]).start();
    running.line("text", |line| line["item"] == "text").await;
    running.signal("TERM").await;
    while !old
        .frames()
        .iter()
        .any(|frame| frame.json["method"] == "chat.abort")
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.signal("TERM").await;
    running.ended().await.ended_with(143);
}
