//! Agent runs that follow a script: `agent`, `chat.send` and what goes with them.

pub(crate) mod abort;
pub(crate) mod approval;
pub(crate) mod calls;
pub(crate) mod checks;
pub(crate) mod dialect;
pub(crate) mod emit;
pub(crate) mod local;
pub(crate) mod notify;
pub(crate) mod play;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod wait;

pub(crate) use calls::{answer, begin, is_run, request};
pub(crate) use play::play;
pub(crate) use recovery::recover;
pub(crate) use wait::expire;
