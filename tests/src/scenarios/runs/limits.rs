//! What a gateway would refuse is not sent to it, or not again.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use openclaw_adapter::Error;
use serde_json::json;

use crate::scenarios::stage::Stage;

/// How often a loop that does not look at errors calls in vain.
const CALLS: usize = 200;

/// Of them, how many may go out while the loop lasts: the first, and one each time the breaker tries
/// again.
const SENT: usize = 4;

/// How long the loop goes on.
const LOOP: Duration = Duration::from_secs(3);

/// A larger frame than this is never made here; no gateway reads more.
const HUGE: usize = 64 * 1024 * 1024;

pub(super) async fn read_only(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let config = stage.config("reader", &road)?.scopes(["operator.read"]);
    let client = openclaw_adapter::Client::connect(config.build()?).await?;
    client.call_raw("status", json!({})).await?;

    let params = json!({ "sessionKey": stage.session("reader"), "message": "hello",
        "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    let refused = client.call_raw("chat.send", &params).await;
    match &refused {
        Err(Error::Call { error, .. }) => ensure!(
            error.missing_scope() == Some("operator.write"),
            "the refusal does not name the scope: {error:?}"
        ),
        other => bail!("chat.send without operator.write ended as {other:?}"),
    }
    let started = Instant::now();
    let mut held_back = 0;
    for n in 0..CALLS {
        match client.call_raw("chat.send", &params).await {
            Err(Error::HeldBack { error, .. }) => {
                ensure!(
                    error.missing_scope() == Some("operator.write"),
                    "what was held back does not say why: {error:?}"
                );
                held_back += 1;
            }
            Err(Error::Call { .. }) => {}
            other => bail!("call {n} ended as {other:?}"),
        }
        let pace = LOOP.mul_f64(f64::from(u32::try_from(n)?) / f64::from(u32::try_from(CALLS)?));
        tokio::time::sleep_until((started + pace).into()).await;
    }
    let sent = road.asked("chat.send");
    ensure!(
        (1..=SENT).contains(&sent) && sent + held_back == CALLS + 1,
        "of {} calls {sent} went out and {held_back} were held back",
        CALLS + 1
    );
    // What it may do it can still do.
    client.call_raw("status", json!({})).await?;
    client.close().await;
    Ok(format!(
        "operator.write named; of {} calls in {LOOP:?} {sent} went out",
        CALLS + 1
    ))
}

pub(super) async fn max_payload(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    let hello = client.ready().await?;
    let connections = road.connections();
    let allowed = hello.policy.max_payload;
    ensure!(allowed < HUGE, "the gateway says it reads {allowed} bytes");
    let params = json!({ "sessionKey": stage.session("large"), "message": "x".repeat(allowed),
        "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    match client.call_raw("chat.send", &params).await {
        Err(Error::TooLarge { size, limit, .. }) => ensure!(
            limit == allowed && size > limit,
            "{size} bytes are over {limit}, and the gateway says {allowed}"
        ),
        other => bail!("a call larger than maxPayload ended as {other:?}"),
    }
    // The same connection goes on.
    client.call_raw("status", json!({})).await?;
    ensure!(
        road.asked("chat.send") == 0 && road.connections() == connections,
        "{} frames went out; {} connections instead of {connections}",
        road.asked("chat.send"),
        road.connections()
    );
    client.close().await;
    Ok(format!(
        "TooLarge over {allowed} bytes, nothing sent, the connection stays"
    ))
}
