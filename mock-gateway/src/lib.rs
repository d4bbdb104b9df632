#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod control;
mod edition;
mod engine;
mod handshake;
mod methods;
mod model;
mod net;
mod wire;

pub use control::builder::MockGatewayBuilder;
pub use control::error::MockError;
pub use control::gateway::{MockGateway, Snapshot};
pub use control::scenario::{Scenario, ScenarioError};
pub use edition::{Edition, UnknownEdition};
pub use model::clock::{Clock, TokioClock};
pub use model::expect::{ErrorCode, Matcher, On, PartialJson, Response, Times, partial_json};
pub use model::fault::{Fault, Point};
pub use model::pairing::records::{DeviceToken, PairedDevice, PendingRequest};
pub use model::peer::Locality;
pub use model::proxy::{InvalidProxy, TrustedProxy};
pub use model::recorder::{Direction, Frame};
pub use model::script::{RunRequest, RunScript};
pub use model::settings::{Pairing, ReloadMode};
pub use model::state_dir::{FirstBoot, StateDir, StateDirError};
pub use net::listen::listen;
