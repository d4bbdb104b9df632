//! A real gateway with a state directory of its own, and the CLI beside it.

use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use openclaw_tests::model::{FakeModel, Model};
use openclaw_tests::net::Address;
use openclaw_tests::scenarios::{
    FILE, Gateway, Paired, Pending, Place, Refused, Reply, Secrets, Side,
};

use crate::bridge::{Bridge, Ends};
use crate::cli::{self, Cli, Home};
use crate::install::Install;
use crate::lane::Candidate;
use crate::net::Hosts;
use crate::process::{self, Group};
use crate::version::Version;

/// How long a gateway may take until it listens, caches cold and the machine busy.
const LISTENING: Duration = Duration::from_secs(240);

/// How long it may take to end after SIGTERM.
const ENDING: Duration = Duration::from_secs(60);

/// How often it is started until it listens.
const STARTS: usize = 3;

/// What came of starting it.
enum Started {
    Listens,
    /// It ended; how.
    Ended(String),
}

/// How often the port is looked at while a gateway starts.
const LOOK: Duration = Duration::from_millis(20);

/// The address of a remote client in the eyes of a gateway that only sees loopback.
const FORWARDED: &str = "X-Forwarded-For: 203.0.113.9";

/// Lines and characters of the log that a failure report shows.
const TAIL: (usize, usize) = (25, 240);

/// How a gateway tells remote clients from its own.
#[derive(Debug)]
pub(crate) enum Ground {
    /// By a host of their own.
    Hosts(Hosts),
    /// By a header, as a proxy in front of it would set one; everybody is on loopback.
    Header,
}

impl Ground {
    /// What to put before a command that is to run on the gateway's host.
    fn at_gateway(&self) -> Vec<OsString> {
        match self {
            Self::Hosts(hosts) => hosts.at_gateway(),
            Self::Header => Vec::new(),
        }
    }
}

/// One gateway; ended when dropped.
#[derive(Debug)]
pub(crate) struct RealGateway {
    version: Version,
    install: Install,
    port: u16,
    cli: Cli,
    can_remove: bool,
    secrets: Secrets,
    token: Mutex<String>,
    running: Mutex<Option<Group>>,
    model: Option<FakeModel>,
    bridge: Option<Bridge>,
    // In this order: the directory goes last, after what writes into it.
    ground: Ground,
    dir: TempDir,
}

impl RealGateway {
    /// Makes a state directory and starts the gateway in it.
    pub(crate) async fn launch(
        candidate: &Candidate,
        ground: Ground,
        secrets: &Secrets,
        with_model: bool,
    ) -> anyhow::Result<Self> {
        let Candidate {
            version,
            install,
            can_remove,
        } = candidate;
        let dir = tempfile::Builder::new()
            .prefix("openclaw-real-gateway-")
            .tempdir()?;
        Home::make(dir.path())?;
        // Free here as well, so that it is not ours if the gateway's host should not be its own.
        let port = free_port()?;
        let prefix = ground.at_gateway();
        let token = secrets.new_token()?;
        let mut config = config(version, &ground, port, &token, dir.path());
        let (mut model, mut bridge) = (None, None);
        if with_model {
            let ends = Ends {
                dir: dir.path().to_owned(),
                gateway: port,
                model: free_port()?,
            };
            model = Some(match &ground {
                Ground::Hosts(_) => FakeModel::serve(ends.model().listen().await?),
                Ground::Header => FakeModel::serve(loopback(ends.model).listen().await?),
            });
            if let Ground::Hosts(_) = &ground {
                bridge = Some(Bridge::start(&prefix, &ends).await?);
            }
            add_model(&mut config, version, ends.model, dir.path())?;
        }
        std::fs::write(dir.path().join("openclaw.json"), config.to_string())?;
        let cli = Cli::new(prefix, install, dir.path(), port);
        cli.configure(&token)?;
        let gateway = Self {
            version: version.clone(),
            install: install.clone(),
            port,
            cli,
            can_remove: *can_remove,
            secrets: secrets.clone(),
            token: Mutex::new(token),
            running: Mutex::new(None),
            model,
            bridge,
            ground,
            dir,
        };
        gateway.start().await?;
        Ok(gateway)
    }

