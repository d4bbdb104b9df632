//! A device: an Ed25519 key and the three signed texts that gateways have read so far.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::Edition;

/// Which of the texts a signature covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

impl Version {
    /// What a client of this edition signs.
    pub(super) fn of(edition: Edition) -> Self {
        match edition {
            Edition::V2026_2_9 => Self::V2,
            Edition::V2026_9_6 => Self::V3,
        }
    }
}

/// What a signature says about a connect.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_mode: &'a str,
    pub(super) role: &'a str,
    pub(super) scopes: &'a [String],
    pub(super) signed_at_ms: i64,
    pub(super) token: &'a str,
    pub(super) nonce: &'a str,
    pub(super) platform: &'a str,
    pub(super) device_family: &'a str,
}

/// A client's device.
#[derive(Clone)]
pub(super) struct Device {
    key: SigningKey,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.id()).finish()
    }
}

impl Device {
    /// A device nobody has seen before.
    pub(super) fn new() -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("no randomness")?;
        Ok(Self {
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// The SHA-256 of the public key in lower-case hex.
    pub(super) fn id(&self) -> String {
        use std::fmt::Write as _;
        let digest = Sha256::digest(self.key.verifying_key().as_bytes());
        digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes())
    }

    pub(super) fn sign(&self, version: Version, claims: &Claims<'_>) -> String {
        let text = text(version, &self.id(), claims);
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }
}

/// 64 zero bytes, which are nobody's signature.
pub(super) fn zero_signature() -> String {
    URL_SAFE_NO_PAD.encode([0; 64])
}

fn text(version: Version, device_id: &str, claims: &Claims<'_>) -> String {
    let signed_at = claims.signed_at_ms.to_string();
    let scopes = claims.scopes.join(",");
    let platform = plain(claims.platform);
    let family = plain(claims.device_family);
    let tag = match version {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::V3 => "v3",
    };
    let mut parts = vec![
        tag,
        device_id,
        claims.client_id,
        claims.client_mode,
        claims.role,
        &scopes,
        &signed_at,
        claims.token,
    ];
    if version != Version::V1 {
        parts.push(claims.nonce);
    }
    if version == Version::V3 {
        parts.extend([platform.as_str(), family.as_str()]);
    }
    parts.join("|")
}

/// Platform and family enter v3 trimmed and with ASCII letters in lower case.
fn plain(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}
