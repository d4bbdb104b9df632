//! A client's life on virtual time, against a peer played by hand.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use openclaw_adapter::{
    Client, ConnectionState, Error, FileStore, PairingPolicy, Recovery, Token, TransportErrorKind,
};
use openclaw_tests::peer::{Peer, builder, ready, start};
use serde_json::{Value, json};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Gives the client another token: the next attempt offers it, and is let in.
async fn goes_on_with_a_new_token(client: &Client, peer: &mut Peer) {
    client.set_token(Token::new("right-token-0123").unwrap());
    let (mut link, request) = peer.connect().await;
    assert_eq!(request["params"]["auth"]["token"], "right-token-0123");
    link.answer(&request, openclaw_tests::peer::hello()).await;
    until(client, ConnectionState::is_ready).await;
}

async fn until(client: &Client, wanted: impl Fn(&ConnectionState) -> bool) -> ConnectionState {
    let mut state = client.state();
    let found = tokio::time::timeout(3600 * SECOND, state.wait_for(|state| wanted(state)));
    found.await.expect("never").expect("ended").clone()
}

fn cause(state: &ConnectionState) -> TransportErrorKind {
    match state {
        ConnectionState::BackingOff { cause, .. } => match &**cause {
            Error::Transport(error) => error.kind(),
            other => panic!("another cause: {other}"),
        },
        other => panic!("not backing off: {other:?}"),
    }
}

const fn is_backing_off(state: &ConnectionState) -> bool {
    matches!(state, ConnectionState::BackingOff { .. })
}

fn pairing(id: &str) -> Value {
    json!({"code":"NOT_PAIRED","message":"pairing required: device is not approved yet",
        "details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":id}})
}

