//! Facts of an examination, without any judgement and without any secret.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::openclaw_json::OpenclawJson;
use super::shape::Shape;
use super::symptoms::Symptom;
use crate::base::endpoint::AddressClass;
use crate::base::identity::DeviceId;
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::Used;
use crate::logic::pairing::PairingRequired;
use crate::logic::refusal::{Refusal, RefusalKind, UpgradeRefusal};
pub(super) use crate::net::TlsFault;
use crate::protocol::Hello;

/// Whose connection is looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Perspective {
    /// A backend's.
    #[default]
    Backend,
    /// An operator's, who wants to see and approve devices.
    Operator,
}

/// The result of one step.
#[derive(Debug)]
pub(super) enum Step<T, E> {
    /// Skipped: an earlier step failed, or the step does not apply.
    NotReached,
    /// The time for the whole examination was over first.
    Late,
    Failed(E),
    Done(T),
}

/// The failure of a step that only ends, late or with a result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Never {}

impl<T, E> Step<T, E> {
    pub(super) const fn done(&self) -> Option<&T> {
        match self {
            Self::Done(value) => Some(value),
            _ => None,
        }
    }
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) perspective: Perspective,
    /// The time that the whole examination had.
    pub(super) limit: Duration,
    /// The host's clock, in milliseconds since 1970, when the examination began.
    pub(super) now_ms: u64,
    pub(super) address: Result<Address, ConfigError>,
    /// Headers and TLS could be set up.
    pub(super) setup: Result<(), ConfigError>,
    pub(super) name: Step<Vec<IpAddr>, String>,
    pub(super) tcp: Step<Tcp, TcpFault>,
    pub(super) tls: Step<Tls, TlsFault>,
    pub(super) upgrade: Step<Duration, UpgradeFault>,
    pub(super) challenge: Step<Challenge, String>,
    pub(super) token: Result<Credential, ConfigError>,
    pub(super) openclaw_json: Found,
    pub(super) identity: Result<Option<Identity>, StoreFault>,
    pub(super) login: Step<Login, Never>,
    /// Time of the pending request, if the gateway's list can be read.
    pub(super) requested_at_ms: Option<u64>,
    pub(super) tick: Step<Sign, String>,
    pub(super) profile: Asked,
    pub(super) method: Option<String>,
    /// Known symptoms in the messages that the user gave, if any.
    pub(super) symptoms: Option<Vec<Symptom>>,
}

#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Without a query.
    pub(super) text: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    pub(super) class: AddressClass,
    /// The host is an address already.
    pub(super) is_literal: bool,
    pub(super) plain: Plain,
    /// An extra header makes the gateway place the client elsewhere, or would.
    pub(super) is_forwarded: bool,
}

/// The verdict of the rule for plain `ws://`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plain {
    Fine,
    Overruled,
    Refused,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp {
    pub(super) took: Duration,
    /// Absent where the backend opens its streams itself.
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
pub(super) struct TcpFault {
    pub(super) kind: std::io::ErrorKind,
    pub(super) what: String,
}

#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) took: Duration,
    pub(super) version: String,
    /// SHA-256 of the gateway's certificate.
    pub(super) fingerprint: Option<String>,
    pub(super) is_pinned: bool,
}

#[derive(Clone, Debug)]
pub(super) enum UpgradeFault {
    Refused(UpgradeRefusal),
    Failed(String),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge {
    pub(super) is_new_generation: bool,
    /// The gateway's clock, in milliseconds since 1970.
    pub(super) ts: u64,
    /// This host's clock when it arrived.
    pub(super) arrived_ms: u64,
}

/// A token or password, as far as it may be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Credential {
    pub(super) origin: String,
    pub(super) is_password: bool,
    pub(super) shape: Shape,
}

/// A gateway's configuration that this host can read.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Nobody asked for it.
    NotAsked,
    /// In none of the usual places.
    Nowhere,
    Unreadable {
        path: PathBuf,
        why: String,
        /// Somebody said that it is there.
        is_named: bool,
    },
    Read {
        path: PathBuf,
        content: OpenclawJson,
    },
}

/// An identity that is there.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) device: DeviceId,
    pub(super) created_at_ms: u64,
    pub(super) place: String,
    /// The permission bits of its file.
    pub(super) mode: Option<u32>,
    /// The scopes of the device token that is stored for this gateway and role.
    pub(super) token_scopes: Option<Vec<String>>,
}

/// A reason why an identity cannot be used.
#[derive(Clone, Debug)]
pub(super) struct StoreFault {
    pub(super) what: String,
    pub(super) fix: String,
}

/// The scopes that the connection asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) scopes: Vec<String>,
    /// The location of the identity, stored or still to be created.
    pub(super) place: String,
}

/// The end of the login.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// True if the request named the device.
    pub(super) with_device: bool,
    pub(super) end: LoginEnd,
}

#[derive(Clone, Debug)]
pub(super) enum LoginEnd {
    Accepted {
        hello: Arc<Hello>,
        used: Used,
    },
    Pairing(Arc<PairingRequired>),
    Refused(Arc<Refusal>),
    /// The upgrade of a second attempt.
    UpgradeRefused(Arc<UpgradeRefusal>),
    /// Starting, draining, or limiting this address.
    NotNow {
        kind: RefusalKind,
        what: String,
        fix: String,
    },
    Failed(String),
}

/// Observations after the login.
#[derive(Clone, Debug)]
pub(super) enum Sign {
    /// A frame, by its event's name where it has one.
    Frame { name: String, after: Duration },
    /// Only the answer to our own ping.
    Pong { after: Duration },
    /// Nothing yet, and the gateway need not have said anything so soon.
    TooEarly,
    /// Nothing for longer than the gateway promised.
    Nothing { waited: Duration },
}
