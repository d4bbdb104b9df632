//! Answers about devices.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::secret::Token;

/// Answer to [`List`](super::List).
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
    /// True if the device is paired already and requests more.
    #[serde(default)]
    pub is_repair: bool,
    /// Time of the request, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub ts: u64,
    /// Further fields of the answer.
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
    /// Time of the approval, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub approved_at_ms: u64,
    /// True if it is connected now (2026.9 generation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Further fields of the answer.
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
    /// Time of its first creation, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub created_at_ms: u64,
    /// Time of its last rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// Time of its revocation, if it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// Time of the last login with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// Answer to [`Approve`](super::Approve).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Approved {
    /// The request that was approved.
    pub request_id: String,
    /// The device as it is now.
    pub device: PairedDevice,
}

/// Answer to [`Reject`](super::Reject).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rejected {
    /// The request that was rejected.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
}

/// Answer to [`Remove`](super::Remove).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Removed {
    /// The device that is gone.
    pub device_id: String,
}

/// Answer to [`Rename`](super::Rename).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Renamed {
    /// The device.
    pub device_id: String,
    /// The name it has now, trimmed by the gateway.
    pub label: String,
}

/// Answer to [`Rotate`](super::Rotate).
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
    /// Time, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub rotated_at_ms: u64,
    /// The new token. 2026.9.6 gives it only to the device itself, at its next connect.
    #[serde(default, deserialize_with = "token")]
    pub token: Option<Token>,
}

/// Answer to [`Revoke`](super::Revoke).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Revoked {
    /// The device.
    pub device_id: String,
    /// The role of the token.
    pub role: String,
    /// Time, in milliseconds of the gateway's clock.
    #[serde(default)]
    pub revoked_at_ms: u64,
}

fn token<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| Token::new(text).ok()))
}
