//! One client, over any stream, from the upgrade to the close.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::edition::{HelloContext, Refusal, connect_params, health, hello_ok, request_frame};
use crate::handshake::{self, Admitted, Follow};
use crate::peer::{Client, Locality, attribute};
use crate::rpc::{self, Outcome, Request};
use crate::schema::complaints;
use crate::server::Server;
use crate::state::{HOST_NAME, Live, Phase, Session};
use crate::wire::{self, ErrorShape, Reply};
use crate::ws::{
    FrameReader, Head, HeadFault, Incoming, Out, Outbox, ReadFault, Writer, accept_response,
    http_response, read_head,
};

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests are not read while more than this waits to be taken by the client that sends them.
const ANSWER_BACKLOG: usize = 1024 * 1024;

/// Serves one connection to its end.
pub(crate) async fn run<S>(server: Arc<Server>, stream: S, locality: Locality)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut kills = server.inner.kills();
    tokio::select! {
        () = serve(&server, stream, locality) => {}
        _ = kills.changed() => {}
    }
}

async fn serve<S>(server: &Arc<Server>, mut stream: S, locality: Locality)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let inner = &server.inner;
    inner.lock().accepted += 1;
    inner.touched();
    let deadline = Instant::now() + inner.settings.handshake_timeout;
    let mut buffer = Vec::new();
    let head = match timeout_at(deadline, read_head(&mut stream, &mut buffer)).await {
        Ok(Ok(head)) => head,
        Ok(Err(HeadFault::TooLarge)) => return answer_http(stream, 431, &[], "").await,
        Ok(Err(HeadFault::NotHttp)) => return answer_http(stream, 400, &[], "").await,
        Ok(Err(HeadFault::Gone)) | Err(_) => return,
    };
    let admitted = admit_upgrade(server, locality, &head);
    let (connection, writer) = match admitted {
        Ok(admitted) => admitted,
        Err(Refused { status, kind, body }) => {
            let headers = [("Content-Type".to_owned(), kind.to_owned())];
            return answer_http(stream, status, &headers, &body).await;
        }
    };
    let (read, write) = tokio::io::split(stream);
    let limit = inner.facts().max_preauth_payload;
    let mut reader = FrameReader::new(read, buffer, limit);
    connection.run(&mut reader, write, writer, deadline).await;
}

async fn answer_http<S>(mut stream: S, status: u16, headers: &[(String, String)], body: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = http_response(status, headers, body);
    let _ = timeout(CLOSE_TIMEOUT, async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    })
    .await;
}

