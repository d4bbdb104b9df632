//! `wss://`: which certificates are believed.
//!
//! Without a pin: those of the system's authorities, and of additional ones if they are given.
//! With a pin: the one certificate with that fingerprint, whoever issued it and whatever name and
//! dates it has, as OpenClaw's own clients do it.

mod pin;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError, ClientConfig, OtherError, RootCertStore};
use sha2::{Digest as _, Sha256};

use self::pin::{PinMismatch, PinVerifier};
use crate::base::sanitize::printable;
use crate::base::secret::constant_time_eq;

/// The SHA-256 of a gateway's certificate (the whole DER), to pin it.
///
/// ```
/// use openclaw_adapter::TlsFingerprint;
///
/// // As openssl prints it, as other tools do, all the same.
/// let printed = format!("sha256 Fingerprint={}5E", "5E:".repeat(31));
/// let pin = TlsFingerprint::parse(&printed)?;
/// assert_eq!(pin, TlsFingerprint::parse(&"5e".repeat(32))?);
/// # Ok::<(), openclaw_adapter::TlsError>(())
/// ```
#[derive(Clone, Copy)]
pub struct TlsFingerprint([u8; 32]);

impl TlsFingerprint {
    /// Takes 64 hex digits; case, colons and white space between them, and `sha256:` in front make
    /// no difference. `openssl x509 -noout -fingerprint -sha256` prints it.
    ///
    /// # Errors
    ///
    /// [`TlsError::Fingerprint`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TlsError> {
        let text = text.trim().to_ascii_lowercase();
        let digits = ["sha256", "sha-256", "sha 256"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            // openssl prints "sha256 Fingerprint=".
            .map_or(text.as_str(), |rest| {
                rest.trim_start()
                    .trim_start_matches("fingerprint")
                    .trim_start_matches([':', '='])
            });
        let mut nibbles = Vec::with_capacity(64);
        for char in digits
            .chars()
            .filter(|char| *char != ':' && !char.is_whitespace())
        {
            let nibble = char
                .to_digit(16)
                .and_then(|nibble| u8::try_from(nibble).ok());
            nibbles.push(nibble.ok_or(TlsError::Fingerprint)?);
        }
        if nibbles.len() != 64 {
            return Err(TlsError::Fingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks(2)) {
            *byte = pair.iter().fold(0, |byte, nibble| (byte << 4) | nibble);
        }
        Ok(Self(bytes))
    }

    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl PartialEq for TlsFingerprint {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for TlsFingerprint {}

impl fmt::Display for TlsFingerprint {
    /// Upper-case pairs with colons, as browsers and openssl show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TlsFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsFingerprint({self})")
    }
}

/// Why TLS cannot be set up. The causes are in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Not 64 hex digits.
    #[error("a TLS fingerprint is the SHA-256 of the certificate: 64 hex digits")]
    Fingerprint,
    /// The system has no certificate authorities, for example in a minimal container.
    #[error(
        "the system has no root certificates; install them (Debian: ca-certificates), or pin the \
         gateway's certificate with OPENCLAW_GATEWAY_TLS_FINGERPRINT"
    )]
    NoRoots(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// The additional authorities are not PEM certificates.
    #[error("the additional root certificates are not certificates in PEM")]
    ExtraRoots(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// rustls refused the configuration.
    #[error("TLS could not be set up")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// Makes the configuration for `wss://`. With `pin` only that certificate is believed; otherwise
/// the system's authorities and those in `extra_roots` (PEM).
///
/// It brings its own cryptography and leaves the process-wide default of rustls alone. It reads
/// files: not for a thread that must not block.
pub(crate) fn client_config(
    pin: Option<&TlsFingerprint>,
    extra_roots: Option<&[u8]>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(Box::new(error)))?;
    let mut config = match pin {
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier::new(*pin, provider)))
            .with_no_client_auth(),
        None => builder
            .with_root_certificates(roots(extra_roots)?)
            .with_no_client_auth(),
    };
    // A proxy that could also speak HTTP/2 must not choose it: the upgrade is of HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(extra: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = extra {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| TlsError::ExtraRoots(Some(Box::new(error))))?;
            roots
                .add(certificate)
                .map_err(|error| TlsError::ExtraRoots(Some(Box::new(error))))?;
        }
        if roots.is_empty() {
            return Err(TlsError::ExtraRoots(None));
        }
    }
    let mut native = rustls_native_certs::load_native_certs();
    // A system's store often has some that rustls does not take; the others are good.
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        return Err(TlsError::NoRoots(
            native.errors.pop().map(|error| Box::new(error) as _),
        ));
    }
    Ok(roots)
}

