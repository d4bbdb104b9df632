//! A store that forgets everything with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DeviceToken, GatewayMemo, IdentityStore, SignatureVersion, StoreError};
use crate::base::endpoint::GatewayKey;
use crate::base::identity::{DeviceId, DeviceIdentity, IdentityError};
use crate::base::secret::Token;

/// Keeps everything in memory, for tests. Its clones share one memory, so that a clone can stand
/// for what a restarted process finds.
///
/// ```
/// use openclaw_adapter::store::IdentityStore as _;
/// use openclaw_adapter::{DeviceIdentity, MemoryStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let after_a_restart = store.clone();
/// let made = store.load_or_create(&mut || DeviceIdentity::generate(1_795_000_000_000))?;
/// assert_eq!(after_a_restart.load()?.expect("kept").id(), made.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    identity: Option<DeviceIdentity>,
    memos: HashMap<(GatewayKey, DeviceId), GatewayMemo>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that already holds `identity`.
    #[must_use]
    pub fn with_identity(identity: DeviceIdentity) -> Self {
        Self(Arc::new(Mutex::new(Memory {
            identity: Some(identity),
            memos: HashMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // A panic in `create` leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        change: impl FnOnce(&mut GatewayMemo) -> T,
    ) -> T {
        change(
            self.lock()
                .memos
                .entry((gateway.clone(), device.clone()))
                .or_default(),
        )
    }
}

impl IdentityStore for MemoryStore {
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError> {
        let mut memory = self.lock();
        if let Some(identity) = &memory.identity {
            return Ok(identity.clone());
        }
        let identity = create().map_err(|error| StoreError::identity(None, error))?;
        memory.identity = Some(identity.clone());
        Ok(identity)
    }

    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
        Ok(self.lock().identity.clone())
    }

    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        let key = (gateway.clone(), device.clone());
        Ok(self.lock().memos.get(&key).cloned().unwrap_or_default())
    }

    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        self.change(gateway, device, |memo| memo.put(token.clone()));
        Ok(())
    }

    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError> {
        Ok(self.change(gateway, device, |memo| memo.remove(role, token)))
    }

    fn put_signature(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        version: SignatureVersion,
    ) -> Result<(), StoreError> {
        self.change(gateway, device, |memo| memo.set_signature(version));
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn is_nonblocking(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn it_conforms() {
        conformance::check(&|| Box::new(MemoryStore::new())).unwrap();
        let identity = DeviceIdentity::generate(1).unwrap();
        conformance::check(&|| Box::new(MemoryStore::with_identity(identity.clone()))).unwrap();
    }

    #[test]
    fn a_clone_finds_what_the_first_one_stored() {
        let store = MemoryStore::new();
        let made = store
            .load_or_create(&mut || DeviceIdentity::generate(1))
            .unwrap();
        assert_eq!(store.clone().load().unwrap().unwrap().id(), made.id());
    }

    #[test]
    fn a_failed_creation_stores_nothing() {
        let store = MemoryStore::new();
        let error = store
            .load_or_create(&mut || Err(IdentityError::Randomness))
            .unwrap_err();
        assert_eq!(error.kind(), super::super::StoreErrorKind::Identity);
        assert!(store.load().unwrap().is_none());
    }
}