struct Refused {
    status: u16,
    kind: &'static str,
    body: String,
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Decides on an upgrade and registers the connection.
fn admit_upgrade(
    server: &Arc<Server>,
    locality: Locality,
    head: &Head,
) -> Result<(Connection, Writer), Refused> {
    let inner = &server.inner;
    let facts = inner.facts();
    let plain = |status, body: &str| Refused {
        status,
        kind: PLAIN,
        body: body.to_owned(),
    };
    let key = head
        .websocket_key()
        .ok_or_else(|| plain(426, "Upgrade Required"))?;
    let client = attribute(&inner.settings, locality, head).map_err(|_| Refused {
        status: 403,
        kind: "application/json; charset=utf-8",
        body: json!({"error": {
            "message": "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and \
                        make the proxy overwrite or safely rebuild forwarded client headers.",
            "type": "proxy_attribution_required",
        }})
        .to_string(),
    })?;
    let mut state = inner.lock();
    if matches!(state.phase, Phase::Closing | Phase::Stopped) {
        return Err(plain(503, "Gateway websocket admission closed"));
    }
    let unauthenticated = state.unauthenticated.entry(client.ip).or_default();
    if facts
        .max_preauth_sockets_per_ip
        .is_some_and(|max| *unauthenticated >= max)
    {
        return Err(plain(503, "Too many unauthenticated sockets"));
    }
    *unauthenticated += 1;
    state.next_session += 1;
    let (outbox, writer) = Outbox::new();
    let connection = Connection {
        server: Arc::clone(server),
        id: state.next_session,
        outbox: outbox.clone(),
        kill: Arc::new(Notify::new()),
    };
    let nonce = uuid::Uuid::new_v4().to_string();
    outbox.send(Out::Raw(accept_response(key).into_bytes()));
    let now = inner.clock.now_ms();
    let mut payload = json!({"nonce": nonce, "ts": now});
    if !facts.challenge_capabilities.is_empty() {
        payload["capabilities"] = json!(facts.challenge_capabilities);
    }
    let challenge = wire::event("connect.challenge", &payload, None, None);
    state.recorder.sent(connection.id, &challenge, now);
    outbox.send(Out::Text(challenge));
    let session = Session {
        id: connection.id,
        conn_id: uuid::Uuid::new_v4().to_string(),
        nonce,
        client,
        outbox,
        kill: Arc::clone(&connection.kill),
        live: None,
        seq: 0,
        unauthorized_calls: 0,
    };
    state.sessions.insert(connection.id, session);
    Ok((connection, writer))
}

struct Connection {
    server: Arc<Server>,
    id: u64,
    outbox: Outbox,
    kill: Arc<Notify>,
}

/// What to do after a message was handled.
enum Step {
    On,
    /// Let in: larger messages are allowed from here on.
    Live,
    /// Refused; answered after the delay.
    Refuse(Box<handshake::Refused>, Value),
}

/// Why a connection's reading ended.
enum Ended {
    /// The peer closed or vanished.
    Peer,
    /// The gateway sent its close and may wait for the peer's.
    Closing,
    /// The peer broke the framing: half-close and let the rest run dry.
    Broken,
}

impl Connection {
    async fn run<S>(
        self,
        reader: &mut FrameReader<ReadHalf<S>>,
        mut write: WriteHalf<S>,
        mut writer: Writer,
        deadline: Instant,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let kill = Arc::clone(&self.kill);
        tokio::select! {
            () = kill.notified() => {}
            // A client that takes neither the close frame nor what is queued before it.
            () = async {
                self.outbox.closing().await;
                tokio::time::sleep(2 * CLOSE_TIMEOUT).await;
            } => {}
            () = async {
                let ended = {
                    let mut writing = std::pin::pin!(write_all(&mut writer, &mut write));
                    tokio::select! {
                        ended = self.read(reader, deadline) => {
                            // What is queued, the close frame last, still goes out.
                            let _ = timeout(CLOSE_TIMEOUT, &mut writing).await;
                            ended
                        }
                        closed = &mut writing => if closed { Ended::Closing } else { Ended::Peer },
                    }
                };
                match ended {
                    Ended::Peer => {}
                    Ended::Closing => {
                        let _ = timeout(CLOSE_TIMEOUT, async {
                            while !matches!(reader.next().await, Ok(Incoming::Close(_)) | Err(_)) {}
                        })
                        .await;
                    }
                    Ended::Broken => {
                        let _ = write.shutdown().await;
                        let _ = timeout(CLOSE_TIMEOUT, reader.discard()).await;
                    }
                }
            } => {}
        }
    }

    async fn read<S>(&self, reader: &mut FrameReader<ReadHalf<S>>, deadline: Instant) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let inner = &self.server.inner;
        let facts = inner.facts();
        let mut live = false;
        let mut ping_at = None;
        let mut pong_due = false;
        loop {
            if live {
                self.outbox.below(ANSWER_BACKLOG).await;
            }
            let wake = if live { ping_at } else { Some(deadline) };
            let incoming = tokio::select! {
                incoming = reader.next() => incoming,
                () = sleep_until(wake.unwrap_or(deadline)), if wake.is_some() => {
                    if !live {
                        self.outbox.close(1000, "");
                        return Ended::Closing;
                    }
                    if pong_due {
                        self.outbox.send(Out::Abort);
                        return Ended::Peer;
                    }
                    pong_due = true;
                    self.outbox.send(Out::Ping);
                    ping_at = facts.ping_interval.map(|every| Instant::now() + every);
                    continue;
                }
            };
            let text = match incoming {
                Ok(Incoming::Text(text)) => text,
                Ok(Incoming::Ping(payload)) => {
                    self.outbox.send(Out::Pong(payload));
                    continue;
                }
                Ok(Incoming::Pong) => {
                    pong_due = false;
                    continue;
                }
                Ok(Incoming::Close(code)) => {
                    self.outbox.send(Out::Close(code, String::new()));
                    return Ended::Peer;
                }
                Err(ReadFault::Gone) => {
                    self.outbox.send(Out::Abort);
                    return Ended::Peer;
                }
                Err(ReadFault::TooLarge) => {
                    self.outbox.close(1009, "");
                    return Ended::Broken;
                }
                Err(ReadFault::Broken(code)) => {
                    self.outbox.close(code, "");
                    return Ended::Broken;
                }
            };
            if self.outbox.is_closing() {
                return Ended::Closing;
            }
            inner
                .lock()
                .recorder
                .received(self.id, &text, inner.clock.now_ms());
            let step = if live {
                self.on_live(&text)
            } else {
                self.on_first(&text)
            };
            match step {
                Step::On => {}
                Step::Live => {
                    live = true;
                    ping_at = facts.ping_interval.map(|every| Instant::now() + every);
                    reader.set_limit(facts.max_payload);
                }
                Step::Refuse(refused, id) => {
                    if self.wait_out(reader, refused.delay).await.is_err() {
                        return Ended::Closing;
                    }
                    self.refuse(&id, &refused.refusal);
                    if let Some(follow) = refused.then {
                        self.follow(follow);
                    }
                    return Ended::Closing;
                }
            }
            if self.outbox.is_closing() {
                return Ended::Closing;
            }
        }
    }

