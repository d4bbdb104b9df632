//! A store in memory whose every change the referee sees.

use std::sync::Arc;

use openclaw_adapter::store::StoreError;
use openclaw_adapter::{
    DeviceId, DeviceIdentity, DeviceToken, Endpoint, GatewayKey, GatewayMemo, IdentityError,
    IdentityStore, MemoryStore, SignatureVersion, Token,
};

use super::referee::Referee;

/// The store of one client.
#[derive(Clone, Debug)]
pub struct WatchedStore {
    inner: MemoryStore,
    referee: Arc<Referee>,
}

impl WatchedStore {
    /// An empty one.
    #[must_use]
    pub fn new(referee: Arc<Referee>) -> Self {
        Self {
            inner: MemoryStore::new(),
            referee,
        }
    }

    /// The operator's device token for the gateway at this URL.
    #[must_use]
    pub fn token(&self, url: &str) -> Option<String> {
        let identity = self.inner.load().ok()??;
        let key = Endpoint::parse(url).ok()?.key();
        let memo = self.inner.gateway(&key, identity.id()).ok()?;
        let token = memo.token("operator")?;
        Some(token.token().expose_secret().to_owned())
    }
}

impl IdentityStore for WatchedStore {
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError> {
        self.inner.load_or_create(create)
    }

    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
        self.inner.load()
    }

    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        self.inner.gateway(gateway, device)
    }

    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        self.referee.keeps(token.token());
        self.inner.put_token(gateway, device, token)
    }

    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError> {
        self.referee.forgets(token);
        self.inner.remove_token(gateway, device, role, token)
    }

    fn put_signature(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        version: SignatureVersion,
    ) -> Result<(), StoreError> {
        self.inner.put_signature(gateway, device, version)
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn is_nonblocking(&self) -> bool {
        self.inner.is_nonblocking()
    }
}
