//! What is started, killed, or measured as a process. A process of its own: its children wait for the same disk,
//! so that they are not beside others' tests.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod disk;
mod identity;
mod kills;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the end of the other tests that keep the machine busy.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
