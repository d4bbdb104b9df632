//! Frames of a gateway in any order: chosen by chance, from a seed, on virtual time.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openclaw_adapter::{Client, Error};
use openclaw_tests::peer::{self, Link, Peer};
use openclaw_tests::tier;
use serde_json::{Value, json};

const STEPS: usize = 40;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// One thing that a gateway may do next; `false` when the connection is over by it.
async fn act(rng: &mut fastrand::Rng, link: &mut Link, seen: &[Value]) -> bool {
    let nothing = json!({"id":"1"});
    let request = rng.choice(seen).unwrap_or(&nothing).clone();
    match rng.u8(..18) {
        0 => link.challenge().await,
        1 => link.answer(&request, peer::hello()).await,
        2 => link.answer(&request, peer::old_hello(rng.u64(..))).await,
        3 => {
            link.answer(&request, json!({"status":"accepted","runId":"r"}))
                .await;
        }
        4 => link.answer(&request, json!([rng.u64(..)])).await,
        5 => {
            let code = *rng.choice(&CODES).unwrap();
            let error = json!({"code":"INVALID_REQUEST","message":"no","details":{"code":code,
                "requestId":"r","retryAfterMs":rng.f64()},"retryAfterMs":rng.f64() - 0.5});
            link.refuse(&request, error).await;
        }
        6 => link.refuse(&request, json!("odd")).await,
        7 => {
            link.frame(json!({"type":"res","id":rng.u64(..9).to_string(),"ok":rng.bool()}))
                .await;
        }
        8 => {
            link.frame(json!({"type":"res","id":rng.u64(..9),"ok":"yes"}))
                .await;
        }
        9 => {
            link.numbered(rng.u64(..), "agent", json!({"runId":"r"}))
                .await;
        }
        10 => link.event("shutdown", json!({"reason":7})).await,
        11 => {
            link.event("connect.challenge", json!({"nonce":7,"ts":-1}))
                .await;
        }
        12 => link.text(JUNK[rng.usize(..JUNK.len())]).await,
        13 => {
            link.frame(json!({"type":"req","id":"1","method":"connect"}))
                .await;
        }
        14 => link.frame(json!({"type":"hint"})).await,
        15 => tokio::time::sleep(Duration::from_millis(rng.u64(..40_000))).await,
        16 => link.text("[".repeat(rng.usize(..5_000))).await,
        _ => return rng.u8(..4) != 0,
    }
    true
}

const JUNK: [&str; 8] = [
    "",
    "null",
    "7",
    "[]",
    "{",
    "\"x\"",
    "{\"type\":7}",
    "{\"type\":\"event\"}",
];
const CODES: [&str; 9] = [
    "AUTH_TOKEN_MISMATCH",
    "AUTH_DEVICE_TOKEN_MISMATCH",
    "AUTH_RATE_LIMITED",
    "PAIRING_REQUIRED",
    "DEVICE_AUTH_SIGNATURE_INVALID",
    "PROTOCOL_MISMATCH",
    "AUTH_SCOPE_MISMATCH",
    "GATEWAY_STARTING",
    "",
];
const CLOSES: [u16; 8] = [1000, 1001, 1008, 1009, 1012, 1013, 4001, 4999];

/// One connection of a gateway without manners.
async fn misbehave(rng: &mut fastrand::Rng, peer: &mut Peer) {
    let Some(mut link) = peer.try_accept().await else {
        return;
    };
    let mut seen = Vec::new();
    if rng.u8(..4) != 0 {
        link.challenge().await;
    }
    for _ in 0..rng.usize(..STEPS) {
        if rng.bool()
            && let Ok(next) = tokio::time::timeout(Duration::from_millis(50), link.next()).await
        {
            match next {
                Some(request) => seen.push(request),
                None => return,
            }
        }
        if !act(rng, &mut link, &seen).await {
            break;
        }
    }
    if rng.bool() {
        let reason: String = std::iter::repeat_with(|| rng.char(..)).take(20).collect();
        link.close(*rng.choice(&CLOSES).unwrap(), &reason).await;
    }
}

async fn play(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (builder, mut peer) = peer::builder();
    let client = Client::start(builder.seed(seed).event_capacity(8, 4096).build().unwrap());
    let _events = client.events();
    let calls: Vec<_> = (0..4)
        .map(|number| {
            let client = client.clone();
            let within = Duration::from_secs(5 + 40 * number);
            tokio::spawn(async move { client.call_raw("health", json!({})).within(within).await })
        })
        .collect();
    for _ in 0..rng.usize(1..6) {
        let patience = Duration::from_secs(3_600);
        if tokio::time::timeout(patience, misbehave(&mut rng, &mut peer))
            .await
            .is_err()
        {
            // It has stopped for good, and says why.
            assert!(!client.state().borrow().is_ready(), "seed {seed}");
            client.retry_now();
        }
    }
    // Each call has one outcome, and the client is still there to be closed.
    for call in calls {
        let outcome = tokio::time::timeout(Duration::from_secs(200), call).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed}: a call has no outcome"));
        if let Err(Error::Closed) = outcome.unwrap() {
            panic!("seed {seed}: closed by itself");
        }
    }
    let closing = Client::close(&client);
    let closed = tokio::time::timeout(Duration::from_secs(60), closing).await;
    closed.unwrap_or_else(|_| panic!("seed {seed}: close() does not return"));
    let stats = client.stats();
    assert_eq!((stats.calls, stats.unanswered), (0, 0), "seed {seed}");
}

#[test]
fn frames_in_any_order_never_panic_nor_leave_a_call_without_an_outcome() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    for seed in tier::seeds("DISORDER", 60, 500) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(seed));
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed} panics");
    }
}
