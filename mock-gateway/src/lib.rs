//! A mock OpenClaw gateway.
#![forbid(unsafe_code)]
mod clock;
mod device;
mod edition;
mod pairing;
mod rate_limit;
mod schema;
mod wire;
pub use clock::{Clock, TokioClock};
pub use edition::{Edition, UnknownEdition};
pub use pairing::{DeviceToken, PairedDevice, PendingRequest};
