//! No secret is seen anywhere but where it belongs: not in what is logged at TRACE by us or by the
//! crates below, nor in `Debug`, `Display`, an error, a panic, a recording, a file of a loose mode or
//! an argument list.
#![cfg(target_os = "linux")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod canary;
mod echo;
mod life;
mod memory;
mod mistakes;
mod program;
mod tap;
mod witness;
