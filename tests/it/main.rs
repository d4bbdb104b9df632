//! Everything that needs more than one crate, in one binary.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod calls;
mod closing;
mod conformance;
mod doctor;
mod events;
mod fuzz;
mod groups;
mod lifecycle;
mod observability;
mod protocol_mapping;
mod refusals;
mod runs;
mod scenarios;
mod schedules;
mod state_machine;
mod storms;
mod subscriptions;
mod tls;
mod turmoil;
mod upgrade;
