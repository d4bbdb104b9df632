//! Scripted runs against what real gateways were recorded to send: the order of the frames, their numbers
//! and their fields.

use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, On, RunScript};
use serde_json::{Value, json};

use crate::client::{Ask, Client, Device, READ_WRITE, accepted, mock, paired};
use crate::shape::{Lines, agree, expected, history, names, seen};

pub(crate) const OLD: Edition = Edition::V2026_2_9;
pub(crate) const NEW: Edition = Edition::V2026_9_6;
const DELTA: Duration = Duration::from_millis(110);
pub(crate) const KEY: &str = "agent:main:tests";

pub(crate) async fn client(
    gateway: &MockGateway,
    device: &Device,
    caps: &[&'static str],
) -> Client {
    if gateway.paired().is_empty() {
        paired(gateway, device).await;
    }
    let mut ask = Ask::new(gateway, device);
    ask.caps = caps.to_vec();
    accepted(gateway, Locality::Remote, &ask).await.0
}

pub(crate) fn params(key: &str) -> Value {
    json!({"message": "hi", "idempotencyKey": key, "sessionKey": KEY})
}

pub(crate) fn wait(key: &str) -> Value {
    json!({"runId": key, "timeoutMs": 600_000})
}

pub(crate) fn history_of() -> Value {
    json!({"sessionKey": KEY})
}

pub(crate) fn spoken(text: &str, deltas: usize) -> RunScript {
    RunScript::text(text).deltas(deltas).delay_per_delta(DELTA)
}

fn reading() -> RunScript {
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
        if edition == NEW {
            // As in the recording: somebody follows the session.
            let mut follower = client(&gateway, &device, &[]).await;
            follower
                .call("sessions.messages.subscribe", json!({"key": KEY}))
                .await;
            tokio::spawn(async move { follower.end().await });
        }
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
        gateway.script_runs(|_| {
            RunScript::text("done").tool("exec", json!({"command": "echo x"}), "x")
        });
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
async fn a_failing_model_is_told_as_recorded() {
    for edition in Edition::ALL {
        for (method, fixture) in [("agent", "agent-error"), ("chat.send", "chat-error")] {
            let (gateway, device) = (mock(edition), Device::new(1));
            gateway.script_runs(|_| {
                RunScript::silent()
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
