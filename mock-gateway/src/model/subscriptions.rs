//! The sessions that a connection subscribed to.

use std::collections::BTreeSet;

/// More sessions than this nobody follows one by one over one connection.
const MAX_FOLLOWED: usize = 1000;

/// What a connection asked to be told; gone with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions {
    /// All that happens to sessions.
    pub(crate) all: bool,
    /// The messages of these.
    messages: BTreeSet<String>,
}

impl Subscriptions {
    /// Follows a session; with too many, the first is let go.
    pub(crate) fn follow(&mut self, key: &str) {
        self.messages.insert(key.to_owned());
        if self.messages.len() > MAX_FOLLOWED {
            self.messages.pop_first();
        }
    }

    pub(crate) fn leave(&mut self, key: &str) {
        self.messages.remove(key);
    }

    pub(crate) fn follows(&self, key: &str) -> bool {
        self.messages.contains(key)
    }
}
