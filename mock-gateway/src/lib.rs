#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod approvals;
mod builder;
mod clock;
mod connection;
mod cron;
mod device;
mod edition;
mod error;
mod expect;
mod fault;
mod gateway;
mod handshake;
mod listen;
mod pairing;
mod peer;
mod presence;
mod rate_limit;
mod record;
mod rpc;
mod run;
mod scenario;
mod schema;
mod secret;
mod server;
mod sessions;
mod settings;
mod state;
mod state_dir;
mod wire;
mod ws;

pub use builder::MockGatewayBuilder;
pub use clock::{Clock, TokioClock};
pub use edition::{Edition, UnknownEdition};
pub use error::MockError;
pub use expect::{ErrorCode, Matcher, On, PartialJson, Response, Times, partial_json};
pub use fault::{Fault, Point};
pub use gateway::{MockGateway, Snapshot};
pub use listen::listen;
pub use pairing::{DeviceToken, PairedDevice, PendingRequest};
pub use peer::{InvalidProxy, Locality, TrustedProxy};
pub use record::{Direction, Frame};
pub use run::{Run, RunRequest};
pub use scenario::{Scenario, ScenarioError};
pub use settings::{Pairing, ReloadMode};
pub use state_dir::{FirstBoot, StateDir, StateDirError};
