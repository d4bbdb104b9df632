//! Time that passes by itself as soon as nobody has anything to do.
#![allow(
    clippy::expect_used,
    reason = "a test without a runtime fails with this message"
)]

/// When it begins, for gateways. Any moment will do; one that is fixed makes the numbers on the wire as
/// long each time.
pub(crate) const EPOCH_MS: u64 = 1_795_375_154_446;

/// Runs this on one thread, on a runtime of its own.
pub(crate) fn on_virtual_time<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("no runtime")
        .block_on(what)
}
