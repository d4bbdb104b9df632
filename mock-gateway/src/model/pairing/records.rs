//! What the pairing store keeps, in the form in which both generations show and store it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A device that waits for approval.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PendingRequest {
    /// What an operator approves or rejects.
    pub request_id: String,
    /// Lower-case hex SHA-256 of the public key.
    pub device_id: String,
    /// Raw Ed25519 key in base64url.
    pub public_key: String,
    /// Name that the client gave itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Platform that the client named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Device family that the client named; measured on 2026.9.6 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// `client.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `client.mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// The role of the last ask.
    pub role: String,
    /// Every role asked for.
    pub roles: Vec<String>,
    /// Every scope asked for.
    pub scopes: Vec<String>,
    /// Address of the client, unless it was local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Approved without asking anybody.
    pub silent: bool,
    /// The device is paired already and wants more, or something else.
    pub is_repair: bool,
    /// When it was made, in milliseconds since the Unix epoch.
    pub ts: u64,
    /// Last time the device came back; extends the life of the request in 2026.9.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refreshed_at_ms: Option<u64>,
}

impl PendingRequest {
    /// As RPCs and events show it.
    pub(crate) fn to_wire(&self) -> Value {
        let mut public = self.clone();
        public.refreshed_at_ms = None;
        json!(public)
    }
}

/// A device token as the gateway remembers it.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeviceToken {
    /// The secret; [`expose`](Self::expose) shows it.
    token: String,
    /// The role it is good for.
    pub role: String,
    /// The scopes it is good for.
    pub scopes: Vec<String>,
    /// When the first token of this role was made, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it was last replaced, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// When it was revoked, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// Last login with it, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

impl DeviceToken {
    pub(crate) fn new(token: String, role: &str, scopes: Vec<String>, now: u64) -> Self {
        let role = role.to_owned();
        Self {
            token,
            role,
            scopes,
            created_at_ms: now,
            ..Self::default()
        }
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.token
    }

    pub(crate) fn issued_at_ms(&self) -> u64 {
        self.rotated_at_ms.unwrap_or(self.created_at_ms)
    }

    fn summary(&self) -> Value {
        let mut summary = json!(self);
        if let Some(members) = summary.as_object_mut() {
            members.remove("token");
        }
        summary
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceToken")
            .field("role", &self.role)
            .field("scopes", &self.scopes)
            .field("created_at_ms", &self.created_at_ms)
            .field("rotated_at_ms", &self.rotated_at_ms)
            .field("revoked_at_ms", &self.revoked_at_ms)
            .field("last_used_at_ms", &self.last_used_at_ms)
            .finish_non_exhaustive()
    }
}

/// A device that was approved.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PairedDevice {
    /// Lower-case hex SHA-256 of the public key.
    pub device_id: String,
    /// Raw Ed25519 key in base64url.
    pub public_key: String,
    /// Name that the client gave itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name that an operator gave it; measured on 2026.9.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<String>,
    /// Platform at the time of approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Device family at the time of approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// `client.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `client.mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// The role of the last approval.
    pub role: String,
    /// Every approved role.
    pub roles: Vec<String>,
    /// Every approved scope, in order of arrival.
    pub scopes: Vec<String>,
    /// Address of the client, unless it was local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Its tokens, by role.
    pub tokens: BTreeMap<String, DeviceToken>,
    /// `owner` or `silent`; measured on 2026.9.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_via: Option<String>,
    /// First approval, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Latest approval, likewise.
    pub approved_at_ms: u64,
    /// Last connect, likewise; measured on 2026.9.6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at_ms: Option<u64>,
    /// `connect` or `device-token-auth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_reason: Option<String>,
}

impl PairedDevice {
    /// As RPCs show it: token summaries instead of tokens.
    pub(crate) fn to_wire(&self, connected: Option<bool>) -> Value {
        let mut device = json!(self);
        let tokens: Vec<Value> = self.tokens.values().map(DeviceToken::summary).collect();
        if let Some(members) = device.as_object_mut() {
            members.remove("tokens");
            if !tokens.is_empty() {
                members.insert("tokens".into(), tokens.into());
            }
            // Measured on 2026.2.9, which is the one that does not say who approved.
            if self.scopes.is_empty() && self.approved_via.is_none() {
                members.remove("scopes");
            }
            if let Some(connected) = connected {
                members.insert("connected".into(), connected.into());
            }
        }
        device
    }

    /// Approved roles that still have a token which is not revoked.
    pub(crate) fn effective_roles(&self) -> Vec<&str> {
        self.tokens
            .values()
            .filter(|token| token.revoked_at_ms.is_none())
            .map(|token| token.role.as_str())
            .filter(|role| self.roles.iter().any(|approved| approved == role))
            .collect()
    }

    pub(crate) fn has_other_role_than_operator(&self) -> bool {
        self.roles
            .iter()
            .chain(self.tokens.keys())
            .any(|role| role != "operator")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_neither_debugged_nor_listed() {
        let token = DeviceToken::new("s3cret".into(), "operator", vec![], 1);
        let device = PairedDevice {
            tokens: BTreeMap::from([("operator".into(), token)]),
            ..PairedDevice::default()
        };
        assert!(!format!("{device:?}").contains("s3cret"));
        assert!(!device.to_wire(None).to_string().contains("s3cret"));
        assert!(
            json!(device).to_string().contains("s3cret"),
            "the file keeps it"
        );
    }
}
