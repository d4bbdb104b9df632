//! The same backend on a gateway of one's own: what can be shown without touching the gateway, and then
//! whatever its operator does to it.

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

/// Plays on the gateway that the environment names. An approval is waited for as long as it takes.
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
        narrator.tell(
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
    narrator.tell("The demo cuts the connection on this side. Nothing is closed properly.");
    cable.cut();
    let hello = show.until_connected(&backend, Some(&hello)).await?;
    show.fact("connected again by itself", true)?;
    show.works(&backend, &hello).await?;

    narrator.step(4, "Whatever you do to the gateway, until Ctrl-C");
    narrator.tell(
        "Restart it, edit its token, remove the device `reconnect-demo`: the backend says here what it \
         makes of it.",
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
            bail!("this is not so: {what}");
        }
        self.narrator.fact(what);
        Ok(())
    }

    /// Shows what the backend has logged since the last time.
    fn log(&self) {
        for line in self.journal.take() {
            self.narrator.logs(&line);
        }
    }

    /// Shows the log until there is a connection, another one than `before`.
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

    /// Tells each state, for ever.
    async fn watch(&self, backend: &Backend) -> anyhow::Result<()> {
        let mut state = backend.client().state();
        state.mark_unchanged();
        loop {
            state.changed().await?;
            let now = state.borrow_and_update().clone();
            self.log();
            match now {
                ConnectionState::Connecting { .. } => self.narrator.tell("connecting"),
                ConnectionState::Ready { hello, .. } => {
                    let version = &hello.server_version;
                    self.fact(&format!("connected to {version} again"), true)?;
                }
                _ => {}
            }
        }
    }
}

/// The way to the gateway, with a place to cut it.
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
                // Either side's end is the other's.
                let _ = copy_bidirectional(&mut other, &mut far).await;
            });
            let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
            wires.retain(|wire| !wire.is_finished());
            wires.push(wire.abort_handle());
            Ok(Box::new(near) as Box<dyn Connection>)
        })
    }
}
