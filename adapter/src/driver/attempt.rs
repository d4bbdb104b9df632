//! One attempt: dial, wait for the challenge, answer it, read the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::clock::now;
use crate::base::identity::DeviceIdentity;
use crate::logic::error::{TransportError, TransportErrorKind};
use crate::logic::handshake::{Auth, Handshake, Offer};
use crate::logic::lifecycle::Outcome;
use crate::logic::refusal::RefusalKind;
use crate::net::{self, Dialer, Socket};
use crate::protocol::SignatureVersion;
use crate::protocol::connect::Profile;

/// What a good attempt made.
pub(super) struct Opened {
    pub(super) socket: Socket,
    /// When `connect` went out: what the gateway says of itself in its hello was so after that.
    pub(super) asked: Instant,
}

/// Runs one attempt to its end, or to its time limit. The socket comes back only if the gateway
/// let us in; otherwise it is closed by dropping it.
pub(super) async fn run(
    dialer: Dialer,
    identity: DeviceIdentity,
    profile: Arc<Profile>,
    auth: Auth,
    signature: SignatureVersion,
    limit: Duration,
) -> (Option<Opened>, Outcome) {
    let mut handshake = Handshake::new();
    let mut socket = None;
    let mut asked = now();
    let offer = Offer {
        identity: Some(&identity),
        profile: &profile,
        auth: &auth,
        signature,
    };
    let steps = async {
        let socket = socket.insert(dialer.dial().await?);
        let connect = net::challenge(socket, &mut handshake, &offer).await?;
        asked = now();
        Ok(net::log_in(socket, &mut handshake, &offer, &connect).await)
    };
    let outcome = match timeout(limit, steps).await {
        Ok(Ok(outcome) | Err(outcome)) => outcome,
        Err(_) => Outcome::Failed(TransportError::new(
            TransportErrorKind::HandshakeTimeout,
            match (&socket, handshake.challenged()) {
                (None, _) => format!("no connection within {limit:?}"),
                (Some(_), None) => format!("no challenge from the gateway within {limit:?}"),
                (Some(_), Some(_)) => format!("no answer to connect within {limit:?}"),
            },
        )),
    };
    match outcome {
        Outcome::Accepted(_) => (socket.map(|socket| Opened { socket, asked }), outcome),
        _ => (None, outcome),
    }
}

/// What went wrong, in the word that a span has for it.
pub(super) fn failure(outcome: &Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Accepted(_) => return None,
        Outcome::Refused { error, .. } => RefusalKind::of(error).as_str(),
        Outcome::UpgradeRefused(_) => "upgrade_refused",
        Outcome::Closed(_) => TransportErrorKind::Closed.word(),
        Outcome::Failed(error) => error.kind().word(),
    })
}
