//! `device.pair.*` and `device.token.*`: who may connect. All need the scope `operator.pairing`.

mod types;

pub use types::{
    Approved, DeviceList, PairedDevice, PendingDevice, Rejected, Removed, Renamed, Revoked,
    Rotated, TokenInfo,
};

use super::wire::params;
use crate::client::Client;
use crate::client::call::TypedCall;

params! {
    /// Asks for the requests that wait and the devices that are paired.
    List: "device.pair.list", Reads => DeviceList {}
}

params! {
    /// Approves a request. On 2026.9.6 the caller needs every scope that it grants.
    Approve: "device.pair.approve", Changes => Approved {
        needs {
            /// The id of the request.
            request_id: String;
        }
    }
}

params! {
    /// Rejects a request. A device that goes on asking makes a new one.
    Reject: "device.pair.reject", Changes => Rejected {
        needs {
            /// The id of the request.
            request_id: String;
        }
    }
}

params! {
    /// Removes a paired device; its connections are closed (2026.9.6).
    Remove: "device.pair.remove", Changes, since 4 => Removed {
        needs {
            /// The device: SHA-256 of its public key.
            device_id: String;
        }
    }
}

params! {
    /// Gives a device a name of the operator's own (2026.9.6).
    Rename: "device.pair.rename", Idempotent, since 4 => Renamed {
        needs {
            /// The device: SHA-256 of its public key.
            device_id: String;
            /// The name.
            label: String;
        }
    }
}

params! {
    /// Replaces a device's token. Its connections are closed on 2026.9.6 and stay on 2026.2.9.
    Rotate: "device.token.rotate", Changes => Rotated {
        needs {
            /// The device: SHA-256 of its public key.
            device_id: String;
            /// The role of the token.
            role: String;
        }
    }
}

params! {
    /// Revokes a device's token. On 2026.9.6 the device has to be approved again; 2026.2.9 makes a
    /// new token at its next connect with the shared one.
    Revoke: "device.token.revoke", Changes => Revoked {
        needs {
            /// The device: SHA-256 of its public key.
            device_id: String;
            /// The role of the token.
            role: String;
        }
    }
}

/// The devices of a gateway; from [`Client::devices`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .scopes(["operator.read", "operator.pairing"])
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// for request in client.devices().list().await?.pending {
///     client.devices().approve(request.request_id).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Devices<'a> {
    client: &'a Client,
}

impl<'a> Devices<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the requests that wait and the devices that are paired.
    #[doc(alias = "device.pair.list")]
    pub fn list(&self) -> TypedCall<'a, List> {
        self.client.call(List::new())
    }

    /// Approves a request. On 2026.9.6 the caller needs every scope that it grants. Refused as
    /// `unknown requestId` if the request has expired, was replaced or is done.
    #[doc(alias = "device.pair.approve")]
    pub fn approve(&self, request_id: impl Into<String>) -> TypedCall<'a, Approve> {
        self.client.call(Approve::new(request_id))
    }

    /// Rejects a request. A device that goes on asking makes a new one. Refused as
    /// `unknown requestId` if the request has expired, was replaced or is done.
    #[doc(alias = "device.pair.reject")]
    pub fn reject(&self, request_id: impl Into<String>) -> TypedCall<'a, Reject> {
        self.client.call(Reject::new(request_id))
    }

    /// Removes a paired device; its connections are closed (2026.9.6).
    #[doc(alias = "device.pair.remove")]
    pub fn remove(&self, device_id: impl Into<String>) -> TypedCall<'a, Remove> {
        self.client.call(Remove::new(device_id))
    }

    /// Gives a device a name of the operator's own (2026.9.6).
    #[doc(alias = "device.pair.rename")]
    pub fn rename(
        &self,
        device_id: impl Into<String>,
        label: impl Into<String>,
    ) -> TypedCall<'a, Rename> {
        self.client.call(Rename::new(device_id, label))
    }

    /// Replaces a device's token. Its connections are closed on 2026.9.6 and stay on 2026.2.9.
    #[doc(alias = "device.token.rotate")]
    pub fn rotate(
        &self,
        device_id: impl Into<String>,
        role: impl Into<String>,
    ) -> TypedCall<'a, Rotate> {
        self.client.call(Rotate::new(device_id, role))
    }

    /// Revokes a device's token. On 2026.9.6 the device has to be approved again; 2026.2.9 makes a
    /// new token at its next connect with the shared one.
    #[doc(alias = "device.token.revoke")]
    pub fn revoke(
        &self,
        device_id: impl Into<String>,
        role: impl Into<String>,
    ) -> TypedCall<'a, Revoke> {
        self.client.call(Revoke::new(device_id, role))
    }
}
