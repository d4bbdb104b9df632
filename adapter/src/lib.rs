#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

/// Entry points of the fuzz targets, and no part of the interface.
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
#[path = "fuzz.rs"]
pub mod __fuzz;
/// Entry points of the count of instructions, and no part of the interface.
#[cfg(feature = "__hot")]
#[doc(hidden)]
#[path = "hot.rs"]
pub mod __hot;
pub mod api;
mod base;
mod boot;
mod breaker;
mod call;
mod client;
mod config;
mod credentials;
pub mod doctor;
mod error;
mod event;
mod handle;
mod handshake;
mod lifecycle;
mod load;
mod metrics;
mod pairing;
mod protocol;
mod proxy;
mod refusal;
mod retry;
mod run;
mod session;
mod shared;
mod spans;
mod state;
mod stats;
pub mod store;
mod subscription;
mod supervisor;
mod trace_context;
mod transport;
mod veil;
mod watched;

pub use api::agent::{Agent, AgentRun, Attachment};
pub use api::chat::{Chat, ChatTurn, QueueMode};
pub use api::events::EventPayload;
pub use api::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};
pub use base::endpoint::{AddressClass, Endpoint, EndpointError, GatewayKey};
pub use base::identity::{DeviceId, DeviceIdentity, IdentityError};
pub use base::secret::{Token, TokenError};
pub use call::{RawCall, TypedCall};
pub use client::{Client, Drained};
pub use config::{Config, ConfigBuilder, ConfigError, DEFAULT_URL, DeviceTokenFallback, WhenDown};
pub use error::{Delivery, Error, Recovery, TransportError, TransportErrorKind};
pub use event::{Event, EventFilter, EventItem, EventStream, ResyncReason};
pub use pairing::{PairingPolicy, PairingReason, PairingRequired};
pub use protocol::method::{AnswerMode, Effect, Method};
pub use protocol::{GatewayError, Hello, Policy};
pub use proxy::{Answerer, Cloudflare};
pub use refusal::{Refusal, RefusalKind, UpgradeRefusal};
pub use retry::RetryPolicy;
pub use run::{
    Approval, FailureDetail, LostReason, Retry, Run, RunError, RunHandle, RunItem, RunOutcome,
    RunText, ToolEvent, ToolStep, Usage,
};
pub use state::{ConnectionState, StopReason};
pub use stats::Stats;
#[doc(no_inline)]
pub use store::{
    DeviceToken, FileStore, GatewayMemo, IdentityStore, InlineStore, MemoryStore, SignatureVersion,
    StoreError,
};

#[cfg(feature = "tls")]
pub use base::tls::{TlsError, TlsFingerprint};
pub use subscription::{MessagesSnapshot, MessagesWatch, SessionsWatch, SyncReason, Update};
pub use transport::{Connecting, Connection, Connector};
