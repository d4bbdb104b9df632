//! Pairing: requests, approved devices and their tokens.

mod records;
pub(crate) mod scopes;
mod store;
#[cfg(test)]
mod tests;
mod tokens;

pub use records::{DeviceToken, PairedDevice, PendingRequest};
pub(crate) use store::{Ask, Change, PairingStore, RoleScopes, Stored, TokenFault};
