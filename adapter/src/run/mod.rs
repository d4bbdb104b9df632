//! Agent runs and chat turns: followed from their first frame to their one outcome.

mod answer;
mod event;
mod history;
mod item;
mod text;
mod tracker;

pub use self::item::{
    Approval, FailureDetail, LostReason, Retry, RunError, RunItem, RunOutcome, RunText, ToolEvent,
    ToolStep, Usage,
};
