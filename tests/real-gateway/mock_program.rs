//! The stand-alone mock gateway, used by those who know only the real one: the `openclaw` CLI of the
//! same version, and the official TypeScript client.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use openclaw_tests::conformance::{Edition, Target, compare, run_case};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::cli::{self, Home};
use crate::install::{Install, install_clients};
use crate::proxy::Proxy;
use crate::report::say;
use crate::version::Version;

/// The longest one command may take; the first one of a version fills its caches.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long the mock may take to say something.
const SOON: Duration = Duration::from_secs(30);

/// The address of a client behind the proxy that the mock is told to trust.
const FORWARDED: &str = "203.0.113.9";

/// Runs the CLI of this version, and for protocol 4 the official client, against the mock program.
///
/// # Errors
///
/// The first thing that is not as it would be with a real gateway, or what kept it from being tried.
pub(crate) async fn check(
    root: &Path,
    version: &Version,
    install: &Install,
    can_remove: bool,
) -> anyhow::Result<()> {
    let edition = match version.as_str() {
        "2026.2.9" => Edition::V2026_2_9,
        "2026.9.6" => Edition::V2026_9_6,
        _ => bail!("the mock has no edition {version}"),
    };
    let mock = Mock::first_start(edition, install).await?;
    let mut mock = mock.behind_a_proxy().await?;
    operator(&mock, can_remove)
        .await
        .context("the openclaw CLI on the mock")?;
    if edition == Edition::V2026_9_6 {
        let clients = install_clients(root, say).await?;
        official_client(&mut mock, &clients)
            .await
            .context("@openclaw/gateway-client on the mock")?;
    }
    mock.stop().await
}

/// The mock program and the host it stands for.
struct Mock {
    edition: Edition,
    install: Install,
    // Dropped before the directory it writes to.
    program: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
    dir: TempDir,
}

