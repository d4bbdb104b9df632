//! The same backend on a real gateway: steps that need no change of the gateway, and then the reactions to
//! what its operator does.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use openclaw_adapter::{Config, Connecting, Connection, ConnectionState, Connector, Hello};
use serde_json::json;
use tokio::io::{copy_bidirectional, duplex};
use tokio::net::TcpStream;
use tokio::signal;
use tokio::task::AbortHandle;

use crate::backend::Backend;
use crate::journal::Journal;
use crate::narrator::Narrator;

/// Runs on the gateway that the environment names. Waits for an approval without a limit.
pub(crate) async fn play(narrator: &Narrator, journal: Journal) -> anyhow::Result<()> {
    let show = Show { narrator, journal };
    narrator.title("A backend and its OpenClaw gateway (the one that the environment names)");
    let cable = Cable::default();
    let start = || {
        let config = Config::from_env()?.display_name("reconnect-demo");
        Backend::run(config.connector(cable.clone()))
    };

    narrator.step(1, "The backend starts");
    let backend = start()?;
    let hello = show.until_connected(&backend, None).await?;
    if backend.asked() == 0 {
        narrator.explain(
            "Nobody was asked: the device was approved before, or this is the gateway's own host.",
        );
    }
    show.works(&backend, &hello).await?;

    narrator.step(2, "The backend restarts");
    backend.stop().await;
    let backend = start()?;
    let hello = show.until_connected(&backend, None).await?;
    show.fact("nobody was asked again", backend.asked() == 0)?;
    show.works(&backend, &hello).await?;

    narrator.step(3, "The network is lost");
    narrator.explain("The demo cuts the connection on this side. Nothing is closed properly.");
    cable.cut();
    let hello = show.until_connected(&backend, Some(&hello)).await?;
    show.fact("connected again by itself", true)?;
    show.works(&backend, &hello).await?;

    narrator.step(4, "Whatever you do to the gateway, until Ctrl-C");
    narrator.explain(
        "Restart it, edit its token, remove the device `reconnect-demo`: the backend prints here how it \
         reacts.",
    );
    let watched = tokio::select! {
        watched = show.watch(&backend) => watched,
        pressed = signal::ctrl_c() => pressed.context("listen for Ctrl-C"),
    };
    backend.stop().await;
    narrator.ended("Closed. The device stays approved: `openclaw devices remove` takes that back.");
    watched
}

struct Show<'a> {
    narrator: &'a Narrator,
    journal: Journal,
}

impl Show<'_> {
    fn fact(&self, what: &str, is_so: bool) -> anyhow::Result<()> {
        if !is_so {
            bail!("not true: {what}");
        }
        self.narrator.fact(what);
        Ok(())
    }

    /// Prints the new lines of the backend's log.
    fn log(&self) {
        for line in self.journal.take() {
            self.narrator.logs(&line);
        }
    }

    /// Prints the log until there is a connection other than `before`.
    async fn until_connected(
        &self,
        backend: &Backend,
        before: Option<&Hello>,
    ) -> anyhow::Result<Arc<Hello>> {
        let mut state = backend.client().state();
        loop {
            let now = state.borrow_and_update().clone();
            self.log();
            match now {
                ConnectionState::Ready { hello, .. }
                    if before.is_none_or(|before| before.conn_id != hello.conn_id) =>
                {
                    return Ok(hello);
                }
                ConnectionState::Stopped { reason, .. } => {
                    bail!("the client has stopped: {reason}. {}", reason.fix())
                }
                _ => {}
            }
            state.changed().await?;
        }
    }

    async fn works(&self, backend: &Backend, hello: &Hello) -> anyhow::Result<()> {
        let scopes = hello.scopes.join(" ");
        let version = &hello.server_version;
        let protocol = hello.protocol;
        self.fact(
            &format!("connected to {version}: protocol {protocol}, scopes {scopes}"),
            true,
        )?;
        let health = backend.client().call_raw("health", json!({})).await?;
        self.fact("a call (`health`) is answered", health.is_object())
    }

    /// Prints each state, without an end.
    async fn watch(&self, backend: &Backend) -> anyhow::Result<()> {
        let mut state = backend.client().state();
        state.mark_unchanged();
        loop {
            state.changed().await?;
            let now = state.borrow_and_update().clone();
            self.log();
            match now {
                ConnectionState::Connecting { .. } => self.narrator.explain("connecting"),
                ConnectionState::Ready { hello, .. } => {
                    let version = &hello.server_version;
                    self.fact(&format!("connected to {version} again"), true)?;
                }
                _ => {}
            }
        }
    }
}

/// A TCP proxy to the gateway that can be cut.
#[derive(Clone, Debug, Default)]
struct Cable {
    wires: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Cable {
    fn cut(&self) {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.drain(..).for_each(|wire| wire.abort());
    }
}

impl Connector for Cable {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let mut far = TcpStream::connect((host, port)).await?;
            far.set_nodelay(true)?;
            let (near, mut other) = duplex(64 * 1024);
            let wire = tokio::spawn(async move {
                // When one side ends, so does the other.
                let _ = copy_bidirectional(&mut other, &mut far).await;
            });
            let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
            wires.retain(|wire| !wire.is_finished());
            wires.push(wire.abort_handle());
            Ok(Box::new(near) as Box<dyn Connection>)
        })
    }
}
