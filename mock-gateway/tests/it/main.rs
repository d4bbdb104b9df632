//! The mock as its clients see it, over in-memory streams and virtual time.

mod client;
mod handshake;
mod live;
mod pairing;