impl Mock {
    /// Starts in an empty directory, as a container does for the first time.
    async fn first_start(edition: Edition, install: &Install) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("home"))?;
        let (program, lines, port) = start(edition, dir.path(), 0).await?;
        Ok(Self {
            edition,
            install: install.clone(),
            program,
            lines,
            port,
            dir,
        })
    }

    /// Starts again with a configuration that trusts a proxy on this host, so that there can be
    /// remote clients without a second address. The token is the one of the first start.
    async fn behind_a_proxy(self) -> anyhow::Result<Self> {
        let token = self.token()?;
        let (edition, install, port) = (self.edition, self.install.clone(), self.port);
        let dir = self.stopped().await?;
        let path = state(dir.path()).join("openclaw.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        config["gateway"]["port"] = port.into();
        if edition == Edition::V2026_9_6 {
            config["gateway"]["trustedProxies"] = json!(["127.0.0.1"]);
        }
        std::fs::write(&path, config.to_string())?;
        let (program, lines, port) = start(edition, dir.path(), port).await?;
        let mock = Self {
            edition,
            install,
            program,
            lines,
            port,
            dir,
        };
        ensure!(mock.token()? == token, "a later start changes the token");
        Ok(mock)
    }

    fn token(&self) -> anyhow::Result<String> {
        let path = state(self.dir.path()).join("openclaw.json");
        let config: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let token = config["gateway"]["auth"]["token"].as_str();
        token
            .map(str::to_owned)
            .context("no token in openclaw.json")
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    fn target(&self) -> anyhow::Result<Target> {
        Ok(Target {
            edition: self.edition,
            local_url: self.url(),
            remote_url: self.url(),
            remote_headers: vec![("X-Forwarded-For".to_owned(), FORWARDED.to_owned())],
            remote_ip: FORWARDED.to_owned(),
            token: self.token()?,
            fresh: false,
        })
    }

    /// What a person reads in `devices/pending.json`: request id and device id of each.
    fn waiting(&self) -> anyhow::Result<Vec<(String, String)>> {
        let path = state(self.dir.path()).join("devices/pending.json");
        let pending: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let rows = pending.as_object().context("pending.json is no object")?;
        rows.iter()
            .map(|(id, row)| {
                let device = row["deviceId"].as_str().context("no deviceId")?;
                Ok((id.clone(), device.to_owned()))
            })
            .collect()
    }

    /// A remote device asks and is told to wait; its request id and device id.
    async fn somebody_asks(&self) -> anyhow::Result<(String, String)> {
        let before = self.waiting()?;
        let case = "unpaired_remote";
        // An old gateway behind a trusted proxy takes its clients for local; without one it takes
        // them for remote, and has no address for them, which this case does not show.
        let log = run_case(&self.target()?, case).await?;
        compare(self.edition, case, &log)?;
        let mut new = self.waiting()?;
        new.retain(|row| !before.contains(row));
        new.pop().context("nobody waits in pending.json")
    }

    /// Runs the CLI where the mock runs, with its state directory, as `docker exec` would.
    async fn openclaw(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = cli::command(&[], &self.install, &Home::of_gateway(self.dir.path()))?;
        command
            .env("OPENCLAW_STATE_DIR", state(self.dir.path()))
            .env_remove("OPENCLAW_CONFIG_PATH")
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let name = arguments
            .iter()
            .take(3)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        let output = timeout(PATIENCE, command.output())
            .await
            .with_context(|| format!("`openclaw {name}` does not end"))??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "`openclaw {name}`: {}: {said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// The same with `--url` and `--token`, as the seed's steps are typed.
    async fn typed(&self, words: &[&str], expected: &str) -> anyhow::Result<String> {
        let (url, token) = (self.url(), self.token()?);
        let mut arguments = words.to_vec();
        arguments.extend(["--url", &url, "--token", &token]);
        let said = self.openclaw(&arguments).await?;
        ensure!(
            said.contains(expected),
            "`openclaw {}` does not say {expected:?} but: {said}",
            words.join(" ")
        );
        Ok(said)
    }

    async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.program.id().context("the mock has ended")?.to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .status()
            .await?;
        ensure!(status.success(), "cannot signal the mock");
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stopped().await.map(drop)
    }

    async fn stopped(mut self) -> anyhow::Result<TempDir> {
        self.signal("TERM").await?;
        let status = timeout(SOON, self.program.wait())
            .await
            .context("the mock does not end after SIGTERM")??;
        ensure!(status.code() == Some(0), "the mock ends with {status}");
        Ok(self.dir)
    }

    /// Restarts in process and waits until it is ready again.
    async fn restart(&mut self) -> anyhow::Result<()> {
        self.signal("USR1").await?;
        ready(&mut self.lines).await.map(drop)
    }
}

fn state(dir: &Path) -> PathBuf {
    dir.join("config")
}

async fn start(
    edition: Edition,
    dir: &Path,
    port: u16,
) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>, u16)> {
    let mut program = Command::new(program()?)
        .args(["run", "--json", "--port", &port.to_string()])
        .args(["--edition", edition.as_str(), "--state-dir"])
        .arg(state(dir))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start the mock")?;
    let stdout = program.stdout.take().context("the mock's stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = ready(&mut lines).await?;
    let port = ready["port"].as_u64().context("no port")?;
    Ok((program, lines, u16::try_from(port)?))
}

async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<Value> {
    loop {
        let line = timeout(SOON, lines.next_line())
            .await
            .context("the mock is not ready")??
            .context("the mock has ended")?;
        let said: Value = serde_json::from_str(&line).context("a line that is not JSON")?;
        if said["event"] == "ready" {
            return Ok(said);
        }
    }
}

/// The program, built beside this one.
fn program() -> anyhow::Result<OsString> {
    if let Some(named) = std::env::var_os("OPENCLAW_MOCK_GATEWAY_BIN") {
        return Ok(named);
    }
    let name = format!("openclaw-mock-gateway{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::current_exe()?.with_file_name(&name);
    ensure!(
        path.is_file(),
        "there is no {name} beside this program; build it with \
         `cargo build -p openclaw-mock-gateway --features cli`"
    );
    Ok(path.into_os_string())
}

/// What a person types, step after step.
async fn operator(mock: &Mock, can_remove: bool) -> anyhow::Result<()> {
    let listed = mock.typed(&["devices", "list"], "").await?;
    if mock.edition == Edition::V2026_2_9 {
        // The CLI of this generation has a device, and the gateway lets it in by itself.
        ensure!(
            listed.contains("Paired (1)"),
            "the CLI is not paired: {listed}"
        );
    }
    let (request, device) = mock.somebody_asks().await?;
    mock.typed(&["devices", "list"], "Pending (1)").await?;
    mock.typed(&["devices", "approve", &request], "Approved")
        .await?;
    let list = mock.typed(&["devices", "list", "--json"], &device).await?;
    let list: Value = serde_json::from_str(list[list.find('{').unwrap_or(0)..].trim())?;
    ensure!(
        list["pending"] == json!([]),
        "still pending: {}",
        list["pending"]
    );

    let (request, _) = mock.somebody_asks().await?;
    mock.typed(&["devices", "reject", &request], "Rejected")
        .await?;
    ensure!(mock.waiting()?.is_empty(), "a rejected request waits");

    let of_device = ["--device", &device, "--role", "operator"];
    let rotate = [&["devices", "rotate"][..], &of_device].concat();
    mock.typed(&rotate, "rotatedAtMs").await?;
    let revoke = [&["devices", "revoke"][..], &of_device].concat();
    mock.typed(&revoke, "revokedAtMs").await?;
    if can_remove {
        mock.typed(&["devices", "remove", &device], "Removed")
            .await?;
    }
    let probe = match mock.edition {
        Edition::V2026_2_9 => "RPC probe: ok",
        Edition::V2026_9_6 => "Connectivity probe: ok",
    };
    mock.typed(&["gateway", "status"], probe).await?;
    // `gateway health` of 2026.2.9 does not take the token it is given; the configuration has it.
    let health = mock.openclaw(&["gateway", "health"]).await?;
    ensure!(
        health.contains("OK"),
        "`openclaw gateway health` says: {health}"
    );
    Ok(())
}

/// The official client is told to pair, is approved, comes back with its device token, and finds its
/// way back after a restart.
async fn official_client(mock: &mut Mock, clients: &Path) -> anyhow::Result<()> {
    let proxy = Proxy::before(mock.port, FORWARDED).await?;
    let mut client = Official::start(mock, &proxy.url(), clients).await?;
    client.tell("start").await?;
    let refused = client.hear("refused").await?;
    ensure!(
        refused["refused"] == "PAIRING_REQUIRED",
        "refused: {refused}"
    );
    let request = refused["requestId"].as_str().context("no requestId")?;
    client.hear("paused").await?;
    mock.typed(&["devices", "approve", request], "Approved")
        .await?;

    client.tell("stop").await?;
    client.hear("stopped").await?;
    client.tell("start").await?;
    let hello = client.hear("hello").await?;
    ensure!(hello["hello"] == "token", "let in otherwise: {hello}");
    for (method, ok) in [
        ("health", true),
        ("status", true),
        ("no.such.method", false),
    ] {
        client.tell(&format!("call {method}")).await?;
        let called = client.hear("called").await?;
        ensure!(called["ok"] == ok, "{called}");
    }
    client.tell("stop").await?;
    client.hear("stopped").await?;
    client.tell("start-with-device-token").await?;
    let hello = client.hear("hello").await?;
    ensure!(
        hello["hello"] == "device-token",
        "let in otherwise: {hello}"
    );

    mock.restart().await?;
    let close = client.hear("close").await?;
    ensure!(
        close == json!({"close": 1012, "reason": "service restart"}),
        "{close}"
    );
    let hello = client.hear("hello").await?;
    ensure!(
        hello["hello"] == "device-token",
        "let in otherwise: {hello}"
    );
    Ok(())
}

/// The official client in a process of its own; ended when dropped.
struct Official {
    _process: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Official {
    async fn start(mock: &Mock, url: &str, clients: &Path) -> anyhow::Result<Self> {
        let script = clients.join("official.mjs");
        tokio::fs::write(&script, include_str!("npm/clients/official.mjs")).await?;
        let mut process = Command::new(&mock.install.node)
            .arg(&script)
            .arg(url)
            .env("OPENCLAW_GATEWAY_TOKEN", mock.token()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the official client")?;
        let orders = process.stdin.take().context("the client's stdin")?;
        let stdout = process.stdout.take().context("the client's stdout")?;
        Ok(Self {
            _process: process,
            orders,
            said: BufReader::new(stdout).lines(),
        })
    }

    async fn tell(&mut self, order: &str) -> anyhow::Result<()> {
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await?;
        Ok(self.orders.flush().await?)
    }

    /// The next thing it says that has this word.
    async fn hear(&mut self, word: &str) -> anyhow::Result<Value> {
        loop {
            let line = timeout(SOON, self.said.next_line())
                .await
                .with_context(|| format!("the official client does not say {word}"))??
                .context("the official client has ended")?;
            let said: Value = serde_json::from_str(&line)?;
            if said.get(word).is_some() {
                return Ok(said);
            }
        }
    }
}
