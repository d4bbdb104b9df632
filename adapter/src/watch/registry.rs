//! Guards that count the watches of a session's messages; the last one unsubscribes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::api::sessions::UnsubscribeMessages;
use crate::client::{Client, WeakClient};
use crate::config::WhenDown;
use crate::driver::subscriptions::Watched;

/// Time limit of an unsubscription. A lost one costs nothing but events.
const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Somebody watches a session until this is dropped.
#[derive(Debug)]
pub(crate) struct SubscriptionGuard {
    registry: Arc<Watched>,
    /// Weak, so that the end of the last handle is the end of the connection.
    client: WeakClient,
    key: String,
}

impl SubscriptionGuard {
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

impl Drop for SubscriptionGuard {
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
            let _order = registry.unsubscribing().await;
            if !registry.is_watched(&key) {
                // On a connection that is gone there is nothing to end.
                let _ = client
                    .call(UnsubscribeMessages::new(key))
                    .within(UNSUBSCRIBE_TIMEOUT)
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
        let registry = Watched::default();
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
