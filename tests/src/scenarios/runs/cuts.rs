//! Runs over a connection that does not hold.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use openclaw_adapter::{Client, RetryPolicy};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::follow::{Following, Story};
use crate::dice::Dice;
use crate::model::Script;
use crate::road::Road;
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;

/// Runs that are cut, and how many at a time.
const CUTS: usize = 30;
const AT_A_TIME: usize = 5;

/// How a model that takes its time speaks.
const WORDS: usize = 14;
const PIECE: Duration = Duration::from_millis(60);

/// When it is cut: up to so long after its beginning, or after so many bytes from the gateway.
const WHEN: Duration = Duration::from_secs(2);
const BYTES: usize = 12_000;

/// The longest that one may take, reconnect included.
const RUN: Duration = Duration::from_secs(120);

/// Where the blow falls.
#[derive(Debug, Clone, Copy)]
enum Cut {
    After(Duration),
    Within(u64),
}

impl Cut {
    fn random(dice: &mut Dice) -> Self {
        if dice.percent(50) {
            Self::After(dice.time(WHEN))
        } else {
            Self::Within(dice.number(1..BYTES) as u64)
        }
    }
}

async fn cut_once(
    stage: &Stage,
    client: &Client,
    road: &Road,
    script: Script,
    cut: Cut,
) -> anyhow::Result<Story> {
    let question = stage.question("cuts", script)?;
    let session = stage.session("cut");
    let (begun, begins) = oneshot::channel();
    let asking = async {
        let run = client.agent().run(&session, &question.message);
        let run = match stage.gateway().release() {
            // A request that is lost before it is accepted may be lost for good there: nobody can
            // say whether it arrived, and it must not be sent twice. So it goes out on a connection
            // that is known to be good, and the cut comes after it is accepted.
            Release::V2026_2_9 => {
                let good = async {
                    while client.call_raw("health", json!({})).await.is_err() {
                        client.ready().await?;
                    }
                    anyhow::Ok(())
                };
                timeout(RUN, good).await.context("no connection")??;
                run.await?
            }
            Release::V2026_9_6 | Release::Other => run.start(),
        };
        let _ = begun.send(());
        let story = Following::new(run).until_its_end(RUN).await?;
        story.is_done_with(&question.answer)?;
        let asked = stage.asked(&question)?;
        ensure!(asked == 1, "the model was asked {asked} times in one run");
        anyhow::Ok(story)
    };
    let cutting = async {
        // An error of the other half is reported there.
        let _ = begins.await;
        match cut {
            Cut::Within(bytes) => road.cut_after(bytes),
            Cut::After(time) => {
                sleep(time).await;
                road.cut();
            }
        }
    };
    let (story, ()) = tokio::join!(asking, cutting);
    road.spare();
    story.with_context(|| format!("cut {cut:?}"))
}

pub(super) async fn cuts(stage: &Stage) -> anyhow::Result<String> {
    let mut dice = Dice::new()?;
    let plan: Vec<Vec<(Script, Cut)>> = (0..AT_A_TIME)
        .map(|_| {
            (0..CUTS / AT_A_TIME)
                .map(|_| {
                    let script = Script::says(dice.pieces(WORDS)).pause(PIECE);
                    (script, Cut::random(&mut dice))
                })
                .collect()
        })
        .collect();
    let seed = dice.to_string();

    let lane = |(number, plan): (usize, Vec<(Script, Cut)>)| {
        let seed = &seed;
        async move {
            let road = stage.road().await?;
            // The delays between attempts start over after half a minute without a cut, which is
            // longer than any of these connections lives.
            let retry = RetryPolicy::default().with_max(Duration::from_secs(1));
            let config = stage
                .config(&format!("backend-{number}"), &road)?
                .retry(retry);
            let client = Client::connect(config.build()?).await?;
            let mut interrupted = 0;
            for (script, cut) in plan {
                let story = cut_once(stage, &client, &road, script, cut)
                    .await
                    .with_context(|| seed.clone())?;
                interrupted += usize::from(story.interrupted > 0);
            }
            client.close().await;
            anyhow::Ok((road.cuts(), road.cuts_within_a_frame(), interrupted))
        }
    };
    let lanes = try_join_all(plan.into_iter().enumerate().map(lane)).await?;
    let (mut cuts, mut within, mut interrupted) = (0, 0, 0);
    for lane in lanes {
        cuts += lane.0;
        within += lane.1;
        interrupted += lane.2;
    }
    Ok(format!(
        "{CUTS} runs, {cuts} cuts, {within} of them within a frame, {interrupted} seen by the run: every \
         answer whole, the model asked once per run"
    ))
}
