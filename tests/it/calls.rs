//! What becomes of a call, on virtual time, against a peer played by hand.

use std::time::Duration;

use openclaw_adapter::{
    AnswerMode, Client, Delivery, Effect, Error, Method, QueueMode, Recovery, TypedCall, WhenDown,
};
use openclaw_tests::peer::{Link, builder, old_hello, ready, start};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A call under way.
fn call(client: &Client, method: &'static str) -> JoinHandle<Result<Value, Error>> {
    let client = client.clone();
    tokio::spawn(async move { client.call_raw(method, json!({})).await })
}

/// Nothing comes from the client for so long.
async fn is_silent(link: &mut Link, time: Duration) {
    let sent = tokio::time::timeout(time, link.next()).await;
    assert!(sent.is_err(), "sent {sent:?}");
}

fn delivery(error: &Error) -> Delivery {
    match error {
        Error::Disconnected { delivery, .. } | Error::Timeout { delivery, .. } => *delivery,
        other => panic!("another error: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_written_and_lost_is_unknown_and_is_not_repeated() {
    let (client, mut peer, mut link) = ready().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("chat.send", json!({})).await }
    });
    assert_eq!(link.request().await["method"], "chat.send");
    drop(link);
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Disconnected {
                delivery: Delivery::Unknown,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::CheckOutcome);
    let mut link = peer.welcome().await;
    let repeated = tokio::time::timeout(20 * SECOND, link.next()).await;
    assert!(repeated.is_err(), "sent again: {repeated:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_connection_up_to_its_deadline() {
    let (client, mut peer) = start();
    let began = Instant::now();
    let error = client
        .call_raw("health", json!({}))
        .within(3 * SECOND)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                delivery: Delivery::NotSent,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(began.elapsed().as_secs(), 3);

    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let mut link = peer.welcome().await;
    let request = link.request().await;
    assert_eq!(
        request["method"], "health",
        "the call that timed out is not sent"
    );
    link.answer(&request, json!({"ok":true})).await;
    assert_eq!(call.await.unwrap().unwrap(), json!({"ok":true}));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_times_out_as_unknown() {
    let (client, _peer, mut link) = ready().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move {
            client
                .call_raw("agent.wait", json!({}))
                .within(5 * SECOND)
                .await
        }
    });
    let request = link.request().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                delivery: Delivery::Unknown,
                ..
            }
        ),
        "{error}"
    );
    // The late answer is nobody's, and the connection goes on.
    link.answer(&request, json!({})).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let request = link.request().await;
    link.answer(&request, json!(1)).await;
    assert_eq!(call.await.unwrap().unwrap(), json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_the_gateway_reads_is_not_sent_and_the_connection_stays() {
    let (client, mut peer) = start();
    let (mut link, request) = peer.connect().await;
    let mut hello = openclaw_tests::peer::hello();
    hello["policy"]["maxPayload"] = json!(2000);
    link.answer(&request, hello).await;
    client.ready().await.unwrap();
    let error = client
        .call_raw("chat.send", json!({"message":"x".repeat(3000)}))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 2000, size, .. } if size > 3000),
        "{error}"
    );
    let small = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let request = link.request().await;
    assert_eq!(request["method"], "health");
    link.answer(&request, Value::Null).await;
    assert_eq!(small.await.unwrap().unwrap(), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_answer_as_large_as_a_gateway_may_send_arrives() {
    let (client, _peer, mut link) = ready().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("chat.history", json!({})).await }
    });
    let request = link.request().await;
    // Above the 16 MiB at which the WebSocket library stops by default; gateways announce 25 MiB.
    let text = "x".repeat(20 * 1024 * 1024);
    link.answer(&request, json!({"text":text})).await;
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer["text"].as_str().unwrap().len(), text.len());
}