    /// Waits before a refusal; frames that come meanwhile are kept to a bound.
    async fn wait_out<S>(
        &self,
        reader: &mut FrameReader<ReadHalf<S>>,
        delay: Duration,
    ) -> Result<(), ()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if delay.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + delay;
        let mut queued = 0;
        while let Ok(incoming) = timeout_at(until, reader.next()).await {
            match incoming {
                Ok(Incoming::Text(_)) => queued += 1,
                Ok(Incoming::Ping(payload)) => self.outbox.send(Out::Pong(payload)),
                Ok(Incoming::Pong) => {}
                Ok(Incoming::Close(_)) | Err(_) => return Err(()),
            }
            if queued > self.server.inner.facts().max_queued_frames {
                self.outbox.close(1008, "too many pending handshake frames");
                return Err(());
            }
        }
        Ok(())
    }

    fn follow(&self, follow: Follow) {
        let inner = &self.server.inner;
        match follow {
            // A request that somebody else decided in the meantime needs nothing more.
            Follow::Reject(id) => drop(rpc::reject(inner, &mut inner.lock(), None, &id)),
            Follow::ApproveAfter(id, delay) if delay.is_zero() => {
                drop(rpc::approve(inner, &mut inner.lock(), None, &id));
            }
            Follow::ApproveAfter(id, delay) => {
                let server = Arc::clone(&self.server);
                self.server.spawn(async move {
                    tokio::time::sleep(delay).await;
                    let inner = &server.inner;
                    drop(rpc::approve(inner, &mut inner.lock(), None, &id));
                });
            }
        }
    }

    fn answer(&self, id: &Value, reply: &Reply) {
        let inner = &self.server.inner;
        let text = wire::response(id, reply);
        inner
            .lock()
            .recorder
            .sent(self.id, &text, inner.clock.now_ms());
        self.outbox.send(Out::Text(text));
    }

    fn refuse(&self, id: &Value, refusal: &Refusal) {
        let rendered = refusal.render(self.server.inner.edition());
        self.answer(id, &Err(rendered.error));
        self.outbox
            .close(rendered.close_code, rendered.close_reason);
    }

    /// A message of a client that has not connected yet.
    fn on_first(&self, text: &str) -> Step {
        let inner = &self.server.inner;
        let (edition, dialect) = (inner.edition(), inner.facts().dialect);
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            self.outbox.close(1000, "");
            return Step::On;
        };
        if complaints(request_frame(edition), Some(&frame), dialect).is_some() {
            self.outbox.close(1008, "invalid request frame");
            return Step::On;
        }
        let id = frame["id"].clone();
        if frame["method"] != "connect" {
            self.refuse(&id, &Refusal::NotConnect);
            return Step::On;
        }
        let params = frame.get("params");
        if let Some(text) = complaints(connect_params(edition), params, dialect) {
            self.refuse(&id, &Refusal::Params(text));
            return Step::On;
        }
        let mut guard = inner.lock();
        let state = &mut *guard;
        let Some(session) = state.sessions.get(&self.id) else {
            return Step::On;
        };
        let (client, nonce) = (session.client.clone(), session.nonce.clone());
        let params = params.unwrap_or(&Value::Null);
        match handshake::admit(inner, state, &client, &nonce, params) {
            Ok(admitted) => {
                self.welcome(state, &client, &id, admitted);
                Step::Live
            }
            Err(refused) => Step::Refuse(Box::new(refused), id),
        }
    }

    /// hello-ok, and what comes with a new client.
    fn welcome(
        &self,
        state: &mut crate::state::State,
        client: &Client,
        id: &Value,
        admitted: Admitted,
    ) {
        let inner = &self.server.inner;
        let now = inner.clock.now_ms();
        if let Some((key, row)) = &admitted.presence {
            state.presence.insert(key.clone(), row.clone());
            state.presence_version += 1;
        }
        release_slot(state, client);
        let live = Live {
            role: admitted.role,
            scopes: admitted.scopes,
            device_id: admitted.device_id,
            by_device_token: admitted.by_device_token,
            presence_key: admitted.presence.map(|(key, _)| key),
        };
        let Some(session) = state.sessions.get_mut(&self.id) else {
            return;
        };
        session.live = Some(live.clone());
        let conn_id = session.conn_id.clone();
        let state_dir = state.disk.shown_path();
        let hello = hello_ok(
            inner.edition(),
            &HelloContext {
                conn_id: &conn_id,
                boot_id: &state.boot_id,
                host_name: HOST_NAME,
                authority: &client.host,
                role: &live.role,
                scopes: &live.scopes,
                auth: admitted.auth,
                auth_mode: state.auth.name(),
                presence: state.presence_list(),
                state_version: state.versions(),
                config_hash: &format!("hmac-sha256:v1:{}", state.boot_id),
                state_dir: &state_dir,
                uptime_ms: crate::clock::millis(state.started.elapsed()),
                now_ms: now,
                tick_ms: crate::clock::millis(inner.settings.tick_interval),
            },
        );
        let text = wire::response(id, &Ok(hello));
        state.recorder.sent(self.id, &text, now);
        self.outbox.send(Out::Text(text));
        if inner.facts().health_after_hello {
            state.health_version += 1;
            inner.broadcast(state, "health", &health(inner.edition(), now, &state_dir));
        }
        inner.touched();
    }

    /// A message of a client that has had its hello-ok.
    fn on_live(&self, text: &str) -> Step {
        let inner = &self.server.inner;
        let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
            return Step::On;
        };
        let rule = request_frame(inner.edition());
        if let Some(text) = complaints(rule, Some(&frame), inner.facts().dialect) {
            let id = frame.get("id").filter(|id| !id.is_null()).cloned();
            let error = ErrorShape::invalid(format!("invalid request frame: {text}"));
            self.answer(&id.unwrap_or_else(|| "invalid".into()), &Err(error));
            return Step::On;
        }
        let request = Request {
            id: frame["id"].take(),
            method: frame["method"].as_str().unwrap_or_default().to_owned(),
            params: frame["params"].take(),
        };
        self.call(&request);
        Step::On
    }

    fn call(&self, request: &Request) {
        let inner = &self.server.inner;
        let outcome = {
            let mut guard = inner.lock();
            let state = &mut *guard;
            let live = state
                .sessions
                .get(&self.id)
                .and_then(|session| session.live.clone());
            let Some(live) = live else { return };
            match rpc::authorize(inner, &live, request) {
                Ok(()) => rpc::answer(inner, state, &live, request),
                Err(outcome) => outcome,
            }
        };
        match outcome {
            Outcome::Now(reply, closed) => {
                self.answer(&request.id, &reply);
                self.server.close_devices(&closed);
            }
            Outcome::Unauthorized(error) => {
                self.answer(&request.id, &Err(error));
                let mut state = inner.lock();
                let Some(session) = state.sessions.get_mut(&self.id) else {
                    return;
                };
                session.unauthorized_calls += 1;
                let most = inner.facts().max_unauthorized_calls;
                if most.is_some_and(|most| session.unauthorized_calls > most) {
                    session.outbox.close(1008, "repeated unauthorized calls");
                }
            }
            Outcome::Unscripted => {
                let text = format!("the mock gateway has no answer for {}", request.method);
                self.answer(&request.id, &Err(ErrorShape::new("UNAVAILABLE", text)));
            }
        }
    }
}

