//! Which sessions' messages a client has asked for, so that the last who wants them ends it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a client's watches have asked for.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Read by who subscribes, written by who unsubscribes: an unsubscription on its way cannot end
    /// what somebody has just asked for.
    order: RwLock<()>,
    watched: Mutex<HashMap<String, usize>>,
}

impl Watched {
    /// Holds back whoever unsubscribes.
    pub(crate) async fn subscribing(&self) -> RwLockReadGuard<'_, ()> {
        self.order.read().await
    }

    /// Holds back whoever subscribes.
    pub(crate) async fn unsubscribing(&self) -> RwLockWriteGuard<'_, ()> {
        self.order.write().await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_watched(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    pub(crate) fn enter(&self, key: &str) {
        *self.lock().entry(key.to_owned()).or_default() += 1;
    }

    /// Whether that was the last one.
    pub(crate) fn leave(&self, key: &str) -> bool {
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