#[tokio::test(start_paused = true)]
async fn calls_fail_at_once_when_they_are_told_to() {
    let (builder, _peer) = builder();
    let client = Client::start(builder.when_down(WhenDown::Fail).build().unwrap());
    let began = Instant::now();
    let error = client.call_raw("health", json!({})).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Disconnected {
                delivery: Delivery::NotSent,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_retryable());
    let said = error.to_string();
    assert_eq!(said, "health: there is no connection (it was not sent)");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn runs_fail_at_once_when_the_client_is_told_to() {
    let (builder, _peer) = builder();
    let client = Client::start(builder.when_down(WhenDown::Fail).build().unwrap());
    let began = Instant::now();
    let error = client.agent().run("billing", "hi").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// The shape of `agent`: two answers.
#[derive(Serialize)]
struct Agent {
    message: &'static str,
}

impl Method for Agent {
    const NAME: &'static str = "agent";
    const EFFECT: Effect = Effect::Changes;
    const ANSWERS: AnswerMode = AnswerMode::AcceptedThenFinal;
    type Answer = Value;
}

/// Something that only the new generation has.
#[derive(Serialize)]
struct Rename {}

impl Method for Rename {
    const NAME: &'static str = "device.pair.rename";
    const EFFECT: Effect = Effect::Idempotent;
    const SINCE_PROTOCOL: u32 = 4;
    type Answer = Value;
}

fn agent(client: &Client) -> TypedCall<'_, Agent> {
    client.call(Agent { message: "hello" })
}

#[tokio::test(start_paused = true)]
async fn a_call_with_two_answers_ends_with_the_second() {
    let (client, _peer, mut link) = ready().await;
    let run = tokio::spawn({
        let client = client.clone();
        async move { agent(&client).within(100 * SECOND).await }
    });
    let request = link.request().await;
    assert_eq!(request["params"], json!({"message":"hello"}));
    link.answer(&request, json!({"runId":"r","status":"accepted"}))
        .await;
    tokio::time::sleep(50 * SECOND).await;
    link.answer(&request, json!({"runId":"r","status":"ok"}))
        .await;
    assert_eq!(run.await.unwrap().unwrap()["status"], "ok");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_what_came_beside_its_error() {
    let (client, _peer, mut link) = ready().await;
    let run = tokio::spawn({
        let client = client.clone();
        async move { agent(&client).await }
    });
    let request = link.request().await;
    link.frame(json!({"type":"res","id":request["id"],"ok":false,
        "payload":{"runId":"r","status":"error","summary":"no model"},
        "error":{"code":"UNAVAILABLE","message":"no model"}}))
        .await;
    match run.await.unwrap().unwrap_err() {
        Error::Call {
            error,
            payload: Some(payload),
            ..
        } => {
            assert_eq!(error.code, "UNAVAILABLE");
            assert_eq!(payload["runId"], "r");
        }
        other => panic!("another error: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_that_the_old_generation_lacks_is_not_sent_to_it() {
    let (client, mut peer) = start();
    let mut link = peer.welcome_with(old_hello(1000)).await;
    let error = client.call(Rename {}).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported { method, protocol: 3, .. } if &**method == "device.pair.rename"),
        "{error}"
    );
    is_silent(&mut link, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_mode_that_the_old_generation_lacks_is_refused_by_name_and_not_sent() {
    let (client, mut peer) = start();
    let mut link = peer.welcome_with(old_hello(1000)).await;
    let turn = || client.chat().send("tests", "hi").with_id("k");
    let error = turn().queue_mode(QueueMode::Collect).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::UnsupportedParameter { method, parameter, protocol: 3, .. }
                if &**method == "chat.send" && &**parameter == "queueMode"
        ),
        "{error}"
    );
    is_silent(&mut link, SECOND).await;
    let _run = turn().start();
    assert_eq!(link.request().await["method"], "chat.send");

    let (client, _peer, mut link) = ready().await;
    let turn = client.chat().send("tests", "hi");
    let _run = turn.queue_mode(QueueMode::Collect).start();
    assert_eq!(link.request().await["params"]["queueMode"], "collect");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_want_to_wait_is_told_at_once_and_the_others_wait() {
    let (client, mut peer, link) = ready().await;
    drop(link);
    let patient = call(&client, "health");
    let mut state = client.state();
    state.wait_for(|state| !state.is_ready()).await.unwrap();
    let began = Instant::now();
    for typed in [false, true] {
        let error = if typed {
            let call = client.call(Rename {}).when_down(WhenDown::Fail);
            call.await.unwrap_err()
        } else {
            let call = client.call_raw("health", json!({}));
            call.when_down(WhenDown::Fail).await.unwrap_err()
        };
        assert_eq!(delivery(&error), Delivery::NotSent);
        assert!(error.is_retryable());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let mut link = peer.welcome().await;
    let request = link.request().await;
    link.answer(&request, json!("late")).await;
    assert_eq!(patient.await.unwrap().unwrap(), json!("late"));
}

#[tokio::test(start_paused = true)]
async fn calls_made_without_a_connection_keep_their_order() {
    let (builder, mut peer) = builder();
    let client = Client::start(builder.command_capacity(2).build().unwrap());
    let calls: Vec<_> = ["one", "two", "three", "four", "five"]
        .map(|method| call(&client, method))
        .into_iter()
        .collect();
    tokio::time::sleep(SECOND).await;
    let mut link = peer.welcome().await;
    for expected in ["one", "two", "three", "four", "five"] {
        let request = link.request().await;
        assert_eq!(request["method"], expected);
        link.answer(&request, json!(expected)).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_nothing_behind() {
    let (client, mut peer, mut link) = ready().await;
    for _ in 0..100 {
        let call = call(&client, "health");
        link.request().await;
        call.abort();
    }
    is_silent(&mut link, SECOND).await;
    let stats = client.stats();
    assert_eq!((stats.calls, stats.unanswered), (0, 0));
    // Given up before there is a connection, it is never sent.
    drop(link);
    let call = call(&client, "chat.send");
    tokio::time::sleep(SECOND / 100).await;
    call.abort();
    let mut link = peer.welcome().await;
    is_silent(&mut link, 10 * SECOND).await;
}

fn draining() -> Value {
    json!({"code":"UNAVAILABLE","message":"health unavailable during gateway restart",
        "retryable":true,"retryAfterMs":1000,
        "details":{"method":"health","reason":"gateway-restarting","phase":"draining"}})
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_drains_is_waited_for_also_over_its_restart() {
    let (client, mut peer, mut link) = ready().await;
    let began = Instant::now();
    let health = call(&client, "health");
    for _ in 0..3 {
        let request = link.request().await;
        link.refuse(&request, draining()).await;
    }
    assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
    link.close(1012, "service restart").await;
    let mut link = peer.welcome().await;
    let request = link.request().await;
    link.answer(&request, json!("new")).await;
    assert_eq!(health.await.unwrap().unwrap(), json!("new"));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_drains_for_longer_than_the_deadline_is_an_error_with_its_advice() {
    let (client, _peer, mut link) = ready().await;
    for when_down in [WhenDown::Wait, WhenDown::Fail] {
        let health = tokio::spawn({
            let client = client.clone();
            async move {
                let call = client.call_raw("health", json!({}));
                call.within(SECOND).when_down(when_down).await
            }
        });
        let request = link.request().await;
        link.refuse(&request, draining()).await;
        let error = health.await.unwrap().unwrap_err();
        assert_eq!(error.recovery(), Recovery::RetryAfter(SECOND), "{error}");
        is_silent(&mut link, 5 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_is_asked_for_ever_more_rarely() {
    let (client, _peer, mut link) = ready().await;
    let missing = json!({"code":"FORBIDDEN","message":"missing scope: operator.admin",
        "details":{"code":"MISSING_SCOPE","missingScope":"operator.admin","requiredScopes":["operator.admin"]}});
    let asked = tokio::spawn(async move {
        let mut asked = 0;
        while let Some(request) = link.next().await {
            asked += 1;
            link.refuse(&request, missing.clone()).await;
        }
        asked
    });
    let began = Instant::now();
    let mut held = 0;
    // A loop that nobody thought of: a thousand calls a second for two minutes.
    while began.elapsed() < 120 * SECOND {
        let error = client.call_raw("cron.add", json!({})).await.unwrap_err();
        held += usize::from(matches!(error, Error::HeldBack { .. }));
        let said = error.gateway_error().unwrap();
        assert_eq!(said.missing_scope(), Some("operator.admin"));
        assert_eq!(error.recovery(), Recovery::FixConfiguration);
        tokio::time::sleep(SECOND / 1000).await;
    }
    assert!(held > 10_000);
    assert_eq!(client.stats().held_back, 1);
    client.close().await;
    let asked = asked.await.unwrap();
    assert!((6..=8).contains(&asked), "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_was_sent_and_what_cannot_be_written_was_not() {
    let (client, _peer, mut link) = ready().await;
    let (answer, ()) = tokio::join!(client.devices().list(), async {
        let request = link.request().await;
        link.answer(&request, json!({"pending": 7})).await;
    });
    let error = answer.unwrap_err();
    let delivery = |error: &Error| match error {
        Error::Data { delivery, .. } => *delivery,
        other => panic!("{other}"),
    };
    assert_eq!(delivery(&error), Delivery::Unknown);
    assert_eq!(error.recovery(), Recovery::CheckOutcome);

    // JSON has no keys but texts.
    let unspeakable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = client.call_raw("health", unspeakable).await.unwrap_err();
    assert_eq!(delivery(&error), Delivery::NotSent);
    assert_eq!(error.recovery(), Recovery::FixConfiguration);
    is_silent(&mut link, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_asked_again() {
    let (client, mut peer, mut link) = ready().await;
    for _ in 0..2 {
        let status = call(&client, "status");
        let request = link.request().await;
        link.refuse(
            &request,
            json!({"code":"INVALID_REQUEST","message":"missing scope: operator.read"}),
        )
        .await;
        assert!(matches!(status.await.unwrap(), Err(Error::Call { .. })));
        let error = call(&client, "status").await.unwrap().unwrap_err();
        assert!(matches!(error, Error::HeldBack { .. }), "{error}");
        link.close(4001, "device token rotated").await;
        link = peer.welcome().await;
        client.ready().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn draining_lets_what_is_under_way_end_and_begins_nothing_new() {
    let (client, _peer, mut link) = ready().await;
    let slow = call(&client, "agent.wait");
    let request = link.request().await;
    let drain = tokio::spawn({
        let client = client.clone();
        async move { client.drain(60 * SECOND).await }
    });
    tokio::time::sleep(SECOND).await;
    let error = call(&client, "health").await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Draining { .. }), "{error}");
    tokio::time::sleep(10 * SECOND).await;
    assert!(!drain.is_finished());
    link.answer(&request, json!("done")).await;
    assert_eq!(slow.await.unwrap().unwrap(), json!("done"));
    assert_eq!(link.next().await, None);
    assert!(drain.await.unwrap().is_complete());
    assert!(client.state().borrow().is_stopped());
}

#[tokio::test(start_paused = true)]
async fn draining_waits_no_longer_than_it_may_and_says_what_was_left() {
    let (client, _peer, mut link) = ready().await;
    let slow = call(&client, "agent.wait");
    link.request().await;
    let began = Instant::now();
    let drained = client.drain(20 * SECOND).await;
    assert_eq!((drained.calls, drained.runs), (1, 0));
    assert!((20..23).contains(&began.elapsed().as_secs()));
    assert!(matches!(slow.await.unwrap(), Err(Error::Closed)));
}