/// The connection no longer counts as unauthenticated.
fn release_slot(state: &mut crate::state::State, client: &Client) {
    if let Some(count) = state.unauthenticated.get_mut(&client.ip) {
        *count -= 1;
        if *count == 0 {
            state.unauthenticated.remove(&client.ip);
        }
    }
}

/// Writes until a close frame went out (true) or the peer is gone (false).
async fn write_all(writer: &mut Writer, write: &mut (impl AsyncWrite + Unpin)) -> bool {
    while let Some(out) = writer.next().await {
        let closes = match out {
            Out::Abort => return false,
            Out::Close(..) => true,
            _ => false,
        };
        if writer.write(write, out).await.is_err() {
            return false;
        }
        if closes {
            return true;
        }
    }
    false
}

impl Drop for Connection {
    fn drop(&mut self) {
        let inner = &self.server.inner;
        let mut guard = inner.lock();
        let state = &mut *guard;
        let Some(session) = state.sessions.remove(&self.id) else {
            return;
        };
        match session.live {
            None => release_slot(state, &session.client),
            Some(live) => {
                if let Some(row) = live
                    .presence_key
                    .and_then(|key| state.presence.get_mut(&key))
                {
                    row["reason"] = "disconnect".into();
                    row["ts"] = inner.clock.now_ms().into();
                    state.presence_version += 1;
                    let payload = json!({"presence": state.presence_list()});
                    inner.broadcast(state, "presence", &payload);
                }
            }
        }
        drop(guard);
        inner.touched();
    }
}
