//! What goes over the wire, as data: no socket, no clock, no task.
//!
//! Frames are JSON objects. What we send is strict, because a gateway refuses properties that it
//! does not know; what we read is lenient, because gateways add fields, events and codes in every
//! release (2026.9.6 sends fields that its own published schema forbids).

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod json;
pub(crate) mod method;
mod signature;

pub use connect::{Hello, Policy};
pub use error::GatewayError;
pub use signature::SignatureVersion;
