use std::time::Duration;

use openclaw_mock_gateway::{Locality, MockGateway, Pairing, Scenario};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{Ask, Client, Device, Got, accepted};
use crate::schema;

const EXAMPLE: &str = include_str!("../../scenario.example.json");
const SCHEMA: &str = include_str!("../../scenario.schema.json");

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn scenario(value: &Value) -> Scenario {
    value.to_string().parse().expect("a scenario")
}

fn refused(value: &Value) -> String {
    let error = value.to_string().parse::<Scenario>();
    error.expect_err("no scenario").to_string()
}

fn open(scenario: Scenario) -> MockGateway {
    MockGateway::builder()
        .token("t0ken")
        .pairing(Pairing::Auto)
        .strict(false)
        .scenario(scenario)
        .build()
}

async fn live(gateway: &MockGateway) -> Client {
    let device = Device::new(60);
    accepted(gateway, Locality::Remote, &Ask::new(gateway, &device))
        .await
        .0
}

#[tokio::test(start_paused = true)]
async fn the_example_is_played_from_the_first_client_on() {
    let begin = Instant::now();
    let gateway = open(EXAMPLE.parse().expect("a scenario"));
    for _ in 0..2 {
        let response = Client::turned_away(&gateway, Locality::Remote, &[]).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.body().as_deref(), Some(b"later".as_slice()));
    }
    let mut client = live(&gateway).await;
    let sessions = client.call("sessions.list", json!({})).await;
    assert_eq!(sessions["payload"], json!({"sessions": []}));

    let agent = json!({"message": "hi", "idempotencyKey": "k", "sessionKey": "broken"});
    let lost = client.call("agent", agent.clone());
    assert!(timeout(Duration::from_millis(500), lost).await.is_err());
    let away = client.call("agent", agent).await["error"].take();
    assert_eq!(
        away,
        json!({"code": "UNAVAILABLE", "message": "the model is away", "retryable": true, "retryAfterMs": 5000})
    );
    let asked = Instant::now();
    let waited = client.call("agent.wait", json!({"runId": "r1"})).await;
    assert_eq!(waited["payload"]["status"], "ok");
    assert_eq!(asked.elapsed().as_millis() / 200, 1);

    let finished = client.event("cron").await;
    assert_eq!(finished["payload"]["jobId"], "nightly");
    assert_eq!(begin.elapsed().as_secs(), 2);

    assert_eq!(client.end().await, Got::Lost);
    assert_eq!(begin.elapsed().as_secs(), 120);
    // Armed after a minute, cleared a second after the drop.
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut again = live(&gateway).await;
    again.call("sessions.list", json!({})).await;
}

