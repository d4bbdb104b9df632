//! The handle that a test holds: builder, gateway, scenarios.

pub(crate) mod builder;
pub(crate) mod error;
pub(crate) mod gateway;
pub(crate) mod scenario;
