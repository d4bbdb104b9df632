//! Decisions: handshake, refusals, credentials, pairing, retries, lifecycle, session, and the errors and
//! states that they lead to. No runtime, disk, clock or chance: time and random numbers are arguments.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

pub(crate) mod breaker;
pub(crate) mod config_error;
pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod handshake;
pub(crate) mod lifecycle;
pub(crate) mod pairing;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod redact;
pub(crate) mod refusal;
pub(crate) mod retry;
pub(crate) mod session;
pub(crate) mod state;
