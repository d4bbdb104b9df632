//! What becomes of events, on virtual time, against a peer played by hand.

use std::time::Duration;

use openclaw_adapter::{Client, EventFilter, EventItem, EventStream};
use openclaw_tests::peer::{Link, builder, hello, old_hello, ready, start};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// The next item, in a word.
async fn next(stream: &mut EventStream) -> String {
    let item = tokio::time::timeout(60 * SECOND, stream.next()).await;
    match item.expect("nothing came") {
        Some(EventItem::Event(event)) => {
            let payload: Value = event.payload().unwrap();
            format!("{} {payload}", event.name())
        }
        Some(EventItem::Lagged(n)) => format!("lagged {n}"),
        Some(EventItem::Gap { expected, got, .. }) => format!("gap {expected} {got}"),
        Some(EventItem::Resync(why)) => format!("resync {why}"),
        Some(other) => panic!("an unknown item: {other:?}"),
        None => "end".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn events_arrive_in_order_at_everybody_who_wants_them() {
    let (client, _peer, mut link) = ready().await;
    let mut all = client.events();
    let mut ticks = client.events_where(EventFilter::named(["tick"]));
    link.numbered(1, "tick", json!(1)).await;
    link.numbered(2, "health", json!(2)).await;
    link.numbered(3, "tick", json!(3)).await;
    for expected in ["tick 1", "health 2", "tick 3"] {
        assert_eq!(next(&mut all).await, expected);
    }
    for expected in ["tick 1", "tick 3"] {
        assert_eq!(next(&mut ticks).await, expected);
    }
    client.close().await;
    assert_eq!(next(&mut all).await, "end");
    assert_eq!(next(&mut client.events()).await, "end");
}

#[tokio::test(start_paused = true)]
async fn what_the_gateway_dropped_is_a_gap_where_numbers_mean_something() {
    let (client, _peer, mut link) = ready().await;
    let mut events = client.events_where(EventFilter::named(["tick"]));
    link.numbered(1, "tick", json!(1)).await;
    link.numbered(5, "tick", json!(5)).await;
    for expected in ["tick 1", "gap 2 5", "tick 5"] {
        assert_eq!(next(&mut events).await, expected);
    }

    let (client, mut peer) = start();
    let mut link = peer.welcome_with(old_hello(1000)).await;
    client.ready().await.unwrap();
    let mut events = client.events();
    link.numbered(254, "tick", json!(1)).await;
    link.numbered(300, "tick", json!(2)).await;
    for expected in ["tick 1", "tick 2"] {
        assert_eq!(next(&mut events).await, expected);
    }
}

fn booted(boot_id: &str) -> Value {
    let mut hello = hello();
    hello["server"]["bootId"] = boot_id.into();
    hello
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_told_before_its_first_event_and_whether_the_gateway_is_new() {
    let (client, mut peer) = start();
    let link = peer.welcome_with(booted("b-1")).await;
    client.ready().await.unwrap();
    let mut events = client.events_where(EventFilter::named(["tick"]));
    drop(link);
    let mut link = peer.welcome_with(booted("b-1")).await;
    link.numbered(1, "tick", json!(1)).await;
    assert_eq!(next(&mut events).await, "resync reconnected");
    assert_eq!(next(&mut events).await, "tick 1");
    drop(link);
    let mut link = peer.welcome_with(booted("b-2")).await;
    link.numbered(1, "tick", json!(1)).await;
    assert_eq!(next(&mut events).await, "resync gateway-restarted");
    assert_eq!(next(&mut events).await, "tick 1");
}

#[tokio::test(start_paused = true)]
async fn the_old_generation_tells_a_restart_by_its_uptime() {
    let (client, mut peer) = start();
    let link = peer.welcome_with(old_hello(100_000)).await;
    client.ready().await.unwrap();
    let mut events = client.events();
    drop(link);
    let link = peer.welcome_with(old_hello(101_000)).await;
    assert_eq!(next(&mut events).await, "resync reconnected");
    drop(link);
    let _link = peer.welcome_with(old_hello(4_000)).await;
    assert_eq!(next(&mut events).await, "resync gateway-restarted");
}

/// Sends events as fast as they are taken.
async fn flood(link: &mut Link, events: u64) {
    for seq in 1..=events {
        link.numbered(seq, "noise", json!(seq)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_sleeps_holds_up_nobody_and_learns_what_it_missed() {
    const EVENTS: u64 = 100_000;
    let (builder, mut peer) = builder();
    let client = Client::start(builder.event_capacity(100, 1 << 20).build().unwrap());
    let mut link = peer.welcome().await;
    client.ready().await.unwrap();
    let mut asleep = client.events();
    let mut awake = client.events();
    let gateway = tokio::spawn(async move {
        flood(&mut link, EVENTS / 2).await;
        // A call in the middle of it is answered like any other.
        let request = link.request().await;
        link.answer(&request, json!("fine")).await;
        for seq in EVENTS / 2 + 1..=EVENTS {
            link.numbered(seq, "noise", json!(seq)).await;
        }
        link
    });
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let mut seen = 0;
    while seen < EVENTS {
        match awake.next().await.unwrap() {
            EventItem::Event(event) => {
                seen += 1;
                assert_eq!(event.seq(), Some(seen));
            }
            EventItem::Lagged(n) => seen += n,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(call.await.unwrap().unwrap(), json!("fine"));
    drop(gateway.await.unwrap());
    assert_eq!(next(&mut asleep).await, format!("lagged {}", EVENTS - 100));
    for seq in EVENTS - 99..=EVENTS {
        assert_eq!(next(&mut asleep).await, format!("noise {seq}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_longer_than_the_queue_costs_a_reader_who_keeps_up_nothing() {
    const EVENTS: u64 = 20_000;
    let (builder, mut peer) = builder();
    let client = Client::start(builder.event_capacity(256, 1 << 20).build().unwrap());
    let mut link = peer.welcome().await;
    client.ready().await.unwrap();
    let mut events = client.events();
    // On the same thread as the client's task, which has its turn as soon as there is something to read.
    let reader = tokio::spawn(async move {
        for seq in 1..=EVENTS {
            assert_eq!(next(&mut events).await, format!("noise {seq}"));
        }
    });
    // As much at once as the wire holds, which is several times the queue.
    tokio::task::unconstrained(flood(&mut link, EVENTS)).await;
    reader.await.unwrap();
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn events_too_large_for_the_queue_push_out_what_came_before() {
    let (builder, mut peer) = builder();
    let client = Client::start(builder.event_capacity(100, 100_000).build().unwrap());
    let mut link = peer.welcome().await;
    client.ready().await.unwrap();
    let mut events = client.events();
    for seq in 1..=10 {
        link.numbered(seq, "big", json!("x".repeat(60_000))).await;
    }
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let request = link.request().await;
    link.answer(&request, json!(1)).await;
    call.await.unwrap().unwrap();
    assert_eq!(next(&mut events).await, "lagged 9");
    assert!(next(&mut events).await.starts_with("big"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_is_forgotten() {
    let (client, _peer, mut link) = ready().await;
    let streams: Vec<_> = (0..10).map(|_| client.events()).collect();
    assert_eq!(client.stats().event_streams, 10);
    drop(streams);
    assert_eq!(client.stats().event_streams, 0);
    link.numbered(1, "tick", json!(1)).await;
}
