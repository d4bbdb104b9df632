//! `cron.*`: jobs that run at their time. Reading needs `operator.read`, the rest `operator.admin`.

mod calls;
mod job;

pub use calls::{
    Action, Add, CronStatus, Get, Happened, JobList, JobPatch, List, Ran, Remove, Removed, Run,
    RunEntry, RunList, RunMode, Runs, Status, Update,
};
pub use job::{
    Delivery, DeliveryMode, Job, JobState, Payload, RunStatus, Schedule, Target, WakeMode,
};
