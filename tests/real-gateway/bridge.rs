//! The way in and out of a gateway's network namespace, by sockets in its directory.
//!
//! A gateway in a namespace of its own is dialled from there only, and finds its model on its own
//! loopback only. A second process of this program stands in the namespace and passes bytes on:
//! sockets in the file system are the same in every namespace.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use openclaw_tests::net::{Address, Listener};
use tokio::io::copy_bidirectional;
use tokio::process::Command;

use crate::process::Group;

/// How long the second process may take until it listens.
const LISTENING: Duration = Duration::from_secs(30);

/// How often is looked whether it does.
const LOOK: Duration = Duration::from_millis(5);

/// The two ports of a gateway's loopback and the sockets that stand for them.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// Where the sockets are.
    pub(crate) dir: PathBuf,
    /// The port of the gateway.
    pub(crate) gateway: u16,
    /// The port where the gateway looks for its model.
    pub(crate) model: u16,
}

impl Ends {
    /// Where the gateway is dialled.
    pub(crate) fn gateway(&self) -> Address {
        Address::Unix(self.dir.join("gateway.sock"))
    }

    /// Where the model has to listen.
    pub(crate) fn model(&self) -> Address {
        Address::Unix(self.dir.join("model.sock"))
    }
}

/// The second process; ended when dropped.
#[derive(Debug)]
pub(crate) struct Bridge {
    ends: Ends,
    _process: Group,
}

impl Bridge {
    /// Starts it behind `prefix`, until it listens. The model listens already.
    pub(crate) async fn start(prefix: &[OsString], ends: &Ends) -> anyhow::Result<Self> {
        let mut words = prefix.to_vec();
        words.push(std::env::current_exe()?.into_os_string());
        let (program, rest) = words.split_first().context("a program to start")?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .arg("--bridge")
            .arg(&ends.dir)
            .args(["--ports", &format!("{},{}", ends.gateway, ends.model)]);
        let process = Group::start(command)?;
        let deadline = Instant::now() + LISTENING;
        while ends.gateway().connect().await.is_err() {
            ensure!(
                process.how_it_ended().is_none() && Instant::now() < deadline,
                "there is no bridge into the gateway's namespace"
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self {
            ends: ends.clone(),
            _process: process,
        })
    }

    /// Where the gateway is dialled from outside.
    pub(crate) fn gateway(&self) -> Address {
        self.ends.gateway()
    }
}

/// What the second process does, until it is ended.
pub(crate) async fn run(dir: &Path, ports: &[u16]) -> anyhow::Result<()> {
    let [gateway, model] = *ports else {
        anyhow::bail!("a bridge has two ports");
    };
    let ends = Ends {
        dir: dir.to_owned(),
        gateway,
        model,
    };
    let loopback = |port| Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    // In this order: whoever finds the gateway's socket finds everything.
    let out = loopback(ends.model).listen().await?;
    let inward = ends.gateway().listen().await?;
    tokio::try_join!(
        pass(out, ends.model()),
        pass(inward, loopback(ends.gateway))
    )?;
    Ok(())
}

async fn pass(from: Listener, to: Address) -> anyhow::Result<()> {
    loop {
        let mut from = from.accept().await?;
        let to = to.clone();
        tokio::spawn(async move {
            // Nobody there, or gone in between: the end of this one tells the other.
            if let Ok(mut to) = to.connect().await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}
