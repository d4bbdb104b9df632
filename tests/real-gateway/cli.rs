//! The real `openclaw` CLI, as an operator on the gateway's host uses it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use openclaw_tests::scenarios::{Paired, Pending};

use crate::install::Install;

/// The longest one command may take; the first one of a version fills its caches.
const PATIENCE: Duration = Duration::from_secs(240);

/// What `openclaw devices list --json` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct Devices {
    #[serde(default)]
    pub(crate) pending: Vec<Pending>,
    #[serde(default)]
    pub(crate) paired: Vec<Paired>,
}

/// A line of output and when it came.
#[derive(Debug)]
struct Said {
    at: Instant,
    text: String,
}

/// The CLI on the gateway's host, with the gateway's home and state but a configuration of its own.
///
/// That one has the gateway's port and token and says `bind: loopback`: with `lan` the CLI of
/// 2026.2.9 dials the host's outer address, which makes it a remote client that is not paired. The
/// state has to be the gateway's: the CLI of 2026.5.28 asks its own gateway for more scopes than it
/// was given, and approves by way of the state directory when that is refused.
#[derive(Debug)]
pub(crate) struct Cli {
    prefix: Vec<OsString>,
    install: Install,
    home: Home,
    port: u16,
}

impl Cli {
    /// The CLI for the gateway that lives in this directory and listens on this port.
    pub(crate) fn new(prefix: Vec<OsString>, install: &Install, gateway: &Path, port: u16) -> Self {
        Self {
            prefix,
            install: install.clone(),
            home: Home {
                dir: gateway.to_owned(),
                config: gateway.join("cli.json"),
            },
            port,
        }
    }

    /// Tells the CLI the shared token, in the file where it looks for it.
    pub(crate) fn configure(&self, token: &str) -> anyhow::Result<()> {
        let config = serde_json::json!({
            "gateway": {
                "mode": "local",
                "bind": "loopback",
                "port": self.port,
                "auth": { "mode": "token", "token": token },
            },
            "update": { "checkOnStart": false },
            "logging": { "file": self.home.dir.join("cli.log") },
        });
        std::fs::write(&self.home.config, config.to_string()).context("configure the CLI")
    }

    /// Both lists of devices.
    pub(crate) async fn devices(&self) -> anyhow::Result<Devices> {
        let said = self.run(&["devices", "list", "--json"]).await?;
        let text: String = said.into_iter().map(|line| line.text + "\n").collect();
        let start = text.find('{').context("the list of devices is no JSON")?;
        serde_json::from_str(&text[start..]).context("read the list of devices")
    }

    /// Approves a request; when the CLI said so.
    pub(crate) async fn approve(&self, request_id: &str) -> anyhow::Result<Instant> {
        let said = self.run(&["devices", "approve", request_id]).await?;
        said.iter()
            .find(|line| line.text.contains("Approved"))
            .map(|line| line.at)
            .ok_or_else(|| anyhow!("the CLI did not say \"Approved\": {said:?}"))
    }

    /// Any other verb of `openclaw devices`, where ending with 0 is all that counts.
    pub(crate) async fn verb(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.run(arguments).await.map(drop)
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<Vec<Said>> {
        let mut child = command(&self.prefix, &self.install, &self.home)?
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the openclaw CLI")?;
        let stdout = child.stdout.take().context("the CLI's stdout")?;
        let mut stderr = child.stderr.take().context("the CLI's stderr")?;
        let out = async {
            let mut said = Vec::new();
            let mut lines = BufReader::new(stdout).lines();
            while let Some(text) = lines.next_line().await? {
                said.push(Said {
                    at: Instant::now(),
                    text,
                });
            }
            Ok::<_, std::io::Error>(said)
        };
        let err = async {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        };
        let all = async { tokio::try_join!(out, err, child.wait()) };
        let name = arguments.join(" ");
        let Ok(ended) = tokio::time::timeout(PATIENCE, all).await else {
            bail!("`openclaw {name}` has not ended within {PATIENCE:?}");
        };
        let (said, complaint, status) = ended?;
        ensure!(
            status.success(),
            "`openclaw {name}`: {status}: {}",
            complaint.lines().take(6).collect::<Vec<_>>().join(" / ")
        );
        Ok(said)
    }
}

/// Whether a version has `openclaw devices remove`; asking also fills the caches of its CLI.
pub(crate) async fn can_remove(install: &Install) -> anyhow::Result<bool> {
    let dir = tempfile::tempdir()?;
    Home::make(dir.path())?;
    let help = Cli::new(Vec::new(), install, dir.path(), 0)
        .run(&["devices", "--help"])
        .await?;
    Ok(help
        .iter()
        .any(|line| line.text.trim_start().starts_with("remove")))
}

/// Where a gateway, or the CLI beside it, keeps everything.
#[derive(Debug)]
pub(crate) struct Home {
    /// Holds `home` and `state`.
    dir: PathBuf,
    /// Which `openclaw.json` to read.
    config: PathBuf,
}

impl Home {
    /// The gateway's own home, with its own configuration.
    pub(crate) fn of_gateway(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            config: dir.join("openclaw.json"),
        }
    }

    /// Makes the directories.
    pub(crate) fn make(dir: &Path) -> anyhow::Result<()> {
        for name in ["home", "state"] {
            std::fs::create_dir(dir.join(name))?;
        }
        Ok(())
    }
}

/// `openclaw` with nothing of our own environment but the path, and nothing of its own elsewhere.
pub(crate) fn command(
    prefix: &[OsString],
    install: &Install,
    home: &Home,
) -> anyhow::Result<Command> {
    let mut words = prefix.to_vec();
    words.extend([
        install.node.clone().into_os_string(),
        install.openclaw.clone().into_os_string(),
    ]);
    let (program, rest) = words.split_first().context("a program to start")?;
    let mut command = Command::new(program);
    command
        .args(rest)
        .current_dir(home.dir.join("home"))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home.dir.join("home"))
        .env("TMPDIR", &install.temporary)
        .env("NO_COLOR", "1")
        .env("OPENCLAW_CONFIG_PATH", &home.config)
        .env("OPENCLAW_STATE_DIR", home.dir.join("state"))
        .env("OPENCLAW_OFFLINE", "1")
        .env("OPENCLAW_NO_AUTO_UPDATE", "1")
        .env("OPENCLAW_DISABLE_BONJOUR", "1");
    Ok(command)
}
