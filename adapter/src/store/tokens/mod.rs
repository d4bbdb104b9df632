//! `identity/tokens.json`, version 1: what is known of each gateway, by gateway, device and role.
//!
//! ```json
//! {
//!   "version": 1,
//!   "gateways": {
//!     "wss://gateway.example:443": {
//!       "<device id>": {
//!         "signature": "v3",
//!         "tokens": {
//!           "operator": { "token": "…", "scopes": ["operator.read"], "updatedAtMs": 1795381632757 }
//!         }
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! An entry of another device stays: its identity may be put back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::dir::{DirLock, PrivateDir};
use super::{DeviceToken, GatewayMemo, SignatureVersion, StoreError, StoreErrorKind};
use crate::base::endpoint::GatewayKey;
use crate::base::identity::DeviceId;
use crate::base::secret::Token;

const NAME: &str = "tokens.json";
/// Some hundred gateways; a file that reached it was written by something else.
const LIMIT: usize = 256 * 1024;

#[derive(Deserialize)]
struct Head {
    version: Option<serde_json::Number>,
}

#[derive(Deserialize, Serialize)]
struct Document {
    version: u32,
    gateways: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
    #[serde(default)]
    tokens: BTreeMap<String, StoredToken>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Signature {
    V2,
    V3,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredToken {
    #[serde(with = "secret")]
    token: Token,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    updated_at_ms: u64,
}

/// A token as text, without a copy that is not wiped.
mod secret {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use crate::base::secret::Token;

    pub(super) fn serialize<S: Serializer>(token: &Token, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(token.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Token, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Token;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Token, E> {
                Token::new(text).map_err(E::custom)
            }
        }

        from.deserialize_str(Text)
    }
}

impl From<&GatewayMemo> for Entry {
    fn from(memo: &GatewayMemo) -> Self {
        let stored = |token: &DeviceToken| StoredToken {
            token: token.token().clone(),
            scopes: token.scopes().to_vec(),
            updated_at_ms: token.updated_at_ms(),
        };
        Self {
            signature: memo.signature().map(|version| match version {
                SignatureVersion::V2 => Signature::V2,
                SignatureVersion::V3 => Signature::V3,
            }),
            tokens: memo
                .tokens()
                .iter()
                .map(|(role, token)| (role.clone(), stored(token)))
                .collect(),
        }
    }
}

impl From<&Entry> for GatewayMemo {
    fn from(entry: &Entry) -> Self {
        let mut memo = Self::default();
        match entry.signature {
            Some(Signature::V2) => memo.set_signature(SignatureVersion::V2),
            Some(Signature::V3) => memo.set_signature(SignatureVersion::V3),
            None => {}
        }
        for (role, stored) in &entry.tokens {
            let token = stored.token.clone();
            memo.put(DeviceToken::new(
                token,
                role,
                stored.scopes.clone(),
                stored.updated_at_ms,
            ));
        }
        memo
    }
}

/// What is known of `gateway` for `device`.
pub(super) fn load(
    dir: &PrivateDir,
    gateway: &GatewayKey,
    device: &DeviceId,
) -> Result<GatewayMemo, StoreError> {
    Ok(read(dir)?.memo(gateway, device))
}

/// Changes what is known of `gateway` for `device`; writes only if that made a difference.
pub(super) fn change<T>(
    dir: &PrivateDir,
    lock: &DirLock,
    gateway: &GatewayKey,
    device: &DeviceId,
    change: impl FnOnce(&mut GatewayMemo) -> T,
) -> Result<T, StoreError> {
    let mut document = read(dir)?;
    let before = document.memo(gateway, device);
    let mut after = before.clone();
    let result = change(&mut after);
    if after != before {
        document.set(gateway, device, &after);
        write(dir, lock, &document)?;
    }
    Ok(result)
}

impl Default for Document {
    fn default() -> Self {
        Self {
            version: 1,
            gateways: BTreeMap::new(),
        }
    }
}

impl Document {
    fn memo(&self, gateway: &GatewayKey, device: &DeviceId) -> GatewayMemo {
        self.gateways
            .get(gateway.as_str())
            .and_then(|devices| devices.get(device.as_str()))
            .map(GatewayMemo::from)
            .unwrap_or_default()
    }

    fn set(&mut self, gateway: &GatewayKey, device: &DeviceId, memo: &GatewayMemo) {
        let devices = self
            .gateways
            .entry(gateway.as_str().to_owned())
            .or_default();
        if memo.is_empty() {
            devices.remove(device.as_str());
        } else {
            devices.insert(device.as_str().to_owned(), memo.into());
        }
        self.gateways.retain(|_, devices| !devices.is_empty());
    }
}

fn read(dir: &PrivateDir) -> Result<Document, StoreError> {
    match dir.read(NAME, LIMIT)? {
        Some(content) => parse(&content).map_err(|Refused { kind, detail }| {
            StoreError::new(kind, dir.path(NAME)).with_detail(detail)
        }),
        None => Ok(Document::default()),
    }
}

struct Refused {
    kind: StoreErrorKind,
    detail: String,
}

fn parse(content: &[u8]) -> Result<Document, Refused> {
    // The text of a JSON error may quote the file, its place does not.
    let damaged = |error: serde_json::Error| Refused {
        kind: StoreErrorKind::Damaged,
        detail: format!("line {}, column {}", error.line(), error.column()),
    };
    let head: Head = serde_json::from_slice(content).map_err(damaged)?;
    match head.version {
        Some(version) if version.as_u64() == Some(1) => {}
        Some(version) => {
            let detail = format!("version {version}");
            return Err(Refused {
                kind: StoreErrorKind::ForeignVersion,
                detail,
            });
        }
        None => {
            let detail = "no version".to_owned();
            return Err(Refused {
                kind: StoreErrorKind::ForeignVersion,
                detail,
            });
        }
    }
    serde_json::from_slice(content).map_err(damaged)
}

/// Reads the content of a file, writes it, and reads that: nothing may be lost. What is wrong with it,
/// if it cannot be read.
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) fn read_twice(content: &[u8]) -> Result<(), String> {
    let document = parse(content).map_err(|refused| refused.detail)?;
    let written = serde_json::to_vec_pretty(&document).map_err(|error| error.to_string())?;
    let again = parse(&written).map_err(|refused| refused.detail);
    let rewritten = again.map(|document| serde_json::to_vec_pretty(&document).unwrap_or_default());
    assert_eq!(
        Ok(written),
        rewritten,
        "what is written is not what was read"
    );
    for (gateway, devices) in &document.gateways {
        for (device, entry) in devices {
            let memo = GatewayMemo::from(entry);
            assert_eq!(
                memo,
                GatewayMemo::from(&Entry::from(&memo)),
                "{gateway} {device}"
            );
        }
    }
    Ok(())
}

fn write(dir: &PrivateDir, lock: &DirLock, document: &Document) -> Result<(), StoreError> {
    let failed = || StoreError::new(StoreErrorKind::TooLarge, dir.path(NAME));
    // Large enough from the start: growing would leave copies of tokens behind.
    let mut content = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    serde_json::to_writer_pretty(&mut *content, document).map_err(|_| failed())?;
    content.push(b'\n');
    if content.len() > LIMIT {
        return Err(failed());
    }
    dir.replace(NAME, &content, lock)
}

#[cfg(test)]
mod tests;
