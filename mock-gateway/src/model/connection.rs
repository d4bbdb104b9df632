//! The connections that there are, and the clients on them.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::model::fault::What;
use crate::model::peer::Client;
use crate::model::subscriptions::Subscriptions;
use crate::wire::ws::outbox::{Out, Outbox};

/// One connection, from its upgrade to its end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) conn_id: String,
    pub(crate) nonce: String,
    pub(crate) client: Client,
    pub(crate) outbox: Outbox,
    /// Stops the reading for good.
    pub(crate) stop_reading: Arc<Notify>,
    /// An answer that is to follow the next one.
    pub(crate) held: Option<String>,
    pub(crate) live: Option<Live>,
    pub(crate) seq: u64,
    pub(crate) unauthorized_calls: u32,
    /// What it asked to be told about sessions.
    pub(crate) subscriptions: Subscriptions,
}

impl Session {
    /// Injects a fault into a connection that is open. Faults of answers do nothing here.
    pub(crate) fn inject(&mut self, what: &What) {
        let outbox = &self.outbox;
        match what {
            What::Close(1005, _) => outbox.send(Out::Close(None, String::new())),
            What::Close(1006, _) | What::Drop => outbox.send(Out::Abort),
            What::Close(code, reason) => outbox.close(*code, reason.as_str()),
            What::DropMidFrame => {
                // The header promises more than what follows.
                outbox.send(Out::Raw(b"\x81\x64{\"type\":\"ev".to_vec()));
                outbox.send(Out::Abort);
            }
            What::StopReading => self.stop_reading.notify_one(),
            What::StopWriting => outbox.send(Out::Stall),
            What::Silence => {
                self.stop_reading.notify_one();
                outbox.send(Out::Stall);
            }
            What::SeqGap(numbers) => self.seq += numbers,
            What::Garbage(garbage) => {
                let (first, payload) = garbage.frame();
                outbox.send(Out::Frame(first, payload));
            }
            What::RefuseTcp
            | What::Http { .. }
            | What::NoChallenge
            | What::ChallengeWithoutTs
            | What::ChallengeWithoutNonce
            | What::Delay(_)
            | What::Never
            | What::Duplicate
            | What::Reorder
            | What::UnknownId
            | What::ApproveMeanwhile => {}
        }
    }
}

/// A client that has had its hello-ok.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) by_device_token: bool,
    /// What the client is, of the ids that gateways know, and what it calls itself.
    pub(crate) client_id: String,
    pub(crate) client_mode: String,
    pub(crate) display_name: Option<String>,
    /// What the client says it can do with, in `connect.caps`.
    pub(crate) caps: Vec<String>,
    pub(crate) presence_key: Option<String>,
}

impl Live {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.has("operator.admin")
    }

    /// Returns how a message says which client it came from.
    pub(crate) fn transport(&self) -> Value {
        let mut client = json!({"id": self.client_id, "mode": self.client_mode});
        if let Some(name) = &self.display_name {
            client["displayName"] = name.as_str().into();
        }
        json!({"clients": [client]})
    }

    /// The name under which others see what this client did.
    pub(crate) fn shown_name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.client_id)
    }
}
