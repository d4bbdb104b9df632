#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod api;
mod base;
mod client;
mod config;
pub mod doctor;
mod driver;
mod event;
#[cfg(any(test, feature = "__fuzz", feature = "__hot"))]
mod internal;
mod logic;
mod net;
mod protocol;
mod run;
pub mod store;
mod telemetry;
mod watch;

/// Entry points of the fuzz targets, and no part of the interface.
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub use internal::fuzz as __fuzz;
/// Entry points of the count of instructions, and no part of the interface.
#[cfg(feature = "__hot")]
#[doc(hidden)]
pub use internal::hot as __hot;

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
pub use client::call::{RawCall, TypedCall};
pub use client::{Client, Drained};
pub use config::{Config, ConfigBuilder, DEFAULT_URL, DeviceTokenFallback, WhenDown};
pub use driver::stats::Stats;
pub use event::{Event, EventFilter, EventItem, EventStream, ResyncReason};
pub use logic::config_error::ConfigError;
pub use logic::error::{Delivery, Error, Recovery, TransportError, TransportErrorKind};
pub use logic::pairing::{PairingPolicy, PairingReason, PairingRequired};
pub use logic::proxy::{Answerer, Cloudflare};
pub use logic::refusal::{Refusal, RefusalKind, UpgradeRefusal};
pub use logic::retry::RetryPolicy;
pub use logic::state::{ConnectionState, StopReason};
pub use protocol::method::{AnswerMode, Effect, Method};
pub use protocol::{GatewayError, Hello, Policy};
pub use run::{
    Approval, FailureDetail, LostReason, Retry, Run, RunError, RunHandle, RunItem, RunOutcome,
    RunText, ToolEvent, ToolStep, Usage,
};
#[doc(no_inline)]
pub use store::{
    DeviceToken, FileStore, GatewayMemo, IdentityStore, InlineStore, MemoryStore, SignatureVersion,
    StoreError,
};

#[cfg(feature = "tls")]
pub use base::tls::{TlsError, TlsFingerprint};
pub use net::{Connecting, Connection, Connector};
pub use watch::{MessagesSnapshot, MessagesWatch, SessionsWatch, SyncReason, Update};
