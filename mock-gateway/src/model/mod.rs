//! Records of what the gateway knows: devices, sessions, runs, jobs, approvals, presence, time.

pub(crate) mod approvals;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod device;
pub(crate) mod expect;
pub(crate) mod fault;
pub(crate) mod jobs;
pub(crate) mod pairing;
pub(crate) mod peer;
pub(crate) mod presence;
pub(crate) mod proxy;
pub(crate) mod rate_limit;
pub(crate) mod recorder;
pub(crate) mod runs;
pub(crate) mod schedule;
pub(crate) mod script;
pub(crate) mod secret;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod state_dir;
pub(crate) mod subscriptions;