#[tokio::test(start_paused = true)]
async fn starting_never_blocks_and_nothing_is_sent_before_the_challenge() {
    let (_client, mut peer) = start();
    let mut link = peer.accept().await;
    let early = tokio::time::timeout(5 * SECOND, link.next()).await;
    assert!(early.is_err(), "sent {early:?}");
    link.challenge().await;
    assert_eq!(link.request().await["method"], "connect");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_says_nothing_is_given_up_after_fifteen_seconds() {
    let (client, mut peer) = start();
    let began = Instant::now();
    let _link = peer.accept().await;
    let state = until(&client, is_backing_off).await;
    assert_eq!(cause(&state), TransportErrorKind::HandshakeTimeout);
    assert_eq!(began.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_given_up_after_fifteen_seconds() {
    let (client, mut peer) = start();
    let began = Instant::now();
    let _stream = peer.dialled().await;
    until(&client, is_backing_off).await;
    assert_eq!(began.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn silence_for_two_ticks_ends_a_connection_and_any_frame_is_life() {
    let (client, mut peer, mut link) = ready().await;
    tokio::time::sleep(50 * SECOND).await;
    link.text("not even a frame").await;
    let began = Instant::now();
    let state = until(&client, is_backing_off).await;
    assert_eq!(cause(&state), TransportErrorKind::Silent);
    assert_eq!(began.elapsed().as_secs(), 60);
    let _link = peer.welcome().await;
    client.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_taken_up_after_a_short_wait() {
    let (client, mut peer, mut link) = ready().await;
    link.event(
        "shutdown",
        json!({"reason":"gateway restarting","restartExpectedMs":1500}),
    )
    .await;
    link.close(1012, "service restart").await;
    let state = until(&client, is_backing_off).await;
    assert_eq!(cause(&state), TransportErrorKind::Restarting);
    let began = Instant::now();
    let _link = peer.welcome().await;
    assert!(began.elapsed() <= Duration::from_millis(750));
    client.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ended_is_taken_up_at_once() {
    let (client, mut peer, link) = ready().await;
    let began = Instant::now();
    link.close(4001, "device removed").await;
    let (mut link, request) = peer.connect().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    link.refuse(&request, pairing("again")).await;
    let state = until(&client, |state| {
        matches!(state, ConnectionState::AwaitingApproval { .. })
    })
    .await;
    let ConnectionState::AwaitingApproval { pairing, .. } = state else {
        unreachable!()
    };
    assert_eq!(pairing.request_id.as_deref(), Some("again"));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_approval_asks_with_the_same_words_and_tells_each_request_once() {
    let (builder, mut peer) = builder();
    let (told, mut announced) = tokio::sync::mpsc::unbounded_channel();
    let config = builder.on_pairing(move |pairing| {
        told.send(pairing.request_id.clone().unwrap()).unwrap();
    });
    let client = Client::start(config.build().unwrap());
    let mut asked = Vec::new();
    for id in ["a", "a", "a", "b", "b"] {
        let (mut link, mut request) = peer.connect().await;
        link.refuse(&request, pairing(id)).await;
        let params = request["params"].as_object_mut().unwrap();
        let device = params["device"].as_object_mut().unwrap();
        device.remove("signature");
        asked.push(request["params"].take());
    }
    assert!(
        asked.iter().all(|params| *params == asked[0]),
        "frozen while pending"
    );
    let began = Instant::now();
    let _link = peer.welcome().await;
    assert!(
        began.elapsed() <= 2 * SECOND,
        "approved: ready within about two seconds"
    );
    client.ready().await.unwrap();
    assert_eq!(announced.recv().await.as_deref(), Some("a"));
    assert_eq!(announced.recv().await.as_deref(), Some("b"));
    assert!(announced.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_state_stays_while_the_same_approval_is_awaited() {
    let (client, mut peer) = start();
    let (mut link, request) = peer.connect().await;
    link.refuse(&request, pairing("a")).await;
    until(&client, |state| {
        matches!(state, ConnectionState::AwaitingApproval { .. })
    })
    .await;
    let mut state = client.state();
    state.mark_unchanged();
    for _ in 0..20 {
        let (mut link, request) = peer.connect().await;
        link.refuse(&request, pairing("a")).await;
    }
    assert!(!state.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_limited_wait_ends_with_what_was_to_be_approved() {
    let (builder, mut peer) = builder();
    let limited = builder.pairing(PairingPolicy::WaitUpTo(10 * SECOND));
    let client = Client::start(limited.build().unwrap());
    let began = Instant::now();
    let refusing = async {
        loop {
            let (mut link, request) = peer.connect().await;
            link.refuse(&request, pairing("a")).await;
        }
    };
    let error = tokio::select! {
        error = client.ready() => error.unwrap_err(),
        () = refusing => unreachable!(),
    };
    assert!(
        matches!(&error, Error::PairingRequired(pairing) if pairing.approve_command().ends_with(" a"))
    );
    assert_eq!(error.recovery(), Recovery::AwaitApproval);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn retry_now_ends_a_wait() {
    let (client, mut peer) = start();
    for _ in 0..8 {
        drop(peer.dialled().await);
    }
    until(
        &client,
        |state| matches!(state, ConnectionState::BackingOff { delay, .. } if *delay > 10 * SECOND),
    )
    .await;
    let began = Instant::now();
    client.retry_now();
    let _link = peer.welcome().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    client.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_tried_once_and_a_new_one_at_once() {
    let (client, mut peer) = start();
    let (mut link, request) = peer.connect().await;
    let mismatch = json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (provide gateway auth token)",
        "details":{"code":"AUTH_TOKEN_MISMATCH","canRetryWithDeviceToken":true}});
    link.refuse(&request, mismatch).await;
    let error = client.ready().await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::FixCredentials);
    tokio::time::sleep(600 * SECOND).await;
    assert!(!peer.is_dialled(), "no attempt after a terminal verdict");

    goes_on_with_a_new_token(&client, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_password_goes_in_the_place_of_a_token_and_a_token_in_that_of_a_password() {
    let (client, mut peer) = start();
    let refusal =
        |code| json!({"code":"INVALID_REQUEST","message":"unauthorized","details":{"code":code}});
    let fix = async || match client.ready().await {
        Err(Error::Refused(refusal)) => refusal.fix.clone(),
        other => panic!("not refused: {other:?}"),
    };
    let (mut link, request) = peer.connect().await;
    link.refuse(&request, refusal("AUTH_PASSWORD_MISSING"))
        .await;
    let advice = fix().await;
    assert!(advice.contains("password mode"), "{advice}");

    client.set_password(Token::new("correct horse battery").unwrap());
    let (mut link, request) = peer.connect().await;
    let auth = &request["params"]["auth"];
    assert_eq!(auth["password"], "correct horse battery");
    assert!(auth.get("token").is_none(), "{auth}");
    link.refuse(&request, refusal("AUTH_TOKEN_MISMATCH")).await;
    let advice = fix().await;
    assert!(
        advice.contains("token mode") && advice.contains("instead of the password"),
        "{advice}"
    );

    client.set_token(Token::new("right-token-0123").unwrap());
    let (mut link, request) = peer.connect().await;
    let auth = &request["params"]["auth"];
    assert_eq!(auth["token"], "right-token-0123");
    assert!(auth.get("password").is_none(), "{auth}");
    link.answer(&request, openclaw_tests::peer::hello()).await;
    client.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_set_while_the_identity_is_unusable_is_not_lost() {
    let (builder, mut peer) = builder();
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::write(&state, "a file where the directory should be").unwrap();
    let client = Client::start(builder.store(FileStore::new(&state)).build().unwrap());
    assert!(matches!(client.ready().await, Err(Error::Identity(_))));

    std::fs::remove_file(&state).unwrap();
    goes_on_with_a_new_token(&client, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_told_to_go_on_is_waited_for() {
    let (client, mut peer) = start();
    let mismatch = json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (provide gateway auth token)",
        "details":{"code":"AUTH_TOKEN_MISMATCH"}});
    let (mut link, request) = peer.connect().await;
    link.refuse(&request, mismatch.clone()).await;
    client.ready().await.unwrap_err();

    // What is told is the refusal of the attempt that was asked for, not the one before.
    client.retry_now();
    let mut ready = pin!(client.ready());
    assert!(poll!(&mut ready).is_pending());
    let (mut link, request) = peer.connect().await;
    link.refuse(&request, mismatch).await;
    ready.await.unwrap_err();

    client.set_token(Token::new("right-token-0123").unwrap());
    let (ready, _link) = tokio::join!(client.ready(), peer.welcome());
    ready.unwrap();

    client.close().await;
    client.retry_now();
    assert!(matches!(client.ready().await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn an_accepting_and_dropping_gateway_is_not_hammered() {
    let (client, mut peer) = start();
    let began = Instant::now();
    let mut attempts = 0;
    while began.elapsed() < 600 * SECOND {
        peer.welcome().await.close(1000, "").await;
        attempts += 1;
    }
    // Without the rule that a connection has to last, it would be one attempt per half second.
    assert!(
        (20..=60).contains(&attempts),
        "{attempts} attempts in ten minutes"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_reading_does_not_stop_us_from_hearing_it() {
    let (client, _peer, mut link) = ready().await;
    let calls: Vec<_> = (0..400)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                client
                    .call_raw("chat.send", json!({"message":"x".repeat(4000)}))
                    .within(100 * SECOND)
                    .await
            })
        })
        .collect();
    // Far more than the stream holds is waiting to be written; events still arrive.
    tokio::time::sleep(SECOND).await;
    for _ in 0..3 {
        link.event("tick", json!({"ts":1})).await;
        tokio::time::sleep(40 * SECOND).await;
        assert!(client.state().borrow().is_ready());
    }
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(Error::Timeout { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_says_goodbye_and_answers_every_caller() {
    let (client, peer, mut link) = ready().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    link.request().await;
    let gateway = tokio::spawn(async move { link.next().await });
    client.close().await;
    assert!(matches!(call.await.unwrap(), Err(Error::Closed)));
    assert_eq!(gateway.await.unwrap(), None);
    assert!(matches!(client.ready().await, Err(Error::Closed)));
    assert!(matches!(
        client.call_raw("health", json!({})).await,
        Err(Error::Closed)
    ));
    client.close().await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(!peer.is_dialled());
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_gateway_that_is_gone() {
    let (client, _peer, _link) = ready().await;
    let began = Instant::now();
    client.close().await;
    assert!(began.elapsed() <= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_connection_with_it() {
    let (client, _peer, mut link) = ready().await;
    let state = client.state();
    let second = client.clone();
    drop(client);
    assert!(tokio::time::timeout(SECOND, link.next()).await.is_err());
    drop(second);
    assert_eq!(link.next().await, None);
    drop(link);
    let mut state = state;
    while state.changed().await.is_ok() {}
    assert!(state.borrow().is_stopped());
}

#[tokio::test(start_paused = true)]
async fn a_hello_twice_another_challenge_and_strange_frames_change_nothing() {
    let (client, _peer, mut link) = ready().await;
    link.challenge().await;
    link.frame(
        json!({"type":"res","id":"nobody","ok":true,"payload":openclaw_tests::peer::hello()}),
    )
    .await;
    link.text("[1,2]").await;
    link.frame(json!({"type":"hint"})).await;
    link.frame(json!({"type":"res","id":7,"ok":true})).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let request = link.request().await;
    assert_eq!(request["method"], "health");
    link.answer(&request, json!("fine")).await;
    assert_eq!(call.await.unwrap().unwrap(), json!("fine"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_set_during_an_attempt_is_the_next_one_tried() {
    let (client, mut peer) = start();
    let (mut link, request) = peer.connect().await;
    client.set_token(Token::new("right-token-0123").unwrap());
    tokio::task::yield_now().await;
    // The gateway refuses what it was offered before; that says nothing about the new token.
    let mismatch = json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (provide gateway auth token)",
        "details":{"code":"AUTH_TOKEN_MISMATCH"}});
    link.refuse(&request, mismatch).await;
    let (mut link, request) = peer.connect().await;
    assert_eq!(request["params"]["auth"]["token"], "right-token-0123");
    link.answer(&request, openclaw_tests::peer::hello()).await;
    client.ready().await.unwrap();
}
