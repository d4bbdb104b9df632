//! The mock as a test sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::control::builder::MockGatewayBuilder;
use crate::control::error::MockError;
use crate::control::scenario::Scenario;
use crate::edition::Edition;
use crate::engine::answer::Answer;
use crate::methods::devices::OPERATOR;
use crate::methods::{self, after};
use crate::model::expect::On;
use crate::model::fault::Fault;
use crate::model::pairing::records::{PairedDevice, PendingRequest};
use crate::model::peer::Locality;
use crate::model::recorder::Frame;
use crate::model::script::{RunRequest, RunScript};
use crate::model::secret::Secret;
use crate::net::connection;
use crate::net::server::{ListenerKind, Server, StopCause};
use crate::wire::Reply;

/// A gateway that says on the wire what a real one says.
///
/// It runs on the runtime on which it was started, until it is dropped.
///
/// ```
/// use openclaw_mock_gateway::MockGateway;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = MockGateway::start().await;
/// let old = gateway.token();
///
/// // Somebody edits `openclaw.json`; the gateway goes on with the token that it has in memory,
/// gateway.set_token_on_disk("a-new-token")?;
/// assert_eq!((gateway.token(), gateway.token_on_disk()), (old, "a-new-token".to_owned()));
///
/// // until it is killed and comes back on the same ports.
/// let url = gateway.url();
/// gateway.kill();
/// gateway.start_again().await?;
/// assert_eq!((gateway.token().as_str(), gateway.url()), ("a-new-token", url));
/// # Ok(())
/// # }
/// ```
pub struct MockGateway {
    server: Arc<Server>,
    /// Whether dropping it fails the test if something was not as expected.
    verifies: bool,
}

/// The gateway at one moment, for [`MockGateway::wait_for`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Sockets accepted so far.
    pub connects: u64,
    /// Sockets that are open, however far they are.
    pub open: usize,
    /// Connections that had their hello-ok and are open.
    pub live: usize,
    /// Requests that wait for approval, newest first.
    pub pending: Vec<PendingRequest>,
    /// Approved devices, latest first.
    pub paired: Vec<PairedDevice>,
}

