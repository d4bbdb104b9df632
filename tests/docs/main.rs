//! Every block of code and every command in README and the pages.
//!
//! Rust is compiled, and run where it says nothing else, as doctests of the crates and of this package.
//! The rest is here: data is parsed and compared with its subject; commands of our programs are
//! run on the mock; printed output is compared with what the programs print. A block of an unknown kind
//! is a failure.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod backend;
mod commands;
mod data;
mod packages;
mod pages;
mod printed;
mod programs;
mod shell;
