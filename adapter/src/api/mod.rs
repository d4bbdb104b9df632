//! Methods by subject, as borrowed views of a client.

mod devices;

pub use devices::{
    Approved, DeviceList, Devices, PairedDevice, PendingDevice, Rejected, Removed, Renamed,
    Revoked, Rotated, TokenInfo,
};
