//! Values that stand by themselves: addresses, identities, secrets, TLS, text made safe to print.

pub(crate) mod endpoint;
pub(crate) mod identity;
pub(crate) mod sanitize;
pub(crate) mod secret;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod vars;
