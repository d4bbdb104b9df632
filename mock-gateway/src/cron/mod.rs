//! Jobs that the gateway runs at their time.

pub(crate) mod calls;
pub(crate) mod jobs;
pub(crate) mod play;
pub(crate) mod schedule;
pub(crate) mod shown;
pub(crate) mod turn;

pub(crate) use calls::answer;
pub(crate) use play::{heartbeat, keep, run};
