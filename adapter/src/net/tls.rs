//! Faults of a TLS handshake.

#[cfg(feature = "tls")]
use std::fmt;

/// A TLS handshake that failed.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "only a TLS handshake fails in these ways")
)]
pub(crate) enum TlsFault {
    /// The certificate is refused, with what to do about it.
    Certificate {
        what: String,
        fix: String,
    },
    /// The other side speaks no TLS.
    NotTls,
    /// The other side asks for a certificate of the client.
    ClientCertificate,
    Other(String),
}

#[cfg(feature = "tls")]
impl TlsFault {
    pub(crate) fn of(error: &std::io::Error) -> Self {
        use crate::base::tls::{CertificateRefusal, is_no_tls, wants_client_certificate};

        match CertificateRefusal::of(error) {
            Some(refusal) => Self::Certificate {
                what: refusal.to_string(),
                fix: refusal.fix().to_owned(),
            },
            None if is_no_tls(error) => Self::NotTls,
            None if wants_client_certificate(error) => Self::ClientCertificate,
            None => Self::Other(error.to_string()),
        }
    }
}

#[cfg(feature = "tls")]
impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { what, fix } => write!(f, "{what}; {fix}"),
            Self::NotTls => f.write_str(
                "what listens there speaks no TLS; write ws:// instead of wss://, or the port of the \
                 proxy that does the TLS",
            ),
            Self::ClientCertificate => f.write_str(crate::base::tls::CLIENT_CERTIFICATE),
            Self::Other(what) => f.write_str(what),
        }
    }
}