#[test]
fn the_scenario_in_the_readme_is_one() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```json\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    text.parse::<Scenario>().expect("a scenario");
    let schema = json_of(SCHEMA);
    assert!(schema::fits(&schema, &schema, &json_of(text)));
}

#[tokio::test(start_paused = true)]
async fn events_are_pushed_again_and_again_and_in_the_order_of_the_file() {
    let gateway = open(scenario(&json!({"events": [
        {"event": "chat", "payload": 1, "afterMs": 1000, "everyMs": 2000, "times": 2},
        {"event": "chat", "payload": 2, "afterMs": 3000},
    ]})));
    let begin = Instant::now();
    let mut client = live(&gateway).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = client.event("chat").await;
        seen.push((begin.elapsed().as_secs(), event["payload"].clone()));
    }
    assert_eq!(seen, [(1, json!(1)), (3, json!(1)), (3, json!(2))]);
    let more = timeout(Duration::from_secs(20), client.event("chat"));
    assert!(more.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_scenario_can_be_played_on_a_gateway_that_runs() {
    let gateway = open(scenario(&json!({})));
    let mut client = live(&gateway).await;
    gateway.play(&scenario(&json!({
        "methods": [{"method": "made.up", "respond": [{"ok": 1}]}, {"method": "made.up.too"}],
        "faults": [{"fault": "close", "code": 4000, "reason": "enough", "afterMs": 5000}],
    })));
    assert_eq!(client.call("made.up", json!({})).await["payload"], 1);
    assert_eq!(
        client.call("made.up.too", json!({})).await["payload"],
        json!({})
    );
    let begin = Instant::now();
    assert_eq!(client.end().await, Got::Closed(4000, "enough".into()));
    assert_eq!(begin.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn runs_follow_the_script_whose_parameters_they_have() {
    let gateway = open(scenario(&json!({"runs": [
        {"text": "Yes, and yes.", "deltas": 2, "usage": {"input": 5, "output": 6}},
        {
            "with": {"message": "list"}, "text": "Two files.",
            "tools": [{"name": "exec", "args": {"command": "ls"}, "result": "a b"}],
        },
        {"with": {"message": "break"}, "text": "Well, ", "fails": "on fire", "attempts": 2},
        {"with": {"message": "stop"}, "text": "Soon", "hangs": true},
    ]})));
    let mut client = live(&gateway).await;
    let mut last = async |message: &str, method: &str| {
        let params = json!({
            "message": message, "idempotencyKey": message, "sessionKey": format!("agent:main:{message}"),
        });
        let first = client.call(method, params).await["payload"].take();
        assert_eq!(first["runId"], message, "{first}");
        let wait = json!({"runId": message, "timeoutMs": 1000});
        let waited = client.call("agent.wait", wait).await["payload"].take();
        let history = json!({"sessionKey": format!("agent:main:{message}")});
        let history = client.call("chat.history", history).await["payload"].take();
        (waited, history["messages"].clone())
    };
    for method in ["agent", "chat.send"] {
        let (waited, _) = last(&format!("any {method}"), method).await;
        assert_eq!(waited["terminalReply"]["text"], "Yes, and yes.", "{waited}");
    }
    let (waited, rows) = last("list", "agent").await;
    assert_eq!(waited["terminalReply"]["text"], "Two files.");
    assert_eq!(rows[2]["content"][0]["text"], "a b", "{rows}");
    let (waited, _) = last("break", "chat.send").await;
    assert_eq!(waited["status"], "error", "{waited}");
    let (waited, _) = last("stop", "agent").await;
    assert_eq!(waited, json!({"runId": "stop", "status": "timeout"}));
    assert_eq!(gateway.finish(), None);
}

#[tokio::test(start_paused = true)]
async fn a_scenario_says_how_many_calls_there_have_to_be() {
    let gateway = open(scenario(&json!({
        "methods": [{"method": "made.up", "with": {"a": 1}, "expect": 2}],
        "runs": [{"text": "Hi", "expect": {"least": 1}}, {"with": {"message": "no"}, "expect": {"most": 0}}],
    })));
    let mut client = live(&gateway).await;
    client.call("made.up", json!({"a": 1})).await;
    let run = json!({"message": "no", "idempotencyKey": "k", "sessionKey": "agent:main:s"});
    client.call("agent", run).await;
    let report = gateway.finish().expect("a report");
    for line in [
        "- made.up with parameters containing {\"a\":1} was called 1 times, expected 2 times",
        "- agent or chat.send or sessions.send was called 0 times, expected at least 1 times",
        "- agent or chat.send or sessions.send with parameters containing {\"message\":\"no\"} was called 1 \
         times, expected 0 times",
    ] {
        assert!(report.contains(line), "{report}");
    }
}

#[tokio::test]
async fn tcp_is_refused_for_as_long_as_the_scenario_says() {
    let text =
        json!({"faults": [{"fault": "refuse_tcp"}, {"fault": "clear_faults", "afterMs": 300}]});
    let gateway = MockGateway::builder()
        .scenario(scenario(&text))
        .start()
        .await;
    let address = gateway.url().replace("ws://", "");
    let until = async |wanted: bool| {
        while tokio::net::TcpStream::connect(&address).await.is_ok() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for wanted in [false, true] {
        let seen = timeout(Duration::from_secs(10), until(wanted)).await;
        seen.expect("first refused, then accepted");
    }
}

#[test]
fn a_bad_file_is_refused_with_its_path_the_place_and_what_is_expected() {
    let dir = std::env::temp_dir().join(format!("scenario-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("bad.json");
    let said = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let error = Scenario::load(&path).expect_err("no scenario").to_string();
        error
            .strip_prefix(&format!("{}: ", path.display()))
            .expect("the path")
            .to_owned()
    };
    assert_eq!(
        said("{\n  \"faults\": [,]}"),
        "line 2, column 14: expected JSON"
    );
    assert_eq!(
        said(r#"{"faults": [{"fault": "close", "code": 1011}, {"fault": "close"}]}"#),
        "faults[1]: expected a member code, found none"
    );
    std::fs::remove_dir_all(&dir).expect("removed");
    let missing = Scenario::load(&path).expect_err("no file").to_string();
    assert_eq!(
        missing,
        format!("cannot read the scenario {}", path.display())
    );

    assert_eq!(
        refused(&json!([])),
        "scenario: the whole file: expected an object, found a list"
    );
    assert_eq!(
        refused(&json!({"fault": []})),
        "scenario: the whole file: expected only $schema, description, faults, methods, runs, events, found \"fault\""
    );
    assert_eq!(
        refused(&json!({"faults": [{"fault": "delay", "ms": 1, "at": "hello"}]})),
        "scenario: faults[0].at: expected \"answer\" or {\"answerTo\": \"METHOD\"}, found text"
    );
    assert_eq!(
        refused(&json!({"faults": [{"fault": "silence", "times": 3}]})),
        "scenario: faults[0]: expected a point other than \"now\" in at, beside times, found an object"
    );
    assert_eq!(
        refused(
            &json!({"methods": [{"method": "m", "respond": [{"ok": 1}, {"error": {"code": "X", "message": ""}}]}]})
        ),
        "scenario: methods[0].respond[1].error.code: expected INVALID_REQUEST, UNAVAILABLE, FORBIDDEN, NOT_PAIRED, \
         APPROVAL_NOT_FOUND or AGENT_TIMEOUT, found text"
    );
    assert!(
        refused(&json!({"faults": [{"fault": "fire"}]}))
            .starts_with("scenario: faults[0].fault: expected a fault: ")
    );
}

/// Every fault with every point, and every kind of step.
fn examples() -> Vec<Value> {
    let mut all = vec![json_of(EXAMPLE)];
    let words = json_of(SCHEMA);
    let kinds = words["$defs"]["fault"]["allOf"][0]["oneOf"]
        .as_array()
        .expect("faults");
    for kind in kinds {
        let name = &kind["properties"]["fault"];
        let names = name.get("enum").map_or_else(
            || vec![name["const"].clone()],
            |list| list.as_array().expect("names").clone(),
        );
        for name in names {
            let mut fault = json!({"fault": name});
            for (member, value) in [
                ("status", json!(200)),
                ("ms", json!(5)),
                ("code", json!(1006)),
                ("numbers", json!(2)),
                ("bytes", json!(9)),
                ("depth", json!(3)),
            ] {
                if kind["properties"].get(member).is_some() {
                    fault[member] = value;
                }
            }
            all.push(json!({"faults": [fault]}));
            let points =
                ["now", "challenge", "connect", "hello", "answer", "upgrade"].map(Value::from);
            for at in points.into_iter().chain([json!({"answerTo": "m"})]) {
                for times in [None, Some(json!(2)), Some(json!("always"))] {
                    let mut fault = fault.clone();
                    fault["at"] = at.clone();
                    if let Some(times) = times {
                        fault["times"] = times;
                    }
                    all.push(json!({"faults": [fault]}));
                }
            }
        }
    }
    all.push(
        json!({"methods": [{"method": "m", "with": {"a": [1]}, "respond": [
            {"ok": null}, {"event": "e"}, {"waitMs": 0}, {"never": true},
            {"error": {"code": "FORBIDDEN", "message": "", "details": {"a": 1}, "retryable": true}},
        ], "expect": 2}]}),
    );
    all.push(json!({"runs": [{
        "with": {"message": "m"}, "expect": {"least": 1, "most": 2}, "text": "t", "deltas": 2,
        "tools": [{"name": "exec", "args": {"command": "ls"}, "result": "", "isError": true}],
        "reasoning": "r", "delayFirstMs": 1, "delayPerDeltaMs": 2, "fails": "f", "attempts": 3,
        "usage": {"input": 1, "output": 2},
    }]}));
    all.push(json!({"runs": [{"hangs": true}, {"text": "", "expect": {"most": 0}}]}));
    all
}

/// Everything that one change makes of a value: a member or item gone, replaced, or one too many.
fn changed(value: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(2.5),
        json!(3.0),
        json!(600),
        json!(1e12),
        json!(""),
        json!("x".repeat(200)),
        json!("ä".repeat(123)),
        json!([]),
        json!({}),
    ]
    .into();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                all.push(without.into());
                for change in changed(item) {
                    let mut with = items.clone();
                    with[index] = change;
                    all.push(with.into());
                }
            }
        }
        Value::Object(members) => {
            for extra in ["extra", "at", "times", "everyMs"] {
                if !members.contains_key(extra) {
                    let mut with = members.clone();
                    with.insert(extra.into(), json!(1));
                    all.push(with.into());
                }
            }
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                all.push(without.into());
                for change in changed(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), change);
                    all.push(with.into());
                }
            }
        }
        _ => {}
    }
    all
}

#[test]
fn the_schema_and_the_parser_say_the_same() {
    let schema = json_of(SCHEMA);
    let mut counts = [0_usize; 2];
    let mut judge = |value: &Value| {
        let parsed = value.to_string().parse::<Scenario>();
        let fits = schema::fits(&schema, &schema, value);
        assert_eq!(parsed.is_ok(), fits, "{value} is {parsed:?} to the parser");
        counts[usize::from(fits)] += 1;
    };
    for example in examples() {
        judge(&example);
        // One with a point differs from one without in nothing else.
        if example["faults"][0]["at"].is_string() && example.get("methods").is_none() {
            continue;
        }
        for change in changed(&example) {
            judge(&change);
        }
    }
    assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
}
