//! Asking about jobs, and changing them.

use serde_json::{Map, Value};

use super::job::{Delivery, Job, Payload, RunStatus, Schedule, Target, WakeMode};
use crate::api::wire::{answer, params, string_enum};

params! {
    /// Asks for the jobs.
    List: "cron.list", Reads => JobList {
        may_have {
            /// With those that do not run.
            include_disabled: bool;
            /// At most so many, 200 at the most (2026.9.6).
            limit: u32, since 4;
            /// Leaves out so many from the start (2026.9.6).
            offset: u32, since 4;
            /// Only those with this text in them (2026.9.6).
            query: String, since 4;
            /// Only those of this agent (2026.9.6).
            agent_id: String, since 4;
        }
    }
}

answer! {
    /// Answer to [`List`].
    JobList {
        may_have {
            /// Total number (2026.9.6).
            total: u64,
            /// True if there are more (2026.9.6).
            has_more: bool,
            /// The offset of the next ones (2026.9.6).
            next_offset: u64,
        }
        lists {
            /// The jobs.
            jobs: Job,
        }
    }
}

params! {
    /// Asks about one job (2026.9.6).
    Get: "cron.get", Reads, since 4 => Job {
        needs {
            /// The id of the job.
            id: String;
        }
    }
}

params! {
    /// Asks whether jobs run at all.
    Status: "cron.status", Reads => CronStatus {}
}

answer! {
    /// Answer to [`Status`].
    CronStatus {
        may_have {
            /// True if jobs run.
            enabled: bool,
            /// Number of entries.
            jobs: u64,
            /// Time of the next run, in milliseconds of the gateway's clock.
            next_wake_at_ms: u64,
            /// The file on the gateway's host that they are kept in.
            store_path: String,
            /// Form of storage (2026.9.6).
            storage: String,
        }
    }
}

params! {
    /// Asks for the runs of a job, the last first.
    Runs: "cron.runs", Reads => RunList {
        needs {
            /// The id of the job.
            id: String;
        }
        may_have {
            /// At most so many: 200 on 2026.9.6, 5000 on 2026.2.9.
            limit: u32;
            /// Leaves out so many from the start (2026.9.6).
            offset: u32, since 4;
            /// Only this run (2026.9.6).
            run_id: String, since 4;
            /// Only those that came to this (2026.9.6).
            status: RunStatus, since 4;
        }
    }
}

answer! {
    /// Answer to [`Runs`].
    RunList {
        may_have {
            /// Total number (2026.9.6).
            total: u64,
            /// True if there are more (2026.9.6).
            has_more: bool,
            /// The offset of the next ones (2026.9.6).
            next_offset: u64,
        }
        lists {
            /// The runs.
            entries: RunEntry,
        }
    }
}

answer! {
    /// A run of a job that has ended.
    RunEntry {
        has {
            /// The job.
            job_id: String,
        }
        may_have {
            /// Time of the entry, in milliseconds of the gateway's clock.
            ts: u64,
            /// Result.
            status: RunStatus,
            /// Error text. A run whose answer could not be delivered counts as failed.
            error: String,
            /// The beginning of the answer.
            summary: String,
            /// The run (2026.9.6).
            run_id: String,
            /// Start time, in milliseconds of the gateway's clock.
            run_at_ms: u64,
            /// Duration, in milliseconds.
            duration_ms: u64,
            /// Time of the job's next run.
            next_run_at_ms: u64,
            /// The id of the conversation that it ran in.
            session_id: String,
            /// The session that it ran in.
            session_key: String,
            /// The model (2026.9.6).
            model: String,
            /// The provider of the model (2026.9.6).
            provider: String,
            /// True if the answer was delivered (2026.9.6).
            delivered: bool,
        }
    }
}

params! {
    /// Makes a job. The same again makes another one. Needs `operator.admin`.
    Add: "cron.add", Changes => Job {
        needs {
            /// Its name.
            name: String;
            /// Schedule.
            schedule: Schedule;
            /// Session that it runs in.
            session_target: Target;
            /// Time at which its agent wakes up for it.
            wake_mode: WakeMode;
            /// Action of the job.
            payload: Payload;
        }
        may_have {
            /// True if it is enabled.
            enabled: bool;
            /// Description.
            description: String;
            /// Its agent.
            agent_id: String;
            /// Delivery of its answer.
            delivery: Delivery;
            /// True if it is deleted after its run.
            delete_after_run: bool;
            /// The session that it belongs to (2026.9.6).
            session_key: String, since 4;
            /// The name to show (2026.9.6).
            display_name: String, since 4;
        }
    }
}

/// Changes a job; what is not set in the patch stays as it is. Needs `operator.admin`.
///
/// On the wire: `cron.update`.
#[doc(alias = "cron.update")]
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    id: String,
    patch: JobPatch,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_config_revision: Option<String>,
}

impl Update {
    /// Changes this job in this way.
    #[must_use]
    pub fn new(id: impl Into<String>, patch: JobPatch) -> Self {
        Self {
            id: id.into(),
            patch,
            expected_config_revision: None,
        }
    }

    /// Fails if the job has another revision by now (2026.9.6).
    #[must_use]
    pub fn expected_config_revision(mut self, revision: impl Into<String>) -> Self {
        self.expected_config_revision = Some(revision.into());
        self
    }
}

impl crate::protocol::method::Method for Update {
    const NAME: &'static str = "cron.update";
    const EFFECT: crate::protocol::method::Effect = crate::protocol::method::Effect::Idempotent;
    type Answer = Job;

