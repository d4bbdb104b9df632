//! OpenClaw's `identity/device.json`, version 1.
//!
//! Read in OpenClaw 2026.2.9 and checked with files its CLI wrote: `version`, `deviceId`,
//! `publicKeyPem` (SPKI), `privateKeyPem` (PKCS#8 version 1, without the public key) and
//! `createdAtMs`, in this order, indented by two spaces, with a final newline.
//!
//! The private key never passes through a buffer that is not wiped: serde would unescape it into
//! one of its own, so that string is taken raw and unescaped here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{DeviceId, DeviceIdentity, IdentityError};

/// The DER in front of the 32 bytes of a private key, as Node writes it (RFC 8410, version 0).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
/// The DER in front of the 32 bytes of a public key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

const PRIVATE_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PRIVATE_END: &str = "-----END PRIVATE KEY-----";

#[derive(Deserialize)]
struct Head {
    version: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    device_id: String,
    public_key_pem: String,
    #[serde(borrow)]
    private_key_pem: &'a RawValue,
    created_at_ms: Option<u64>,
}

#[inline(never)]
pub(super) fn read(text: &str) -> Result<DeviceIdentity, IdentityError> {
    // A byte order mark is what some editors leave; Node's reader does not take it either, but the
    // position it would give (line 1, column 1) is of no help.
    let text = text.trim_start_matches('\u{feff}');
    let head: Head = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    match head.version {
        Some(version) if version.as_u64() == Some(1) => {}
        Some(serde_json::Value::Number(number)) => {
            return Err(IdentityError::Version {
                found: number.to_string(),
            });
        }
        _ => {
            return Err(IdentityError::Version {
                found: "none".to_owned(),
            });
        }
    }
    let body: Body<'_> = serde_json::from_str(text).map_err(|error| damaged(&error))?;

    let pem = unescape(body.private_key_pem.get()).ok_or(IdentityError::PrivateKey)?;
    let key = read_private(&pem).ok_or(IdentityError::PrivateKey)?;
    let public = VerifyingKey::from_public_key_pem(&body.public_key_pem)
        .map_err(|_| IdentityError::PublicKey)?;
    if public != key.verifying_key() {
        return Err(IdentityError::KeysDiffer);
    }
    let id = DeviceId::of(&public);
    if body.device_id != id.as_str() {
        let stated = DeviceId::parse(&body.device_id)
            .map_or_else(|_| "(not an id)".to_owned(), |id| id.short().to_owned());
        return Err(IdentityError::IdDiffers {
            stated,
            derived: id,
        });
    }
    Ok(DeviceIdentity {
        key: Arc::new(key),
        id,
        created_at_ms: body.created_at_ms.unwrap_or(0),
    })
}

#[inline(never)]
pub(super) fn write(identity: &DeviceIdentity) -> Zeroizing<String> {
    let public =
        STANDARD.encode([&SPKI_PREFIX[..], identity.key.verifying_key().as_bytes()].concat());
    let mut der = Zeroizing::new([0_u8; 48]);
    der[..16].copy_from_slice(&PKCS8_PREFIX);
    der[16..].copy_from_slice(identity.key.as_bytes());
    let mut private = Zeroizing::new([0_u8; 64]);
    // 48 bytes are exactly 64 characters, one line of PEM.
    let private = match STANDARD.encode_slice(der.as_slice(), private.as_mut_slice()) {
        Ok(_) => str::from_utf8(private.as_slice()).unwrap_or_default(),
        Err(_) => "",
    };
    // Large enough from the start: growing would leave a copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(1024));
    for part in [
        "{\n  \"version\": 1,\n  \"deviceId\": \"",
        identity.id.as_str(),
        "\",\n  \"publicKeyPem\": \"-----BEGIN PUBLIC KEY-----\\n",
        &public,
        "\\n-----END PUBLIC KEY-----\\n\",\n  \"privateKeyPem\": \"",
        PRIVATE_BEGIN,
        "\\n",
        private,
        "\\n",
        PRIVATE_END,
        "\\n\",\n  \"createdAtMs\": ",
        &identity.created_at_ms.to_string(),
        "\n}\n",
    ] {
        text.push_str(part);
    }
    text
}

fn damaged(error: &serde_json::Error) -> IdentityError {
    // Its text may quote the file.
    IdentityError::Damaged {
        line: error.line().max(1),
        column: error.column().max(1),
    }
}

/// The value of a JSON string that holds PEM. Other escapes than those PEM can need are refused.
fn unescape(json: &str) -> Option<Zeroizing<String>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner.chars();
    while let Some(char) = rest.next() {
        value.push(match char {
            '\\' => match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '/' => '/',
                _ => return None,
            },
            char if char.is_ascii() => char,
            _ => return None,
        });
    }
    Some(value)
}

fn read_private(pem: &str) -> Option<SigningKey> {
    // The form every OpenClaw client writes, without a copy; another writer's (with the public key
    // inside) goes through the general reader.
    read_plain_pkcs8(pem).or_else(|| SigningKey::from_pkcs8_pem(pem).ok())
}

fn read_plain_pkcs8(pem: &str) -> Option<SigningKey> {
    let line = pem
        .trim()
        .strip_prefix(PRIVATE_BEGIN)?
        .strip_suffix(PRIVATE_END)?
        .trim();
    let mut der = Zeroizing::new([0_u8; 48]);
    if line.len() != 64 || STANDARD.decode_slice(line, der.as_mut_slice()) != Ok(48) {
        return None;
    }
    let seed: &[u8; 32] = der.strip_prefix(&PKCS8_PREFIX)?.try_into().ok()?;
    Some(SigningKey::from_bytes(seed))
}
