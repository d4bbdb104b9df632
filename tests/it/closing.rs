//! `close` returns, whatever else hangs.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use openclaw_adapter::store::StoreError;
use openclaw_adapter::{
    Client, Config, DeviceId, DeviceIdentity, DeviceToken, GatewayKey, GatewayMemo, IdentityError,
    IdentityStore, MemoryStore, SignatureVersion, StopReason, Token,
};
use openclaw_mock_gateway::{MockGateway, Pairing};

/// What a store can hang in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    Identity,
    Memo,
    Token,
}

/// A store on a disk that does not answer, as a network file system whose server is gone.
#[derive(Clone, Debug)]
struct Stuck {
    inner: MemoryStore,
    at: Access,
    /// Whether somebody hangs, and whether the disk is back.
    disk: Arc<(Mutex<(bool, bool)>, Condvar)>,
}

impl Stuck {
    fn new(at: Access) -> Self {
        Self {
            inner: MemoryStore::new(),
            at,
            disk: Arc::default(),
        }
    }

    fn client_of(&self, gateway: &MockGateway) -> Client {
        let config = Config::builder()
            .url(gateway.url())
            .token(Token::new(gateway.token()).unwrap())
            .store(self.clone())
            .build()
            .unwrap();
        Client::start(config)
    }

    fn access(&self, at: Access) {
        if at != self.at {
            return;
        }
        let (state, changed) = &*self.disk;
        let mut state = state.lock().unwrap();
        state.0 = true;
        changed.notify_all();
        let _back = changed.wait_while(state, |state| !state.1).unwrap();
    }

    /// Waits until somebody hangs.
    fn wait(&self) {
        let (state, changed) = &*self.disk;
        let limit = Duration::from_secs(30);
        let state = state.lock().unwrap();
        let (state, _) = changed
            .wait_timeout_while(state, limit, |state| !state.0)
            .unwrap();
        assert!(state.0, "nobody asks the store");
    }

    fn come_back(&self) {
        let (state, changed) = &*self.disk;
        state.lock().unwrap().1 = true;
        changed.notify_all();
    }
}

/// Brings the disk back when the test is over, however it ends: the runtime waits for its threads.
struct Hanging(Stuck);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.come_back();
    }
}

impl IdentityStore for Stuck {
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError> {
        self.access(Access::Identity);
        self.inner.load_or_create(create)
    }

    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
        self.inner.load()
    }

    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        self.access(Access::Memo);
        self.inner.gateway(gateway, device)
    }

    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        self.access(Access::Token);
        self.inner.put_token(gateway, device, token)
    }

    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError> {
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
        "a disk that hangs".to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_disk_that_hangs_holds_up_neither_close_nor_those_who_wait() {
    for at in [Access::Identity, Access::Memo, Access::Token] {
        let gateway = MockGateway::builder().pairing(Pairing::Auto).start().await;
        let store = Stuck::new(at);
        let _hanging = Hanging(store.clone());
        let client = store.client_of(&gateway);
        let mut events = client.events();
        let waits = tokio::spawn({
            let client = client.clone();
            async move { client.ready().await.unwrap_err() }
        });
        tokio::task::block_in_place(|| store.wait());
        let began = Instant::now();
        tokio::time::timeout(Duration::from_secs(20), client.close())
            .await
            .unwrap_or_else(|_| panic!("{at:?}: close did not return"));
        assert!(began.elapsed() < Duration::from_secs(3), "{at:?}");
        let state = client.state();
        assert!(
            matches!(
                *state.borrow(),
                openclaw_adapter::ConnectionState::Stopped {
                    reason: StopReason::Closed,
                    ..
                }
            ),
            "{at:?}: {state:?}"
        );
        assert!(matches!(
            waits.await.unwrap(),
            openclaw_adapter::Error::Closed
        ));
        assert!(events.next().await.is_none(), "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_is_dropped_does_not_wait_for_a_disk_that_hangs() {
    let gateway = MockGateway::start().await;
    let store = Stuck::new(Access::Memo);
    let _hanging = Hanging(store.clone());
    let client = store.client_of(&gateway);
    let mut state = client.state();
    tokio::task::block_in_place(|| store.wait());
    drop(client);
    let ended = async { while state.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("the task goes on");
}
