//! The length and the hash of a secret, to compare two without showing either.

use crate::base::identity::to_hex;
use crate::base::secret::Token;
use sha2::{Digest as _, Sha256};

/// A shorter token could be guessed from its hash.
const MIN_HASHED: usize = 16;

/// The size of a token, and a short hash to tell it from others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shape {
    /// In characters.
    pub(super) length: usize,
    /// The first eight hex digits of the SHA-256; none of a password or of a token so short that
    /// the hash would help to guess it.
    pub(super) hash: Option<String>,
}

impl Shape {
    /// Describes a token by length and hash.
    pub(super) fn of(token: &Token) -> Self {
        let value = token.expose_secret();
        let length = value.chars().count();
        let digest = to_hex(&Sha256::digest(value.as_bytes()));
        Self {
            length,
            hash: (length >= MIN_HASHED).then(|| digest.chars().take(8).collect()),
        }
    }
}
