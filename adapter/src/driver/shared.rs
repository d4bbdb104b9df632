//! What the handles of a client share with its task. It keeps neither alive.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::driver::stats::Counters;
use crate::event::Hub;
use crate::logic::breaker::Breaker;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    pub(crate) counters: Counters,
    /// The client is to be closed; besides the control message, which nobody reads while a disk hangs.
    pub(crate) closing: Notify,
    breaker: Mutex<Breaker>,
}

impl Shared {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            counters: Counters::default(),
            closing: Notify::new(),
            breaker: Mutex::default(),
        }
    }

    pub(crate) fn breaker<T>(&self, use_it: impl FnOnce(&mut Breaker) -> T) -> T {
        use_it(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
