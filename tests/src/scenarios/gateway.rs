//! The gateway as an operator and a scenario see it.

use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::model::Model;
use crate::net::Address;

/// What an operation on a gateway gives back, some time later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// Where a client stands, seen from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On another host: every new device has to be approved.
    Remote,
    /// On the gateway's own loopback.
    Local,
}

/// What a client needs in order to stand somewhere.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address to dial.
    pub url: String,
    /// Program and arguments to put before the client's own, such as `ip netns exec NAME`.
    pub prefix: Vec<OsString>,
    /// Headers for the upgrade, as `NAME:VALUE`.
    pub headers: Vec<String>,
}

/// The releases whose exact behaviour is written down; what other versions do is only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Protocol 3, no structured refusals, live sessions outlive a revoked token.
    V2026_2_9,
    /// Protocol 4.
    V2026_9_6,
    /// Any other version.
    Other,
}

impl Release {
    /// The release of a version string such as `2026.9.6`.
    #[must_use]
    pub fn of(version: &str) -> Self {
        match version {
            "2026.2.9" => Self::V2026_2_9,
            "2026.9.6" => Self::V2026_9_6,
            _ => Self::Other,
        }
    }
}

/// A row of `pending` in `openclaw devices list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// What `openclaw devices approve` wants.
    pub request_id: String,
    /// Lower-case hex SHA-256 of the device's public key.
    pub device_id: String,
    /// The name the device gave itself.
    pub display_name: Option<String>,
    /// The platform the device gave.
    pub platform: Option<String>,
    /// The scopes it asks for.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// A row of `paired` in `openclaw devices list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paired {
    /// Lower-case hex SHA-256 of the device's public key.
    pub device_id: String,
    /// The scopes it was approved for.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Which refused connects to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Those with a wrong token or password.
    ForCredentials,
    /// All of them, whatever the reason.
    AtAll,
}

/// A gateway under test and the operator beside it.
pub trait Gateway: Send + Sync {
    /// The version, as npm names it.
    fn version(&self) -> &str;

    /// The release whose behaviour is expected.
    fn release(&self) -> Release {
        Release::of(self.version())
    }

    /// How a client gets to stand on this side of the gateway.
    fn place(&self, side: Side) -> Place;

    /// The shared token as `openclaw.json` has it now.
    fn token(&self) -> String;

    /// Whether a paired device can be removed.
    fn can_remove(&self) -> bool;

    /// Starts the gateway, until it accepts TCP connections; it may still be starting up inside.
    fn start(&self) -> Reply<'_, ()>;

    /// Whether the gateway is there: started and not ended since.
    fn is_up(&self) -> bool;

    /// Resolves when the gateway has ended without being asked to; with how it ended.
    fn ended(&self) -> Reply<'_, String>;

    /// SIGTERM, until it is gone.
    fn stop(&self) -> Reply<'_, ()>;

    /// SIGKILL, until it is gone.
    fn kill(&self) -> Reply<'_, ()>;

    /// `openclaw devices list`, the pending half.
    fn pending(&self) -> Reply<'_, Vec<Pending>>;

    /// `openclaw devices list`, the paired half.
    fn paired(&self) -> Reply<'_, Vec<Paired>>;

    /// `openclaw devices approve ID`; the moment the operator was told "Approved".
    fn approve<'a>(&'a self, request_id: &'a str) -> Reply<'a, Instant>;

    /// `openclaw devices reject ID`.
    fn reject<'a>(&'a self, request_id: &'a str) -> Reply<'a, ()>;

    /// `openclaw devices remove DEVICE`.
    fn remove<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()>;

    /// `openclaw devices rotate --device DEVICE --role operator`.
    fn rotate<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()>;

    /// `openclaw devices revoke --device DEVICE --role operator`.
    fn revoke<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()>;

    /// Writes another shared token into `openclaw.json` of the running gateway.
    fn edit_token<'a>(&'a self, token: &'a str) -> Reply<'a, ()>;

    /// Lets this much time pass for the gateway.
    fn pass_time(&self, time: Duration) -> Reply<'_, ()>;

    /// How many connects it has refused so far.
    fn refused(&self, why: Refused) -> Reply<'_, usize>;

    /// The model behind it, if it has one that can be told what to say.
    fn model(&self) -> Option<&dyn Model> {
        None
    }

    /// The agent whose model may not be silent for long, where agents can be told so.
    fn hasty_agent(&self) -> &'static str {
        "main"
    }

    /// Sends an event to every client, where that can be done without a call; whether it was.
    fn emit(&self, event: &str, payload: &Value) -> bool {
        let _ = (event, payload);
        false
    }

    /// Where a program on the gateway's own host connects to, from wherever this one is.
    ///
    /// # Errors
    ///
    /// Where there is no way from here.
    fn door(&self) -> anyhow::Result<Address>;

    /// The end of its log, for a failure report.
    fn log_tail(&self) -> String;
}
