//! Whose runs are whose: sessions, owners, connections, restarts.

use openclaw_mock_gateway::{Edition, Locality, On, RunScript, partial_json};
use serde_json::{Value, json};

use crate::client::{Ask, Device, Got, accepted, mock, paired};
use crate::runs::{KEY, NEW, OLD, client, history_of, params, spoken, wait};
use crate::shape::{Lines, seen};

#[tokio::test(start_paused = true)]
async fn runs_are_aborted_by_their_owner_only_where_there_is_one() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        let (owner, stranger) = (Device::new(1), Device::new(2));
        gateway.script_runs(|_| RunScript::text("x").hangs());
        let mut first = client(&gateway, &owner, &[]).await;
        paired(&gateway, &stranger).await;
        let ask = Ask::new(&gateway, &stranger);
        let (mut other, _) = accepted(&gateway, Locality::Remote, &ask).await;
        first.request("chat.send", params("o1")).await;
        seen(&mut first, &Lines::until("+chat delta")).await;
        let abort = json!({"sessionKey": KEY, "runId": "o1"});
        let answer = other.call("chat.abort", abort.clone()).await;
        if edition == OLD {
            assert_eq!(answer["payload"]["runIds"], json!(["o1"]));
        } else {
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
    gateway.script_runs(|_| RunScript::text("x").hangs());
    let mut before = client(&gateway, &device, &[]).await;
    before.request("agent", params("r2")).await;
    seen(&mut before, &Lines::until("+chat delta")).await;
    gateway.restart().await.expect("a restart");
    let mut after = client(&gateway, &device, &[]).await;
    let answer = after.call("chat.history", history_of()).await;
    let messages = answer["payload"]["messages"].as_array().expect("rows");
    assert_eq!((messages.len(), &messages[0]["role"]), (1, &json!("user")));
    assert_eq!(answer["payload"]["inFlightRun"], Value::Null);
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
        gateway.script_runs(|_| RunScript::text("x"));
        let mut client = client(&gateway, &device, &[]).await;
        let params = json!({"message": "hi", "idempotencyKey": "s1", "sessionKey": "main"});
        client.request("agent", params).await;
        let shown = client.event("agent").await["payload"]["sessionKey"].clone();
        let params = json!({"message": "hi", "idempotencyKey": "S2"});
        client.request("agent", params).await;
        let answer = seen(&mut client, &Lines::until("agent res ok ok")).await;
        assert_eq!(answer.last["payload"]["runId"], "s1");
        let unknown = json!({"message": "hi", "idempotencyKey": "s3", "agentId": "nosuch"});
        if edition == OLD {
            assert_eq!(shown, "main");
            let frames = seen(&mut client, &Lines::until("agent res error error")).await;
            let text = "Error: Pass --to <E.164>, --session-id, or --agent to choose a session";
            assert_eq!(
                frames.last["error"],
                json!({"code": "UNAVAILABLE", "message": text})
            );
            assert_eq!(frames.last["payload"]["summary"], text);
        } else {
            assert_eq!(shown, "agent:main:main");
            let chat = client.event("chat").await;
            assert_eq!(chat["payload"]["sessionKey"], "agent:main:explicit:s2");
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
    gateway.script_runs(|request| RunScript::text(format!("You said: {}", request.message)));
    On::method("agent")
        .with(partial_json(json!({"message": "special"})))
        .respond_with(|params| {
            let message = params["message"].as_str().unwrap_or_default();
            RunScript::text(format!("Mounted for {message}"))
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

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_runs_where_the_edition_does() {
    for edition in Edition::ALL {
        let (gateway, device) = (mock(edition), Device::new(1));
        gateway.script_runs(|_| spoken("One two three four.", 4));
        let mut client = client(&gateway, &device, &[]).await;
        client.request("agent", params("d1")).await;
        seen(&mut client, &Lines::until("+chat delta")).await;
        let (mut answers, mut ended, mut texts) = (Vec::new(), false, 0);
        let watching = async {
            // The first thing that is asked while the gateway goes down.
            client.request("health", json!({})).await;
            loop {
                match client.next().await {
                    Got::Frame(frame) if frame["type"] == "res" => answers.push(frame),
                    Got::Frame(frame) if frame["event"] == "agent" => {
                        texts += usize::from(frame["payload"]["stream"] == "assistant");
                        ended |= frame["payload"]["data"]["phase"] == "end";
                    }
                    Got::Frame(_) => {}
                    Got::Closed(code, reason) => return (code, reason),
                    Got::Lost => panic!("the connection is lost"),
                }
            }
        };
        let (closed, ()) = tokio::join!(watching, gateway.stop());
        assert_eq!(closed, (1012, "service restart".to_owned()));
        if edition == OLD {
            assert!(!ended, "2026.2.9 drops its runs");
        } else {
            assert!(ended && texts > 0, "2026.9.6 lets its runs end");
            let health = &answers[0]["error"];
            assert_eq!(
                health["message"],
                "health unavailable during gateway restart"
            );
            assert_eq!(health["retryAfterMs"], 1000);
            assert_eq!(health["details"]["reason"], "gateway-restarting");
            assert!(
                answers
                    .iter()
                    .any(|answer| answer["payload"]["status"] == "ok")
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_a_run_that_hangs_up_in_the_end() {
    let (gateway, device) = (mock(NEW), Device::new(1));
    gateway.script_runs(|_| RunScript::text("x").hangs());
    let mut client = client(&gateway, &device, &[]).await;
    client.request("agent", params("d2")).await;
    seen(&mut client, &Lines::until("+chat delta")).await;
    let began = tokio::time::Instant::now();
    gateway.stop().await;
    assert_eq!(began.elapsed().as_secs(), 315);
}
