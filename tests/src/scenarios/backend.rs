//! A backend: the adapter's program, started with arguments and environment, read line by line.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::gateway::Side;
use super::stage::Stage;
use super::transcript::{self, Line, Printed, Transcript};

/// How long a program that was told to end may take.
const ENDING: Duration = Duration::from_secs(15);

/// Where the shared token comes from.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `OPENCLAW_GATEWAY_TOKEN`.
    Variable(String),
    /// `OPENCLAW_GATEWAY_TOKEN_FILE`.
    File(PathBuf),
    /// Neither.
    None,
}

/// A backend about to be started.
#[derive(Debug)]
pub struct Launch<'a> {
    stage: &'a Stage,
    name: String,
    side: Side,
    credential: Credential,
    command: &'static [&'static str],
    arguments: Vec<String>,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(stage: &'a Stage, name: &str) -> Self {
        Self {
            stage,
            name: name.to_owned(),
            side: Side::Remote,
            credential: Credential::Variable(stage.gateway().token()),
            command: &["connect"],
            arguments: Vec::new(),
        }
    }

    /// Where it stands; remote unless said otherwise.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// Where its token comes from; the right one in the variable unless said otherwise.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Asks for the list of devices instead of connecting for its own sake.
    #[must_use]
    pub fn devices_list(mut self) -> Self {
        self.command = &["devices", "list"];
        self
    }

    /// Stays connected until told to end.
    #[must_use]
    pub fn hold(self) -> Self {
        self.argument("--hold")
    }

    /// Gives up after this many seconds.
    #[must_use]
    pub fn wait(self, seconds: u64) -> Self {
        self.argument("--wait").argument(&format!("{seconds}s"))
    }

    /// The scopes it asks for.
    #[must_use]
    pub fn scopes(self, scopes: &[&str]) -> Self {
        self.argument("--scopes").argument(&scopes.join(","))
    }

    fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts `openclaw-adapter`.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started.
    pub fn start(self) -> anyhow::Result<Backend> {
        let place = self.stage.gateway().place(self.side);
        let program = self.stage.program();
        let mut words = place.prefix.clone();
        words.push(program.as_os_str().to_owned());
        let (first, rest) = words.split_first().context("a program to start")?;
        let state_dir = self.stage.state_dir(&self.name);

        let mut command = Command::new(first);
        command
            .args(rest)
            .args(self.command)
            .arg("--json")
            .args(&self.arguments)
            .args(
                place
                    .headers
                    .iter()
                    .flat_map(|header| ["--header", header.as_str()]),
            )
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.stage.dir())
            .env("NO_COLOR", "1")
            .env("OPENCLAW_GATEWAY_URL", &place.url)
            .env("OPENCLAW_ADAPTER_STATE_DIR", &state_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        match &self.credential {
            Credential::Variable(token) => {
                self.stage.secrets().add(token);
                command.env("OPENCLAW_GATEWAY_TOKEN", token);
            }
            Credential::File(path) => {
                command.env("OPENCLAW_GATEWAY_TOKEN_FILE", path);
            }
            Credential::None => {}
        }

        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", first.to_string_lossy()))?;
        let transcript = Arc::new(Transcript::new(&self.name));
        self.stage.keep(Arc::clone(&transcript));
        let (changed, seen) = watch::channel(());
        let stdout = child.stdout.take().context("the program's stdout")?;
        let stderr = child.stderr.take().context("the program's stderr")?;
        let reader = tokio::spawn(transcript::read(
            stdout,
            stderr,
            Arc::clone(&transcript),
            changed,
        ));
        Ok(Backend {
            child,
            cursor: 0,
            reader,
            seen,
            state_dir,
            transcript,
        })
    }
}

/// A running backend. It is killed when dropped.
#[derive(Debug)]
pub struct Backend {
    child: Child,
    cursor: usize,
    reader: JoinHandle<()>,
    seen: watch::Receiver<()>,
    state_dir: PathBuf,
    transcript: Arc<Transcript>,
}

impl Backend {
    /// Its `OPENCLAW_ADAPTER_STATE_DIR`.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The next line of this state after the last one waited for, skipping the others.
    ///
    /// # Errors
    ///
    /// Where it does not come in time, where `stopped` comes instead, or where the program ends
    /// before it.
    pub async fn state(&mut self, state: &str, within: Duration) -> anyhow::Result<Line> {
        self.find(state, within, |line| line.state == state).await
    }

