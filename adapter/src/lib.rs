#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod api;
mod call;
mod client;
mod config;
mod credentials;
pub mod doctor;
mod endpoint;
mod error;
mod handshake;
mod identity;
mod lifecycle;
mod method;
mod pairing;
mod protocol;
mod proxy;
mod refusal;
mod retry;
mod secret;
mod session;
mod state;
pub mod store;
mod supervisor;
mod text;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub use api::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};
pub use client::Client;
pub use config::{Config, ConfigBuilder, ConfigError, DEFAULT_URL, DeviceTokenFallback, WhenDown};
pub use endpoint::{AddressClass, Endpoint, EndpointError, GatewayKey};
pub use error::{Delivery, Error, Recovery, TransportError, TransportErrorKind};
pub use identity::{DeviceId, DeviceIdentity, IdentityError};
pub use method::{AnswerMode, Effect, Method};
pub use pairing::{PairingPolicy, PairingReason, PairingRequired};
pub use protocol::{GatewayError, Hello, Policy};
pub use proxy::{Answerer, Cloudflare};
pub use refusal::{Refusal, RefusalKind, UpgradeRefusal};
pub use retry::RetryPolicy;
pub use secret::{Token, TokenError};
pub use state::{ConnectionState, StopReason};
#[doc(no_inline)]
pub use store::{
    DeviceToken, FileStore, GatewayMemo, IdentityStore, InlineStore, MemoryStore, SignatureVersion,
    StoreError,
};

#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsFingerprint};
pub use transport::{Connecting, Connection, Connector};
