//! Asking about jobs, and changing them.

use serde_json::{Map, Value};

use super::job::{Delivery, Job, Payload, RunStatus, Schedule, Target, WakeMode};
use crate::api::wire::{answer, params, words};

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
            /// How many there are in all (2026.9.6).
            total: u64,
            /// Whether there are more (2026.9.6).
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
            /// Whether jobs run.
            enabled: bool,
            /// How many there are.
            jobs: u64,
            /// When the next one runs, in milliseconds of the gateway's clock.
            next_wake_at_ms: u64,
            /// The file on the gateway's host that they are kept in.
            store_path: String,
            /// How they are kept (2026.9.6).
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
            /// How many there are in all (2026.9.6).
            total: u64,
            /// Whether there are more (2026.9.6).
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
            /// When it was written down, in milliseconds of the gateway's clock.
            ts: u64,
            /// What came of it.
            status: RunStatus,
            /// How it failed. A run whose answer could not be delivered counts as failed.
            error: String,
            /// The beginning of the answer.
            summary: String,
            /// The run (2026.9.6).
            run_id: String,
            /// When it began, in milliseconds of the gateway's clock.
            run_at_ms: u64,
            /// How long it took, in milliseconds.
            duration_ms: u64,
            /// When the job runs next.
            next_run_at_ms: u64,
            /// The id of the conversation that it ran in.
            session_id: String,
            /// The session that it ran in.
            session_key: String,
            /// The model (2026.9.6).
            model: String,
            /// The provider of the model (2026.9.6).
            provider: String,
            /// Whether the answer was delivered (2026.9.6).
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
            /// When it runs.
            schedule: Schedule;
            /// Where it runs.
            session_target: Target;
            /// When its agent is told.
            wake_mode: WakeMode;
            /// What it does.
            payload: Payload;
        }
        may_have {
            /// Whether it runs at all.
            enabled: bool;
            /// What it is for, in words.
            description: String;
            /// Its agent.
            agent_id: String;
            /// Where its answer goes.
            delivery: Delivery;
            /// Whether it goes away after it has run.
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

    /// Does it only if nobody has changed the job since it had this revision (2026.9.6).
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

/// What [`Update`] changes.
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
    /// Whether it runs at all.
    enabled: bool;
    /// What it is for, in words.
    description: String;
    /// Its agent.
    agent_id: String;
    /// When it runs.
    schedule: Schedule;
    /// Where it runs.
    session_target: Target;
    /// When its agent is told.
    wake_mode: WakeMode;
    /// What it does.
    payload: Payload;
    /// Where its answer goes.
    delivery: Delivery;
    /// Whether it goes away after it has run.
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
            /// Whether there was one.
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
            /// Whether it runs also when it is not its time. Both generations take `force` and
            /// `due`.
            mode: RunMode;
        }
    }
}

words! {
    /// Whether a job runs also when it is not its time.
    RunMode {
        /// It does.
        Force = "force",
        /// It does not.
        Due = "due",
        /// It does if it is enabled (2026.9.6).
        IfEnabled = "if-enabled",
    }
}

answer! {
    /// Answer to [`Run`].
    Ran {
        may_have {
            /// Always true.
            ok: bool,
            /// Whether it will run (2026.9.6).
            enqueued: bool,
            /// Whether it has run; false if it was not its time.
            ran: bool,
            /// Why it did not: `not-due`.
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
            /// What.
            action: Action,
        }
        may_have {
            /// The job as it is now, or was last (2026.9.6).
            job: Job,
            /// When it runs next, in milliseconds of the gateway's clock.
            next_run_at_ms: u64,
            /// When the run began.
            run_at_ms: u64,
            /// What came of the run.
            status: RunStatus,
            /// How the run failed.
            error: String,
            /// The beginning of the answer.
            summary: String,
            /// The run (2026.9.6).
            run_id: String,
            /// The id of the conversation that it ran in.
            session_id: String,
            /// The session that it ran in.
            session_key: String,
            /// How long the run took, in milliseconds.
            duration_ms: u64,
            /// The model (2026.9.6).
            model: String,
            /// The provider of the model (2026.9.6).
            provider: String,
            /// What the run used (2026.9.6): `input_tokens`, `output_tokens`, `total_tokens`.
            usage: Map<String, Value>,
        }
    }
}

impl crate::api::events::EventPayload for Happened {
    const NAME: &'static str = "cron";
}

words! {
    /// What has happened to a job.
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
