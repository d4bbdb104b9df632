//! What is wrong with a configuration.

use std::path::PathBuf;
use std::sync::Arc;

use crate::endpoint::EndpointError;
use crate::secret::TokenError;
use crate::store::StoreError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// What is wrong with a configuration. Nothing was dialled.
///
/// The message says what to change; it has no source that would say the same again.
///
/// ```
/// use openclaw_adapter::{Config, ConfigError, MemoryStore};
///
/// let nothing_set = Config::builder().store(MemoryStore::new()).build();
/// let error = nothing_set.unwrap_err();
/// assert!(matches!(error, ConfigError::NoToken));
/// assert!(error.to_string().contains("OPENCLAW_GATEWAY_TOKEN"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither token nor password.
    #[error(
        "no gateway token: set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token of the gateway's openclaw.json, or OPENCLAW_GATEWAY_TOKEN_FILE to a file that holds it"
    )]
    NoToken,
    /// A token or password that cannot be one.
    #[error("{origin} holds no usable token: {problem}")]
    Token {
        /// The variable or file.
        origin: String,
        /// What is wrong with it.
        problem: TokenError,
    },
    /// The token's file cannot be read.
    #[error("the token file {path} cannot be read: {problem}", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: Arc<std::io::Error>,
    },
    /// Two credentials at once.
    #[error("both {first} and {second} are set: set only one of them")]
    Conflict {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The gateway's address is not usable.
    #[error("the gateway's address (OPENCLAW_GATEWAY_URL) is not usable: {0}")]
    Url(EndpointError),
    /// The device identity has no place.
    #[error("the device identity has no usable place: {0}")]
    Store(Arc<StoreError>),
    /// The identity that was given inline cannot be used.
    #[error("OPENCLAW_ADAPTER_DEVICE_IDENTITY: {0}")]
    InlineIdentity(Arc<StoreError>),
    /// A header that cannot be sent, or that belongs to the upgrade itself.
    #[error("the extra header {name:?} is not allowed, or its value cannot be sent")]
    Header {
        /// Its name; the value counts as a secret.
        name: String,
    },
    /// A variable is neither yes nor no.
    #[error("{name} is neither 1 nor 0")]
    Flag {
        /// The variable.
        name: &'static str,
    },
    /// A variable is not Unicode.
    #[error("{name} is not valid Unicode")]
    NotUnicode {
        /// The variable.
        name: &'static str,
    },
    /// TLS cannot be set up.
    #[cfg(feature = "tls")]
    #[error("TLS: {0}")]
    Tls(Arc<TlsError>),
    /// A file of root certificates cannot be read.
    #[error("the root certificates {path} cannot be read: {problem}", path = path.display())]
    RootCertificates {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: Arc<std::io::Error>,
    },
    /// A certificate pin for an address without TLS.
    #[error(
        "a TLS fingerprint is set, but the address is ws://: use wss://, or remove the fingerprint"
    )]
    PinWithoutTls,
    /// The crate was built without TLS.
    #[error("wss:// needs the crate's feature `tls`")]
    NoTls,
}

impl ConfigError {
    /// The one next thing to do, where the message itself does not say it already.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Store(error) | Self::InlineIdentity(error) => Some(error.fix()),
            _ => None,
        }
    }
}
