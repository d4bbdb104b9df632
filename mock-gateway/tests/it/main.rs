//! The mock as its clients see it, over in-memory streams and virtual time.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod approvals;
mod client;
mod cron;
mod faults;
mod handshake;
mod limits;
mod live;
mod pairing;
mod replay;
mod runs;
mod scenario;
mod schema;
mod sessions;
mod shape;
