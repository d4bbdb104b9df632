//! One client, over any stream, from the upgrade to the close.

mod calls;
mod connect;
mod upgrade;

use upgrade::{Refused, admit_upgrade, answer_http};

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::handshake::{self, Follow};
use crate::peer::{Client, Locality};
use crate::rpc::{self};
use crate::server::Server;
use crate::ws::{FrameReader, HeadFault, Incoming, Out, Outbox, ReadFault, Writer, read_head};

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
    let _open = Open::count(&server);
    tokio::select! {
        biased;
        _ = kills.changed() => {}
        () = serve(&server, stream, locality) => {}
    }
}

/// A socket that is open.
struct Open<'s>(&'s Server);

impl<'s> Open<'s> {
    fn count(server: &'s Server) -> Self {
        let mut state = server.inner.lock();
        state.accepted += 1;
        state.open += 1;
        drop(state);
        server.inner.touched();
        Self(server)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().open -= 1;
        self.0.inner.touched();
    }
}

async fn serve<S>(server: &Arc<Server>, mut stream: S, locality: Locality)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let inner = &server.inner;
    let deadline = Instant::now() + inner.settings.handshake_timeout;
    let mut buffer = Vec::new();
    let head = match timeout_at(deadline, read_head(&mut stream, &mut buffer)).await {
        Ok(Ok(head)) => head,
        Ok(Err(HeadFault::TooLarge)) => return answer_http(stream, 431, &[], "").await,
        Ok(Err(HeadFault::NotHttp)) => return answer_http(stream, 400, &[], "").await,
        Ok(Err(HeadFault::Gone)) | Err(_) => return,
    };
    let (connection, writer) = match admit_upgrade(server, locality, &head) {
        Ok(admitted) => admitted,
        Err(Refused {
            status,
            headers,
            body,
        }) => {
            return answer_http(stream, status, &headers, &body).await;
        }
    };
    let (read, write) = tokio::io::split(stream);
    let limit = inner.facts().max_preauth_payload;
    let mut reader = FrameReader::new(read, buffer, limit);
    connection.run(&mut reader, write, writer, deadline).await;
}

struct Connection {
    server: Arc<Server>,
    id: u64,
    outbox: Outbox,
    deafen: Arc<Notify>,
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
        tokio::select! {
            biased;
            // A client that takes neither the close frame nor what is queued before it.
            () = async {
                self.outbox.closing().await;
                tokio::time::sleep(2 * CLOSE_TIMEOUT).await;
            } => {}
            () = async {
                let ended = {
                    let mut writing = std::pin::pin!(write_all(&mut writer, &mut write));
                    tokio::select! {
                        biased;
                        closed = &mut writing => if closed { Ended::Closing } else { Ended::Peer },
                        ended = self.read(reader, deadline) => {
                            // What is queued, the close frame last, still goes out.
                            let _ = timeout(CLOSE_TIMEOUT, &mut writing).await;
                            ended
                        }
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
            // A client that only sends, be it pings, must not make its answers pile up.
            let room = self.outbox.below(ANSWER_BACKLOG);
            if live {
                room.await;
            } else if timeout_at(deadline, room).await.is_err() {
                self.outbox.close(1000, "");
                return Ended::Closing;
            }
            let wake = if live { ping_at } else { Some(deadline) };
            let incoming = tokio::select! {
                biased;
                () = self.deafen.notified() => std::future::pending().await,
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
        let mut next = async || {
            self.outbox.below(ANSWER_BACKLOG).await;
            reader.next().await
        };
        while let Ok(incoming) = timeout_at(until, next()).await {
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
            Out::Stall => std::future::pending().await,
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
                let now = inner.clock.now_ms();
                let key = live.presence_key.as_deref();
                if key.is_some_and(|key| state.presence.leave(key, now)) {
                    let payload = json!({"presence": state.presence.list(now)});
                    inner.broadcast(state, "presence", &payload);
                }
            }
        }
        drop(guard);
        inner.touched();
    }
}
