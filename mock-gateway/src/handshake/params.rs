//! The parameters of a connect, after the schema let them through.

use serde::Deserialize;
use serde_json::Number;

use crate::edition::refusal::Provided;

/// The parameters of a connect, after the schema let them through.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connect {
    pub(super) min_protocol: Number,
    pub(super) max_protocol: Number,
    pub(super) client: ClientInfo,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) caps: Vec<String>,
    #[serde(default)]
    pub(super) device: Option<Device>,
    #[serde(default)]
    pub(super) auth: Auth,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientInfo {
    pub(super) id: String,
    pub(super) mode: String,
    pub(super) version: String,
    pub(super) platform: String,
    pub(super) display_name: Option<String>,
    pub(super) device_family: Option<String>,
    pub(super) instance_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) public_key: String,
    pub(super) signature: String,
    pub(super) signed_at: Number,
    #[serde(default)]
    pub(super) nonce: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Auth {
    pub(super) token: Option<String>,
    pub(super) password: Option<String>,
    pub(super) device_token: Option<String>,
    pub(super) bootstrap_token: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(..)")
    }
}

impl ClientInfo {
    pub(super) fn is(&self, id: &str, mode: &str) -> bool {
        self.id == id && self.mode == mode
    }

    pub(super) fn is_control_ui(&self) -> bool {
        self.id == "openclaw-control-ui"
    }

    pub(super) fn is_webchat(&self) -> bool {
        self.mode == "webchat" || self.id == "webchat-ui"
    }

    /// The installed apps; their platform may change with an update.
    pub(super) fn is_app_ui(&self) -> bool {
        self.mode == "ui"
            && [
                "openclaw-macos",
                "openclaw-linux",
                "openclaw-ios",
                "openclaw-android",
            ]
            .contains(&self.id.as_str())
    }
}

impl Auth {
    fn offered(field: Option<&String>) -> Option<&str> {
        field.map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn token(&self) -> Option<&str> {
        Self::offered(self.token.as_ref())
    }

    pub(super) fn password(&self) -> Option<&str> {
        Self::offered(self.password.as_ref())
    }

    pub(super) fn device_token(&self) -> Option<&str> {
        Self::offered(self.device_token.as_ref())
    }

    pub(super) fn has_shared(&self) -> bool {
        self.token().is_some() || self.password().is_some()
    }

    pub(super) fn provided(&self) -> Provided {
        match (self.password(), self.token(), self.device_token()) {
            (Some(_), _, _) => Provided::Password,
            (None, Some(_), _) => Provided::Token,
            (None, None, Some(_)) => Provided::DeviceToken,
            (None, None, None) => Provided::None,
        }
    }
}
