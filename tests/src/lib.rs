//! Harness shared by the tests.

pub mod scenarios;
