//! Methods and events by subject, as borrowed views of a client.

pub mod agents;
pub mod cron;
pub mod devices;
pub mod events;
pub mod exec_approvals;
pub mod health;
pub(crate) mod lenient;
pub mod models;
#[cfg(test)]
mod recorded;
pub mod sessions;
pub mod status;
pub(crate) mod wire;

pub use devices::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};
