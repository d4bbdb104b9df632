//! Getting to a gateway for one call, with somebody waiting.

use std::time::Duration;

use openclaw_adapter::{Client, Config, ConnectionState, Error, StopReason, TransportErrorKind};
use tokio::time::timeout;

use crate::exit::Exit;
use crate::output::Output;

/// A failure of a command.
pub(crate) enum Failure {
    Call(Error),
    Unreachable(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// Connects, within `patience`.
pub(crate) async fn connect(config: Config, patience: Duration) -> Result<Client, Failure> {
    let client = Client::start(config);
    match timeout(patience, reached(&client)).await {
        Ok(reached) => reached.map(|()| client),
        Err(_) => Err(Failure::Unreachable(format!(
            "no answer from the gateway within {patience:?}"
        ))),
    }
}

/// Waits until the gateway lets us in. A person waits with us: what a later attempt may mend is not
/// waited for, unless the gateway itself says that it is about to be there.
async fn reached(client: &Client) -> Result<(), Failure> {
    let mut state = client.state();
    loop {
        match &*state.borrow_and_update() {
            ConnectionState::BackingOff { cause, .. } if !is_coming(cause) => {
                return Err(Failure::Unreachable(cause.to_string()));
            }
            ConnectionState::Ready { .. } | ConnectionState::Stopped { .. } => break,
            _ => {}
        }
        if state.changed().await.is_err() {
            break;
        }
    }
    client.ready().await?;
    Ok(())
}

fn is_coming(cause: &Error) -> bool {
    match cause {
        Error::Transport(error) => matches!(
            error.kind(),
            TransportErrorKind::Unavailable | TransportErrorKind::Restarting
        ),
        // Only a busy gateway or proxy is asked again at all.
        Error::UpgradeRefused(_) => true,
        _ => false,
    }
}

/// Describes an error for every command: a kind for programs, and the next step.
pub(crate) fn advice(error: &Error) -> (&'static str, String) {
    match error {
        Error::PairingRequired(pairing) => (
            "pairing_not_approved",
            StopReason::PairingNotApproved(pairing.clone()).fix(),
        ),
        Error::Refused(refusal) => (refusal.kind.as_str(), refusal.fix.clone()),
        Error::UpgradeRefused(refusal) => ("upgrade_refused", refusal.fix()),
        Error::Identity(error) => ("identity", StopReason::Identity(error.clone()).fix()),
        Error::Config(error) => ("config", error.fix().unwrap_or_default()),
        Error::Timeout { .. } | Error::Disconnected { .. } | Error::Closed => {
            ("connection_lost", String::new())
        }
        Error::Call { error, .. } => (
            "call_refused",
            error.missing_scope().map_or_else(String::new, |scope| {
                format!("Ask for {scope} too, with OPENCLAW_ADAPTER_SCOPES or --scopes; somebody has to approve it.")
            }),
        ),
        _ => ("call_refused", String::new()),
    }
}

/// Says why a command failed, and gives the exit code for it.
pub(crate) fn failed(output: Output, failure: &Failure) -> std::io::Result<Exit> {
    match failure {
        Failure::Unreachable(message) => {
            output.unreachable(message)?;
            Ok(Exit::Unreachable)
        }
        Failure::Call(error) => {
            let (kind, fix) = advice(error);
            output.refused(kind, error, &fix)?;
            Ok(Exit::of_error(error))
        }
    }
}
