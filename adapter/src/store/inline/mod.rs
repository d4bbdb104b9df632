//! An identity that is given as text, for containers without a writable directory.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::dir::PrivateDir;
use super::{
    DeviceToken, GatewayMemo, IdentityStore, MemoryStore, SignatureVersion, StoreError,
    StoreErrorKind, tokens,
};
use crate::base::endpoint::GatewayKey;
use crate::base::identity::{DeviceId, DeviceIdentity, IdentityError};
use crate::base::secret::Token;

/// Holds an identity that comes from outside, usually `OPENCLAW_ADAPTER_DEVICE_IDENTITY`.
///
/// Tokens are kept in memory; with a directory that can be written also in its
/// `identity/tokens.json`. Without one a restarted process logs in with the shared token, for
/// which the gateway gives a new device token.
///
/// ```
/// use openclaw_adapter::store::IdentityStore as _;
/// use openclaw_adapter::{DeviceIdentity, InlineStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let identity = DeviceIdentity::generate(1_795_000_000_000)?;
/// # let from_a_secret = identity.to_json();
/// let store = InlineStore::new(&from_a_secret)?;
/// assert_eq!(store.load()?.expect("it was given").id(), identity.id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InlineStore {
    memory: MemoryStore,
    dir: Option<PrivateDir>,
    /// Tokens that are void but still in a file that cannot be written; held during a change.
    void: Mutex<Vec<(GatewayKey, DeviceToken)>>,
}

impl InlineStore {
    /// Takes the text of a `device.json`, or the base64 of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] without a path if it is not an identity.
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let memory = MemoryStore::with_identity(read_inline(text)?);
        Ok(Self {
            memory,
            dir: None,
            void: Mutex::new(Vec::new()),
        })
    }

    /// Also keeps tokens in `state_dir`, as far as it can be written.
    #[must_use]
    pub fn with_dir(mut self, state_dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(PrivateDir::new(state_dir));
        self
    }

    /// Makes a change in the directory if there is a usable one. `None` if there is not.
    fn change<T>(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        change: impl FnOnce(&mut GatewayMemo) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let written = dir.create().and_then(|()| {
            let lock = dir.lock()?;
            tokens::change(dir, &lock, gateway, device, change)
        });
        match written {
            Err(error) if is_not_writable(&error) => Ok(None),
            written => written.map(Some),
        }
    }

    fn in_file(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        let Some(dir) = &self.dir else {
            return Ok(GatewayMemo::default());
        };
        match tokens::load(dir, gateway, device) {
            Err(error) if is_not_writable(&error) => Ok(GatewayMemo::default()),
            memo => memo,
        }
    }

    fn void(&self) -> MutexGuard<'_, Vec<(GatewayKey, DeviceToken)>> {
        self.void.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_not_writable(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::ReadOnly | StoreErrorKind::PermissionDenied | StoreErrorKind::Missing
    )
}

impl IdentityStore for InlineStore {
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError> {
        self.memory.load_or_create(create)
    }

    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
        self.memory.load()
    }

    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        let mut memo = self.in_file(gateway, device)?;
        for (_, token) in self.void().iter().filter(|(key, _)| key == gateway) {
            memo.remove(token.role(), token.token());
        }
        // What this process was told last counts where the directory could not take it.
        let known = self.memory.gateway(gateway, device)?;
        if let Some(version) = known.signature() {
            memo.set_signature(version);
        }
        for token in known.tokens().values() {
            let stored = memo
                .token(token.role())
                .map_or(0, DeviceToken::updated_at_ms);
            if stored <= token.updated_at_ms() {
                memo.put(token.clone());
            }
        }
        Ok(memo)
    }

    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        let _turn = self.void();
        self.memory.put_token(gateway, device, token)?;
        self.change(gateway, device, |memo| memo.put(token.clone()))
            .map(drop)
    }

    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError> {
        let mut void = self.void();
        let known = self.memory.remove_token(gateway, device, role, token)?;
        if let Some(stored) = self.change(gateway, device, |memo| memo.remove(role, token))? {
            return Ok(known || stored);
        }
        let stored = self.in_file(gateway, device)?.token(role).cloned();
        let Some(stored) = stored.filter(|stored| stored.token() == token) else {
            return Ok(known);
        };
        let entry = (gateway.clone(), stored);
        let new = !void.contains(&entry);
        if new {
            void.push(entry);
        }
        Ok(known || new)
    }

    fn put_signature(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        version: SignatureVersion,
    ) -> Result<(), StoreError> {
        let _turn = self.void();
        self.memory.put_signature(gateway, device, version)?;
        self.change(gateway, device, |memo| memo.set_signature(version))
            .map(drop)
    }

    fn location(&self) -> String {
        "OPENCLAW_ADAPTER_DEVICE_IDENTITY".to_owned()
    }
}

/// Reads the text of a `device.json`, or the base64 of it (in either alphabet, padded or not, in
/// one line or many).
pub(super) fn read_inline(text: &str) -> Result<DeviceIdentity, StoreError> {
    let text = text.trim().trim_start_matches('\u{feff}');
    let refused = |error| StoreError::identity(None, error);
    if text.starts_with('{') {
        return DeviceIdentity::from_json(text).map_err(refused);
    }
    let damaged = || {
        StoreError::new(StoreErrorKind::Damaged, None).with_detail("neither JSON nor base64 of it")
    };
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, lenient);
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(
        text.chars()
            .filter(|char| !char.is_whitespace())
            .map(|char| match char {
                '-' => '+',
                '_' => '/',
                char => char,
            }),
    );
    let mut json = Zeroizing::new(vec![0_u8; packed.len()]);
    let length = engine
        .decode_slice(packed.as_bytes(), &mut json)
        .map_err(|_| damaged())?;
    let json = json
        .get(..length)
        .and_then(|json| str::from_utf8(json).ok())
        .ok_or_else(damaged)?;
    DeviceIdentity::from_json(json).map_err(refused)
}

#[cfg(test)]
mod tests;
