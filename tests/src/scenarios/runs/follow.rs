//! Following a run as a backend does, with an eye on what a run may not do.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use openclaw_adapter::{Run, RunItem, RunOutcome, RunText, ToolEvent};

/// What a run told, and how it ended.
#[derive(Debug)]
pub(super) struct Story {
    /// All of the text, put together from its parts.
    pub(super) text: String,
    /// How many parts there were.
    pub(super) parts: usize,
    /// How often it was taken back and told again.
    pub(super) replaced: usize,
    /// The steps of its tools.
    pub(super) tools: Vec<ToolEvent>,
    /// How often the connection was lost on the way.
    pub(super) interrupted: usize,
    /// The end.
    pub(super) outcome: RunOutcome,
}

impl Story {
    /// Checks that it was told to its end, exactly as the model said it.
    pub(super) fn is_done_with(&self, answer: &str) -> anyhow::Result<()> {
        let RunOutcome::Done { text, .. } = &self.outcome else {
            bail!("the run ended as {:?}", self.outcome);
        };
        ensure!(
            text == answer,
            "the answer is {text:?}, the model said {answer:?}"
        );
        Ok(())
    }
}

/// A run that is being followed.
#[derive(Debug)]
pub(super) struct Following {
    run: Run,
    story: Parts,
}

#[derive(Debug, Default)]
struct Parts {
    text: String,
    count: usize,
    replaced: usize,
    tools: Vec<ToolEvent>,
    interrupted: usize,
}

impl Following {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            story: Parts::default(),
        }
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Reads on until an item that `wanted` says yes to, or the end.
    pub(super) async fn until(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&RunItem) -> bool,
    ) -> anyhow::Result<Option<RunOutcome>> {
        let reading = async {
            loop {
                let item = self
                    .run
                    .next()
                    .await
                    .context("the run's items ended without an outcome")?;
                self.story.take(&item)?;
                if let RunItem::Ended(outcome) = item {
                    return Ok(Some(outcome));
                }
                if wanted(&item) {
                    return Ok(None);
                }
            }
        };
        match tokio::time::timeout(within, reading).await {
            Ok(read) => read,
            Err(_) => bail!("nothing of it within {within:?}; so far {:?}", self.story),
        }
    }

    /// Reads until there is some text.
    pub(super) async fn speaks(&mut self, within: Duration) -> anyhow::Result<()> {
        let ended = self
            .until(within, |item| matches!(item, RunItem::Text(_)))
            .await?;
        ensure!(
            ended.is_none(),
            "it ended before it said anything: {ended:?}"
        );
        Ok(())
    }

    /// Reads to the end, and makes sure that it is one.
    pub(super) async fn until_its_end(mut self, within: Duration) -> anyhow::Result<Story> {
        let outcome = self
            .until(within, |_| false)
            .await?
            .context("it has no end")?;
        let more = self.run.next().await;
        ensure!(more.is_none(), "after its end it told {more:?}");
        let Parts {
            text,
            count: parts,
            replaced,
            tools,
            interrupted,
        } = self.story;
        Ok(Story {
            text,
            parts,
            replaced,
            tools,
            interrupted,
            outcome,
        })
    }
}

impl Parts {
    fn take(&mut self, item: &RunItem) -> anyhow::Result<()> {
        match item {
            RunItem::Text(RunText {
                text,
                delta,
                replaced,
                ..
            }) => {
                if *replaced {
                    self.replaced += 1;
                    self.text.clear();
                }
                self.text.push_str(delta);
                self.count += 1;
                ensure!(
                    self.text == **text,
                    "the parts make {:?}, the whole is {text:?}",
                    self.text
                );
            }
            RunItem::Tool(step) => self.tools.push(step.clone()),
            RunItem::Interrupted => self.interrupted += 1,
            _ => {}
        }
        Ok(())
    }
}
