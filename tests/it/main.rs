//! Everything that needs more than one crate, in one binary.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod calls;
mod conformance;
mod events;
mod identity;
mod lifecycle;
mod refusals;
mod scenarios;
mod soak;
mod state_machine;
mod storms;
mod tls;
mod upgrade;
