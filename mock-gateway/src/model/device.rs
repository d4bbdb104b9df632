//! The device's proof: its id, its key and what it signed.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ANY_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
const ANY_STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);

/// Decodes base64url or plain base64, padded or not: both generations read all of them.
fn decode(text: &str) -> Option<Vec<u8>> {
    ANY_URL_SAFE
        .decode(text)
        .or_else(|_| ANY_STANDARD.decode(text))
        .ok()
}

/// A device's public key as it came in a connect request.
#[derive(Clone, Debug)]
pub(crate) struct DeviceKey {
    raw: Vec<u8>,
}

impl DeviceKey {
    /// Reads the raw key in base64, or a PEM document.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let raw = if text.contains("BEGIN") {
            VerifyingKey::from_public_key_pem(text.trim())
                .ok()?
                .to_bytes()
                .to_vec()
        } else {
            decode(text.trim())?
        };
        Some(Self { raw })
    }

    /// Lower-case hex of the key's SHA-256.
    pub(crate) fn device_id(&self) -> String {
        hex(&Sha256::digest(&self.raw))
    }

    /// The form in which a key is stored and listed.
    pub(crate) fn base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.raw)
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.verifying_key().is_some()
    }

    fn verifying_key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(self.raw.as_slice().try_into().ok()?).ok()
    }

    pub(crate) fn verifies(&self, payload: &str, signature: &str) -> bool {
        let Some(key) = self.verifying_key() else {
            return false;
        };
        let Some(bytes) = decode(signature) else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(&bytes) else {
            return false;
        };
        key.verify_strict(payload.as_bytes(), &signature).is_ok()
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
            out
        })
}

/// What a signature covers.
#[expect(clippy::struct_field_names, reason = "as the protocol names it")]
#[derive(Clone, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) device_id: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_mode: &'a str,
    pub(crate) role: &'a str,
    /// In the order in which they were sent.
    pub(crate) scopes: &'a [String],
    pub(crate) signed_at: i64,
    pub(crate) token: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) device_family: &'a str,
}

impl Signed<'_> {
    fn common(&self) -> String {
        format!(
            "{}|{}|{}|{}|{}|{}|{}",
            self.device_id,
            self.client_id,
            self.client_mode,
            self.role,
            self.scopes.join(","),
            self.signed_at,
            self.token
        )
    }

    /// Without a nonce; measured on 2026.2.9, from loopback only.
    pub(crate) fn v1(&self) -> String {
        format!("v1|{}", self.common())
    }

    pub(crate) fn v2(&self) -> String {
        format!("v2|{}|{}", self.common(), self.nonce)
    }

    /// Measured on 2026.9.6: v2 with the normalised platform and device family behind it.
    pub(crate) fn v3(&self) -> String {
        format!(
            "v3|{}|{}|{}|{}",
            self.common(),
            self.nonce,
            normalised(self.platform),
            normalised(self.device_family)
        )
    }
}

/// Trimmed, and only ASCII letters made small: `" MacOS "` is `macos`, `iPhone ÄB` is `iphone Äb`.
pub(crate) fn normalised(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_letters_of_the_metadata_are_made_small() {
        assert_eq!(normalised(" MacOS "), "macos");
        assert_eq!(normalised("iPhone ÄB"), "iphone Äb");
    }

    #[test]
    fn a_key_is_read_in_every_base64_and_named_by_its_hash() {
        let raw = [7_u8; 32];
        let url = URL_SAFE_NO_PAD.encode(raw);
        let plain = base64::engine::general_purpose::STANDARD.encode(raw);
        let key = DeviceKey::parse(&url).expect("base64url");
        assert_eq!(
            DeviceKey::parse(&plain).expect("base64").device_id(),
            key.device_id()
        );
        assert_eq!(key.base64url(), url);
        assert_eq!(key.device_id().len(), 64);
        assert!(DeviceKey::parse("***").is_none());
    }
}