    fn unsupported_parameter(&self, protocol: u32) -> Option<String> {
        if protocol < 4 && self.expected_config_revision.is_some() {
            return Some("expectedConfigRevision".to_owned());
        }
        (protocol < 4 && self.patch.display_name.is_some()).then(|| "patch.displayName".to_owned())
    }
}

/// The changes of an [`Update`].
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wake_mode: Option<WakeMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_after_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

crate::api::wire::builders!(JobPatch {
    /// Its name.
    name: String;
    /// True if it is enabled.
    enabled: bool;
    /// Description.
    description: String;
    /// Its agent.
    agent_id: String;
    /// Schedule.
    schedule: Schedule;
    /// Session that it runs in.
    session_target: Target;
    /// Time at which its agent wakes up for it.
    wake_mode: WakeMode;
    /// Action of the job.
    payload: Payload;
    /// Delivery of its answer.
    delivery: Delivery;
    /// True if it is deleted after its run.
    delete_after_run: bool;
    /// The name to show (2026.9.6).
    display_name: String;
});

impl JobPatch {
    /// Changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

params! {
    /// Deletes a job. Needs `operator.admin`.
    ///
    /// One that does not exist is refused by 2026.9.6, with `CRON_JOB_NOT_FOUND` as
    /// [`detail_code`](crate::GatewayError::detail_code); 2026.2.9 answers that it removed nothing.
    Remove: "cron.remove", Idempotent => Removed {
        needs {
            /// The id of the job.
            id: String;
        }
    }
}

answer! {
    /// Answer to [`Remove`].
    Removed {
        may_have {
            /// Always true.
            ok: bool,
            /// True if there was one.
            removed: bool,
        }
    }
}

params! {
    /// Runs a job now. Needs `operator.admin`.
    ///
    /// 2026.9.6 answers at once and runs it then; 2026.2.9 answers when it has run, so give the call
    /// the time.
    Run: "cron.run", Changes => Ran {
        needs {
            /// The id of the job.
            id: String;
        }
        may_have {
            /// Condition of the run: due jobs only, or any. Both generations take `force` and
            /// `due`.
            mode: RunMode;
        }
    }
}

string_enum! {
    /// Condition under which a job is run on request.
    RunMode {
        /// Any job.
        Force = "force",
        /// Due jobs.
        Due = "due",
        /// Enabled jobs (2026.9.6).
        IfEnabled = "if-enabled",
    }
}

answer! {
    /// Answer to [`Run`].
    Ran {
        may_have {
            /// Always true.
            ok: bool,
            /// True if it will run (2026.9.6).
            enqueued: bool,
            /// True if it has run; false if it was not due.
            ran: bool,
            /// Reason for not running: `not-due`.
            reason: String,
            /// The run (2026.9.6).
            run_id: String,
        }
    }
}

answer! {
    /// Event `cron`: something has happened to a job.
    ///
    /// ```
    /// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
    /// # use openclaw_mock_gateway::{MockGateway, RunScript};
    /// use openclaw_adapter::api::cron::{Action, Happened};
    /// # use openclaw_adapter::api::cron::{Add, Payload, Schedule, Target, WakeMode};
    /// use openclaw_adapter::{EventFilter, EventItem, EventPayload};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = MockGateway::start().await;
    /// # gateway.script_runs(|_| RunScript::text("All is well."));
    /// # let config = Config::builder()
    /// #     .url(gateway.local_url())
    /// #     .token(Token::new(gateway.token())?)
    /// #     .store(MemoryStore::new())
    /// #     .scopes(["operator.admin"])
    /// #     .build()?;
    /// # let client = Client::connect(config).await?;
    /// let mut events = client.events_where(EventFilter::named([Happened::NAME]));
    /// # let (when, what) = (Schedule::cron("0 3 * * *"), Payload::agent_turn("Write the report."));
    /// # let add = Add::new("report", when, Target::Isolated, WakeMode::Now, what);
    /// # let job = client.cron().add(add).await?;
    /// client.cron().run(&job.id).await?;
    /// while let Some(item) = events.next().await {
    ///     let EventItem::Event(event) = item else { continue };
    ///     let happened: Happened = event.payload()?;
    ///     if happened.job_id == job.id && happened.action == Action::Finished {
    ///         println!("{:?}: {:?}", happened.status, happened.summary);
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    Happened {
        has {
            /// The job.
            job_id: String,
            /// Kind of the change.
            action: Action,
        }
        may_have {
            /// The job as it is now, or was last (2026.9.6).
            job: Job,
            /// Time of the next run, in milliseconds of the gateway's clock.
            next_run_at_ms: u64,
            /// Start time of the run.
            run_at_ms: u64,
            /// Result of the run.
            status: RunStatus,
            /// Error text of the run.
            error: String,
            /// The beginning of the answer.
            summary: String,
            /// The run (2026.9.6).
            run_id: String,
            /// The id of the conversation that it ran in.
            session_id: String,
            /// The session that it ran in.
            session_key: String,
            /// Duration of the run, in milliseconds.
            duration_ms: u64,
            /// The model (2026.9.6).
            model: String,
            /// The provider of the model (2026.9.6).
            provider: String,
            /// Usage of the run (2026.9.6): `input_tokens`, `output_tokens`, `total_tokens`.
            usage: Map<String, Value>,
        }
    }
}

impl crate::api::events::EventPayload for Happened {
    const NAME: &'static str = "cron";
}

string_enum! {
    /// A change of a job.
    Action {
        /// It was made.
        Added = "added",
        /// It was changed.
        Updated = "updated",
        /// It was deleted.
        Removed = "removed",
        /// A run of it began.
        Started = "started",
        /// A run of it ended.
        Finished = "finished",
    }
}
