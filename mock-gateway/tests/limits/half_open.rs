//! Many sockets that never get as far as hello-ok.

use std::time::{Duration, Instant};

use openclaw_mock_gateway::{Edition, MockGateway};
use serde_json::json;

use super::crowd::{Crowd, Kind, call, hello};
use super::{
    A_WHILE, EDITIONS, HARNESS_THREADS, MIB, address, alone, file_limit, open_files, resident,
    runtime, size, threads,
};

#[test]
fn many_half_open_sockets_at_one_moment_cost_little_and_end_by_the_handshake_timeout() {
    let _alone = alone();
    let many = size("HALF_OPEN", 1_000, 10_000);
    // Long enough for all of them to come; the editions' own are 10 and 15 s.
    let timeout = Duration::from_secs(if many > 1_000 { 20 } else { 5 });
    let count = many.min(file_limit().saturating_sub(open_files() + 64));
    if count < many {
        println!(
            "only {count} sockets: the limit of open files is {}",
            file_limit()
        );
    }
    for edition in EDITIONS {
        let more = runtime().block_on(crowded(edition, count, timeout));
        // What the first crowd took is used again by the second, or most of it: the allocator keeps it, the
        // mock does not.
        let each = if edition == EDITIONS[0] { 8 } else { 2 };
        let most = count * each * 1024 + 4 * MIB;
        assert!(more < most, "{edition}: {more} bytes more than before");
    }
}

/// One crowd comes, stays and goes; the most memory that it took.
async fn crowded(edition: Edition, count: usize, handshake: Duration) -> usize {
    let builder = MockGateway::builder().edition(edition).token("t0ken");
    let gateway = builder
        .strict(false)
        .handshake_timeout(handshake)
        .start()
        .await;
    let local = gateway.local_url().replace("ws://", "");
    // 2026.9.6 has no room for more than 32 that have upgraded.
    let kind = match edition {
        Edition::V2026_2_9 => Kind::Upgraded,
        _ => Kind::Silent,
    };
    let mut crowd = Crowd::start(kind, &address(&gateway), count);
    let mut client = hello(&local).await;
    let (memory, limit, files) = (resident(), threads() + HARNESS_THREADS, open_files());
    let begin = Instant::now();
    assert_eq!(crowd.connect().await, count, "{edition}");
    let all = gateway.wait_for(|now| now.open == count + 1, A_WHILE).await;
    all.expect("all are open at one moment");
    let took = begin.elapsed();

    let more = resident().saturating_sub(memory);
    println!(
        "{edition}: {count} half-open in {took:.1?}, {} KiB more",
        more / 1024
    );
    assert!(threads() <= limit, "{edition}: more threads");
    assert!(open_files() >= files + count, "{edition}: not all are open");
    // Meanwhile it is there for others: for who is in already, and for who comes.
    for client in [&mut client, &mut hello(&local).await] {
        assert_eq!(call(client, "health", &json!({})).await["ok"], true);
    }
    assert_eq!(crowd.connected().await, count, "{edition}: too early");
    assert!(
        gateway.open() > count,
        "{edition}: {} are open",
        gateway.open()
    );

    let end = gateway
        .wait_for(|now| now.open == 1, handshake + A_WHILE)
        .await;
    end.expect("the handshake timeout ends them");
    assert!(begin.elapsed() >= handshake, "{edition}: ended too early");
    assert!(open_files() <= files + 1, "{edition}: files are left");
    assert_eq!(call(&mut client, "health", &json!({})).await["ok"], true);
    assert_eq!(crowd.gone().await, 0, "{edition}: they do not know");
    more.max(resident().saturating_sub(memory))
}
