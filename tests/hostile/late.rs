//! A gateway that goes on where it should be done: a second hello, answers of another connection, a
//! close that does not end.

use std::time::Duration;

use openclaw_adapter::{Client, ConnectionState, Endpoint, Error, IdentityStore as _, MemoryStore};
use openclaw_tests::peer;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Hostile, PATIENCE, frame};

#[tokio::test(start_paused = true)]
async fn a_second_hello_changes_nothing() {
    let (builder, mut peer) = peer::builder();
    let store = MemoryStore::new();
    let client = Client::start(builder.store(store.clone()).build().unwrap());
    let hello = |connection: &str, token: &str| {
        let mut hello = peer::hello();
        hello["server"]["connId"] = json!(connection);
        hello["auth"]["deviceToken"] = json!(token);
        hello
    };
    let (mut link, request) = peer.connect().await;
    link.answer(&request, hello("c-1", "the-first-device-token"))
        .await;
    link.answer(&request, hello("c-2", "the-second-device-token"))
        .await;
    link.challenge().await;
    link.answer(&request, hello("c-3", "the-third-device-token"))
        .await;

    // A call that is answered shows that everything before its answer has been read.
    let (answered, ()) = tokio::join!(client.call_raw("health", json!({})).into_future(), async {
        let request = link.request().await;
        assert_eq!(request["method"], "health", "nothing was signed again");
        link.answer(&request, json!({"fine":true})).await;
    });
    assert_eq!(answered.unwrap()["fine"], true);
    let state = client.state().borrow().clone();
    let ConnectionState::Ready { hello, .. } = state else {
        panic!("{state:?}");
    };
    assert_eq!(&*hello.conn_id, "c-1");
    let identity = store.load().unwrap().unwrap();
    let key = Endpoint::parse("ws://127.0.0.1:1").unwrap().key();
    let memo = store.gateway(&key, identity.id()).unwrap();
    let token = memo.token("operator").unwrap().token().expose_secret();
    assert_eq!(token, "the-first-device-token");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_call_of_another_connection_is_nobodys() {
    let (client, mut peer, mut link) = peer::ready().await;
    let call = |client: &Client| {
        let client = client.clone();
        tokio::spawn(async move { client.call_raw("health", json!({})).await })
    };
    let (lost, also_lost) = (call(&client), call(&client));
    let (first, second) = (link.request().await, link.request().await);
    drop(link);
    for lost in [lost, also_lost] {
        let ended = lost.await.unwrap();
        assert!(
            matches!(ended, Err(Error::Disconnected { .. })),
            "{ended:?}"
        );
    }

    let mut link = peer.welcome().await;
    let waiting = call(&client);
    let request = link.request().await;
    assert!(
        request["id"] != first["id"] && request["id"] != second["id"],
        "an answer that is late could be taken for another one"
    );
    link.answer(&first, json!({"to":"another call"})).await;
    link.refuse(&second, json!({"code":"X","message":"another call"}))
        .await;
    link.answer(&request, json!({"to":"this call"})).await;
    assert_eq!(waiting.await.unwrap().unwrap()["to"], "this call");
    assert!(client.state().borrow().is_ready());
    client.close().await;
}

#[tokio::test]
async fn a_close_of_any_size_is_a_lost_connection_and_no_more() {
    let word = |length: usize| [&1008_u16.to_be_bytes()[..], &vec![b'x'; length]].concat();
    let closes = [
        // As long as a reason may be, longer than any control frame, and as long as a message.
        frame(0x88, &word(123)),
        frame(0x88, &word(124)),
        frame(0x88, &word(60_000)),
        frame(0x88, &word(8 << 20)),
        // Half a code, no code at all, no UTF-8, codes that nobody may send.
        frame(0x88, &[3]),
        frame(0x88, &[]),
        frame(0x88, &[0x03, 0xf0, 0xff, 0xfe, 0x80]),
        frame(0x88, &0_u16.to_be_bytes()),
        frame(0x88, &1005_u16.to_be_bytes()),
        frame(0x88, &u16::MAX.to_be_bytes()),
        // A part of a close.
        frame(0x08, &word(10)),
    ];
    let hostile = Hostile::new().await;
    let client = Client::start(hostile.builder().retry(quick()).build().unwrap());
    for close in closes {
        let mut stream = hostile.welcomed().await;
        let ready = tokio::time::timeout(PATIENCE, client.ready()).await;
        ready.expect("not let in").expect("it has stopped");
        let mut state = client.state();
        // It may have hung up in the middle of it.
        let _ = stream.write_all(&close).await;
        let lost = state.wait_for(|state| !state.is_ready());
        let lost = tokio::time::timeout(PATIENCE, lost).await;
        let lost = lost.expect("it holds on").unwrap().clone();
        if let ConnectionState::BackingOff { cause, .. } = &lost {
            let said = cause.to_string();
            assert!(said.len() < 1_000, "{} bytes", said.len());
        }
        assert!(!lost.is_stopped(), "{lost:?}");
    }
    tokio::time::timeout(PATIENCE, client.close())
        .await
        .expect("close() does not return");
}

fn quick() -> openclaw_adapter::RetryPolicy {
    openclaw_adapter::RetryPolicy::default()
        .with_initial(Duration::from_millis(10))
        .with_max(Duration::from_millis(10))
}
