//! What a client logs, and the spans around it. A process of its own: it has one subscriber.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod capture;
mod lines;
mod spans;
mod untrusted_text;
