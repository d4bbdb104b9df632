//! Agent runs and chat turns: followed from their first frame to their one outcome.

mod answer;
mod driver;
mod event;
mod handle;
mod history;
mod item;
mod json;
mod queue;
mod session;
mod text;
mod tracker;

pub(crate) use self::driver::Request;
pub(crate) use self::handle::{PATIENCE, Plan};
pub use self::handle::{Run, RunHandle};
pub use self::item::{
    Approval, FailureDetail, LostReason, Retry, RunError, RunItem, RunOutcome, RunText, ToolEvent,
    ToolStep, Usage,
};
pub(crate) use self::session::SessionName;
pub(crate) use self::tracker::Kind;
