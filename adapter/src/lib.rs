//! A backend's connection to an OpenClaw gateway.
#![forbid(unsafe_code)]

mod endpoint;
mod identity;
mod secret;
pub mod store;
#[cfg(feature = "tls")]
mod tls;

pub use endpoint::{AddressClass, Endpoint, EndpointError, GatewayKey};
pub use identity::{DeviceId, DeviceIdentity, IdentityError};
pub use secret::{Token, TokenError};
pub use store::{
    DeviceToken, FileStore, GatewayMemo, IdentityStore, InlineStore, MemoryStore, SignatureVersion,
    StoreError, StoreErrorKind,
};
#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsFingerprint};
