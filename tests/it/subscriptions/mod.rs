//! Watches that survive, on virtual time against a peer, and over restarts of the mock.

mod mock;

use openclaw_adapter::api::sessions::{Changed, List, MessageWritten, SessionList};
use openclaw_adapter::{
    Client, ConnectionState, Error, MessagesSnapshot, MessagesWatch, SessionsWatch, SyncReason,
    Update,
};
use openclaw_tests::peer::{Link, Peer, builder, old_hello, ready, start};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything here takes on virtual time.
const LONG: Duration = Duration::from_secs(600);

/// A watch that is read by a task of its own.
struct Reading<S, L> {
    updates: mpsc::UnboundedReceiver<Result<Update<S, L>, Error>>,
    task: tokio::task::JoinHandle<()>,
}

macro_rules! reading {
    ($watch:expr) => {{
        let mut watch = $watch;
        let (sender, updates) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(update) = watch.next().await {
                if sender.send(update).is_err() {
                    break;
                }
            }
        });
        Reading { updates, task }
    }};
}

fn sessions(watch: SessionsWatch) -> Reading<SessionList, Changed> {
    reading!(watch)
}

fn messages(watch: MessagesWatch) -> Reading<MessagesSnapshot, MessageWritten> {
    reading!(watch)
}

impl<S, L> Reading<S, L>
where
    S: std::fmt::Debug,
    L: std::fmt::Debug,
{
    async fn next(&mut self) -> Option<Result<Update<S, L>, Error>> {
        let next = timeout(LONG, self.updates.recv()).await;
        next.expect("nothing is told")
    }

    async fn update(&mut self) -> Update<S, L> {
        self.next().await.expect("it is over").unwrap()
    }

    async fn resync(&mut self) -> SyncReason {
        match self.update().await {
            Update::Resync(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn snapshot(&mut self) -> S {
        match self.update().await {
            Update::Snapshot(snapshot) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    async fn live(&mut self) -> L {
        match self.update().await {
            Update::Live(live) => live,
            other => panic!("{other:?}"),
        }
    }

    /// The watch is dropped.
    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// The next request, which has to be of this method.
async fn asked(link: &mut Link, method: &str) -> Value {
    let request = timeout(LONG, link.request()).await.expect("not asked");
    assert_eq!(request["method"], method);
    request
}

fn row(key: &str) -> Value {
    json!({"key": key, "kind": "direct", "sessionId": format!("id-{key}")})
}

fn list(keys: &[&str]) -> Value {
    let rows: Vec<_> = keys.iter().map(|key| row(key)).collect();
    json!({"subscribed": true, "list": {"count": rows.len(), "sessions": rows}})
}

fn changed(key: &str) -> Value {
    json!({"sessionKey": key, "agentId": "main", "reason": "create", "ts": 1, "session": row(key)})
}

async fn answer_list(link: &mut Link, keys: &[&str]) -> Value {
    let request = asked(link, "sessions.subscribe").await;
    link.answer(&request, list(keys)).await;
    request["params"].clone()
}

fn keys(list: &SessionList) -> Vec<&str> {
    list.sessions.iter().map(|row| &*row.key).collect()
}

/// A client whose sessions are watched, with its first snapshot read.
async fn watched() -> (Client, Peer, Link, Reading<SessionList, Changed>) {
    let (client, peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new().limit(5)));
    assert_eq!(watch.resync().await, SyncReason::Started);
    let params = answer_list(&mut link, &["a", "b"]).await;
    assert_eq!(params, json!({"limit":5}), "as it was recorded");
    assert_eq!(keys(&watch.snapshot().await), ["a", "b"]);
    (client, peer, link, watch)
}

#[tokio::test(start_paused = true)]
async fn a_watch_asks_for_events_and_a_list_in_one_and_tells_what_comes() {
    let (_client, _peer, mut link, mut watch) = watched().await;
    link.event("sessions.changed", changed("c")).await;
    link.event("tick", json!({"ts":1})).await;
    link.event(
        "sessions.changed",
        json!({"sessionKey":"a","reason":"delete"}),
    )
    .await;
    assert_eq!(watch.live().await.session_key.as_deref(), Some("c"));
    let gone = watch.live().await;
    assert_eq!(
        (gone.session_key.as_deref(), gone.session),
        (Some("a"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_with_nothing_set_is_still_asked_for() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new()));
    watch.resync().await;
    let params = answer_list(&mut link, &[]).await;
    assert_ne!(params, json!({}), "that would ask for the events alone");
    assert!(watch.snapshot().await.sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_new_connection_is_asked_again() {
    let (_client, mut peer, link, mut watch) = watched().await;
    link.close(1006, "").await;
    let mut hello = openclaw_tests::peer::hello();
    let mut link = peer.welcome().await;
    assert_eq!(watch.resync().await, SyncReason::Reconnected);
    answer_list(&mut link, &["a", "b", "c"]).await;
    assert_eq!(keys(&watch.snapshot().await), ["a", "b", "c"]);
    link.event("sessions.changed", changed("d")).await;
    assert_eq!(watch.live().await.session_key.as_deref(), Some("d"));

    link.close(1012, "service restart").await;
    hello["server"]["bootId"] = json!("b-2");
    let mut link = peer.welcome_with(hello).await;
    assert_eq!(watch.resync().await, SyncReason::GatewayRestarted);
    answer_list(&mut link, &["d"]).await;
    assert_eq!(keys(&watch.snapshot().await), ["d"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_begun_while_the_client_is_down_has_one_list() {
    let (client, mut peer, link) = ready().await;
    // Before anything is read, and after the reader has begun to wait.
    let mut unread = client.sessions().watch(List::new());
    link.close(1006, "").await;
    let mut state = client.state();
    let down = state.wait_for(|state| !matches!(state, ConnectionState::Ready { .. }));
    timeout(LONG, down).await.unwrap().unwrap();
    let mut watch = sessions(client.sessions().watch(List::new()));
    assert_eq!(watch.resync().await, SyncReason::Started);

    let mut link = peer.welcome().await;
    answer_list(&mut link, &["a"]).await;
    assert_eq!(keys(&watch.snapshot().await), ["a"]);
    link.event("sessions.changed", changed("b")).await;
    assert_eq!(watch.live().await.session_key.as_deref(), Some("b"));

    assert!(matches!(
        unread.next().await,
        Some(Ok(Update::Resync(SyncReason::Started)))
    ));
    let (snapshot, _) = tokio::join!(unread.next(), answer_list(&mut link, &["a", "b"]));
    assert!(matches!(snapshot, Some(Ok(Update::Snapshot(_)))));
    link.event("sessions.changed", changed("c")).await;
    for key in ["b", "c"] {
        match unread.next().await {
            Some(Ok(Update::Live(change))) => assert_eq!(change.session_key.as_deref(), Some(key)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_list_is_made_is_told_after_it() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new().limit(5)));
    watch.resync().await;
    let request = asked(&mut link, "sessions.subscribe").await;
    link.event("sessions.changed", changed("c")).await;
    link.answer(&request, list(&["a"])).await;
    assert_eq!(keys(&watch.snapshot().await), ["a"]);
    assert_eq!(watch.live().await.session_key.as_deref(), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_the_list_is_made_is_asked_again_once() {
    let (client, mut peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new().limit(5)));
    watch.resync().await;
    asked(&mut link, "sessions.subscribe").await;
    drop(link);
    let mut link = peer.welcome().await;
    assert_eq!(watch.resync().await, SyncReason::Reconnected);
    answer_list(&mut link, &["a"]).await;
    assert_eq!(keys(&watch.snapshot().await), ["a"]);
    let more = timeout(Duration::from_secs(20), link.next()).await;
    assert!(more.is_err(), "asked once more: {more:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_the_gateway_dropped_are_made_up_for_by_a_new_list() {
    let (_client, _peer, mut link, mut watch) = watched().await;
    link.numbered(1, "sessions.changed", changed("c")).await;
    assert!(watch.live().await.session_key.is_some());
    link.numbered(4, "sessions.changed", changed("f")).await;
    match watch.resync().await {
        SyncReason::Gap {
            expected: 2,
            got: 4,
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    answer_list(&mut link, &["c", "d", "e", "f"]).await;
    assert_eq!(watch.snapshot().await.sessions.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_is_too_slow_gets_a_new_list() {
    let (builder, mut peer) = builder();
    let config = builder.event_capacity(4, 1 << 20).build().unwrap();
    let client = Client::start(config);
    let mut link = peer.welcome().await;
    let mut watch = client.sessions().watch(List::new().limit(5));
    assert!(matches!(
        watch.next().await,
        Some(Ok(Update::Resync(SyncReason::Started)))
    ));
    let (snapshot, _) = tokio::join!(watch.next(), answer_list(&mut link, &["a"]));
    assert!(matches!(snapshot, Some(Ok(Update::Snapshot(_)))));
    // Nobody reads.
    for n in 0..10 {
        link.event("sessions.changed", changed(&n.to_string()))
            .await;
    }
    link.event("tick", json!({"ts":1})).await;
    let mut ticks = client.events();
    link.event("tick", json!({"ts":2})).await;
    ticks.next().await;
    match watch.next().await {
        Some(Ok(Update::Resync(SyncReason::Lagged { events: 6, .. }))) => {}
        other => panic!("{other:?}"),
    }
    let (snapshot, _) = tokio::join!(watch.next(), answer_list(&mut link, &["a", "9"]));
    assert!(matches!(snapshot, Some(Ok(Update::Snapshot(_)))));
    for key in ["6", "7", "8", "9"] {
        match watch.next().await {
            Some(Ok(Update::Live(change))) => assert_eq!(change.session_key.as_deref(), Some(key)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_an_old_gateway_end_it_by_name() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new()));
    watch.resync().await;
    let request = asked(&mut link, "sessions.subscribe").await;
    link.refuse(
        &request,
        json!({"code":"FORBIDDEN","message":"missing scope: operator.read","details":{"code":"MISSING_SCOPE","missingScope":"operator.read"}}),
    )
    .await;
    let error = watch.next().await.unwrap().unwrap_err();
    let scope = error.gateway_error().unwrap().missing_scope();
    assert_eq!(scope, Some("operator.read"));
    assert!(watch.next().await.is_none());

    let (client, mut peer) = start();
    let _link = peer.welcome_with(old_hello(1)).await;
    let mut watch = sessions(client.sessions().watch(List::new()));
    watch.resync().await;
    match watch.next().await {
        Some(Err(Error::Unsupported { method, .. })) => assert_eq!(&*method, "sessions.subscribe"),
        other => panic!("{other:?}"),
    }
    assert!(watch.next().await.is_none());
    let mut watch = messages(client.sessions().watch_messages("agent:main:main"));
    watch.resync().await;
    match watch.next().await {
        Some(Err(Error::Unsupported { method, .. })) => {
            assert_eq!(&*method, "sessions.messages.subscribe");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_reads_asks_nothing_and_ends_with_the_client() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = client.sessions().watch(List::new());
    let sent = timeout(Duration::from_secs(5), link.next()).await;
    assert!(sent.is_err(), "{sent:?}");
    client.close().await;
    assert!(matches!(watch.next().await, Some(Ok(Update::Resync(_)))));
    assert!(watch.next().await.is_none());
}

const KEY: &str = "agent:main:h2";

fn message(seq: u64, text: &str) -> Value {
    json!({"role":"assistant","content":[{"type":"text","text":text}],"__openclaw":{"id":format!("m{seq}"),"seq":seq}})
}

fn written(key: &str, seq: u64, text: &str) -> Value {
    json!({"sessionKey":key,"agentId":"main","message":message(seq, text),"messageId":format!("m{seq}"),"messageSeq":seq})
}

async fn subscribe(link: &mut Link, key: &str) {
    let request = asked(link, "sessions.messages.subscribe").await;
    assert_eq!(request["params"], json!({"key":key}));
    link.answer(&request, json!({"subscribed":true,"key":KEY}))
        .await;
}

/// Answers `chat.history`, and returns the cursor that was asked with.
async fn history(link: &mut Link, answer: Value) -> Value {
    let request = asked(link, "chat.history").await;
    assert_eq!(request["params"]["sessionKey"], KEY);
    link.answer(&request, answer).await;
    request["params"]["cursor"].clone()
}

fn whole(cursor: &str, messages: &[Value]) -> Value {
    json!({"sessionKey":KEY,"messages":messages,"deltaCursor":cursor,"hasMore":false,"sessionInfo":row(KEY)})
}

fn texts(snapshot: &MessagesSnapshot) -> Vec<String> {
    let messages = snapshot.messages.iter();
    messages
        .map(openclaw_adapter::api::sessions::Message::text)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn messages_are_told_once_and_after_a_loss_only_what_was_missed() {
    let (client, mut peer, mut link) = ready().await;
    let mut watch = messages(client.sessions().watch_messages("h2"));
    assert_eq!(watch.resync().await, SyncReason::Started);
    subscribe(&mut link, "h2").await;
    // One of another session, and one that the history has already.
    link.event("session.message", written("agent:main:other", 1, "no"))
        .await;
    link.event("session.message", written(KEY, 2, "two")).await;
    let mut answer = whole("c1", &[message(1, "one"), message(2, "two")]);
    answer["inFlightRun"] = json!({"runId":"r","text":"thr"});
    assert_eq!(history(&mut link, answer).await, Value::Null);
    let snapshot = watch.snapshot().await;
    assert!(snapshot.is_whole);
    assert_eq!(texts(&snapshot), ["one", "two"]);
    assert_eq!(snapshot.in_flight.unwrap().text.as_deref(), Some("thr"));
    assert_eq!(snapshot.session.unwrap().key, KEY);
    link.event("session.message", written(KEY, 3, "three"))
        .await;
    assert_eq!(watch.live().await.message.text(), "three");

    link.close(1006, "").await;
    let mut link = peer.welcome().await;
    assert_eq!(watch.resync().await, SyncReason::Reconnected);
    subscribe(&mut link, "h2").await;
    let delta = json!({"kind":"delta","deltaCursor":"c2","messages":[
        written(KEY, 3, "three"), written(KEY, 4, "four"), written(KEY, 5, "five"),
    ]});
    assert_eq!(history(&mut link, delta).await, "c1");
    let snapshot = watch.snapshot().await;
    assert!(!snapshot.is_whole);
    assert_eq!(texts(&snapshot), ["four", "five"]);
    link.event("session.message", written(KEY, 5, "five")).await;
    link.event("session.message", written(KEY, 6, "six")).await;
    assert_eq!(watch.live().await.message.text(), "six");

    // The cursor means nothing to the gateway any more.
    link.close(1006, "").await;
    let mut link = peer.welcome().await;
    watch.resync().await;
    subscribe(&mut link, "h2").await;
    assert_eq!(history(&mut link, json!({"kind":"reset"})).await, "c2");
    subscribe(&mut link, "h2").await;
    let answer = whole("c3", &[message(1, "new")]);
    assert_eq!(history(&mut link, answer).await, Value::Null);
    assert_eq!(texts(&watch.snapshot().await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_transcript_that_is_begun_anew_is_told_whole() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = messages(client.sessions().watch_messages(KEY));
    watch.resync().await;
    subscribe(&mut link, KEY).await;
    history(
        &mut link,
        whole("c1", &[message(1, "one"), message(2, "two")]),
    )
    .await;
    watch.snapshot().await;
    let mut anew = written(KEY, 1, "again");
    anew["messageId"] = json!("another");
    link.event("session.message", anew).await;
    assert_eq!(watch.resync().await, SyncReason::TranscriptReset);
    subscribe(&mut link, KEY).await;
    let cursor = history(&mut link, whole("c2", &[message(1, "again")])).await;
    assert_eq!(cursor, Value::Null, "the old cursor is not used");
    assert_eq!(texts(&watch.snapshot().await), ["again"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_watch_of_a_session_ends_its_subscription() {
    let (client, _peer, mut link) = ready().await;
    let mut first = messages(client.sessions().watch_messages("h2"));
    let mut second = messages(client.sessions().watch_messages(KEY));
    // Both ask at once, in whatever order.
    for _ in 0..4 {
        let request = link.request().await;
        let answer = match request["method"].as_str().unwrap() {
            "sessions.messages.subscribe" => json!({"subscribed":true,"key":KEY}),
            "chat.history" => whole("c", &[]),
            other => panic!("{other}"),
        };
        link.answer(&request, answer).await;
    }
    for watch in [&mut first, &mut second] {
        watch.resync().await;
        watch.snapshot().await;
    }
    first.stop().await;
    let sent = timeout(Duration::from_secs(5), link.next()).await;
    assert!(sent.is_err(), "somebody still watches: {sent:?}");
    second.stop().await;
    let request = asked(&mut link, "sessions.messages.unsubscribe").await;
    assert_eq!(request["params"], json!({"key":KEY}));
    link.answer(&request, json!({"subscribed":false,"key":KEY}))
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_connection_and_nothing_else_is_asked() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = messages(client.sessions().watch_messages(KEY));
    watch.resync().await;
    subscribe(&mut link, KEY).await;
    history(&mut link, whole("c", &[])).await;
    watch.snapshot().await;
    drop(client);
    watch.stop().await;
    assert_eq!(timeout(LONG, link.next()).await.unwrap(), None);
}

/// Measured on 2026.6.11 and 2026.7.35: `sessions.subscribe` takes the parameters of a list and answers
/// without one.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_sends_no_list_with_the_events_is_asked_for_it() {
    let (client, _peer, mut link) = ready().await;
    let mut watch = sessions(client.sessions().watch(List::new()));
    assert_eq!(watch.resync().await, SyncReason::Started);
    let request = asked(&mut link, "sessions.subscribe").await;
    link.answer(&request, json!({"subscribed": true})).await;
    let request = asked(&mut link, "sessions.list").await;
    assert_eq!(request["params"], json!({}));
    link.answer(&request, list(&["a"])["list"].clone()).await;
    assert_eq!(keys(&watch.snapshot().await), ["a"]);
    link.event("sessions.changed", changed("b")).await;
    assert_eq!(watch.live().await.session_key.as_deref(), Some("b"));
}
