//! The mock as its clients see it, over in-memory streams and virtual time.

mod client;
mod faults;
mod handshake;
mod limits;
mod live;
mod pairing;
mod runs;
mod shape;
