//! The parts of a configuration, each checked by itself: what [`build`](ConfigBuilder::build) puts
//! together, and what the doctor looks at one by one.

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::builder::{ConfigBuilder, Given};
use super::{DeviceTokenFallback, TokenSource, read_token_file};
use crate::base::endpoint::Endpoint;
#[cfg(feature = "tls")]
use crate::base::tls::TlsFingerprint;
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::Secret;
use crate::net::Dialer;
use crate::protocol::connect::Profile;

impl ConfigBuilder {
    /// The gateway's address.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(&self.url).map_err(ConfigError::Url)
    }

    /// The rule for plain `ws://`.
    pub(crate) fn check_plaintext(&self, endpoint: &Endpoint) -> Result<(), ConfigError> {
        endpoint
            .check_plaintext(self.allow_insecure)
            .map_err(ConfigError::Url)
    }

    /// The token or password. Reads the token's file, if there is one.
    pub(crate) fn credentials(&self) -> Result<(Secret, TokenSource), ConfigError> {
        if let Some((first, second)) = self.conflict.clone() {
            return Err(ConfigError::Conflict { first, second });
        }
        let source = |origin: &String, file: Option<&PathBuf>| TokenSource {
            origin: origin.clone(),
            file: file.cloned(),
        };
        match &self.given {
            Given::Nothing => Err(ConfigError::NoToken),
            Given::Token(token, origin) => Ok((Secret::Token(token.clone()), source(origin, None))),
            Given::TokenFile(path, origin) => Ok((
                Secret::Token(read_token_file(path)?),
                source(origin, Some(path)),
            )),
            Given::Password(password, origin) => {
                Ok((Secret::Password(password.clone()), source(origin, None)))
            }
        }
    }

    /// The extra headers of the upgrade.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, ConfigError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let refused = || ConfigError::Header { name: name.clone() };
            let parsed = HeaderName::try_from(name.as_str()).ok().filter(|parsed| {
                !RESERVED.contains(&parsed.as_str())
                    && !parsed.as_str().starts_with("sec-websocket-")
            });
            let parsed = parsed.ok_or_else(refused)?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.append(parsed, value);
        }
        Ok(headers)
    }

    /// Which certificates are believed; `None` for `ws://`. Reads files.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_config(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Option<Arc<rustls::ClientConfig>>, ConfigError> {
        let pin = self
            .fingerprint
            .as_deref()
            .map(TlsFingerprint::parse)
            .transpose()
            .map_err(|error| ConfigError::Tls(Arc::new(error)))?;
        if !endpoint.is_tls() {
            // A pin that is not checked would be a promise that nobody keeps.
            return if pin.is_some() {
                Err(ConfigError::PinWithoutTls)
            } else {
                Ok(None)
            };
        }
        let mut extra = Vec::new();
        for path in &self.root_certificates {
            let pem = std::fs::read(path).map_err(|error| ConfigError::RootCertificates {
                path: path.clone(),
                problem: Arc::new(error),
            })?;
            extra.extend(pem);
            extra.push(b'\n');
        }
        let extra = (!extra.is_empty()).then_some(&*extra);
        crate::base::tls::client_config(pin.as_ref(), extra)
            .map(Some)
            .map_err(|error| ConfigError::Tls(Arc::new(error)))
    }

    /// Without TLS neither `wss://` nor a pin can be kept.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn check_no_tls(&self, endpoint: &Endpoint) -> Result<(), ConfigError> {
        if endpoint.is_tls() || self.fingerprint.is_some() {
            return Err(ConfigError::NoTls);
        }
        Ok(())
    }

    /// How to reach the gateway, and whether by plain TCP.
    pub(crate) fn dialer(&self, endpoint: &Endpoint) -> Result<(Dialer, bool), ConfigError> {
        #[cfg(not(feature = "tls"))]
        self.check_no_tls(endpoint)?;
        let dialer = Dialer {
            endpoint: endpoint.clone(),
            connector: Arc::clone(&self.connector),
            headers: self.header_map()?,
            max_message: self.max_message,
            #[cfg(feature = "tls")]
            tls: self.tls_config(endpoint)?,
        };
        Ok((dialer, !self.has_own_connector))
    }

    /// Whether the certificate is pinned.
    pub(crate) const fn is_pinned(&self) -> bool {
        self.fingerprint.is_some()
    }

    /// Whether this device's token may go to this endpoint when the shared one is refused.
    pub(crate) fn may_fall_back(&self, endpoint: &Endpoint) -> bool {
        // The certificate of a `wss://` endpoint is always verified or pinned.
        self.fallback == DeviceTokenFallback::TrustedEndpoint
            && endpoint.is_trusted_for_device_token(endpoint.is_tls())
    }

    /// What the client says of itself.
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            client_id: "gateway-client".to_owned(),
            mode: "backend".to_owned(),
            display_name: self.display_name.clone(),
            version: self.version.clone(),
            platform: self.platform.clone(),
            device_family: self.device_family.clone(),
            role: self.role.clone(),
            scopes: self.asked_scopes(),
            caps: self.caps.clone(),
        }
    }
}

/// Headers that the upgrade itself needs, and `Origin`, which no backend has: 2026.9.6 refuses it.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "origin",
    "transfer-encoding",
    "upgrade",
];
