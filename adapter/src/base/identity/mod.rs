//! `DeviceIdentity`: the Ed25519 key a gateway knows this backend by.

mod format;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::base::secret::scrub_stack;

/// The id of a device: the SHA-256 of its raw public key in lower-case hex, 64 characters; as an
/// operator sees it (`openclaw devices list`), and as the methods of
/// [`devices`](crate::api::devices) take it.
///
/// ```
/// use openclaw_adapter::DeviceId;
///
/// let id = DeviceId::parse(&"5e".repeat(32))?;
/// assert_eq!(id.short(), "5e5e5e5e5e5e");
/// assert!(DeviceId::parse(id.short()).is_err(), "only the whole id is one");
/// # Ok::<(), openclaw_adapter::IdentityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(String);

impl DeviceId {
    /// Takes an id as text.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotADeviceId`] unless it is 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentityError::NotADeviceId)
        }
    }

    fn of(key: &VerifyingKey) -> Self {
        Self(to_hex(&Sha256::digest(key.as_bytes())))
    }

    /// The first twelve characters, enough to recognise a device in a log line.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for DeviceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A device's key pair and its id.
///
/// `Debug` shows the id only; the private key is wiped when the last clone is dropped.
///
/// ```
/// use openclaw_adapter::DeviceIdentity;
///
/// let identity = DeviceIdentity::generate(1_795_000_000_000)?;
/// // What a `device.json` holds, the private key among it.
/// let text = identity.to_json();
/// assert_eq!(DeviceIdentity::from_json(&text)?.id(), identity.id());
/// # Ok::<(), openclaw_adapter::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct DeviceIdentity {
    /// In one place of the memory, whoever holds it: a key that is moved leaves copies behind.
    key: Arc<SigningKey>,
    id: DeviceId,
    created_at_ms: u64,
}

impl DeviceIdentity {
    /// Makes a new identity from the system's random numbers. `created_at_ms` is milliseconds
    /// since 1970; it is kept for people and has no other use.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Randomness`] if the system has none to give.
    pub fn generate(created_at_ms: u64) -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| IdentityError::Randomness)?;
        let identity = Self::from_seed(&seed, created_at_ms);
        scrub_stack();
        Ok(identity)
    }

    #[inline(never)]
    fn from_seed(seed: &[u8; 32], created_at_ms: u64) -> Self {
        let key = Arc::new(SigningKey::from_bytes(seed));
        let id = DeviceId::of(&key.verifying_key());
        Self {
            key,
            id,
            created_at_ms,
        }
    }

    /// Reads an identity from the text of OpenClaw's `identity/device.json`, version 1.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Damaged`], [`IdentityError::Version`], [`IdentityError::PrivateKey`] and
    /// [`IdentityError::PublicKey`] if the text cannot be read; [`IdentityError::KeysDiffer`] and
    /// [`IdentityError::IdDiffers`] if its key, public key and id do not belong together. OpenClaw 2026.2.9 silently writes a right id over a wrong one;
    /// here it is an error, because it means that the file was put together from two.
    pub fn from_json(text: &str) -> Result<Self, IdentityError> {
        let identity = format::read(text);
        scrub_stack();
        identity
    }

    /// The text of `identity/device.json` as OpenClaw writes it (two spaces, a final newline).
    /// It holds the private key.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let text = format::write(self);
        scrub_stack();
        text
    }

    /// The id the gateway's operator sees.
    #[must_use]
    pub const fn id(&self) -> &DeviceId {
        &self.id
    }

    /// The raw public key in base64url without padding, as `connect` sends it.
    #[must_use]
    pub fn public_key_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    /// When it was made, in milliseconds since 1970; 0 if the file did not say.
    #[must_use]
    pub const fn created_at_ms(&self) -> u64 {
        self.created_at_ms
    }

    /// Signs `payload` and gives the signature in base64url without padding.
    #[must_use]
    pub fn sign(&self, payload: &str) -> String {
        let signature = self.sign_bytes(payload.as_bytes());
        scrub_stack();
        URL_SAFE_NO_PAD.encode(signature)
    }

    #[inline(never)]
    fn sign_bytes(&self, payload: &[u8]) -> [u8; 64] {
        self.key.sign(payload).to_bytes()
    }
}

impl fmt::Debug for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceIdentity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why an identity could not be read or made. Never holds any text of the file but its ids and
/// its version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not JSON, or a field is missing or of another type.
    #[error("not a device identity: damaged at line {line}, column {column}")]
    #[non_exhaustive]
    Damaged {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but not of version 1.
    #[error("the device identity is of version {found}, only version 1 is known")]
    #[non_exhaustive]
    Version {
        /// The number found, or `none`.
        found: String,
    },
    /// The private key is not an Ed25519 key in PKCS#8 PEM.
    #[error("the private key of the device identity is not an Ed25519 key in PKCS#8 PEM")]
    PrivateKey,
    /// The public key is not an Ed25519 key in SPKI PEM.
    #[error("the public key of the device identity is not an Ed25519 key in SPKI PEM")]
    PublicKey,
    /// The public key is of another private key.
    #[error("the public and the private key of the device identity do not belong together")]
    KeysDiffer,
    /// The id is of another key.
    #[error("the device identity says id {stated}, but its key has id {}", derived.short())]
    #[non_exhaustive]
    IdDiffers {
        /// The first twelve characters of the id in the file.
        stated: String,
        /// The id of the key.
        derived: DeviceId,
    },
    /// Not 64 lower-case hex digits.
    #[error("a device id is 64 lower-case hex digits")]
    NotADeviceId,
    /// The system has no random numbers.
    #[error("the system gave no random numbers for a new device key")]
    Randomness,
}

#[cfg(test)]
mod tests;
