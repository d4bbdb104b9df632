//! Watches over restarts of the mock, on real time.

use std::collections::BTreeSet;
use std::time::Duration;

use openclaw_adapter::api::sessions::{ChangeReason, Create, List, Message};
use openclaw_adapter::{Client, Config, MemoryStore, RetryPolicy, SyncReason, Token, Update};
use openclaw_mock_gateway::{Direction, MockGateway, RunScript};
use tokio::time::timeout;

use super::{messages, sessions};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

async fn connect(gateway: &MockGateway) -> Client {
    // It is the watch that is looked at, not the back-off.
    let at_once = Duration::from_millis(100);
    let config = Config::builder()
        .url(gateway.local_url())
        .token(Token::new(gateway.token()).unwrap())
        .store(MemoryStore::new())
        .scopes(["operator.read", "operator.write"])
        .retry(
            RetryPolicy::default()
                .with_initial(at_once)
                .with_max(at_once),
        )
        .build()
        .unwrap();
    timeout(LIMIT, Client::connect(config))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn over_twenty_restarts_no_session_is_missing() {
    let gateway = MockGateway::start().await;
    let (watcher, other) = (connect(&gateway).await, connect(&gateway).await);
    let mut watch = sessions(watcher.sessions().watch(List::new().limit(100)));
    assert_eq!(watch.resync().await, SyncReason::Started);
    let first = watch.snapshot().await.sessions;
    // What the consumer makes of it: the list, and what it was told since.
    let mut known: BTreeSet<String> = first.into_iter().map(|row| row.key).collect();
    let mut made = known.clone();
    for round in 0..20 {
        // One that the watch is told of, and one that is made while nobody listens.
        let told = create(&other, &format!("told-{round}")).await;
        loop {
            let change = watch.live().await;
            known.extend(change.session_key.clone());
            let is_created = change.reason == Some(ChangeReason::Create);
            if is_created && change.session_key.as_ref() == Some(&told) {
                break;
            }
        }
        made.insert(told);
        gateway.restart().await.unwrap();
        made.insert(create(&other, &format!("quiet-{round}")).await);
        loop {
            match watch.update().await {
                Update::Live(change) => known.extend(change.session_key),
                Update::Resync(reason) => {
                    assert_eq!(reason, SyncReason::GatewayRestarted, "round {round}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        let list = watch.snapshot().await;
        known = list.sessions.into_iter().map(|row| row.key).collect();
    }
    // The last quiet one was made before or after the last list: then it is told.
    while !known.is_superset(&made) {
        known.extend(watch.live().await.session_key);
    }
    assert_eq!(made.len(), 40);
    let asked = gateway.frames().into_iter().filter(|frame| {
        frame.direction == Direction::In && frame.json["method"] == "sessions.subscribe"
    });
    assert!(asked.count() <= 21, "once for each connection");
}

async fn create(client: &Client, name: &str) -> String {
    let key = format!("agent:main:{name}");
    let call = client
        .sessions()
        .create(Create::new().key(key))
        .within(LIMIT);
    call.await.unwrap().key
}

#[tokio::test]
async fn over_restarts_each_message_is_told_once_and_none_is_missing() {
    const KEY: &str = "agent:main:talk";
    let gateway = MockGateway::start().await;
    let (watcher, other) = (connect(&gateway).await, connect(&gateway).await);
    gateway.script_runs(|_| RunScript::text("An answer."));
    create(&other, "talk").await;
    let mut watch = messages(watcher.sessions().watch_messages(KEY));
    watch.resync().await;
    let mut told: Vec<String> = Vec::new();
    let mut questions = Vec::new();
    for round in 0..5 {
        let text = format!("question {round}");
        let send = other.sessions().send(KEY, &*text).within(LIMIT);
        let run_id = send.await.unwrap().run_id;
        questions.push(text);
        other.agent().wait(run_id, LIMIT).await.unwrap();
        gateway.restart().await.unwrap();
        // Everything up to the next snapshot.
        loop {
            match watch.update().await {
                Update::Resync(_) => break,
                Update::Live(written) => told.push(written.message.text()),
                Update::Snapshot(snapshot) => {
                    if snapshot.is_whole {
                        told.clear();
                    }
                    told.extend(snapshot.messages.iter().map(Message::text));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    match watch.update().await {
        Update::Snapshot(snapshot) => {
            if snapshot.is_whole {
                told.clear();
            }
            told.extend(snapshot.messages.iter().map(Message::text));
        }
        other => panic!("{other:?}"),
    }
    let heard: Vec<_> = told
        .iter()
        .filter(|text| text.starts_with("question"))
        .collect();
    assert_eq!(heard, questions.iter().collect::<Vec<_>>(), "{told:?}");
    assert_eq!(told.len(), 10, "each with its answer, once: {told:?}");
}
