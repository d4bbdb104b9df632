//! The disk, from a task that must not block: each access runs on a blocking thread, unless the store
//! never waits.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use super::clock::now_ms;
use crate::base::endpoint::GatewayKey;
use crate::base::identity::{DeviceId, DeviceIdentity};
use crate::base::secret::Token;
use crate::config::{Config, read_token_file};
use crate::logic::lifecycle::FollowUp;
use crate::store::{DeviceToken, IdentityStore, SignatureVersion, StoreError};

/// The store and the token's file, for one gateway.
#[derive(Debug)]
pub(super) struct Disk {
    store: Arc<dyn IdentityStore>,
    gateway: GatewayKey,
    role: String,
    token_file: Option<PathBuf>,
    /// What was last read or written: what serves when the disk does not.
    memo: std::sync::Mutex<Memo>,
}

/// What the store knows of this gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Memo {
    pub(super) signature: Option<SignatureVersion>,
    pub(super) device: Option<DeviceToken>,
}

impl Disk {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            store: Arc::clone(&config.store),
            gateway: config.endpoint.key(),
            role: config.profile.role.clone(),
            token_file: config.source.file.clone(),
            memo: std::sync::Mutex::default(),
        }
    }

    /// Loads the identity, or makes it if there is none, and checks that the tokens beside it can
    /// be read.
    pub(super) async fn identity(&self) -> Result<DeviceIdentity, StoreError> {
        let gateway = self.gateway.clone();
        let (identity, memo) = self
            .ask(move |store| {
                let identity = store.load_or_create(&mut || DeviceIdentity::generate(now_ms()))?;
                let memo = store.gateway(&gateway, identity.id())?;
                Ok((identity, memo))
            })
            .await?;
        self.keep(Memo {
            signature: memo.signature(),
            device: memo.token(&self.role).cloned(),
        });
        Ok(identity)
    }

    /// What the store knows now; what was known last if it cannot be read.
    pub(super) async fn memo(&self, device: &DeviceId) -> Memo {
        let (gateway, device) = (self.gateway.clone(), device.clone());
        let known = self.ask(move |store| store.gateway(&gateway, &device));
        match known.await {
            Ok(memo) => {
                let held = self.last();
                // A token that could not be saved is better than none.
                let memo = Memo {
                    signature: memo.signature().or(held.signature),
                    device: memo.token(&self.role).cloned().or(held.device),
                };
                self.keep(memo.clone());
                memo
            }
            Err(error) => {
                debug!("the stored tokens cannot be read: {error}");
                self.last()
            }
        }
    }

    /// Writes down what was decided.
    pub(super) async fn write(
        &self,
        device: &DeviceId,
        follow_up: FollowUp,
    ) -> Result<(), StoreError> {
        let mut memo = self.last();
        match &follow_up {
            FollowUp::RememberSignature(version) => memo.signature = Some(*version),
            FollowUp::StoreToken(token) => memo.device = Some(token.clone()),
            FollowUp::ForgetToken(_) => memo.device = None,
            FollowUp::WarnStaleSecret => {}
        }
        self.keep(memo);
        let (gateway, device) = (self.gateway.clone(), device.clone());
        self.ask(move |store| match follow_up {
            FollowUp::RememberSignature(version) => store.put_signature(&gateway, &device, version),
            FollowUp::StoreToken(token) => store.put_token(&gateway, &device, &token),
            FollowUp::ForgetToken(token) => store
                .remove_token(&gateway, &device, token.role(), token.token())
                .map(|_| ()),
            FollowUp::WarnStaleSecret => Ok(()),
        })
        .await
    }

    /// Reads the token's file; `None` if there is none, or it holds no token.
    pub(super) async fn token(&self) -> Option<Token> {
        let path = self.token_file.clone()?;
        match spawn_blocking(move || read_token_file(&path)).await {
            Ok(Ok(token)) => Some(token),
            Ok(Err(error)) => {
                debug!("{error}");
                None
            }
            Err(error) => {
                warn!("reading the token file failed: {error}");
                None
            }
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn IdentityStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.store.is_nonblocking() {
            return question(&*self.store);
        }
        let store = Arc::clone(&self.store);
        blocking(move || question(&*store)).await
    }

    fn last(&self) -> Memo {
        self.memo
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, memo: Memo) {
        *self
            .memo
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = memo;
    }
}

/// Runs `work` on a blocking thread. A store that panics takes its own call down, not the client:
/// the panic is carried on, as if the store had been called in place.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels blocking work; this task goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}
