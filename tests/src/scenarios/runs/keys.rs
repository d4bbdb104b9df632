//! One key, two processes.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use uuid::Uuid;

use super::stage::Question;
use crate::model::{Script, wait_asked};
use crate::road::Road;
use crate::scenarios::SOON;
use crate::scenarios::stage::Stage;

/// A run that is there long enough for somebody to join it: a process takes a while to start.
const PIECES: usize = 60;
const PIECE: Duration = Duration::from_millis(200);

/// The longest it may take.
const RUN: Duration = Duration::from_secs(120);

/// `openclaw-adapter run` with a key of its caller's; killed when dropped.
struct Process<'a> {
    stage: &'a Stage,
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl<'a> Process<'a> {
    fn start(
        stage: &'a Stage,
        road: &Road,
        name: &'static str,
        (session, key): (&str, &str),
        question: &Question,
    ) -> anyhow::Result<Self> {
        let complaints = std::fs::File::create(stage.dir().join(format!("{name}.stderr")))?;
        let mut child = Command::new(stage.program())
            .args(["run", &question.message, "--json"])
            .args(["--session-key", session, "--run-id", key])
            .env_clear()
            .env("HOME", stage.dir())
            .env("OPENCLAW_GATEWAY_URL", road.url())
            .env("OPENCLAW_GATEWAY_TOKEN", stage.gateway().token())
            .env("OPENCLAW_ADAPTER_STATE_DIR", stage.state_dir(name))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .kill_on_drop(true)
            .spawn()
            .context("start openclaw-adapter")?;
        let stdout = child.stdout.take().context("its stdout")?;
        Ok(Self {
            stage,
            name,
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// The next line of one of these kinds.
    async fn item(&mut self, kinds: &[&str], within: Duration) -> anyhow::Result<Value> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                ensure!(
                    !self.stage.secrets().found_in(&line),
                    "a secret was printed"
                );
                let said: Value = serde_json::from_str(&line).context("a line that is no JSON")?;
                let kind = said["item"].as_str().unwrap_or("error");
                if kinds.contains(&kind) {
                    return Ok(said);
                }
                ensure!(
                    !["ended", "error"].contains(&kind),
                    "it said instead: {line}"
                );
            }
            bail!("it ended")
        };
        let read = match timeout(within, reading).await {
            Ok(read) => read,
            Err(_) => Err(anyhow::anyhow!("not within {within:?}")),
        };
        read.with_context(|| {
            let path = self.stage.dir().join(format!("{}.stderr", self.name));
            let complaints = std::fs::read_to_string(path).unwrap_or_default();
            let complaints = self.stage.secrets().redact(&complaints);
            format!(
                "the {} process, waiting for {kinds:?}\n{complaints}",
                self.name
            )
        })
    }

    /// Waits for its end, which has to be this answer, and exit code 0.
    async fn answers(mut self, answer: &str) -> anyhow::Result<()> {
        let name = self.name;
        let ended = self.item(&["ended"], RUN).await?;
        ensure!(
            ended["outcome"] == "done" && ended["text"] == answer,
            "the {name} process has {ended}, not {answer:?}"
        );
        let status = timeout(SOON, self.child.wait())
            .await
            .with_context(|| format!("the {name} process does not end"))??;
        ensure!(status.success(), "the {name} process: {status}");
        Ok(())
    }
}

pub(super) async fn shared(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let session = stage.session("shared");
    let pieces = (1..=PIECES).map(|n| format!("{}word {n}", if n == 1 { "" } else { " " }));
    let question = stage.question("keys", Script::says(pieces).pause(PIECE))?;
    let key = Uuid::new_v4().to_string();
    let start = |name| Process::start(stage, &road, name, (&session, &key), &question);

    let mut one = start("first")?;
    let run = one.item(&["run"], SOON).await?;
    ensure!(run["runId"] == *key, "the run has another id: {run}");
    wait_asked(stage.model()?, &question.marker, 1, SOON).await?;
    let mut two = start("second")?;
    two.item(&["accepted", "text"], SOON).await?;
    tokio::try_join!(one.answers(&question.answer), two.answers(&question.answer))?;

    // And once more, when it has long been over.
    start("late")?.answers(&question.answer).await?;
    let asked = stage.asked(&question)?;
    ensure!(asked == 1, "the model was asked {asked} times");
    Ok("one run; the first, the second and one that came after its end have its answer".to_owned())
}
