//! One key, two processes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_adapter::RunItem;
use uuid::Uuid;

use super::follow::Following;
use crate::model::{Script, wait_asked};
use crate::scenarios::SOON;
use crate::scenarios::stage::Stage;

/// A run that is there long enough for somebody to join it.
const PIECES: usize = 12;
const PIECE: Duration = Duration::from_millis(150);

/// The longest it may take.
const RUN: Duration = Duration::from_secs(120);

pub(super) async fn shared(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let first = stage.client("first", &road).await?;
    let second = stage.client("second", &road).await?;
    let session = stage.session("shared");
    let pieces = (1..=PIECES).map(|n| format!("{}word {n}", if n == 1 { "" } else { " " }));
    let question = stage.question("keys", Script::says(pieces).pause(PIECE))?;
    let key = Uuid::new_v4().to_string();

    let start = |client: &openclaw_adapter::Client| {
        let (client, session, key, message) = (
            client.clone(),
            session.clone(),
            key.clone(),
            question.message.clone(),
        );
        async move {
            let run = client.agent().run(&session, &message).with_id(&key).await?;
            ensure!(run.id() == key, "the run has another id: {}", run.id());
            anyhow::Ok(Following::new(run))
        }
    };
    let one = start(&first).await?;
    wait_asked(stage.model()?, &question.marker, 1, SOON).await?;
    let mut two = start(&second).await?;
    let joined = two
        .until(SOON, |item| {
            matches!(item, RunItem::Accepted { .. } | RunItem::Text(_))
        })
        .await?;
    ensure!(joined.is_none(), "the second run ended at once: {joined:?}");
    let (one, two) = tokio::try_join!(one.until_its_end(RUN), two.until_its_end(RUN))?;
    one.is_done_with(&question.answer).context("the first")?;
    two.is_done_with(&question.answer).context("the second")?;

    // And once more, when it has long been over.
    let late = start(&second).await?.until_its_end(RUN).await?;
    late.is_done_with(&question.answer)
        .context("the late one")?;
    let asked = stage.asked(&question)?;
    ensure!(asked == 1, "the model was asked {asked} times");
    first.close().await;
    second.close().await;
    Ok("one run; the first, the second and one that came after its end have its answer".to_owned())
}
