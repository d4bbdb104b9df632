//! A handshake on an open socket, in its two halves.

use zeroize::Zeroizing;

use super::{DialError, Inbound, Socket};
use crate::logic::error::{TransportError, TransportErrorKind};
use crate::logic::handshake::{Handshake, Offer, Step};
use crate::logic::lifecycle::Outcome;

/// Waits for the challenge; the text is the `connect` that answers it.
pub(crate) async fn challenge(
    socket: &mut Socket,
    handshake: &mut Handshake,
    offer: &Offer<'_>,
) -> Result<Zeroizing<String>, Outcome> {
    socket.redactor().add_auth(offer.auth);
    loop {
        if let Step::Send(connect) = next(socket, handshake, offer).await? {
            return Ok(connect);
        }
    }
}

/// Sends `connect` and waits for the gateway's answer.
pub(crate) async fn log_in(
    socket: &mut Socket,
    handshake: &mut Handshake,
    offer: &Offer<'_>,
    connect: &str,
) -> Outcome {
    if socket.queue_secret(connect).is_err() {
        return failed("the system gave no random numbers");
    }
    loop {
        match next(socket, handshake, offer).await {
            Ok(Step::Wait | Step::Send(_)) => {}
            Ok(Step::Accepted(hello)) => return Outcome::Accepted(hello),
            Ok(Step::Refused(mut error)) => {
                socket.redactor().error(&mut error);
                return Outcome::Refused {
                    error,
                    new_generation: handshake.is_new_generation(),
                };
            }
            Err(outcome) => return outcome,
        }
    }
}

async fn next(
    socket: &mut Socket,
    handshake: &mut Handshake,
    offer: &Offer<'_>,
) -> Result<Step, Outcome> {
    match socket.next().await {
        Inbound::Text(text) => handshake
            .on_text(&text, offer)
            .map_err(|fault| failed(fault.to_string())),
        Inbound::Other => Ok(Step::Wait),
        Inbound::Closed(close) => Err(Outcome::Closed(close)),
    }
}

fn failed(what: impl Into<std::sync::Arc<str>>) -> Outcome {
    Outcome::Failed(TransportError::new(TransportErrorKind::Handshake, what))
}

impl From<DialError> for Outcome {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Refused(refusal) => Self::UpgradeRefused(refusal),
            DialError::Failed(error) => Self::Failed(error),
        }
    }
}
