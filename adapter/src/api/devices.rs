//! `device.pair.*` and `device.token.*`: who may connect. All need the scope `operator.pairing`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::secret::Token;

/// The devices of a gateway; from [`Client::devices`].
#[derive(Clone, Copy, Debug)]
pub struct Devices<'a> {
    client: &'a Client,
}

/// Answer of [`Devices::list`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct DeviceList {
    /// Requests that wait for approval, the newest first.
    #[serde(default)]
    pub pending: Vec<PendingDevice>,
    /// Devices that are approved.
    #[serde(default)]
    pub paired: Vec<PairedDevice>,
}

/// A request that waits for approval. Gateways forget it after five minutes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PendingDevice {
    /// The id to approve or reject.
    pub request_id: String,
    /// The device: SHA-256 of its public key.
    pub device_id: String,
    /// The name that the device gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The platform that the device reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The role asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// All roles asked for.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The scopes asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The address it came from; absent for a local one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Whether the device is paired already and asks for more.
    #[serde(default)]
    pub is_repair: bool,
    /// When the request was made, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub ts: u64,
    /// What else the gateway says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A device that is approved.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PairedDevice {
    /// The device: SHA-256 of its public key.
    pub device_id: String,
    /// The name that the device gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The name that an operator gave it (2026.9 generation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<String>,
    /// The platform that was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The approved roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The approved scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Its tokens, without their values.
    #[serde(default)]
    pub tokens: Vec<TokenInfo>,
    /// When it was approved, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub approved_at_ms: u64,
    /// Whether it is connected now (2026.9 generation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// What else the gateway says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A device token, without its value.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TokenInfo {
    /// The role it is for.
    pub role: String,
    /// The scopes it covers.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When it was first made, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub created_at_ms: u64,
    /// When it was last replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// When it was last used to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// Answer of [`Devices::approve`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Approved {
    /// The request that was approved.
    pub request_id: String,
    /// The device as it is now.
    pub device: PairedDevice,
}

/// Answer of [`Devices::reject`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rejected {
    /// The request that was rejected.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
}

/// Answer of [`Devices::remove`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Removed {
    /// The device that is gone.
    pub device_id: String,
}

/// Answer of [`Devices::rename`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Renamed {
    /// The device.
    pub device_id: String,
    /// The name it has now, trimmed by the gateway.
    pub label: String,
}

/// Answer of [`Devices::rotate`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rotated {
    /// The device.
    pub device_id: String,
    /// The role of the token.
    pub role: String,
    /// The scopes of the new token.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub rotated_at_ms: u64,
    /// The new token. 2026.9.6 gives it only to the device itself, at its next connect.
    #[serde(default, deserialize_with = "token")]
    pub token: Option<Token>,
}

/// Answer of [`Devices::revoke`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Revoked {
    /// The device.
    pub device_id: String,
    /// The role of the token.
    pub role: String,
    /// When, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub revoked_at_ms: u64,
}

fn token<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| Token::new(text).ok()))
}

impl<'a> Devices<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the requests that wait and the devices that are paired.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`]; the missing scope is `operator.pairing`.
    #[doc(alias = "device.pair.list")]
    pub async fn list(&self) -> Result<DeviceList, Error> {
        self.call("device.pair.list", json!({})).await
    }

    /// Approves a request. On 2026.9.6 the caller needs every scope that it grants.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`]; `unknown requestId` if it has expired, was replaced or is done.
    #[doc(alias = "device.pair.approve")]
    pub async fn approve(&self, request_id: &str) -> Result<Approved, Error> {
        self.call("device.pair.approve", json!({"requestId": request_id}))
            .await
    }

    /// Rejects a request. A device that goes on asking makes a new one.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`]; `unknown requestId` if it has expired, was replaced or is done.
    #[doc(alias = "device.pair.reject")]
    pub async fn reject(&self, request_id: &str) -> Result<Rejected, Error> {
        self.call("device.pair.reject", json!({"requestId": request_id}))
            .await
    }

    /// Removes a paired device; its connections are closed.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`]; [`Error::Unsupported`] on 2026.2.9, which has no such method.
    #[doc(alias = "device.pair.remove")]
    pub async fn remove(&self, device_id: &str) -> Result<Removed, Error> {
        self.call_new("device.pair.remove", json!({"deviceId": device_id}))
            .await
    }

    /// Gives a device a name of the operator's own.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`]; [`Error::Unsupported`] on 2026.2.9, which has no such method.
    #[doc(alias = "device.pair.rename")]
    pub async fn rename(&self, device_id: &str, label: &str) -> Result<Renamed, Error> {
        self.call_new(
            "device.pair.rename",
            json!({"deviceId": device_id, "label": label}),
        )
        .await
    }

    /// Replaces a device's token. Its connections are closed on 2026.9.6 and stay on 2026.2.9.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`].
    #[doc(alias = "device.token.rotate")]
    pub async fn rotate(&self, device_id: &str, role: &str) -> Result<Rotated, Error> {
        self.call(
            "device.token.rotate",
            json!({"deviceId": device_id, "role": role}),
        )
        .await
    }

    /// Revokes a device's token. On 2026.9.6 the device has to be approved again; 2026.2.9 makes a
    /// new token at its next connect with the shared one.
    ///
    /// # Errors
    ///
    /// As [`Client::call_raw`].
    #[doc(alias = "device.token.revoke")]
    pub async fn revoke(&self, device_id: &str, role: &str) -> Result<Revoked, Error> {
        self.call(
            "device.token.revoke",
            json!({"deviceId": device_id, "role": role}),
        )
        .await
    }

    /// Calls a method that protocol 3 does not have. There the gateway would answer that a scope is
    /// missing, which is the wrong advice.
    async fn call_new<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, Error> {
        let protocol = self.client.ready().await?.protocol;
        if protocol < 4 {
            return Err(Error::Unsupported {
                method: method.into(),
                protocol,
            });
        }
        self.call(method, params).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, Error> {
        let answer = self.client.call_raw(method, params).await?;
        serde_json::from_value(answer).map_err(|error| Error::Data {
            method: method.into(),
            what: Arc::from(format!("the answer has another shape: {error}")),
        })
    }
}
