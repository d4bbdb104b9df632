//! Harness shared by the tests.

pub mod conformance;
pub mod peer;
