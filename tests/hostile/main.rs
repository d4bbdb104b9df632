//! A gateway that means harm: any bytes, in any order, of any size. What it costs is bounded, nothing
//! panics, and nothing that it says passes for a word of ours.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod cost;
mod disorder;
mod late;
mod raw;
