//! One attempt: dial, wait for the challenge, answer it, read the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::clock::now;
use crate::base::identity::DeviceIdentity;
use crate::logic::error::{TransportError, TransportErrorKind};
use crate::logic::handshake::{Auth, Handshake, Offer, Step};
use crate::logic::lifecycle::Outcome;
use crate::logic::refusal::RefusalKind;
use crate::net::{DialError, Dialer, Inbound, Socket};
use crate::protocol::SignatureVersion;
use crate::protocol::connect::Profile;

/// What a good attempt made.
pub(super) struct Made {
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
) -> (Option<Made>, Outcome) {
    let mut handshake = Handshake::new();
    let mut socket = None;
    let mut asked = now();
    let steps = async {
        let socket = socket.insert(dialer.dial().await?);
        socket.veil().add_auth(&auth);
        let offer = Offer {
            identity: Some(&identity),
            profile: &profile,
            auth: &auth,
            signature,
        };
        Ok::<_, DialError>(shake_hands(socket, &mut handshake, &offer, &mut asked).await)
    };
    let outcome = match timeout(limit, steps).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(DialError::Refused(refusal))) => Outcome::UpgradeRefused(refusal),
        Ok(Err(DialError::Failed(error))) => Outcome::Failed(error),
        Err(_) => Outcome::Failed(TransportError::new(
            TransportErrorKind::HandshakeTimeout,
            match (&socket, handshake.is_challenged()) {
                (None, _) => format!("no connection within {limit:?}"),
                (Some(_), false) => format!("no challenge from the gateway within {limit:?}"),
                (Some(_), true) => format!("no answer to connect within {limit:?}"),
            },
        )),
    };
    match outcome {
        Outcome::Accepted(_) => (socket.map(|socket| Made { socket, asked }), outcome),
        _ => (None, outcome),
    }
}

async fn shake_hands(
    socket: &mut Socket,
    handshake: &mut Handshake,
    offer: &Offer<'_>,
    asked: &mut Instant,
) -> Outcome {
    loop {
        let text = match socket.next().await {
            Inbound::Text(text) => text,
            Inbound::Other => continue,
            Inbound::Closed(close) => return Outcome::Closed(close),
        };
        match handshake.on_text(&text, offer) {
            Ok(Step::Wait) => {}
            Ok(Step::Send(text)) => {
                *asked = now();
                if socket.queue_secret(&text).is_err() {
                    return Outcome::Failed(TransportError::new(
                        TransportErrorKind::Handshake,
                        "the system gave no random numbers",
                    ));
                }
            }
            Ok(Step::Accepted(hello)) => return Outcome::Accepted(hello),
            Ok(Step::Refused(mut error)) => {
                socket.veil().error(&mut error);
                return Outcome::Refused {
                    error,
                    new_generation: handshake.is_new_generation(),
                };
            }
            Err(fault) => {
                return Outcome::Failed(TransportError::new(
                    TransportErrorKind::Handshake,
                    fault.to_string(),
                ));
            }
        }
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
