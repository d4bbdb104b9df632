//! The gateway's shared secret.

use std::fmt;

/// A token or a password. `Debug` does not show it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 24 random bytes in hex, as the real gateways make them.
    pub(crate) fn random() -> Self {
        let bytes = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let text: String = bytes.iter().map(|uuid| uuid.simple().to_string()).collect();
        Self(text[..48].to_owned())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on the lengths only.
    pub(crate) fn matches(&self, offered: &str) -> bool {
        let (known, offered) = (self.0.as_bytes(), offered.as_bytes());
        known.len() == offered.len()
            && known
                .iter()
                .zip(offered)
                .fold(0, |acc, (a, b)| acc | (a ^ b))
                == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How clients prove that they may talk to the gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AuthMode {
    Token(Secret),
    Password(Secret),
}

impl AuthMode {
    pub(crate) fn secret(&self) -> &Secret {
        match self {
            Self::Token(secret) | Self::Password(secret) => secret,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Password(_) => "password",
        }
    }

    /// The same mode with another secret.
    pub(crate) fn with(&self, secret: Secret) -> Self {
        match self {
            Self::Token(_) => Self::Token(secret),
            Self::Password(_) => Self::Password(secret),
        }
    }
}
