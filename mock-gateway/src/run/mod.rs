//! Agent runs that follow a script: `agent`, `chat.send` and what goes with them.

mod abort;
mod book;
mod calls;
mod frames;
mod history;
mod play;
mod script;
mod wait;

pub(crate) use book::Runs;
pub(crate) use calls::{RUNS, Turn, answer, begin, go_on, is_run, request};
pub(crate) use frames::{MODEL, PROVIDER};
pub(crate) use play::answer_later;
pub(crate) use script::{Ending, Tool};
pub use script::{Run, RunRequest};