    fn running(&self) -> MutexGuard<'_, Option<Group>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("gateway.out")
    }

    /// All that it has printed so far.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts it until it listens, as whoever looks after a service does: 2026.9.6 ends by itself if
    /// parts of it are not up within five seconds, which a busy machine may not give it.
    async fn begin(&self) -> anyhow::Result<()> {
        ensure!(!self.is_up(), "the gateway runs already");
        for _ in 1..STARTS {
            if let Started::Listens = self.try_begin().await? {
                return Ok(());
            }
        }
        match self.try_begin().await? {
            Started::Listens => Ok(()),
            Started::Ended(how) => bail!(
                "the gateway ended while starting, {STARTS} times ({how})\n{}",
                self.log_tail()
            ),
        }
    }

    async fn try_begin(&self) -> anyhow::Result<Started> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = cli::command(
            &self.ground.at_gateway(),
            &self.install,
            &Home::of_gateway(self.dir.path()),
        )?;
        command
            .args(["gateway", "run", "--port", &self.port.to_string()])
            .stdout(log.try_clone()?)
            .stderr(log);
        let group = Group::start(command)?;
        let (id, end) = (group.id(), group.end());
        *self.running() = Some(group);

        let deadline = Instant::now() + LISTENING;
        while !self.listens(id).await {
            if let Some(how) = end.borrow().clone() {
                return Ok(Started::Ended(how));
            }
            ensure!(
                Instant::now() < deadline,
                "the gateway does not listen after {LISTENING:?}\n{}",
                self.log_tail()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(Started::Listens)
    }

    async fn listens(&self, id: u32) -> bool {
        match self.ground {
            Ground::Hosts(_) => process::listens(id, self.port),
            Ground::Header => tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok(),
        }
    }

    async fn finish(&self, signal: &str) -> anyhow::Result<()> {
        let group = self.running().take().context("the gateway does not run")?;
        group.finish(signal, ENDING).await
    }

    /// Its configuration.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir.path().join("openclaw.json")
    }

    /// Changes its configuration on disk.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let path = self.config_path();
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        change(&mut config);
        std::fs::write(&path, config.to_string()).context("edit openclaw.json")
    }

    fn edit(&self, token: &str) -> anyhow::Result<()> {
        self.secrets.add(token);
        self.reconfigure(|config| config["gateway"]["auth"]["token"] = json!(token))?;
        self.cli.configure(token)?;
        token.clone_into(&mut self.token.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

impl Gateway for RealGateway {
    fn version(&self) -> &str {
        self.version.as_str()
    }

    fn place(&self, side: Side) -> Place {
        let loopback = format!("ws://127.0.0.1:{}", self.port);
        match (&self.ground, side) {
            (Ground::Hosts(hosts), Side::Remote) => Place {
                url: format!("ws://{}:{}", Hosts::gateway_address(), self.port),
                prefix: hosts.at_client(),
                headers: Vec::new(),
            },
            (Ground::Hosts(hosts), Side::Local) => Place {
                url: loopback,
                prefix: hosts.at_gateway(),
                headers: Vec::new(),
            },
            (Ground::Header, Side::Remote) => Place {
                url: loopback,
                prefix: Vec::new(),
                headers: vec![FORWARDED.to_owned()],
            },
            (Ground::Header, Side::Local) => Place {
                url: loopback,
                prefix: Vec::new(),
                headers: Vec::new(),
            },
        }
    }

    fn token(&self) -> String {
        self.token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn can_remove(&self) -> bool {
        self.can_remove
    }

    fn start(&self) -> Reply<'_, ()> {
        Box::pin(self.begin())
    }

    fn is_up(&self) -> bool {
        self.running()
            .as_ref()
            .is_some_and(|group| group.how_it_ended().is_none())
    }

    fn ended(&self) -> Reply<'_, String> {
        let end = self.running().as_ref().map(Group::end);
        Box::pin(async move {
            let mut end = end.context("the gateway does not run")?;
            let how = end.wait_for(Option::is_some).await?.clone();
            how.context("the gateway has ended")
        })
    }

    fn stop(&self) -> Reply<'_, ()> {
        Box::pin(self.finish("TERM"))
    }

    fn kill(&self) -> Reply<'_, ()> {
        Box::pin(self.finish("KILL"))
    }

    fn pending(&self) -> Reply<'_, Vec<Pending>> {
        Box::pin(async { Ok(self.cli.devices().await?.pending) })
    }

    fn paired(&self) -> Reply<'_, Vec<Paired>> {
        Box::pin(async { Ok(self.cli.devices().await?.paired) })
    }

    fn approve<'a>(&'a self, request_id: &'a str) -> Reply<'a, Instant> {
        Box::pin(self.cli.approve(request_id))
    }

    fn reject<'a>(&'a self, request_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { self.cli.verb(&["devices", "reject", request_id]).await })
    }

    fn remove<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { self.cli.verb(&["devices", "remove", device_id]).await })
    }

    fn rotate<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let words = [
                "devices", "rotate", "--device", device_id, "--role", "operator",
            ];
            self.cli.verb(&words).await
        })
    }

    fn revoke<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let words = [
                "devices", "revoke", "--device", device_id, "--role", "operator",
            ];
            self.cli.verb(&words).await
        })
    }

    fn edit_token<'a>(&'a self, token: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { self.edit(token) })
    }

    fn pass_time(&self, time: Duration) -> Reply<'_, ()> {
        Box::pin(async move {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    fn refused(&self, why: Refused) -> Reply<'_, usize> {
        // Both generations log one such line for every connect of the kind.
        let line = match why {
            Refused::ForCredentials => "unauthorized conn=",
            Refused::AtAll => "closed before connect",
        };
        Box::pin(async move { Ok(self.log().matches(line).count()) })
    }

    fn model(&self) -> Option<&dyn Model> {
        Some(self.model.as_ref()?)
    }

    fn hasty_agent(&self) -> &'static str {
        if tells_hasty(&self.version) {
            HASTY
        } else {
            "main"
        }
    }

    fn door(&self) -> anyhow::Result<Address> {
        match &self.bridge {
            Some(bridge) => Ok(bridge.gateway()),
            None if matches!(self.ground, Ground::Header) => Ok(loopback(self.port)),
            None => bail!("there is no bridge into this gateway's namespace"),
        }
    }

    fn log_tail(&self) -> String {
        let (lines, characters) = TAIL;
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        let mut tail = String::new();
        for line in &all[all.len().saturating_sub(lines)..] {
            tail.push_str("    ");
            tail.extend(line.chars().take(characters));
            tail.push('\n');
        }
        tail
    }
}

