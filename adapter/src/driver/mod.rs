//! The task of a client: it connects, waits, serves calls and writes down what it learns.

mod attempt;
mod backlog;
pub(crate) mod call;
pub(crate) mod clock;
mod disk;
pub(crate) mod handle;
pub(crate) mod in_flight;
pub(crate) mod send;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod subscriptions;
pub(crate) mod supervisor;
