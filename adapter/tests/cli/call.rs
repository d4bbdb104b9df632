//! `openclaw-adapter call`: one method, its answer, and the exit codes.

use std::time::Duration;

use openclaw_mock_gateway::{
    Direction, Edition, ErrorCode, Fault, MockGateway, On, Point, Response,
};
use serde_json::{Value, json};

use crate::host::{Host, Program};

/// The parameters of the last call of this method.
fn asked(gateway: &MockGateway, method: &str) -> Value {
    let frames = gateway.frames();
    let is_it = |frame: &&openclaw_mock_gateway::Frame| {
        frame.direction == Direction::In && frame.json["method"] == method
    };
    let frame = frames.iter().rev().find(is_it).unwrap();
    frame.json["params"].clone()
}

fn call(host: &Host, gateway: &MockGateway, arguments: &[&str]) -> Program {
    let mut all = vec!["call"];
    all.extend(arguments);
    host.program(&all).local(gateway)
}

#[tokio::test]
async fn the_answer_is_one_line_with_json_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let ended = call(&host, &gateway, &["health", "--json"]).run().await;
        ended.ended_with(0);
        assert_eq!(ended.stdout.len(), 1);
        assert_eq!(ended.last()["ok"], true);
        assert_eq!(asked(&gateway, "health"), json!({}));

        let ended = call(&host, &gateway, &["health"]).run().await;
        ended.ended_with(0);
        assert!(ended.stdout.len() > 3, "for a person it is laid out");
        ended.says(&["\"ok\": true"]);
    }
}

#[tokio::test]
async fn parameters_come_from_the_command_line_or_from_standard_input() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let arguments = ["health", r#"{"probe":true}"#, "--json"];
    let ended = call(&host, &gateway, &arguments).run().await;
    ended.ended_with(0);
    assert_eq!(asked(&gateway, "health"), json!({"probe":true}));

    let file = host.write("params.json", "{\n  \"probe\": false\n}\n");
    let ended = call(&host, &gateway, &["health", "-", "--json"])
        .stdin(&file)
        .run()
        .await;
    ended.ended_with(0);
    assert_eq!(asked(&gateway, "health"), json!({"probe":false}));
}

#[tokio::test]
async fn parameters_that_are_not_json_end_with_2_before_anything_is_dialled() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let file = host.write("params.json", "limit: 2");
    let given = call(&host, &gateway, &["health", "{limit:2}", "--json"]);
    let read = call(&host, &gateway, &["health", "-", "--json"]).stdin(&file);
    for program in [given, read] {
        let ended = program.run().await;
        ended.ended_with(2);
        assert_eq!(ended.last()["kind"], "usage");
        ended.says(&["not JSON"]);
    }
    assert_eq!(gateway.connects(), 0);
}

#[tokio::test]
async fn a_call_that_the_gateway_refuses_ends_with_15_and_names_the_scope() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        let arguments = ["cron.remove", r#"{"id":"x"}"#, "--json"];
        let ended = call(&host, &gateway, &arguments).run().await;
        ended.ended_with(15);
        let stopped = ended.last();
        assert_eq!(stopped["kind"], "call_refused");
        assert_eq!(stopped["error"]["missingScope"], "operator.admin");
        assert!(stopped["fix"].as_str().unwrap().contains("--scopes"));
    }
}

#[tokio::test]
async fn the_wait_that_a_refusal_asks_for_is_told_in_whole_milliseconds() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let busy = Response::error(ErrorCode::Unavailable, "busy");
    On::method("health")
        .respond(busy.retryable(Some(Duration::from_millis(1500))))
        .mount(&gateway);
    let ended = call(&host, &gateway, &["health", "--json"]).run().await;
    assert_eq!(ended.last()["error"]["retryable"], true);
    assert_eq!(ended.last()["error"]["retryAfterMs"], 1500);
}

#[tokio::test]
async fn a_connection_that_is_lost_during_the_call_ends_with_16() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    gateway.inject(Fault::close(1011, "internal error").at(Point::AnswerTo("health".into())));
    let ended = call(&host, &gateway, &["health", "--json"]).run().await;
    ended.ended_with(16);
    assert_eq!(ended.last()["kind"], "connection_lost");
    ended.says(&["may have taken effect"]);
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_16_when_its_time_is_over() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    gateway.inject(Fault::never_answer().at(Point::AnswerTo("health".into())));
    let arguments = ["health", "--timeout", "2s", "--json"];
    let ended = call(&host, &gateway, &arguments).run().await;
    ended.ended_with(16);
    ended.says(&["not answered within"]);
}

#[tokio::test]
async fn no_gateway_ends_with_13_a_wrong_token_with_11_and_an_unknown_device_with_10() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let nobody = host.program(&["call", "health", "--json"]);
    let ended = nobody
        .url("ws://127.0.0.1:9")
        .token("token-0123456789")
        .run()
        .await;
    ended.ended_with(13);
    let stranger = host.program(&["call", "health", "--json"]);
    let url = gateway.local_url();
    let ended = stranger.url(&url).token("not-the-token").run().await;
    ended.ended_with(11);
    let ended = host
        .program(&["call", "health", "--json"])
        .remote(&gateway)
        .run()
        .await;
    ended.ended_with(10);
    ended.says(&["openclaw devices approve"]);
}