/// Whether a TLS handshake failed because what answered speaks no TLS.
pub(crate) fn is_no_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidMessage(_)))
}

/// What is said where the server ends the connection for want of a client's certificate.
pub(crate) const CLIENT_CERTIFICATE: &str =
    "the server wants a client certificate, and those are not supported";

/// Whether the server ended the connection for want of a client's certificate. With TLS 1.3 that
/// comes after the handshake, in place of the first answer.
pub(crate) fn wants_client_certificate(error: &io::Error) -> bool {
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        rustls,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
        ))
    )
}

/// Why the certificate of a gateway was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateRefusal {
    #[error("the gateway's certificate has another fingerprint than the pinned one: {found}")]
    OtherFingerprint { found: TlsFingerprint },
    #[error("the gateway's certificate is of an authority that this system does not trust")]
    UnknownAuthority,
    #[error("the gateway's certificate is for another name")]
    WrongName,
    #[error("the gateway's certificate has expired")]
    Expired,
    #[error("the gateway's certificate is not valid yet")]
    NotYetValid,
    /// `openssl req -x509` makes such ones.
    #[error(
        "the gateway's certificate is an authority's own (CA:TRUE), which no server can be believed with"
    )]
    AuthorityItself,
    #[error("the gateway's certificate was not accepted: {0}")]
    Other(String),
}

/// Whether webpki refused the certificate of an authority in a server's place. rustls passes that on
/// as an error without a type of its own.
fn is_authority_itself(error: &OtherError) -> bool {
    error.0.to_string() == "CaUsedAsEndEntity"
}

impl CertificateRefusal {
    /// Finds it in what a failed TLS handshake gives; `None` if the certificate was not the reason.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let rustls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let rustls::Error::InvalidCertificate(refused) = rustls else {
            return None;
        };
        Some(match refused {
            CertificateError::Other(other) => match other.0.downcast_ref::<PinMismatch>() {
                Some(PinMismatch(found)) => Self::OtherFingerprint { found: *found },
                None if is_authority_itself(other) => Self::AuthorityItself,
                None => Self::Other(printable(&refused.to_string())),
            },
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            _ => Self::Other(printable(&refused.to_string())),
        })
    }

    /// What a person can do about it.
    pub(crate) const fn fix(&self) -> &'static str {
        match self {
            Self::OtherFingerprint { .. } => {
                "if the gateway's certificate was renewed, compare the new fingerprint on the \
                 gateway's host and set OPENCLAW_GATEWAY_TLS_FINGERPRINT to it; otherwise somebody \
                 else is answering"
            }
            Self::AuthorityItself => {
                "pin it: set OPENCLAW_GATEWAY_TLS_FINGERPRINT to what `openssl x509 -noout \
                 -fingerprint -sha256 -in CERTIFICATE` prints on the gateway's host"
            }
            Self::Other(_) => {
                "give the gateway a certificate that this system takes, or pin its own with \
                 OPENCLAW_GATEWAY_TLS_FINGERPRINT"
            }
            Self::UnknownAuthority => {
                "install the authority's certificate, or pin the gateway's own with \
                 OPENCLAW_GATEWAY_TLS_FINGERPRINT"
            }
            Self::WrongName => {
                "use a name of the certificate in OPENCLAW_GATEWAY_URL, or pin the certificate \
                 with OPENCLAW_GATEWAY_TLS_FINGERPRINT"
            }
            Self::Expired => "renew the gateway's certificate, or check this host's clock",
            Self::NotYetValid => "check this host's clock",
        }
    }
}

#[cfg(test)]
mod tests;
