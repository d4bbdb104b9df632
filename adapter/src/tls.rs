//! The rustls configuration of `wss://` connections.

use std::path::PathBuf;
use std::sync::Arc;

/// TLS cannot be set up.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system has no root certificates.
    #[error("the system has no root certificates")]
    NoRoots,
    /// Not supported by this version.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
}

/// The SHA-256 fingerprint of a certificate.
#[derive(Clone, Debug)]
pub struct TlsFingerprint(());

impl TlsFingerprint {
    /// Reads a fingerprint.
    ///
    /// # Errors
    ///
    /// [`TlsError::Unsupported`].
    pub fn parse(_: &str) -> Result<Self, TlsError> {
        Err(TlsError::Unsupported("a certificate pin"))
    }
}

pub(crate) fn client_config(
    _pin: Option<&TlsFingerprint>,
    extra: &[PathBuf],
) -> Result<Arc<rustls::ClientConfig>, TlsError> {
    if !extra.is_empty() {
        return Err(TlsError::Unsupported("a file of root certificates"));
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::NoRoots)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
