//! Models that fail.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use openclaw_adapter::{Client, RunOutcome};

use super::follow::Following;
use crate::model::{End, Script};
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;

/// 2026.9.6 asks a model that limits its rate ten times, which takes up to three minutes (measured).
const RUN: Duration = Duration::from_secs(330);

/// How long a run may take where only the caller's own limit ends it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One way to fail, and what the reason has to say.
struct Way {
    name: &'static str,
    script: Script,
    /// One of these is in the reason.
    words: &'static [&'static str],
}

fn ways() -> Vec<Way> {
    vec![
        Way {
            name: "500",
            script: Script::refuses(500),
            words: &["500"],
        },
        Way {
            name: "429",
            script: Script::refuses(429),
            words: &["429", "rate limit"],
        },
        Way {
            name: "drops",
            script: Script::says(["The first half"])
                .pause(Duration::from_millis(100))
                .ends(End::Drops),
            words: &["timed out", "terminated"],
        },
        Way {
            name: "silence",
            script: Script::says::<String>([]).ends(End::Silence),
            words: &["timed out"],
        },
    ]
}

async fn fails(stage: &Stage, client: &Client, way: Way) -> anyhow::Result<String> {
    let question = stage.question(way.name, way.script)?;
    let is_silent = way.name == "silence";
    let watches = stage.gateway().release() != Release::V2026_2_9;
    let agent = if is_silent {
        stage.gateway().hasty_agent()
    } else {
        "main"
    };
    let session = stage.session_of(agent, way.name);
    let mut starting = client.agent().run(&session, &question.message);
    if is_silent && !watches {
        starting = starting.timeout(PATIENCE);
    }
    let started = Instant::now();
    let story = Following::new(starting.await?).until_its_end(RUN).await?;
    let took = started.elapsed().as_secs_f64();
    let asked = stage.asked(&question)?;
    let name = way.name;
    match &story.outcome {
        RunOutcome::Failed { error, .. } => {
            let said = error.message.to_lowercase();
            ensure!(
                way.words.iter().any(|word| said.contains(word)),
                "the reason is {:?}",
                error.message
            );
            Ok(format!(
                "{name}: failed after {took:.0} s and {asked} requests ({error})"
            ))
        }
        // It has no watchdog of its own: the caller's limit is all that ends such a run.
        RunOutcome::TimedOut { .. } if is_silent && !watches => {
            Ok(format!("{name}: {} after {took:.0} s", story.outcome))
        }
        other => bail!("the run ended as {other:?}"),
    }
}

pub(super) async fn failing_models(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    let found = try_join_all(ways().into_iter().map(|way| {
        let (client, name) = (&client, way.name);
        async move { fails(stage, client, way).await.context(name) }
    }))
    .await?;
    client.close().await;
    Ok(found.join("; "))
}
