//! Listeners and connections.

pub(crate) mod connection;
pub(crate) mod listen;
pub(crate) mod server;
