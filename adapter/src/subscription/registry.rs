//! Which sessions' messages a client has asked for, so that the last who wants them ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::api::sessions::UnsubscribeMessages;
use crate::client::{Client, WeakClient};
use crate::config::WhenDown;

/// How long ending a subscription may take. Not to end it costs nothing but events.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a client's watches have asked for.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Read by who subscribes, written by who unsubscribes: an unsubscription on its way cannot end
    /// what somebody has just asked for.
    order: RwLock<()>,
    watched: Mutex<HashMap<String, usize>>,
}

/// Somebody watches a session until this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    registry: Arc<Registry>,
    /// Weak, so that the end of the last handle is the end of the connection.
    client: WeakClient,
    key: String,
}

impl Registry {
    /// Holds back whoever unsubscribes.
    pub(crate) async fn subscribing(&self) -> RwLockReadGuard<'_, ()> {
        self.order.read().await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_watched(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    fn enter(&self, key: &str) {
        *self.lock().entry(key.to_owned()).or_default() += 1;
    }

    /// Whether that was the last one.
    fn leave(&self, key: &str) -> bool {
        let mut watched = self.lock();
        let Some(count) = watched.get_mut(key) else {
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            watched.remove(key);
        }
        is_last
    }
}

impl Ticket {
    /// Somebody is about to watch a session.
    pub(crate) fn new(client: &Client, key: &str) -> Self {
        let registry = Arc::clone(client.watched());
        registry.enter(key);
        Self {
            registry,
            client: client.downgrade(),
            key: key.to_owned(),
        }
    }

    /// The gateway calls the session by this key.
    pub(crate) fn rename(&mut self, key: &str) {
        self.registry.enter(key);
        self.registry.leave(&self.key);
        key.clone_into(&mut self.key);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.registry.leave(&self.key) {
            return;
        }
        let (Some(client), Ok(runtime)) = (self.client.upgrade(), Handle::try_current()) else {
            return;
        };
        let registry = Arc::clone(&self.registry);
        let key = std::mem::take(&mut self.key);
        runtime.spawn(async move {
            let _order = registry.order.write().await;
            if !registry.is_watched(&key) {
                // On a connection that is gone there is nothing to end.
                let _ = client
                    .call(UnsubscribeMessages::new(key))
                    .within(GOODBYE)
                    .when_down(WhenDown::Fail)
                    .await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_one_who_leaves_ends_it() {
        let registry = Registry::default();
        registry.enter("a");
        registry.enter("a");
        registry.enter("b");
        assert!(!registry.leave("a"));
        assert!(registry.is_watched("a"));
        assert!(registry.leave("a"));
        assert!(!registry.is_watched("a") && registry.is_watched("b"));
        assert!(!registry.leave("a"));
    }
}