    /// The next line that `wanted` says yes to; `what` names it in the error.
    ///
    /// # Errors
    ///
    /// As for [`Self::state`].
    pub async fn find(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Line) -> bool + Send + Sync,
    ) -> anyhow::Result<Line> {
        let transcript = Arc::clone(&self.transcript);
        let start = self.cursor;
        let (line, after) = self
            .printed(&format!("`{what}`"), within, |printed| {
                for (index, line) in printed.lines.iter().enumerate().skip(start) {
                    if wanted(line) {
                        return Some(Ok((line.clone(), index + 1)));
                    }
                    if line.state == "stopped" {
                        return Some(Err(anyhow!(
                            "stopped while waiting for `{what}`: {}",
                            line.value
                        )));
                    }
                }
                None
            })
            .await?
            .with_context(|| format!("backend {}", transcript.name))?;
        self.cursor = after;
        Ok(line)
    }

    /// Waits for a line on stderr that holds all of these words.
    ///
    /// # Errors
    ///
    /// Where it does not come in time, or the program ends before.
    pub async fn says(&mut self, words: &[&str], within: Duration) -> anyhow::Result<()> {
        self.printed(
            &format!("a line on stderr with {words:?}"),
            within,
            |printed| {
                printed
                    .stderr
                    .iter()
                    .any(|line| words.iter().all(|word| line.contains(word)))
                    .then_some(())
            },
        )
        .await
    }

    /// Waits until `look` finds something in what the program printed.
    async fn printed<T>(
        &mut self,
        what: &str,
        within: Duration,
        look: impl Fn(&Printed) -> Option<T> + Send + Sync,
    ) -> anyhow::Result<T> {
        let transcript = Arc::clone(&self.transcript);
        let name = &transcript.name;
        let wait = async {
            loop {
                self.seen.borrow_and_update();
                {
                    let printed = transcript.read();
                    if let Some(found) = look(&printed) {
                        return Ok(found);
                    }
                    ensure!(!printed.ended, "backend {name} ended before {what}");
                }
                if self.seen.changed().await.is_err() {
                    bail!("backend {name} is no longer read");
                }
            }
        };
        match tokio::time::timeout(within, wait).await {
            Ok(found) => found,
            Err(_) => bail!("backend {name}: {what} did not come within {within:?}"),
        }
    }

    /// The lines that came after the last one waited for, up to now.
    #[must_use]
    pub fn unread(&self) -> Vec<Line> {
        self.transcript
            .read()
            .lines
            .iter()
            .skip(self.cursor)
            .cloned()
            .collect()
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.transcript.read().lines.clone()
    }

    /// How many lines of this state there are so far.
    #[must_use]
    pub fn count(&self, state: &str) -> usize {
        self.transcript
            .read()
            .lines
            .iter()
            .filter(|line| line.state == state)
            .count()
    }

    /// How many lines on stderr hold all of these words.
    #[must_use]
    pub fn warnings(&self, words: &[&str]) -> usize {
        self.transcript
            .read()
            .stderr
            .iter()
            .filter(|line| line.contains("WARN") && words.iter().all(|word| line.contains(word)))
            .count()
    }

    /// The answers a command printed.
    #[must_use]
    pub fn answers(&self) -> Vec<Value> {
        self.transcript.read().answers.clone()
    }

    /// All of stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.transcript.read().stderr.join("\n")
    }

    /// The exit code of a program that ends by itself.
    ///
    /// # Errors
    ///
    /// Where it does not end in time, or ends by a signal.
    pub async fn exit(&mut self, within: Duration) -> anyhow::Result<i32> {
        let name = self.transcript.name.clone();
        let status: ExitStatus = tokio::time::timeout(within, self.child.wait())
            .await
            .map_err(|_| anyhow!("backend {name} has not ended within {within:?}"))??;
        // The outputs are read to their ends before anybody counts lines in them.
        (&mut self.reader).await.context("read the outputs")?;
        status
            .code()
            .with_context(|| format!("backend {name} ended by a signal: {status}"))
    }

    /// Ends it with SIGTERM, as a service manager does; it must end well: with 0 if it was ever ready, else
    /// with 143, since it was not done.
    ///
    /// # Errors
    ///
    /// Where it does not end in time or with another code.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("the backend has ended already")?;
        // The shell's own `kill` is there even where no package brings a program of that name.
        let sent = Command::new("sh")
            .args(["-c", "kill -s TERM \"$0\"", &pid.to_string()])
            .status()
            .await?;
        ensure!(sent.success(), "send SIGTERM to the backend: {sent}");
        let code = self.exit(ENDING).await?;
        let expected = if self.count("ready") > 0 { 0 } else { 143 };
        ensure!(
            code == expected,
            "the backend answered SIGTERM with exit code {code} and not with {expected}"
        );
        Ok(())
    }

    /// Fails if it printed anything since the last line waited for, or has ended.
    ///
    /// # Errors
    ///
    /// With what it printed.
    pub fn still_quiet(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("backend {} has ended: {status}", self.transcript.name);
        }
        let unread = self.unread();
        ensure!(
            unread.is_empty(),
            "backend {} was to stay as it is, but said {:?}",
            self.transcript.name,
            unread
                .iter()
                .map(|line| line.value.to_string())
                .collect::<Vec<_>>()
        );
        Ok(())
    }
}
