//! The environment of the demo: the gateway, the directories, and steps that have to succeed within a
//! limit.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use openclaw_mock_gateway::{Edition, MockGateway};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::journal::Journal;
use crate::narrator::Narrator;
use crate::operator::Operator;

/// More than any step takes, even on a busy machine; each takes a few seconds at the most.
const STEP_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Stage<'a> {
    pub(crate) gateway: MockGateway,
    narrator: &'a Narrator,
    journal: Journal,
    dir: TempDir,
    steps: Cell<usize>,
    facts: Cell<usize>,
    /// The token in the backend's variable; not always the one that the gateway expects.
    token: RefCell<String>,
    began: Instant,
}

impl<'a> Stage<'a> {
    pub(crate) async fn set(
        edition: Edition,
        narrator: &'a Narrator,
        journal: Journal,
    ) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("openclaw-demo-").context("make a directory")?;
        let gateway = MockGateway::builder()
            .edition(edition)
            .state_dir(dir.path().join("gateway"))
            .try_start()
            .await
            .context("start the mock gateway")?;
        let token = RefCell::new(gateway.token());
        Ok(Self {
            gateway,
            narrator,
            journal,
            dir,
            steps: Cell::new(0),
            facts: Cell::new(0),
            token,
            began: Instant::now(),
        })
    }

    /// Runs one step, with a limit; an error names the step.
    pub(crate) async fn step<T>(
        &self,
        title: &str,
        step: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        self.narrator.step(number, title);
        let played = match tokio::time::timeout(STEP_LIMIT, step).await {
            Ok(played) => played,
            Err(_) => Err(anyhow::anyhow!("it took more than {STEP_LIMIT:?}")),
        };
        self.log();
        played.with_context(|| format!("step {number}, {title}"))
    }

    /// Prints a fact that has to be true.
    pub(crate) fn fact(&self, what: &str, is_so: bool) -> anyhow::Result<()> {
        if !is_so {
            bail!("not true: {what}");
        }
        self.facts.set(self.facts.get() + 1);
        self.narrator.fact(what);
        Ok(())
    }

    /// Checks that the gateway has this many connections.
    pub(crate) async fn connections(&self, what: &str, count: usize) -> anyhow::Result<()> {
        // The gateway may notice a moment after the client that one is over.
        let now = self.gateway.wait_for(|now| now.live == count, STEP_LIMIT);
        let is_so = now.await.is_ok();
        self.fact(what, is_so)
    }

    pub(crate) fn explain(&self, text: &str) {
        self.narrator.explain(text);
    }

    /// Prints the new lines of the backend's log.
    pub(crate) fn log(&self) -> Vec<String> {
        let lines = self.journal.take();
        for line in &lines {
            self.narrator.logs(line);
        }
        lines
    }

    pub(crate) const fn narrator(&self) -> &Narrator {
        self.narrator
    }

    pub(crate) fn operator(&self) -> Operator<'_> {
        Operator {
            narrator: self.narrator,
            gateway: &self.gateway,
            gateway_dir: self.dir.path().join("gateway"),
        }
    }

    /// Returns the directory in place of the backend's volume.
    pub(crate) fn backend_dir(&self) -> PathBuf {
        self.dir.path().join("backend")
    }

    /// Returns a directory for another backend, which is not approved.
    pub(crate) fn newcomer_dir(&self) -> PathBuf {
        self.dir.path().join("newcomer")
    }

    /// Returns the token in the backend's environment.
    pub(crate) fn token(&self) -> String {
        self.token.borrow().clone()
    }

    /// Changes the token in the backend's environment.
    pub(crate) fn set_token(&self, token: String) {
        *self.token.borrow_mut() = token;
    }

    /// Starts the backend with its current environment and volume.
    pub(crate) fn start_backend(&self, command: &str) -> anyhow::Result<Backend> {
        self.narrator.types("operator", command);
        Backend::start(&self.gateway.url(), &self.token(), &self.backend_dir())
    }

    pub(crate) fn end(&self) {
        self.narrator.ended(&format!(
            "All {} steps succeeded: {} facts checked in {:.1} s.",
            self.steps.get(),
            self.facts.get(),
            self.began.elapsed().as_secs_f64()
        ));
    }
}
