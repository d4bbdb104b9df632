//! Random schedules of calls, runs and watches, over connections and gateways that break.
//!
//! Each is drawn from a seed and played on one thread and on virtual time, against a mock gateway in
//! memory. What a client promises is checked of every single thing that was begun: it ends, once, and
//! as is true; and when all is over nothing is left behind.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a schedule that cannot be played fails the test that plays it"
)]

mod actors;
mod ledger;
mod runs;
mod watches;
mod world;

pub use self::world::{Played, Tally, play};
