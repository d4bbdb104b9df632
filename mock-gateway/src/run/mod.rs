//! Agent runs that follow a script: `agent`, `chat.send` and what goes with them.

mod abort;
mod approval;
mod book;
mod calls;
mod checks;
mod frames;
mod local;
mod play;
mod queue;
mod recovery;
mod repeats;
mod saying;
mod script;
mod telling;
mod wait;

pub(crate) use book::{Kind, Record, Runs};
pub(crate) use calls::{Next, RUNS, Turn, answer, begin, canonical, go_on, is_run, request};
pub(crate) use frames::{MODEL, PROVIDER};
pub(crate) use recovery::recover;
pub(crate) use saying::answer_later;
pub(crate) use script::{Ending, Tool};
pub use script::{Run, RunRequest};
