//! The environment, read in one place.

use std::ffi::OsString;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::builder::{ConfigBuilder, Given};
use super::scopes;
use crate::base::secret::Token;
#[allow(unused_imports)]
pub(super) use crate::base::vars::*;
use crate::logic::config_error::ConfigError;

impl ConfigBuilder {
    /// The environment as a function, so that a test needs no process of its own.
    pub(crate) fn from_vars(
        vars: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let text = |name: &'static str| match vars(name) {
            None => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|_| ConfigError::NotUnicode { name }),
        };
        let filled = |name| text(name).map(|value| value.filter(|value| !value.trim().is_empty()));
        let path = |name| {
            vars(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let mut builder = Self::default();
        if let Some(url) = filled(URL)? {
            builder = builder.url(url.trim());
        }
        let token_file = path(TOKEN_FILE);
        let password = filled(PASSWORD)?;
        if let Some(value) = text(TOKEN)?
            // Compose files like to pass an empty variable on; with another source it means nothing.
            && !(value.trim().is_empty() && (token_file.is_some() || password.is_some()))
        {
            let token = Token::new(value).map_err(|problem| ConfigError::Token {
                origin: TOKEN.to_owned(),
                problem,
            })?;
            builder = builder.give(Given::Token(token, TOKEN.to_owned()));
        }
        if let Some(file) = token_file {
            let origin = format!("{TOKEN_FILE} ({})", file.display());
            builder = builder.give(Given::TokenFile(file, origin));
        }
        if let Some(password) = password {
            let password = Token::new(password).map_err(|problem| ConfigError::Token {
                origin: PASSWORD.to_owned(),
                problem,
            })?;
            builder = builder.give(Given::Password(password, PASSWORD.to_owned()));
        }
        builder.state_dir = path(STATE_DIR);
        if let Some(identity) = filled(DEVICE_IDENTITY)? {
            builder.identity = Some(Zeroizing::new(identity));
        }
        if let Some(name) = filled(DISPLAY_NAME)? {
            builder = builder.display_name(name.trim());
        }
        if let Some(list) = filled(SCOPES)? {
            let scopes = scopes::parse(&list).ok_or(ConfigError::Scopes { name: SCOPES })?;
            builder = builder.scopes(scopes);
        }
        builder.fingerprint = filled(FINGERPRINT)?;
        if let Some(flag) = filled(ALLOW_INSECURE)? {
            builder.allow_insecure = match flag.trim().to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" => true,
                "0" | "false" | "no" => false,
                _ => {
                    return Err(ConfigError::Flag {
                        name: ALLOW_INSECURE,
                    });
                }
            };
        }
        Ok(builder)
    }
}
