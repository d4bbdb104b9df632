//! Every block of code and every command in README and the pages.
//!
//! Rust is compiled, and run where it says nothing else, as doctests of the crates and of this package.
//! The rest is here: what is data is parsed and held against what it is about; what is typed at a
//! terminal is run with the programs on the mock, where the programs are ours; what the programs are
//! said to print is held against what they print. A block that nothing here knows is a failure.
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
mod programs;
mod shell;
mod shown;
