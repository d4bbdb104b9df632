//! Pairing: requests, approved devices and their tokens.

pub(crate) mod records;
pub(crate) mod scopes;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;
