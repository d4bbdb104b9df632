//! The handle on a run.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::driver::{Command, Parts, Request, TASK_ENDED, follow};
use super::item::{RunItem, RunOutcome};
use super::queue::Queue;
use super::session::{SessionKey, SessionName};
use super::tracker::{Kind, Start, Tracker};
use crate::client::Client;
use crate::logic::error::Error;
use crate::logic::state::ConnectionState;
use crate::telemetry::trace_context::INHERITED;

/// The default time without activity after which a run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

/// An agent run or a chat turn that is being followed.
///
/// A stream of [`RunItem`]s whose last one is the [outcome](RunItem::Ended). It goes on through
/// reconnects and through restarts of the gateway; what was missed meanwhile is asked for. Every run
/// ends in exactly one outcome, and the model is never asked twice: if it is unknown whether a request
/// arrived, the run is [`Lost`](RunOutcome::Lost) rather than sent again.
///
/// Dropping it ends the following, not the run: the gateway goes on with it. [`attach`](Self::attach)
/// follows it again, from this process or another one; [`abort`](Self::abort) stops it.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// use openclaw_adapter::{RunItem, RunOutcome};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("Hello there.").deltas(3));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client.agent().run("billing", "Summarise invoice 42").await?;
/// println!("run {} in {:?}", run.id(), run.session_key());
/// let mut text = String::new();
/// while let Some(item) = run.next().await {
///     match item {
///         RunItem::Text(more) if more.replaced => text = more.delta,
///         RunItem::Text(more) => text.push_str(&more.delta),
///         RunItem::Ended(outcome) => assert_eq!(outcome.answer(), Some("Hello there.")),
///         _ => {}
///     }
/// }
/// assert_eq!(text, "Hello there.");
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a run that is dropped is not followed"]
pub struct Run {
    handle: RunHandle,
    queue: Arc<Queue>,
    task: AbortHandle,
    outcome: Option<RunOutcome>,
    accepted: Option<oneshot::Receiver<Result<(), Error>>>,
}

/// A cheap handle to stop a run with, while another task reads its items; from [`Run::handle`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use openclaw_adapter::RunOutcome;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("").hangs());
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut run = client.chat().send("billing", "Count to a million").await?;
/// let stop = run.handle();
/// let reader = tokio::spawn(async move { run.outcome().await });
///
/// // Somebody has closed the window.
/// assert!(stop.abort().await?);
/// assert!(matches!(reader.await?, RunOutcome::Aborted { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RunHandle {
    id: Arc<str>,
    session_key: SessionKey,
    commands: mpsc::UnboundedSender<Command>,
}

/// The parameters of a new [`Run`].
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) run_id: String,
    pub(crate) session: SessionName,
    pub(crate) message: Option<String>,
    /// `None` to follow a run without starting it.
    pub(crate) request: Option<Request>,
    pub(crate) patience: Duration,
}

impl Run {
    pub(crate) fn begin(client: &Client, plan: Plan) -> Self {
        // Before the request, so that no event of the run is missed.
        let events = client.run_events(&plan.run_id);
        let (commands, commands_end) = mpsc::unbounded_channel();
        let (accepted_end, accepted) = oneshot::channel();
        let queue = Arc::new(Queue::default());
        let (conn_id, protocol) = match &*client.state().borrow() {
            ConnectionState::Ready { hello } => (Some(hello.conn_id.clone()), Some(hello.protocol)),
            _ => (None, None),
        };
        let run_id: Arc<str> = plan.run_id.as_str().into();
        let session_key = match plan.session {
            SessionName::Key(key) => SessionKey::known(key),
            SessionName::OfDefaultAgent(_) => SessionKey::default(),
        };
        let start = Start {
            kind: plan.kind,
            run_id: plan.run_id,
            message: plan.message,
            can_send: plan.request.is_some(),
            patience: plan.patience,
        };
        let inner = client.inner();
        let span = inner.server.run(&run_id, session_key.get());
        // The calls of the run are made in a task of its own, outside the caller's span.
        let trace = span.in_scope(|| inner.traceparent());
        let followed = follow(Parts {
            client: client.clone(),
            tracker: Tracker::new(start, protocol, Instant::now().into_std()),
            session_key: session_key.clone(),
            run_id: Arc::clone(&run_id),
            request: plan.request,
            events,
            commands: commands_end,
            queue: Arc::clone(&queue),
            busy: inner.load.run(),
            conn_id,
            accepted: Some(accepted_end),
        });
        let task = tokio::spawn(INHERITED.scope(trace, followed.instrument(span)));
        Self {
            handle: RunHandle {
                id: run_id,
                session_key,
                commands,
            },
            queue,
            task: task.abort_handle(),
            outcome: None,
            accepted: Some(accepted),
        }
    }

