//! Lives of a client, drawn from a seed: an adapter and a mock gateway on one thread, on virtual time,
//! over a network in memory that does what networks do.
//!
//! The same seed gives the same life, to the millisecond. Whatever the client does is watched from
//! outside: its sockets and every byte on them, its store, its calls and its event streams.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a story that cannot go on fails the test that tells it"
)]

mod action;
mod calls;
mod events;
mod many;
mod misdeed;
pub mod net;
mod referee;
mod rules;
mod runs;
mod store;
mod strangers;
mod tap;
mod watched;
mod world;

pub use self::many::play_all;
pub use self::referee::Referee;
pub use self::store::WatchedStore;
pub use self::watched::Watched;
pub use self::world::{Story, Tally, play};
