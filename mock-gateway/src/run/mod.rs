//! Agent runs that follow a script: `agent`, `chat.send` and what goes with them.

pub(crate) mod abort;
pub(crate) mod approval;
pub(crate) mod book;
pub(crate) mod calls;
pub(crate) mod checks;
pub(crate) mod frames;
pub(crate) mod local;
pub(crate) mod play;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod saying;
pub(crate) mod script;
pub(crate) mod telling;
pub(crate) mod wait;

pub(crate) use calls::{answer, begin, is_run, request};
pub(crate) use play::play;
pub(crate) use recovery::recover;
pub use script::{Run, RunRequest};
pub(crate) use wait::expire;
