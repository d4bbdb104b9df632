//! Jobs that the gateway runs at their time.

pub(crate) mod calls;
pub(crate) mod play;
pub(crate) mod turn;
pub(crate) mod view;

pub(crate) use calls::answer;
pub(crate) use play::{heartbeat, keep, run};
