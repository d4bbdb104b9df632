//! One client, over any stream, from the upgrade to the close.

pub(crate) mod calls;
pub(crate) mod connect;
pub(crate) mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use upgrade::{Refused, admit_upgrade, answer_http};

use crate::engine::Engine;
use crate::handshake;
use crate::methods::after;
use crate::model::peer::{Client, Locality};
use crate::wire::ws::frame::{FrameReader, Incoming, ReadFault};
use crate::wire::ws::outbox::{Out, Outbox, Writer};
use crate::wire::ws::upgrade::{HeadFault, read_head};

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests are not read while more than this waits to be taken by the client that sends them.
const ANSWER_BACKLOG: usize = 1024 * 1024;

/// Serves one connection to its end.
pub(crate) async fn run<S>(engine: Arc<Engine>, stream: S, locality: Locality)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut kills = engine.kills();
    let _open = Open::count(&engine);
    tokio::select! {
        biased;
        _ = kills.changed() => {}
        () = serve(&engine, stream, locality) => {}
    }
}

/// A socket that is open.
struct Open<'s>(&'s Engine);

impl<'s> Open<'s> {
    fn count(engine: &'s Engine) -> Self {
        let mut state = engine.lock();
        state.accepted += 1;
        state.open += 1;
        drop(state);
        engine.touched();
        Self(engine)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
        self.0.touched();
    }
}

async fn serve<S>(engine: &Arc<Engine>, mut stream: S, locality: Locality)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let deadline = Instant::now() + engine.settings.handshake_timeout;
    let mut buffer = Vec::new();
    let head = match timeout_at(deadline, read_head(&mut stream, &mut buffer)).await {
        Ok(Ok(head)) => head,
        Ok(Err(HeadFault::TooLarge)) => return answer_http(stream, 431, &[], "").await,
        Ok(Err(HeadFault::NotHttp)) => return answer_http(stream, 400, &[], "").await,
        Ok(Err(HeadFault::Gone)) | Err(_) => return,
    };
    let (connection, writer) = match admit_upgrade(engine, locality, &head) {
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
    let limit = engine.facts().max_preauth_payload;
    let mut reader = FrameReader::new(read, buffer, limit);
    connection.run(&mut reader, write, writer, deadline).await;
}

struct Connection {
    engine: Arc<Engine>,
    id: u64,
    outbox: Outbox,
    stop_reading: Arc<Notify>,
}

/// What to do after a message was handled.
enum Step {
    On,
    /// Let in: larger messages are allowed from here on.
    Live,
    /// Refused; answered after the delay.
    Refuse(Box<handshake::Refused>, Value),
}

/// The end of a connection's reading.
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
        let engine = &self.engine;
        let facts = engine.facts();
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
                () = self.stop_reading.notified() => std::future::pending().await,
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
            engine
                .lock()
                .recorder
                .received(self.id, &text, engine.clock.now_ms());
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
                    after::perform(&self.engine, refused.after);
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
            if queued > self.engine.facts().max_queued_frames {
                self.outbox.close(1008, "too many pending handshake frames");
                return Err(());
            }
        }
        Ok(())
    }
}

/// The connection no longer counts as unauthenticated.
fn release_slot(state: &mut crate::engine::state::State, client: &Client) {
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
        let engine = &self.engine;
        let mut guard = engine.lock();
        let state = &mut *guard;
        let Some(session) = state.sessions.remove(&self.id) else {
            return;
        };
        match session.live {
            None => release_slot(state, &session.client),
            Some(live) => {
                let now = engine.clock.now_ms();
                let key = live.presence_key.as_deref();
                if key.is_some_and(|key| state.presence.leave(key, now)) {
                    let payload = json!({"presence": state.presence.list(now)});
                    engine.broadcast(state, "presence", &payload);
                }
            }
        }
        drop(guard);
        engine.touched();
    }
}
