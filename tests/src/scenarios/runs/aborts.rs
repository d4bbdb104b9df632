//! Runs that somebody no longer wants.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use openclaw_adapter::{Client, RetryPolicy, RunItem, RunOutcome};

use super::follow::Following;
use crate::model::Script;
use crate::road::Road;
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;
use crate::scenarios::{BACK_AGAIN, SOON};

/// Longer than anybody waits for an abort.
const PIECES: usize = 120;
const PIECE: Duration = Duration::from_millis(250);

/// How long an abort may take to end a run.
const ABORTED: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    AfterAReconnect,
}

async fn abort(
    stage: &Stage,
    client: &Client,
    road: &Road,
    by_chat: bool,
    when: When,
) -> anyhow::Result<String> {
    let session = stage.session("abort");
    let pieces = (1..=PIECES).map(|n| format!("{}item {n}", if n == 1 { "" } else { " " }));
    let question = stage.question("aborts", Script::says(pieces).pause(PIECE))?;
    let run = if by_chat {
        client.chat().send(&session, &question.message).await?
    } else {
        client.agent().run(&session, &question.message).await?
    };
    let mut run = Following::new(run);
    run.speaks(SOON).await?;
    if when == When::AfterAReconnect {
        road.cut();
        let ended = run
            .until(BACK_AGAIN, |item| matches!(item, RunItem::Resumed { .. }))
            .await?;
        ensure!(ended.is_none(), "it ended when it was cut: {ended:?}");
    }
    let asked = Instant::now();
    let (told, story) = {
        let abort = run.run().abort().await;
        (abort, run.until_its_end(ABORTED).await)
    };
    let aborted = told.context("the abort")?;
    let story = story?;
    ensure!(aborted, "the gateway says that there is nothing to abort");
    ensure!(
        matches!(story.outcome, RunOutcome::Aborted { .. }),
        "the run ended as {:?}",
        story.outcome
    );
    ensure!(
        question.answer.starts_with(story.outcome.text()),
        "the text until then is {:?}",
        story.outcome.text()
    );
    Ok(format!(
        "aborted after {:.1} s",
        asked.elapsed().as_secs_f64()
    ))
}

pub(super) async fn aborts(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let retry = RetryPolicy::default().with_max(Duration::from_secs(1));
    let config = stage.config("backend", &road)?.retry(retry);
    let client = Client::connect(config.build()?).await?;
    // What `agent` starts cannot be aborted there.
    let kinds: &[(bool, &str)] = match stage.gateway().release() {
        Release::V2026_2_9 => &[(true, "chat")],
        Release::V2026_9_6 | Release::Other => &[(false, "agent"), (true, "chat")],
    };
    let mut found = Vec::new();
    for &(by_chat, kind) in kinds {
        for (when, words) in [
            (When::AtOnce, "during the run"),
            (When::AfterAReconnect, "after a reconnect"),
        ] {
            let ended = abort(stage, &client, &road, by_chat, when)
                .await
                .with_context(|| format!("{kind}, {words}"))?;
            found.push(format!("{kind}, {words}: {ended}"));
        }
    }
    client.close().await;
    Ok(found.join("; "))
}