/// The smallest configuration that keeps a gateway to itself.
fn config(version: &Version, ground: &Ground, port: u16, token: &str, dir: &Path) -> Value {
    let mut gateway = json!({
        "mode": "local",
        "port": port,
        "auth": { "mode": "token", "token": token },
    });
    match ground {
        Ground::Hosts(_) => {
            gateway["bind"] = json!("lan");
            if !version.before(2026, 2, 26) {
                gateway["controlUi"] = json!({ "dangerouslyAllowHostHeaderOriginFallback": true });
            }
        }
        Ground::Header => {
            gateway["bind"] = json!("loopback");
            // Older versions take any forwarded client for a remote one, and a trusted proxy's for
            // a local one.
            if !version.before(2026, 8, 0) {
                gateway["trustedProxies"] = json!(["127.0.0.1"]);
            }
        }
    }
    let mut config = json!({
        "gateway": gateway,
        "update": { "checkOnStart": false },
        "logging": { "file": dir.join("gateway.log") },
    });
    if !version.before(2026, 9, 0) {
        config["models"] = json!({ "catalogRefresh": { "enabled": false } });
    }
    config
}

/// How many runs go on at once; 2026.2.9 has four unless told otherwise, and the models that fail
/// take their time.
const RUNS_AT_ONCE: usize = 24;

/// An agent whose model may be silent for so many seconds.
const HASTY: &str = "hasty";
const HASTY_S: u64 = 3;

/// Whether a version can be told how long a model may be silent.
fn tells_hasty(version: &Version) -> bool {
    !version.before(2026, 9, 0)
}

/// Gives it a model, and an agent that is less patient with it.
fn add_model(config: &mut Value, version: &Version, port: u16, dir: &Path) -> anyhow::Result<()> {
    let workspace = dir.join("workspace");
    std::fs::create_dir(&workspace)?;
    std::fs::write(workspace.join(FILE.0), FILE.1)?;
    config["models"]["mode"] = json!("replace");
    config["models"]["providers"]["fake"] = FakeModel::provider(port);
    config["agents"]["defaults"] = json!({
        "model": { "primary": format!("fake/{}", FakeModel::NAME) },
        "workspace": workspace,
        "maxConcurrent": RUNS_AT_ONCE,
    });
    if tells_hasty(version) {
        let mut hasty = FakeModel::provider(port);
        hasty["timeoutSeconds"] = json!(HASTY_S);
        config["models"]["providers"][HASTY] = hasty;
        config["agents"]["entries"] = json!({
            "main": {},
            HASTY: { "model": format!("{HASTY}/{}", FakeModel::NAME) },
        });
    }
    Ok(())
}

fn loopback(port: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
