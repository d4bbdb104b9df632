//! The gateway goes away in the middle of a run.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use openclaw_adapter::{Client, RunOutcome};
use serde_json::{Value, json};

use super::follow::{Following, Story};
use super::stage::Question;
use crate::model::Script;
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;
use crate::scenarios::{BACK_AGAIN, SOON};

/// A run that is long enough to stop a gateway in the middle of it.
const PIECES: usize = 24;
const PIECE: Duration = Duration::from_millis(250);

/// 2026.2.9 does not name its process. A client tells one from the next by how long it has been up,
/// which has to be longer than what a handshake may take.
const A_LIFE: Duration = Duration::from_secs(3);

/// How long after everything has come back the model might still be asked again, wrongly.
const STILL: Duration = Duration::from_secs(5);

fn slow_answer() -> Script {
    let pieces = (1..=PIECES).map(|n| format!("{}part {n}", if n == 1 { "" } else { ", " }));
    Script::says(pieces).pause(PIECE)
}

/// How a run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Agent,
    Chat,
}

/// A run that has begun to speak.
async fn speaking(
    client: &Client,
    by: By,
    session: &str,
    question: &Question,
) -> anyhow::Result<Following> {
    let run = match by {
        By::Agent => client.agent().run(session, &question.message).await?,
        By::Chat => client.chat().send(session, &question.message).await?,
    };
    let mut run = Following::new(run);
    run.speaks(SOON).await?;
    Ok(run)
}

/// How often the session's history has the whole answer.
async fn answers(client: &Client, session: &str, question: &Question) -> anyhow::Result<usize> {
    let history = client
        .call_raw(
            "chat.history",
            json!({ "sessionKey": session, "limit": 100 }),
        )
        .await?;
    let rows = history["messages"].as_array().context("no messages")?;
    let says_it = |row: &&Value| {
        row["role"] == "assistant"
            && row["content"].as_array().is_some_and(|parts| {
                parts
                    .iter()
                    .any(|part| part["text"].as_str() == Some(&question.answer))
            })
    };
    Ok(rows.iter().filter(says_it).count())
}

pub(super) async fn stopped(stage: &Stage) -> anyhow::Result<String> {
    let gateway = stage.gateway();
    tokio::time::sleep(A_LIFE).await;
    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    let session = stage.session("stop");
    let question = stage.question("stops", slow_answer())?;
    let run = speaking(&client, By::Agent, &session, &question).await?;

    let stopping = async {
        let started = Instant::now();
        gateway.stop().await?;
        let gone = started.elapsed();
        gateway.start().await?;
        anyhow::Ok(gone)
    };
    let (gone, story) = tokio::join!(stopping, run.until_its_end(BACK_AGAIN));
    let (gone, story) = (gone?, story?);
    client.ready().await?;
    tokio::time::sleep(STILL).await;
    let asked = stage.asked(&question)?;
    ensure!(asked == 1, "the model was asked {asked} times");
    let stored = answers(&client, &session, &question).await?;
    client.close().await;

    let drained = match &story.outcome {
        RunOutcome::Done { text, .. } => {
            ensure!(*text == question.answer, "the answer is {text:?}");
            ensure!(stored == 1, "the history has the answer {stored} times");
            true
        }
        RunOutcome::Lost { .. } => {
            ensure!(stored == 0, "what was lost is in the history");
            false
        }
        other => bail!("the run ended as {other:?}"),
    };
    match gateway.release() {
        Release::V2026_9_6 => ensure!(drained, "it was not drained: {:?}", story.outcome),
        Release::V2026_2_9 => ensure!(!drained, "it was drained, which is new"),
        Release::Other => {}
    }
    Ok(format!(
        "{}, the gateway was gone after {:.1} s, the model asked once",
        if drained {
            "drained to its end".to_owned()
        } else {
            story.outcome.to_string()
        },
        gone.as_secs_f64()
    ))
}

/// Kills the gateway under a run; what came of it, and how long that took.
async fn kill_under(stage: &Stage, by: By) -> anyhow::Result<String> {
    let gateway = stage.gateway();
    tokio::time::sleep(A_LIFE).await;
    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    let session = stage.session("kill");
    let question = stage.question("kills", slow_answer())?;
    let run = speaking(&client, by, &session, &question).await?;

    gateway.kill().await?;
    let killed = Instant::now();
    let starting = gateway.start();
    let (started, story) = tokio::join!(starting, run.until_its_end(BACK_AGAIN));
    started?;
    let Story { outcome, .. } = story?;
    let took = killed.elapsed();
    if let RunOutcome::Done { text, .. } = &outcome {
        ensure!(*text == question.answer, "the answer is {text:?}");
    }
    client.ready().await?;
    tokio::time::sleep(STILL).await;
    let asked = stage.asked(&question)?;
    let stored = answers(&client, &session, &question).await?;
    client.close().await;
    // Once before, and once more where the gateway itself takes it up again or is known not to
    // do twice what it has done.
    let most = match gateway.release() {
        Release::V2026_2_9 => 1,
        Release::V2026_9_6 | Release::Other => 2,
    };
    ensure!(
        asked <= most && stored <= 1,
        "the model was asked {asked} times and the history has the answer {stored} times; the run \
         ended as {outcome:?}"
    );
    let by = match by {
        By::Agent => "agent",
        By::Chat => "chat",
    };
    Ok(format!(
        "{by}: {outcome} after {:.1} s, the model asked {asked} times, {stored} answers",
        took.as_secs_f64()
    ))
}

pub(super) async fn killed(stage: &Stage) -> anyhow::Result<String> {
    let agent = kill_under(stage, By::Agent).await.context("agent")?;
    let chat = kill_under(stage, By::Chat).await.context("chat")?;
    Ok(format!("{agent}; {chat}"))
}
