//! What is wrong with a configuration.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::endpoint::EndpointError;
use crate::base::secret::TokenError;
#[cfg(feature = "tls")]
use crate::base::tls::TlsError;
use crate::base::vars::{ALLOW_INSECURE, FINGERPRINT, PASSWORD, TOKEN, TOKEN_FILE, URL};
use crate::store::StoreError;

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
    #[non_exhaustive]
    Token {
        /// The variable or file.
        origin: String,
        /// What is wrong with it.
        problem: TokenError,
    },
    /// The token's file cannot be read.
    #[error("the token file {path} cannot be read: {problem}", path = path.display())]
    #[non_exhaustive]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: Arc<std::io::Error>,
    },
    /// Two credentials at once.
    #[error("both {first} and {second} are set: set only one of them")]
    #[non_exhaustive]
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
    #[non_exhaustive]
    Header {
        /// Its name; the value counts as a secret.
        name: String,
    },
    /// A variable is neither yes nor no.
    #[error("{name} is neither 1 nor 0")]
    #[non_exhaustive]
    Flag {
        /// The variable.
        name: &'static str,
    },
    /// A variable is no list of scopes. Its content is not repeated: it may be something that went
    /// into the wrong variable.
    #[error("{name} is no list of scopes")]
    #[non_exhaustive]
    Scopes {
        /// The variable.
        name: &'static str,
    },
    /// A variable is not Unicode.
    #[error("{name} is not valid Unicode")]
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    /// The one next thing to do, for whoever configures the backend.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) | Self::InlineIdentity(error) => error.fix(),
            Self::NoToken => format!(
                "{}; its start-up banner shows it too.",
                set_token(TOKEN, "gateway.auth.token")
            ),
            Self::Token { origin, .. } => match origin.as_str() {
                TOKEN => format!("{}.", set_token(TOKEN, "gateway.auth.token")),
                PASSWORD => format!("{}.", set_token(PASSWORD, "gateway.auth.password")),
                file => token_file(file),
            },
            Self::TokenFile { path, .. } => token_file(&path.display().to_string()),
            Self::Conflict { first, second } => format!(
                "Unset {first} or {second}, so that only one of {TOKEN}, {TOKEN_FILE} and {PASSWORD} is left."
            ),
            Self::Url(EndpointError::PlainToPublic { .. }) => format!(
                "Use wss://, or set {ALLOW_INSECURE}=1 if the way is private though the name does not show it."
            ),
            Self::Url(_) => format!("Correct {URL}: it is ws://HOST:18789 or wss://HOST."),
            Self::Header { name } => format!(
                "Correct or leave out the extra header {name:?}: it is NAME:VALUE in one line, and none that the upgrade itself sets (such as Host, Origin or Connection)."
            ),
            Self::Scopes { name } => format!(
                "Write {name} as operator.read,operator.write: names, separated by commas or spaces, without quotes or brackets."
            ),
            Self::Flag { name } => format!("Set {name} to 1 or 0, or unset it."),
            Self::NotUnicode { name } => {
                format!("Set {name} anew: it holds bytes that are no UTF-8.")
            }
            #[cfg(feature = "tls")]
            Self::Tls(error) => tls(error).to_owned(),
            Self::RootCertificates { path, .. } => format!(
                "Put the certificates into {}, readable by this user, or correct the path.",
                path.display()
            ),
            Self::PinWithoutTls => {
                format!("Write wss:// in {URL}, or unset {FINGERPRINT}.")
            }
            Self::NoTls => format!(
                "Build it with the feature `tls` of openclaw-adapter; or write ws:// in {URL} and unset {FINGERPRINT}."
            ),
        })
    }
}

fn set_token(variable: &str, place: &str) -> String {
    format!("Set {variable} to {place} of the gateway's openclaw.json")
}

fn token_file(file: &str) -> String {
    format!(
        "Put gateway.auth.token of the gateway's openclaw.json into {file}, readable by this user, or correct {TOKEN_FILE}."
    )
}

#[cfg(feature = "tls")]
const fn tls(error: &TlsError) -> &'static str {
    match error {
        TlsError::Fingerprint => {
            "Set OPENCLAW_GATEWAY_TLS_FINGERPRINT to what `openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE` prints on the gateway's host."
        }
        TlsError::NoRoots(_) => {
            "Install root certificates (Debian: ca-certificates), or pin the gateway's certificate with OPENCLAW_GATEWAY_TLS_FINGERPRINT."
        }
        TlsError::ExtraRoots(_) => "Give the additional root certificates as PEM.",
        TlsError::Setup(_) => "Look at the cause: this build of rustls takes no such TLS set-up.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_in_a_configuration_has_its_own_way_out() {
        let token = |origin: &str| ConfigError::Token {
            origin: origin.to_owned(),
            problem: TokenError::Blank,
        };
        let file = |kind: std::io::ErrorKind| ConfigError::TokenFile {
            path: "/run/secrets/token".into(),
            problem: Arc::new(kind.into()),
        };
        let put = "into /run/secrets/token, readable by this user, or correct OPENCLAW_GATEWAY_TOKEN_FILE.";
        for (error, fix) in [
            (
                ConfigError::NoToken,
                "Set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token",
            ),
            (
                token(TOKEN),
                "Set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token",
            ),
            (
                token(PASSWORD),
                "Set OPENCLAW_GATEWAY_PASSWORD to gateway.auth.password",
            ),
            (token("/run/secrets/token"), put),
            (file(std::io::ErrorKind::NotFound), put),
            (file(std::io::ErrorKind::IsADirectory), put),
            (file(std::io::ErrorKind::InvalidData), put),
            (
                ConfigError::Conflict {
                    first: TOKEN.to_owned(),
                    second: "OPENCLAW_GATEWAY_TOKEN_FILE (/t)".to_owned(),
                },
                "Unset OPENCLAW_GATEWAY_TOKEN or OPENCLAW_GATEWAY_TOKEN_FILE (/t), ",
            ),
            (ConfigError::Url(EndpointError::NoScheme), "ws://HOST:18789"),
            (
                ConfigError::Url(EndpointError::PlainToPublic {
                    host: "h.example".to_owned(),
                }),
                "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1",
            ),
            (
                ConfigError::Header {
                    name: "host".to_owned(),
                },
                "the extra header \"host\"",
            ),
            (
                ConfigError::Flag {
                    name: ALLOW_INSECURE,
                },
                "to 1 or 0",
            ),
            (
                ConfigError::NotUnicode { name: URL },
                "Set OPENCLAW_GATEWAY_URL anew",
            ),
            (
                ConfigError::RootCertificates {
                    path: "/ca.pem".into(),
                    problem: Arc::new(std::io::ErrorKind::NotFound.into()),
                },
                "into /ca.pem",
            ),
            (
                ConfigError::PinWithoutTls,
                "unset OPENCLAW_GATEWAY_TLS_FINGERPRINT",
            ),
            (ConfigError::NoTls, "feature `tls`"),
        ] {
            let said = error.fix().unwrap();
            assert!(said.contains(fix) && said.ends_with('.'), "{error}: {said}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_bad_fingerprint_is_answered_with_the_command_that_prints_a_good_one() {
        let error = ConfigError::Tls(Arc::new(TlsError::Fingerprint));
        assert!(error.fix().unwrap().contains("openssl x509"));
    }
}
