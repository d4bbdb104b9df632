//! From arguments and environment to a configuration, and signals to an end.

use std::time::Duration;

use openclaw_adapter::{Config, ConfigBuilder, ConfigError, FileStore, StopReason};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::args::{Global, Scopes};
use crate::exit::Exit;

/// The environment, and the arguments on top of it.
pub(crate) fn builder(global: &Global) -> Result<ConfigBuilder, ConfigError> {
    let mut builder = Config::from_env()?;
    if let Some(url) = &global.url {
        builder = builder.url(url);
    }
    if let Some(dir) = &global.state_dir {
        builder = builder.state_dir(dir);
    }
    if let Some(scopes) = &global.scopes {
        builder = builder.scopes(scopes.0.iter().cloned());
    }
    for (name, value) in &global.header {
        builder = builder.header(name, value);
    }
    Ok(builder)
}

/// The longest that the state directory is waited for. A later step reports one that hangs.
const DISK: Duration = Duration::from_secs(2);

/// The connection of the backend: unless somebody says which scopes, with those that it was let in with
/// before. Asking for others would ask a person to approve what the backend may do without.
pub(crate) async fn backend(builder: ConfigBuilder) -> ConfigBuilder {
    let reader = builder.clone();
    let read = spawn_blocking(move || reader.stored_scopes());
    match timeout(DISK, read).await {
        Ok(Ok(read)) => read,
        _ => builder,
    }
}

/// The scope of the commands that see and decide which devices may connect.
pub(crate) const PAIRING: &str = "operator.pairing";

/// The connection of an operator: with an identity of its own, in the folder `operator` of the state
/// directory. With the backend's its wider scopes would replace the token that the backend uses.
pub(crate) fn operator(
    builder: ConfigBuilder,
    scopes: Option<&Scopes>,
) -> Result<ConfigBuilder, ConfigError> {
    let dir = builder.state_directory()?.join("operator");
    let builder = builder
        .store(FileStore::new(dir))
        .display_name("openclaw-adapter devices");
    Ok(match scopes {
        Some(_) => builder,
        None => builder.scopes([PAIRING]),
    })
}

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the first of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// Returns true if another token in the token's file would make the client go on.
pub(crate) fn is_about_the_token(reason: &StopReason) -> bool {
    matches!(reason, StopReason::Refused(refusal) if refusal.kind.is_credentials())
}
