//! What is under way in a client, so that a drain knows when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts calls and runs in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    calls: AtomicUsize,
    runs: AtomicUsize,
    draining: AtomicBool,
    idle: Notify,
}

/// Something is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    load: Arc<InFlight>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Call,
    Run,
}

impl InFlight {
    /// A call begins.
    pub(crate) fn call(self: &Arc<Self>) -> InFlightGuard {
        self.busy(Kind::Call)
    }

    /// A run begins.
    pub(crate) fn run(self: &Arc<Self>) -> InFlightGuard {
        self.busy(Kind::Run)
    }

    fn busy(self: &Arc<Self>, kind: Kind) -> InFlightGuard {
        // Counted before whoever begins looks whether nothing may begin, so that a drain either
        // sees it or is seen by it.
        self.counter(kind).fetch_add(1, Ordering::SeqCst);
        InFlightGuard {
            load: Arc::clone(self),
            kind,
        }
    }

    const fn counter(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Call => &self.calls,
            Kind::Run => &self.runs,
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// From now on nothing new begins.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Waits until nothing is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let mut notified = std::pin::pin!(self.idle.notified());
            notified.as_mut().enable();
            if self.calls() == 0 && self.runs() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if self.load.counter(self.kind).fetch_sub(1, Ordering::SeqCst) == 1 {
            self.load.idle.notify_waiters();
        }
    }
}
