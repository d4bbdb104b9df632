//! Many clients that are all in: a thousand in the exhaustive tier. The benchmark `connections` has five thousand.

use std::time::{Duration, Instant};

use openclaw_mock_gateway::{Edition, MockGateway};

use super::crowd::{Crowd, Kind};
use super::{
    A_WHILE, EDITIONS, HARNESS_THREADS, alone, file_limit, open_files, resident, runtime, size,
    threads,
};

#[test]
fn many_live_connections_are_served_in_both_editions() {
    let _alone = alone();
    let count = size("LIVE", 200, 1_000).min(file_limit().saturating_sub(open_files() + 64));
    for edition in EDITIONS {
        runtime().block_on(served(edition, count));
    }
}

async fn served(edition: Edition, count: usize) {
    let builder = MockGateway::builder().edition(edition).token("t0ken");
    let builder = builder.strict(false).recording(false);
    // Nothing by the clock, so that the events can be counted.
    let never = Duration::from_secs(24 * 60 * 60);
    let builder = builder.tick_interval(never).health_interval(never);
    let gateway = builder.start().await;
    let local = gateway.local_url().replace("ws://", "");
    let mut crowd = Crowd::start(Kind::Live, &local, count);
    let (memory, limit) = (resident(), threads() + HARNESS_THREADS);
    let begin = Instant::now();
    assert_eq!(crowd.connect().await, count, "{edition}");
    let all = gateway.wait_for(|now| now.live == count, A_WHILE).await;
    all.expect("all are in");
    let took = begin.elapsed();
    let each = resident().saturating_sub(memory) / count.max(1);
    println!("{edition}: {count} live in {took:.1?}, {each} bytes each");
    assert!(each < 64 * 1024, "{edition}: {each} bytes each");
    assert!(threads() <= limit, "{edition}: more threads");

    assert_eq!(crowd.call().await, count, "{edition}: not all are answered");
    // 2026.2.9 tells everybody of its health whenever somebody comes, and drops none of it.
    let expected = match edition {
        Edition::V2026_2_9 => count * (count + 1) / 2,
        _ => 0,
    };
    assert_eq!(crowd.events(expected).await, expected, "{edition}");
    assert_eq!(gateway.live(), count, "{edition}: some were lost");
}