impl fmt::Debug for MockGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockGateway")
            .field("edition", &self.edition())
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl MockGateway {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            verifies: true,
        }
    }

    /// A 2026.9.6 with a random token, where devices wait for approval and clients count as remote.
    ///
    /// # Panics
    ///
    /// When no port of 127.0.0.1 can be bound.
    ///
    /// # Cancel safety
    ///
    /// It does not wait: dropping the future before it is polled starts nothing.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A gateway with settings of one's own.
    pub fn builder() -> MockGatewayBuilder {
        MockGatewayBuilder::new()
    }

    /// Returns where clients count as remote; for [`start_on`](MockGatewayBuilder::start_on), where they are
    /// judged by their address; without a listener, a URL to dial over a stream of one's own.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(ListenerKind::Remote)
            .or_else(|| self.url_of(ListenerKind::ByPeer))
            .unwrap_or_else(no_listener)
    }

    /// Returns where clients count as local, as over a real gateway's loopback.
    #[must_use]
    pub fn local_url(&self) -> String {
        self.url_of(ListenerKind::Local)
            .or_else(|| self.url_of(ListenerKind::ByPeer))
            .unwrap_or_else(no_listener)
    }

    fn url_of(&self, kind: ListenerKind) -> Option<String> {
        Some(format!("ws://{}", self.server.address(kind)?))
    }

    /// Serves one connection over a stream of any kind, until it ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection without a close frame.
    ///
    /// # Examples
    ///
    /// Without a port, and the [`frames`](Self::frames) that went over the stream:
    ///
    /// ```
    /// use futures_util::StreamExt as _;
    /// use openclaw_mock_gateway::{Direction, Locality, MockGateway};
    /// use tokio_tungstenite::client_async;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let gateway = MockGateway::builder().build();
    /// let (near, far) = tokio::io::duplex(64 * 1024);
    /// tokio::spawn(gateway.serve(far, Locality::Local));
    ///
    /// let (mut socket, _) = client_async(gateway.url(), near).await?;
    /// socket.next().await.ok_or("the gateway speaks first")??;
    /// let first = &gateway.frames()[0];
    /// assert_eq!((first.connection, first.direction), (1, Direction::Out));
    /// assert_eq!(first.json["event"], "connect.challenge");
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve<S>(
        &self,
        stream: S,
        locality: Locality,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let server = Arc::clone(&self.server);
        server.start_timers();
        connection::run(Arc::clone(&server.engine), stream, locality)
    }

    /// The shared secret that clients have to send now.
    #[must_use]
    pub fn token(&self) -> String {
        self.server.engine.lock().auth.secret().expose().to_owned()
    }

    /// The shared secret on disk, which a restart would take.
    #[must_use]
    pub fn token_on_disk(&self) -> String {
        let secret = self.server.engine.lock().disk.read_secret();
        secret
            .map(|secret| secret.expose().to_owned())
            .unwrap_or_default()
    }

    /// Returns which gateway this is.
    #[must_use]
    pub fn edition(&self) -> Edition {
        self.server.engine.edition()
    }

    /// Requests that wait for approval, newest first.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingRequest> {
        let engine = &self.server.engine;
        engine.with_store(&mut engine.lock(), |store, _| store.pending())
    }

    /// Approved devices, latest approval first.
    #[must_use]
    pub fn paired(&self) -> Vec<PairedDevice> {
        let engine = &self.server.engine;
        engine.with_store(&mut engine.lock(), |store, _| store.paired())
    }

    /// Waits until a request is pending, and returns the newest.
    ///
    /// # Errors
    ///
    /// [`MockError::TimedOut`] when none came.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for_pending(&self, limit: Duration) -> Result<PendingRequest, MockError> {
        let seen = self.wait_for(|now| !now.pending.is_empty(), limit).await?;
        seen.pending
            .into_iter()
            .next()
            .ok_or(MockError::TimedOut(limit))
    }

    /// Waits until the gateway is as `wanted`: the way to wait in a test, instead of sleeping.
    ///
    /// # Errors
    ///
    /// [`MockError::TimedOut`] when it did not become so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&Snapshot) -> bool,
        limit: Duration,
    ) -> Result<Snapshot, MockError> {
        let mut changes = self.server.engine.changes();
        timeout(limit, async {
            loop {
                changes.borrow_and_update();
                let now = self.snapshot();
                if wanted(&now) {
                    return now;
                }
                // The sender lives as long as the gateway.
                let _ = changes.changed().await;
            }
        })
        .await
        .map_err(|_| MockError::TimedOut(limit))
    }

    /// The gateway now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            connects: self.connects(),
            open: self.open(),
            live: self.live(),
            pending: self.pending(),
            paired: self.paired(),
        }
    }

    /// Sockets accepted so far.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.server.engine.lock().accepted
    }

    /// Sockets that are open, from the accept to the end.
    #[must_use]
    pub fn open(&self) -> usize {
        self.server.engine.lock().open
    }

    /// Connections that had their hello-ok and are open.
    #[must_use]
    pub fn live(&self) -> usize {
        self.server.engine.lock().live().count()
    }

    fn now(&self, answer: Answer) -> Result<Value, MockError> {
        after::perform(&self.server.engine, answer.after);
        Ok(answer.reply.unwrap_or(Ok(Value::Null))?)
    }

    fn device(&self, device_id: &str) -> Result<PairedDevice, MockError> {
        let found = self
            .paired()
            .into_iter()
            .find(|device| device.device_id == device_id);
        found.ok_or_else(|| crate::wire::ErrorShape::invalid("unknown deviceId").into())
    }

    /// Approves a request, as `openclaw devices approve` on the gateway's host does.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal: `unknown requestId`.
    pub fn approve(&self, request_id: &str) -> Result<PairedDevice, MockError> {
        let engine = &self.server.engine;
        let reply: Reply = methods::approve(engine, &mut engine.lock(), None, request_id);
        let device_id = reply?["device"]["deviceId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.device(&device_id)
    }

    /// Rejects a request.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn reject(&self, request_id: &str) -> Result<(), MockError> {
        let engine = &self.server.engine;
        methods::reject(engine, &mut engine.lock(), None, request_id)?;
        Ok(())
    }

    /// Removes a device. In 2026.9.6 its sessions are closed with 4001; 2026.2.9 has no such RPC, and a
    /// person who deletes the device from `paired.json` leaves its sessions alone, as this does there.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn remove(&self, device_id: &str) -> Result<(), MockError> {
        let engine = &self.server.engine;
        let outcome = methods::remove(engine, &mut engine.lock(), None, device_id);
        self.now(outcome).map(drop)
    }

    /// Gives a device another name.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn rename(&self, device_id: &str, label: &str) -> Result<(), MockError> {
        let engine = &self.server.engine;
        methods::rename(engine, &mut engine.lock(), None, device_id, label)?;
        Ok(())
    }

    /// Replaces the token of a device's role; without scopes the new one has those of the old one.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn rotate(
        &self,
        device_id: &str,
        role: &str,
        scopes: Option<&[String]>,
    ) -> Result<(), MockError> {
        let engine = &self.server.engine;
        let outcome = methods::rotate(engine, &mut engine.lock(), None, device_id, role, scopes);
        self.now(outcome).map(drop)
    }

    /// Revokes the token of a device's role.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn revoke(&self, device_id: &str, role: &str) -> Result<(), MockError> {
        let engine = &self.server.engine;
        let outcome = methods::revoke(engine, &mut engine.lock(), None, device_id, role);
        self.now(outcome).map(drop)
    }

    /// [`revoke`](Self::revoke) for the role that backends have.
    ///
    /// # Errors
    ///
    /// [`MockError::Refused`], as the gateway's own refusal.
    pub fn revoke_operator(&self, device_id: &str) -> Result<(), MockError> {
        self.revoke(device_id, OPERATOR)
    }

    /// Stops as on SIGTERM: a `shutdown` event, close 1012, then no more listening.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a stop that is given up may have begun.
    pub async fn stop(&self) {
        self.server.stop(StopCause::Stopping, Duration::ZERO).await;
    }

    /// Stops as on SIGKILL: sockets and listeners are dropped without a word.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Listens again on the same ports after [`stop`](Self::stop) or [`kill`](Self::kill). Devices are
    /// kept; the secret is read from disk again.
    ///
    /// # Errors
    ///
    /// [`MockError::Listen`] when a port is taken.
    ///
    /// # Cancel safety
    ///
    /// Either it listens on all its ports or on none.
    pub async fn start_again(&self) -> Result<(), MockError> {
        self.server.start_again().await.map_err(MockError::Listen)
    }

    /// Restarts in process: a `shutdown` event that says so, close 1012, and on again at once.
    ///
    /// # Errors
    ///
    /// [`MockError::Listen`] when a port is taken.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: given up after the stop, it stays down until
    /// [`start_again`](Self::start_again).
    pub async fn restart(&self) -> Result<(), MockError> {
        self.server
            .stop(StopCause::Restarting, Duration::ZERO)
            .await;
        self.start_again().await
    }

    /// Edits the secret in `openclaw.json`, or in what stands for it without a state directory. What
    /// that does to the running gateway is up to [`ReloadMode`](crate::ReloadMode).
    ///
    /// # Errors
    ///
    /// [`MockError::StateDir`] when the file cannot be written.
    pub fn set_token_on_disk(&self, token: &str) -> Result<(), MockError> {
        Ok(self
            .server
            .engine
            .lock()
            .disk
            .write_secret(Secret::new(token))?)
    }

    /// Moves the clock on: requests expire, lockouts end, signatures become stale.
    pub fn advance_clock(&self, by: Duration) {
        self.server.engine.clock.advance(by);
        self.server.engine.touched();
    }

    /// The gateway's time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.server.engine.clock.now_ms()
    }

    /// Sends an event to every client that may see events of this name.
    pub fn emit(&self, event: &str, payload: &Value) {
        let engine = &self.server.engine;
        engine.broadcast(&mut engine.lock(), event, payload);
    }

    /// Arms a fault. One that strikes at [`Point::Now`](crate::Point::Now) strikes now.
    pub fn inject(&self, fault: Fault) {
        self.server.inject(fault);
    }

    /// Disarms every fault, and listens again after [`Fault::refuse_tcp`].
    ///
    /// # Errors
    ///
    /// [`MockError::Listen`] when a port is taken.
    pub fn clear_faults(&self) -> Result<(), MockError> {
        self.server.clear_faults().map_err(MockError::Listen)
    }

    /// Scripts the runs that nothing was mounted for with [`On`]: every new `agent`, `chat.send` and
    /// `sessions.send`. A repeated idempotency key is answered by the gateway and does not get here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use openclaw_mock_gateway::{MockGateway, RunScript};
    ///
    /// let gateway = MockGateway::start().await;
    /// gateway.script_runs(|request| match request.message.as_str() {
    ///     "ping" => RunScript::text("pong"),
    ///     _ => RunScript::text("").fails("the model is on fire"),
    /// });
    /// # }
    /// ```
    pub fn script_runs(&self, script: impl Fn(&RunRequest) -> RunScript + Send + Sync + 'static) {
        self.server.engine.lock().runs.set_script(Arc::new(script));
    }

    /// Puts a scenario into force; its times count from now.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if something in it happens later.
    pub fn play(&self, scenario: &Scenario) {
        scenario.arm(&self.server);
        scenario.start(&self.server);
    }

    pub(crate) fn mount(&self, on: On) {
        self.server.engine.lock().mounts.add(on);
    }

    /// Says what was not as expected so far; `None` when all was.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let frames = self.frames();
        let engine = &self.server.engine;
        engine.lock().mounts.report(engine.settings.strict, &frames)
    }

    /// Fails the test if something was not as expected. Dropping the mock does the same.
    ///
    /// # Panics
    ///
    /// With the [`report`](Self::report), if there is one.
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn verify(&self) {
        if let Some(report) = self.report() {
            panic!("{report}");
        }
    }

    /// Ends the gateway as dropping it does, and gives the [`report`](Self::report) back instead of failing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use openclaw_mock_gateway::{MockGateway, On};
    ///
    /// let gateway = MockGateway::start().await;
    /// On::method("sessions.list").expect(1).mount(&gateway);
    /// let report = gateway.finish().expect("nobody has called it");
    /// assert!(report.contains("sessions.list"), "{report}");
    /// # }
    /// ```
    #[must_use]
    pub fn finish(mut self) -> Option<String> {
        self.verifies = false;
        self.report()
    }

    /// The latest frames of all connections, oldest first, with their secrets replaced.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        let state = self.server.engine.lock();
        state.recorder.frames(state.auth.secret().expose())
    }
}

fn no_listener() -> String {
    "ws://localhost".to_owned()
}

impl Drop for MockGateway {
    fn drop(&mut self) {
        self.server.end();
        // A second panic would hide the first, which is the better story.
        if self.verifies && !std::thread::panicking() {
            self.verify();
        }
    }
}

impl On {
    /// Puts it into force. What was mounted last is asked first.
    ///
    /// A method that the edition has keeps its scope and parameter checks; any other is answered to all.
    pub fn mount(self, gateway: &MockGateway) {
        gateway.mount(self);
    }
}
