//! The room of one scenario: a gateway, a directory, the backends started in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::SOON;
use super::backend::{Backend, Launch};
use super::gateway::{Gateway, Pending};
use super::secrets::Secrets;
use super::transcript::{Line, Transcript};

/// The states of the contract.
const STATES: [&str; 5] = [
    "connecting",
    "awaiting_approval",
    "backing_off",
    "ready",
    "stopped",
];

/// Lines of output shown of each backend when a scenario fails.
const SHOWN: usize = 60;

/// What one scenario works with.
pub struct Stage {
    dir: TempDir,
    gateway: Arc<dyn Gateway>,
    program: PathBuf,
    secrets: Secrets,
    transcripts: Mutex<Vec<Arc<Transcript>>>,
    began: Instant,
    notes: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("dir", &self.dir.path())
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// A new room with a directory of its own.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made.
    pub fn new(
        gateway: Arc<dyn Gateway>,
        program: &Path,
        secrets: Secrets,
    ) -> anyhow::Result<Self> {
        secrets.add(&gateway.token());
        Ok(Self {
            dir: tempfile::Builder::new()
                .prefix("openclaw-scenario-")
                .tempdir()?,
            gateway,
            program: program.to_owned(),
            secrets,
            transcripts: Mutex::default(),
            began: Instant::now(),
            notes: Mutex::default(),
        })
    }

    /// Says how far the scenario has come, for the report of one that fails.
    pub(crate) fn note(&self, what: &str) {
        let line = format!("{:>6.1} s  {what}", self.began.elapsed().as_secs_f64());
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// The gateway under test.
    #[must_use]
    pub fn gateway(&self) -> &dyn Gateway {
        &*self.gateway
    }

    /// The adapter's program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A directory that goes away with the scenario.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What must not be printed.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The state directory of the backend of this name.
    #[must_use]
    pub fn state_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A backend; the same name means the same state directory, hence the same device.
    #[must_use]
    pub fn backend(&self, name: &str) -> Launch<'_> {
        Launch::new(self, name)
    }

    pub(crate) fn keep(&self, transcript: Arc<Transcript>) {
        self.transcripts().push(transcript);
    }

    fn transcripts(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Transcript>>> {
        self.transcripts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A shared token that no gateway has, as long as a real one.
    ///
    /// # Errors
    ///
    /// Where the system gives no random bytes.
    pub fn other_token(&self) -> anyhow::Result<String> {
        self.secrets.new_token()
    }

    /// The request as the operator sees it.
    ///
    /// # Errors
    ///
    /// Where it is not in the list.
    pub async fn request(&self, request_id: &str) -> anyhow::Result<Pending> {
        let pending = self.gateway.pending().await?;
        pending
            .iter()
            .find(|row| row.request_id == request_id)
            .cloned()
            .with_context(|| {
                format!(
                    "request {request_id} is not in `openclaw devices list`, which has {pending:?}"
                )
            })
    }

    /// Approves what the backend waits for and sees it become ready.
    ///
    /// # Errors
    ///
    /// Where any step of it fails.
    pub async fn approve(&self, backend: &mut Backend) -> anyhow::Result<Line> {
        let waiting = backend.state("awaiting_approval", SOON).await?;
        self.gateway.approve(waiting.text("requestId")?).await?;
        backend.state("ready", SOON).await
    }

    /// A remote backend that is connected, its device approved on the way.
    ///
    /// # Errors
    ///
    /// Where any step of it fails.
    pub async fn connected(&self, name: &str) -> anyhow::Result<(Backend, Line)> {
        let mut backend = self.backend(name).hold().start()?;
        let ready = self.approve(&mut backend).await?;
        self.secrets.learn_from(backend.state_dir());
        Ok((backend, ready))
    }

    /// Leaves the device of this name approved, with nothing running.
    ///
    /// # Errors
    ///
    /// Where any step of it fails.
    pub async fn approved(&self, name: &str) -> anyhow::Result<()> {
        let (mut backend, _) = self.connected(name).await?;
        backend.terminate().await
    }

    /// Checks what holds for every line any backend printed, whatever the scenario was about.
    ///
    /// # Errors
    ///
    /// With the first rule that does not hold.
    pub fn check_outputs(&self) -> anyhow::Result<()> {
        let transcripts = self.transcripts().clone();
        for transcript in &transcripts {
            self.secrets.learn_from(&self.state_dir(&transcript.name));
        }
        for transcript in &transcripts {
            let name = &transcript.name;
            let printed = transcript.read();
            if let Some(fault) = printed.faults.first() {
                anyhow::bail!("backend {name}: {fault}");
            }
            for text in printed.stdout.iter().chain(&printed.stderr) {
                ensure!(
                    !self.secrets.found_in(text),
                    "backend {name} printed a secret: {}",
                    self.secrets.redact(text)
                );
            }
            let mut before: Option<&str> = None;
            let mut announced = BTreeSet::new();
            for line in &printed.lines {
                ensure!(
                    STATES.contains(&line.state.as_str()),
                    "backend {name} printed a state of its own: {}",
                    line.value
                );
                let waiting_for = match line.state.as_str() {
                    "awaiting_approval" => Some(line.text("requestId")?),
                    _ => None,
                };
                if let Some(request_id) = waiting_for {
                    ensure!(
                        before != waiting_for,
                        "backend {name} announced request {request_id} twice in a row"
                    );
                    announced.insert(request_id);
                }
                before = waiting_for;
            }
            for request_id in announced {
                let warned = printed
                    .stderr
                    .iter()
                    .filter(|line| line.contains("WARN") && line.contains(request_id))
                    .count();
                ensure!(
                    warned == 1,
                    "backend {name} has {warned} WARN lines for request {request_id}, not one"
                );
            }
        }
        Ok(())
    }

    /// How far the scenario came, and what the backends printed last, without secrets.
    #[must_use]
    pub fn outputs(&self) -> String {
        let mut text = String::new();
        for note in self
            .notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {}", self.secrets.redact(note));
        }
        for transcript in self.transcripts().iter() {
            self.secrets.learn_from(&self.state_dir(&transcript.name));
            let printed = transcript.read();
            for (stream, lines) in [("stdout", &printed.stdout), ("stderr", &printed.stderr)] {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "  backend {}, {stream}:", transcript.name);
                for line in lines.iter().skip(lines.len().saturating_sub(SHOWN)) {
                    let _ = writeln!(text, "    {}", self.secrets.redact(line));
                }
            }
        }
        text
    }
}
