//! `cron.*`: jobs that run at their time. Reading needs `operator.read`, the rest `operator.admin`.

mod calls;
mod job;

use crate::client::Client;
use crate::client::call::TypedCall;

pub use calls::{
    Action, Add, CronStatus, Get, Happened, JobList, JobPatch, List, Ran, Remove, Removed, Run,
    RunEntry, RunList, RunMode, Runs, Status, Update,
};
pub use job::{
    Delivery, DeliveryMode, Job, JobState, Payload, RunStatus, Schedule, Target, WakeMode,
};

/// The jobs of a gateway; from [`Client::cron`].
///
/// Each method makes the call with what is needed; the types of this module have the rest, for
/// [`Client::call`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::api::cron::{Add, JobPatch, List, Payload, Schedule, Target, WakeMode};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .scopes(["operator.admin"])
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let report = Add::new(
///     "nightly report",
///     Schedule::cron("0 3 * * *"),
///     Target::Isolated,
///     WakeMode::Now,
///     Payload::agent_turn("Write the report of yesterday."),
/// );
/// let job = client.cron().add(report.description("for the board")).await?;
///
/// // Not during the holidays.
/// client.cron().update(&job.id, JobPatch::new().enabled(false)).await?;
/// let list = client.cron().list(List::new().include_disabled(true)).await?;
/// assert!(list.jobs.iter().any(|listed| listed.id == job.id));
///
/// let removed = client.cron().remove(&job.id).await?;
/// assert_eq!(removed.removed, Some(true));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cron<'a> {
    client: &'a Client,
}

impl<'a> Cron<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the jobs.
    #[doc(alias = "cron.list")]
    pub fn list(&self, list: List) -> TypedCall<'a, List> {
        self.client.call(list)
    }

    /// Tells whether jobs run at all.
    #[doc(alias = "cron.status")]
    pub fn status(&self) -> TypedCall<'a, Status> {
        self.client.call(Status::new())
    }

    /// Tells of one job (2026.9.6).
    #[doc(alias = "cron.get")]
    pub fn get(&self, id: impl Into<String>) -> TypedCall<'a, Get> {
        self.client.call(Get::new(id))
    }

    /// Lists the runs of a job, the last first.
    #[doc(alias = "cron.runs")]
    pub fn runs(&self, id: impl Into<String>) -> TypedCall<'a, Runs> {
        self.client.call(Runs::new(id))
    }

    /// Makes a job. The same again makes another one.
    #[doc(alias = "cron.add")]
    pub fn add(&self, add: Add) -> TypedCall<'a, Add> {
        self.client.call(add)
    }

    /// Changes a job.
    #[doc(alias = "cron.update")]
    pub fn update(&self, id: impl Into<String>, patch: JobPatch) -> TypedCall<'a, Update> {
        self.client.call(Update::new(id, patch))
    }

    /// Deletes a job.
    #[doc(alias = "cron.remove")]
    pub fn remove(&self, id: impl Into<String>) -> TypedCall<'a, Remove> {
        self.client.call(Remove::new(id))
    }

    /// Runs a job now. 2026.2.9 answers when it has run, so give the call the time.
    #[doc(alias = "cron.run")]
    pub fn run(&self, id: impl Into<String>) -> TypedCall<'a, Run> {
        self.client.call(Run::new(id))
    }
}
