//! The names of the variables of the environment.

pub(crate) const URL: &str = "OPENCLAW_GATEWAY_URL";
pub(crate) const TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";
pub(crate) const TOKEN_FILE: &str = "OPENCLAW_GATEWAY_TOKEN_FILE";
pub(crate) const PASSWORD: &str = "OPENCLAW_GATEWAY_PASSWORD";
pub(crate) const STATE_DIR: &str = "OPENCLAW_ADAPTER_STATE_DIR";
pub(crate) const DEVICE_IDENTITY: &str = "OPENCLAW_ADAPTER_DEVICE_IDENTITY";
pub(crate) const DISPLAY_NAME: &str = "OPENCLAW_ADAPTER_DISPLAY_NAME";
pub(crate) const SCOPES: &str = "OPENCLAW_ADAPTER_SCOPES";
pub(crate) const FINGERPRINT: &str = "OPENCLAW_GATEWAY_TLS_FINGERPRINT";
pub(crate) const ALLOW_INSECURE: &str = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS";
