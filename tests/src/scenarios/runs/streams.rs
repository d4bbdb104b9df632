//! Runs over a connection that holds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use openclaw_adapter::Client;

use super::follow::Following;
use crate::dice::Dice;
use crate::model::Script;
use crate::scenarios::stage::Stage;

/// Runs of each kind.
const RUNS: usize = 100;

/// How many at a time.
const AT_A_TIME: usize = 10;

/// How many runs one session has before another one takes its place.
const PER_SESSION: usize = 10;

/// The longest that one may take, on a machine that has other things to do.
const RUN: Duration = Duration::from_secs(180);

/// Asks one question after the other in one session.
async fn conversation(
    stage: &Stage,
    client: &Client,
    scripts: Vec<Script>,
) -> anyhow::Result<(usize, usize)> {
    let session = stage.session("stream");
    let (mut characters, mut parts) = (0, 0);
    for script in scripts {
        let question = stage.question("streams", script)?;
        let run = client.agent().run(&session, &question.message).await?;
        let story = Following::new(run).until_its_end(RUN).await?;
        story.is_done_with(&question.answer)?;
        ensure!(
            story.text == question.answer,
            "the stream came to {:?}, the model said {:?}",
            story.text,
            question.answer
        );
        let asked = stage.asked(&question)?;
        ensure!(asked == 1, "the model was asked {asked} times in one run");
        characters += question.answer.chars().count();
        parts += story.parts;
    }
    Ok((characters, parts))
}

pub(super) async fn streams(stage: &Stage) -> anyhow::Result<String> {
    let mut dice = Dice::new()?;
    let mut scripts = |count| -> Vec<Script> {
        (0..count)
            .map(|_| {
                let words = dice.number(1..60);
                Script::says(dice.pieces(words))
            })
            .collect()
    };
    let one_by_one: Vec<_> = (0..RUNS / PER_SESSION)
        .map(|_| scripts(PER_SESSION))
        .collect();
    let together: Vec<_> = (0..AT_A_TIME).map(|_| scripts(RUNS / AT_A_TIME)).collect();
    let seed = dice.to_string();

    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    let connections = road.connections();
    let play = async {
        let started = Instant::now();
        let mut all = (0, 0);
        for scripts in one_by_one {
            let (characters, parts) = conversation(stage, &client, scripts).await?;
            all = (all.0 + characters, all.1 + parts);
        }
        let alone = started.elapsed();

        let started = Instant::now();
        let conversations = together
            .into_iter()
            .map(|scripts| conversation(stage, &client, scripts));
        for (characters, parts) in try_join_all(conversations).await? {
            all = (all.0 + characters, all.1 + parts);
        }
        anyhow::Ok((alone, started.elapsed(), all))
    };
    let (alone, together, (characters, parts)) = play.await.context(seed)?;
    ensure!(
        road.connections() == connections,
        "the connection was lost on the way"
    );
    client.close().await;
    Ok(format!(
        "{RUNS} one after another in {:.1} s, {RUNS} by {AT_A_TIME} at a time in {:.1} s; {characters} \
         characters in {parts} parts, all as the model sent them",
        alone.as_secs_f64(),
        together.as_secs_f64()
    ))
}
