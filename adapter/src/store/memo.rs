//! The values that a store keeps for each gateway.

use std::collections::BTreeMap;

use crate::base::secret::Token;
use crate::protocol::SignatureVersion;

/// A token that a gateway gave to this device for one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceToken {
    role: String,
    scopes: Vec<String>,
    token: Token,
    updated_at_ms: u64,
}

impl DeviceToken {
    /// `updated_at_ms` is when the gateway gave it, in milliseconds since 1970.
    #[must_use]
    pub fn new(
        token: Token,
        role: impl Into<String>,
        scopes: Vec<String>,
        updated_at_ms: u64,
    ) -> Self {
        Self {
            role: role.into(),
            scopes,
            token,
            updated_at_ms,
        }
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// The role it is good for, for example `operator`.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The scopes that were approved with it.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// When the gateway gave it, in milliseconds since 1970.
    #[must_use]
    pub const fn updated_at_ms(&self) -> u64 {
        self.updated_at_ms
    }
}

/// What a device remembers of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayMemo {
    signature: Option<SignatureVersion>,
    tokens: BTreeMap<String, DeviceToken>,
}

impl GatewayMemo {
    /// Which signature it accepts, if that is known.
    #[must_use]
    pub const fn signature(&self) -> Option<SignatureVersion> {
        self.signature
    }

    /// The token for `role`.
    #[must_use]
    pub fn token(&self, role: &str) -> Option<&DeviceToken> {
        self.tokens.get(role)
    }

    /// All tokens, by role.
    #[must_use]
    pub const fn tokens(&self) -> &BTreeMap<String, DeviceToken> {
        &self.tokens
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signature.is_none() && self.tokens.is_empty()
    }

    /// Sets the accepted signature.
    pub const fn set_signature(&mut self, version: SignatureVersion) {
        self.signature = Some(version);
    }

    /// Takes a token in place of an earlier one of its role.
    pub fn put(&mut self, token: DeviceToken) {
        self.tokens.insert(token.role.clone(), token);
    }

    /// Removes the token of `role` if it is `token`, and says whether it was.
    pub fn remove(&mut self, role: &str, token: &Token) -> bool {
        let same = self
            .tokens
            .get(role)
            .is_some_and(|stored| stored.token == *token);
        if same {
            self.tokens.remove(role);
        }
        same
    }
}
