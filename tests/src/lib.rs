//! Harness shared by the tests.

#![forbid(unsafe_code)]

pub mod conformance;
