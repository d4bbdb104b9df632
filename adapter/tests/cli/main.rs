//! The `openclaw-adapter` program as a black box: arguments and environment in; lines, files and an
//! exit code out. The gateway is the mock, in the test's own process.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod agreement;
mod call;
mod connect;
mod devices;
mod doctor;
mod events;
mod host;
mod identity;
mod page;
mod run;
mod terminal;
mod token;
mod usage;