    /// Follows a run that another client has started, or this process before a restart.
    ///
    /// `run_id` is the [`id`](Self::id) that the run was started with; `session_key` is its
    /// [`session_key`](Self::session_key). The text so far comes at once on 2026.9.6, and with the
    /// next piece of text on 2026.2.9. The outcome of a run that has ended comes from `agent.wait` for
    /// about ten minutes (code of both generations), and after that from the history of its session.
    ///
    /// A run that the gateway does not show is [`Lost`](RunOutcome::Lost), on 2026.9.6 after
    /// about a minute, on 2026.2.9 after 15 minutes without an event: it does not show
    /// active runs.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
    /// # use openclaw_mock_gateway::MockGateway;
    /// use openclaw_adapter::Run;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gateway = MockGateway::start().await;
    /// # gateway.script_runs(|_| openclaw_mock_gateway::RunScript::text("Two are open."));
    /// # let config = Config::builder()
    /// #     .url(gateway.local_url())
    /// #     .token(Token::new(gateway.token())?)
    /// #     .store(MemoryStore::new())
    /// #     .build()?;
    /// # let client = Client::connect(config).await?;
    /// # let started = client.agent().run("billing", "How many are open?").await?;
    /// // Written down before the process went away.
    /// let (id, session_key) = (started.id().to_owned(), started.session_key().map(ToOwned::to_owned));
    /// drop(started);
    ///
    /// let session_key = session_key.expect("an accepted run has one");
    /// let mut run = Run::attach(&client, id, session_key);
    /// assert_eq!(run.outcome().await.answer(), Some("Two are open."));
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(
        client: &Client,
        run_id: impl Into<String>,
        session_key: impl Into<String>,
    ) -> Self {
        Self::begin(
            client,
            Plan {
                kind: Kind::Chat,
                run_id: run_id.into(),
                session: SessionName::Key(session_key.into()),
                message: None,
                request: None,
                patience: PATIENCE,
            },
        )
    }

    /// Returns the run's id, which is also the idempotency key of its request. Known before anything is sent;
    /// keep it to [`attach`](Self::attach) after a restart of this process.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.handle.id
    }

    /// Returns the key of the session that the run belongs to, in the form that all releases accept.
    ///
    /// `None` until the request has gone out, where the session was given as a bare name: it belongs to the
    /// default agent of the gateway that the request goes to, which the gateway tells in its hello. Of a run
    /// that was accepted it is known.
    #[must_use]
    pub fn session_key(&self) -> Option<&str> {
        self.handle.session_key.get()
    }

    /// Returns the next item; `None` after [`RunItem::Ended`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, and so is [`Stream::poll_next`]: no item is lost.
    pub async fn next(&mut self) -> Option<RunItem> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for the end of the run. Items that were not read yet are skipped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the run is followed on, and this can be called again.
    pub async fn outcome(&mut self) -> RunOutcome {
        loop {
            if let Some(outcome) = &self.outcome {
                return outcome.clone();
            }
            if self.next().await.is_none() && self.outcome.is_none() {
                // The runtime has ended the task.
                return RunOutcome::Lost {
                    reason: TASK_ENDED,
                    text: String::new(),
                };
            }
        }
    }

    /// Asks the gateway to stop the run; see [`RunHandle::abort`].
    ///
    /// # Errors
    ///
    /// As [`RunHandle::abort`].
    ///
    /// # Cancel safety
    ///
    /// As [`RunHandle::abort`].
    pub async fn abort(&self) -> Result<bool, Error> {
        self.handle.abort().await
    }

    /// Returns a handle to stop the run from another task.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Waits until the gateway has accepted the run.
    pub(crate) async fn when_accepted(mut self) -> Result<Self, Error> {
        if let Some(accepted) = self.accepted.take() {
            accepted.await.unwrap_or(Err(Error::Closed))?;
        }
        Ok(self)
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<RunItem>> {
        let polled = self.queue.poll(cx);
        if let Poll::Ready(Some(RunItem::Ended(outcome))) = &polled {
            self.outcome = Some(outcome.clone());
        }
        polled
    }
}

impl RunHandle {
    /// Returns the run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the key of the session that the run belongs to, as [`Run::session_key`].
    #[must_use]
    pub fn session_key(&self) -> Option<&str> {
        self.session_key.get()
    }

    /// Asks the gateway to stop the run; `true` if it did, `false` if the run was over or its
    /// [`Run`] was dropped, and on 2026.2.9 for every run begun with `agent`, which cannot be stopped there; use
    /// [`Chat::send`](crate::Chat::send) where that matters. The outcome comes as an item all the same,
    /// usually [`RunOutcome::Aborted`].
    ///
    /// A request that is still on its way is stopped as soon as it has arrived. After a lost connection
    /// the request is repeated: stopping twice changes nothing. 2026.9.6 lets only the device that started a
    /// run stop it, or an administrator.
    ///
    /// # Errors
    ///
    /// As [`Client::call`] of `chat.abort`; [`Error::Call`] if the gateway refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the request back, as long as the run is followed.
    pub async fn abort(&self) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        // A run that is no longer followed counts as ended.
        if self.commands.send(Command::Abort(reply)).is_err() {
            return Ok(false);
        }
        answer.await.unwrap_or(Ok(false))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Run {
    type Item = RunItem;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunItem>> {
        self.get_mut().poll(cx)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.handle.id)
            .field("session_key", &self.handle.session_key.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle")
            .field("id", &self.id)
            .field("session_key", &self.session_key.get())
            .finish_non_exhaustive()
    }
}
