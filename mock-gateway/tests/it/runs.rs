//! Scripted runs against what real gateways were recorded to send: the order of the frames, their numbers
//! and their fields.

use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, On, Run, partial_json};
use serde_json::{Value, json};

use crate::client::{Ask, Client, Device, READ_WRITE, accepted, mock, paired};
use crate::shape::{Lines, agree, expected, history, names, seen};

const OLD: Edition = Edition::V2026_2_9;
const NEW: Edition = Edition::V2026_9_6;
const DELTA: Duration = Duration::from_millis(110);
const KEY: &str = "agent:main:tests";

async fn client(gateway: &MockGateway, device: &Device, caps: &[&'static str]) -> Client {
    if gateway.paired().is_empty() {
        paired(gateway, device).await;
    }
    let mut ask = Ask::new(gateway, device);
    ask.caps = caps.to_vec();
    accepted(gateway, Locality::Remote, &ask).await.0
}

fn params(key: &str) -> Value {
    json!({"message": "hi", "idempotencyKey": key, "sessionKey": KEY})
}

fn wait(key: &str) -> Value {
    json!({"runId": key, "timeoutMs": 600_000})
}

fn history_of() -> Value {
    json!({"sessionKey": KEY})
}

fn spoken(text: &str, deltas: usize) -> Run {
    Run::text(text).deltas(deltas).delay_per_delta(DELTA)
}

fn reading() -> Run {
    spoken("I read the file.", 3)
        .delay_per_delta(Duration::from_millis(60))
        .tool("read", json!({"path": "hello.txt"}), "file content\n")
}

#[tokio::test(start_paused = true)]
async fn an_agent_run_is_told_as_recorded() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        On::method("agent")
            .respond(spoken("One two three four five six seven eight.", 6))
            .expect(1)
            .mount(&gateway);
        let mut client = client(&gateway, &device, &[]).await;
        client.request("agent", params("a1")).await;
        let frames = seen(&mut client, &Lines::until("agent res ok ok")).await;
        agree(edition, "agent", &frames.lines);
        assert_eq!(
            frames.last["payload"]["result"]["payloads"][0]["text"],
            "One two three four five six seven eight."
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_chat_run_is_told_as_recorded() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|request| {
            assert_eq!(
                (request.method.as_str(), request.message.as_str()),
                ("chat.send", "hi")
            );
            spoken("Alpha beta gamma delta epsilon zeta.", 5)
        });
        let mut client = client(&gateway, &device, &[]).await;
        client.request("chat.send", params("c1")).await;
        let mut frames = seen(&mut client, &Lines::until("+chat final")).await;
        client.request("agent.wait", wait("c1")).await;
        frames.add(seen(&mut client, &Lines::until("agent.wait res")).await);
        agree(edition, "chat", &frames.lines);
        let answer = client.call("chat.history", history_of()).await;
        agree(edition, "chat-history", &history(&answer));
        assert_eq!(
            answer["payload"]["messages"][1]["content"][0]["text"],
            "Alpha beta gamma delta epsilon zeta."
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_starter_with_the_capability_sees_tools() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| reading());
        let mut starter = client(&gateway, &device, &["tool-events"]).await;
        let mut other = client(&gateway, &device, &["tool-events"]).await;
        starter.request("agent", params("t1")).await;
        let frames = seen(&mut starter, &Lines::until("agent res ok ok")).await;
        agree(edition, "tool", &frames.lines);
        let until = match edition {
            OLD => "+chat final",
            _ => "+task completed",
        };
        let frames = seen(&mut other, &Lines::until(until)).await;
        agree(edition, "tool-others", &frames.lines);
        let answer = starter.call("chat.history", history_of()).await;
        agree(edition, "tool-history", &history(&answer));
        starter.request("agent.wait", wait("t1")).await;
        seen(&mut starter, &Lines::until("agent.wait res")).await;

        let mut plain = client(&gateway, &device, &[]).await;
        plain.request("agent", params("t2")).await;
        let frames = seen(&mut plain, &Lines::until("agent res ok ok")).await;
        assert!(
            !names(&frames.lines)
                .iter()
                .any(|name| name.contains("tool/")),
            "{frames:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_edition_shows_tools_to_verbose_sessions() {
    for (level, fixture) in [("full", "tool-verbose"), ("on", "tool-verbose-on")] {
        let (gateway, device) = (mock(OLD), Device::new(1));
        gateway.script_runs(|_| Run::text("done").tool("exec", json!({"command": "echo x"}), "x"));
        let scopes = [READ_WRITE[0], READ_WRITE[1], "operator.admin"];
        let mut ask = Ask::new(&gateway, &device);
        ask.scopes = scopes.to_vec();
        ask.caps = vec!["tool-events"];
        let (mut client, _) = accepted(&gateway, Locality::Local, &ask).await;
        let patch = json!({"key": KEY, "verboseLevel": level});
        assert_eq!(client.call("sessions.patch", patch).await["ok"], true);
        client.request("agent", params("v1")).await;
        let frames = seen(&mut client, &Lines::until("agent res ok ok")).await;
        agree(OLD, fixture, &frames.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_end_with_the_run_or_with_their_time() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| {
            spoken("Waited for answer.", 3).delay_first(Duration::from_millis(2500))
        });
        let mut client = client(&gateway, &device, &[]).await;
        let mut lines = Vec::new();
        let mut wait_for = async |client: &mut Client, params: Value| {
            client.request("agent.wait", params).await;
            let frames = seen(client, &Lines::answers("agent.wait")).await;
            lines.extend(frames.lines);
        };
        for limit in [0, 300] {
            let params = json!({"runId": "no-such-run", "timeoutMs": limit});
            wait_for(&mut client, params).await;
        }
        wait_for(&mut client, json!({})).await;
        client.request("agent", params("w1")).await;
        for limit in [200, 30_000] {
            wait_for(&mut client, json!({"runId": "w1", "timeoutMs": limit})).await;
        }
        seen(&mut client, &Lines::until("agent res ok ok")).await;
        wait_for(&mut client, json!({"runId": "w1", "timeoutMs": 0})).await;
        agree(edition, "wait", &lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_starts_nothing() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| spoken("Once.", 3));
        let mut client = client(&gateway, &device, &[]).await;
        let other = json!({"message": "other", "idempotencyKey": "k1", "sessionKey": "elsewhere"});
        let mut lines = Vec::new();
        for params in [params("k1"), params("k1"), other] {
            client.request("agent", params).await;
            lines.extend(seen(&mut client, &Lines::answers("agent")).await.lines);
        }
        for params in [None, Some(params("k1"))] {
            if let Some(params) = params {
                client.request("agent", params).await;
            }
            lines.extend(seen(&mut client, &Lines::answers("agent")).await.lines);
        }
        agree(edition, "agent-again", &lines);

        let chat = |message| json!({"message": message, "idempotencyKey": "k2", "sessionKey": KEY});
        let mut lines = Vec::new();
        let mut send = async |client: &mut Client, message: &'static str| {
            client.request("chat.send", chat(message)).await;
            let frames = seen(client, &Lines::answers("chat.send")).await;
            lines.extend(frames.lines);
            frames.last
        };
        send(&mut client, "hi").await;
        send(&mut client, "hi").await;
        client.request("agent.wait", wait("k2")).await;
        seen(&mut client, &Lines::until("agent.wait res")).await;
        for message in ["hi", "hi", "other", "hi"] {
            send(&mut client, message).await;
        }
        // Recorded: started, in flight, over; then, on another connection: in flight, conflict, over, conflict.
        let fixture = expected(edition, "chat-again");
        let [started, in_flight, over, _, conflict, ..] = &fixture[..] else {
            panic!("{fixture:?}");
        };
        let other = match edition {
            OLD => over,
            _ => conflict,
        };
        assert_eq!(
            lines,
            [started, in_flight, over, over, other, over].map(String::as_str)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_agent_run_is_told_twice() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|_| spoken("Partial text before the abort", 4).hangs());
    let mut client = client(&gateway, &device, &[]).await;
    client.request("agent", params("x1")).await;
    let mut frames = seen(&mut client, &Lines::count("+chat delta", 1)).await;
    client.request("agent.wait", wait("x1")).await;
    frames.add(seen(&mut client, &Lines::count("+chat delta", 3)).await);
    let abort = |run: Option<&str>| {
        let mut params = json!({"sessionKey": KEY});
        if let Some(run) = run {
            params["runId"] = run.into();
        }
        params
    };
    client.request("chat.abort", abort(Some("x1"))).await;
    frames.add(seen(&mut client, &Lines::until("agent res ok timeout")).await);
    client.request("agent.wait", wait("x1")).await;
    for run in [Some("x1"), Some("nope"), None] {
        client.request("chat.abort", abort(run)).await;
    }
    client.request("agent", params("x1")).await;
    frames.add(seen(&mut client, &Lines::until("agent res")).await);
    agree(NEW, "agent-abort", &frames.lines);
    let answer = client.call("chat.history", history_of()).await;
    agree(NEW, "agent-abort-history", &history(&answer));
    assert_eq!(
        answer["payload"]["messages"][1]["content"][0]["text"],
        "Partial text before the abort"
    );
}

#[tokio::test(start_paused = true)]
async fn an_aborted_chat_run_is_told_as_recorded() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        let pause = Duration::from_millis(160);
        gateway.script_runs(move |_| {
            spoken("Partial text before the abort", 4)
                .delay_per_delta(pause)
                .hangs()
        });
        let mut client = client(&gateway, &device, &[]).await;
        client.request("chat.send", params("x2")).await;
        let mut frames = seen(&mut client, &Lines::count("+chat delta", 4)).await;
        client
            .request("chat.abort", json!({"sessionKey": KEY}))
            .await;
        let until = match edition {
            OLD => "chat.abort res",
            _ => "+agent lifecycle/error",
        };
        frames.add(seen(&mut client, &Lines::until(until)).await);
        let wait = json!({"runId": "x2", "timeoutMs": 500});
        client.request("agent.wait", wait).await;
        frames.add(seen(&mut client, &Lines::until("agent.wait res")).await);
        if edition == OLD {
            client.request("chat.send", params("x2")).await;
            frames.add(seen(&mut client, &Lines::until("chat.send res")).await);
        }
        agree(edition, "chat-abort", &frames.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn runs_are_aborted_by_their_owner_only_where_there_is_one() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        let (owner, stranger) = (Device::new(1), Device::new(2));
        gateway.script_runs(|_| Run::text("x").hangs());
        let mut first = client(&gateway, &owner, &[]).await;
        paired(&gateway, &stranger).await;
        let ask = Ask::new(&gateway, &stranger);
        let (mut other, _) = accepted(&gateway, Locality::Remote, &ask).await;
        first.request("chat.send", params("o1")).await;
        seen(&mut first, &Lines::until("+chat delta")).await;
        let abort = json!({"sessionKey": KEY, "runId": "o1"});
        let answer = other.call("chat.abort", abort.clone()).await;
        match edition {
            OLD => assert_eq!(answer["payload"]["runIds"], json!(["o1"])),
            _ => {
                assert_eq!(answer["error"]["message"], "unauthorized");
                let wrong = json!({"sessionKey": "agent:main:other", "runId": "o1"});
                let answer = first.call("chat.abort", wrong).await;
                assert_eq!(
                    answer["error"]["message"],
                    "runId does not match sessionKey"
                );
                drop(first);
                let mut again = client(&gateway, &owner, &[]).await;
                let answer = again
                    .call("sessions.abort", json!({"key": KEY, "runId": "o1"}))
                    .await;
                assert_eq!(
                    answer["payload"],
                    json!({"ok": true, "abortedRunId": "o1", "status": "aborted"})
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn agent_runs_of_the_old_edition_cannot_be_aborted() {
    let (gateway, device) = (mock(OLD), Device::new(1));
    gateway.script_runs(|_| spoken("Going on", 4));
    let mut client = client(&gateway, &device, &[]).await;
    client.request("agent", params("n1")).await;
    seen(&mut client, &Lines::until("+chat delta")).await;
    let abort = json!({"sessionKey": KEY, "runId": "n1"});
    let answer = client.call("chat.abort", abort).await;
    assert_eq!(
        answer["payload"],
        json!({"ok": true, "aborted": false, "runIds": []})
    );
    let frames = seen(&mut client, &Lines::until("agent res ok ok")).await;
    assert_eq!(
        frames.last["payload"]["result"]["payloads"][0]["text"],
        "Going on"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_model_is_told_as_recorded() {
    for edition in Edition::ALL {
        for (method, fixture) in [("agent", "agent-error"), ("chat.send", "chat-error")] {
            let (gateway, device) = (mock(edition), Device::new(1));
            gateway.script_runs(|_| {
                Run::silent()
                    .fails("the model is on fire")
                    .delay_per_delta(DELTA)
            });
            let mut client = client(&gateway, &device, &[]).await;
            client.request(method, params("f1")).await;
            let mut frames = match (edition, method) {
                (_, "agent") => {
                    let frames = seen(&mut client, &Lines::until("agent res ok accepted")).await;
                    client.request("agent.wait", wait("f1")).await;
                    frames
                }
                (OLD, _) => {
                    let frames = seen(&mut client, &Lines::until("+chat final")).await;
                    client.request("agent.wait", wait("f1")).await;
                    frames
                }
                _ => seen(&mut client, &Lines::count("+chat error", 2)).await,
            };
            let until = match (edition, method) {
                (OLD, "agent") => "agent res ok ok",
                (OLD, _) => "+agent lifecycle/end #8",
                (_, "agent") => "agent res error",
                _ => "agent.wait res",
            };
            if (edition, method) == (NEW, "chat.send") {
                client.request("agent.wait", wait("f1")).await;
            }
            frames.add(seen(&mut client, &Lines::until(until)).await);
            client.request(method, params("f1")).await;
            frames.add(seen(&mut client, &Lines::until(&format!("{method} res"))).await);
            if let Some(text) = frames.last["payload"]["summary"]
                .as_str()
                .filter(|_| edition == NEW)
            {
                assert!(text.contains("the model is on fire"), "{text}");
            }
            agree(edition, fixture, &frames.lines);
            if method == "agent" {
                let answer = client.call("chat.history", history_of()).await;
                agree(edition, "agent-error-history", &history(&answer));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_told_as_recorded() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| spoken("Never ends", 2).hangs());
        let mut client = client(&gateway, &device, &[]).await;
        let mut params = params("l1");
        params["timeout"] = 3.into();
        client.request("agent", params).await;
        client.request("agent.wait", wait("l1")).await;
        let until = match edition {
            OLD => "agent res ok ok",
            _ => "agent res ok timeout",
        };
        let frames = seen(&mut client, &Lines::until(until)).await;
        agree(edition, "timeout", &frames.lines);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_busy_session_is_answered_in_the_run_that_works() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|request| match request.run_id.as_str() {
        "q3" => spoken("Third answer.", 5),
        _ => spoken("Fourth answer.", 2),
    });
    let mut client = client(&gateway, &device, &[]).await;
    client.request("chat.send", params("q3")).await;
    let mut frames = seen(&mut client, &Lines::until("+chat delta")).await;
    client.request("chat.send", params("q4")).await;
    frames.add(seen(&mut client, &Lines::until("+chat final #18")).await);
    agree(NEW, "steer", &frames.lines);
    let text = &frames.last["payload"]["message"]["content"][0]["text"];
    assert_eq!(text, "Third answer.\n\nFourth answer.");
}

#[tokio::test(start_paused = true)]
async fn a_second_run_waits_for_the_first() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|request| spoken(&request.run_id, 2));
        let mut client = client(&gateway, &device, &[]).await;
        for key in ["q1", "q2"] {
            client.request("agent", params(key)).await;
        }
        let mut order = Vec::new();
        while order.len() < 4 {
            let frame = client.next().await.frame();
            let payload = &frame["payload"];
            if payload["stream"] == "lifecycle"
                && (payload["data"]["phase"] == "start" || payload["data"]["phase"] == "end")
            {
                let phase = payload["data"]["phase"].as_str().expect("a phase");
                order.push(format!(
                    "{} {phase}",
                    payload["runId"].as_str().expect("an id")
                ));
            }
        }
        assert_eq!(order, ["q1 start", "q1 end", "q2 start", "q2 end"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_edition_answers_a_second_message_under_another_id() {
    let (gateway, device) = (mock(OLD), Device::new(1));
    gateway.script_runs(|request| spoken(&request.run_id, 2));
    let mut client = client(&gateway, &device, &[]).await;
    for key in ["q1", "q2"] {
        client.request("chat.send", params(key)).await;
    }
    let mut finals = Vec::new();
    while finals.len() < 3 {
        let frame = client.event("chat").await;
        if frame["payload"]["state"] == "final" {
            finals.push(frame["payload"].clone());
        }
    }
    assert_eq!(finals[0]["runId"], "q2");
    assert_eq!(finals[0]["message"], Value::Null);
    assert_eq!(finals[1]["runId"], "q1");
    assert_eq!(finals[2]["message"]["content"][0]["text"], "q2");
    assert_ne!(finals[2]["runId"], "q2");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_run_is_for_the_connection_that_asked() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|_| spoken("Still here.", 3));
    let mut first = client(&gateway, &device, &[]).await;
    first.request("agent", params("r1")).await;
    seen(&mut first, &Lines::until("+chat delta")).await;
    drop(first);
    let mut second = client(&gateway, &device, &[]).await;
    let running = second.call("chat.history", history_of()).await;
    assert_eq!(running["payload"]["inFlightRun"]["runId"], "r1");
    assert_eq!(running["payload"]["sessionInfo"]["hasActiveRun"], true);
    let waited = second.call("agent.wait", wait("r1")).await;
    assert_eq!(waited["payload"]["terminalReply"]["text"], "Still here.");
    let again = second.call("agent", params("r1")).await;
    assert_eq!(
        again["payload"]["result"]["payloads"][0]["text"],
        "Still here."
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_runs() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|_| Run::text("x").hangs());
    let mut before = client(&gateway, &device, &[]).await;
    before.request("agent", params("r2")).await;
    seen(&mut before, &Lines::until("+chat delta")).await;
    gateway.restart().await.expect("a restart");
    let mut after = client(&gateway, &device, &[]).await;
    let answer = after.call("chat.history", history_of()).await;
    assert_eq!(answer["payload"]["messages"], json!([]));
    let wait = json!({"runId": "r2", "timeoutMs": 0});
    assert_eq!(
        after.call("agent.wait", wait).await["payload"],
        json!({"runId": "r2", "status": "timeout"})
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_are_named_as_each_edition_does() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| Run::text("x"));
        let mut client = client(&gateway, &device, &[]).await;
        let params = json!({"message": "hi", "idempotencyKey": "s1", "sessionKey": "main"});
        client.request("agent", params).await;
        let shown = client.event("agent").await["payload"]["sessionKey"].clone();
        let params = json!({"message": "hi", "idempotencyKey": "S2"});
        client.request("agent", params).await;
        let answer = seen(&mut client, &Lines::until("agent res ok ok")).await;
        assert_eq!(answer.last["payload"]["runId"], "s1");
        let unknown = json!({"message": "hi", "idempotencyKey": "s3", "agentId": "nosuch"});
        match edition {
            OLD => {
                assert_eq!(shown, "main");
                let frames = seen(&mut client, &Lines::until("agent res error error")).await;
                let text = "Error: Pass --to <E.164>, --session-id, or --agent to choose a session";
                assert_eq!(
                    frames.last["error"],
                    json!({"code": "UNAVAILABLE", "message": text})
                );
                assert_eq!(frames.last["payload"]["summary"], text);
            }
            _ => {
                assert_eq!(shown, "agent:main:main");
                let chat = client.event("chat").await;
                assert_eq!(chat["payload"]["sessionKey"], "agent:main:explicit:s2");
            }
        }
        let answer = client.call("agent", unknown).await;
        assert_eq!(
            answer["error"]["message"],
            "invalid agent params: unknown agent id \"nosuch\""
        );
    }
}

#[tokio::test(start_paused = true)]
async fn mounted_runs_go_before_the_default_and_are_chosen_by_parameters() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|request| Run::text(format!("You said: {}", request.message)));
    On::method("agent")
        .with(partial_json(json!({"message": "special"})))
        .respond_with(|params| {
            let message = params["message"].as_str().unwrap_or_default();
            Run::text(format!("Mounted for {message}"))
                .usage(3, 5)
                .into()
        })
        .expect(1)
        .mount(&gateway);
    let mut client = client(&gateway, &device, &[]).await;
    for (key, message, text) in [
        ("m1", "special", "Mounted for special"),
        ("m2", "plain", "You said: plain"),
    ] {
        let params = json!({"message": message, "idempotencyKey": key, "sessionKey": KEY});
        client.request("agent", params).await;
        let answer = seen(&mut client, &Lines::until("agent res ok ok"))
            .await
            .last;
        assert_eq!(answer["payload"]["result"]["payloads"][0]["text"], text);
        let usage = &answer["payload"]["result"]["meta"]["agentMeta"]["usage"];
        let expected = if key == "m1" { (3, 5) } else { (11, 7) };
        assert_eq!(
            (&usage["input"], &usage["output"]),
            (&expected.0.into(), &expected.1.into())
        );
    }
}
