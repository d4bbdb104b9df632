//! A network in memory between one client and its gateway, on virtual time, and what a bad network
//! does to it.
//!
//! It is as rough as TCP over a real one and no rougher: bytes arrive in order or not at all; whoever
//! writes into nothing is not told at once; a route that comes back finds the other end alive, gone
//! without a word, or gone with a reset.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use openclaw_adapter::{Connecting, Connection, Connector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What a socket's buffers hold in one direction before a writer has to wait.
const BUFFER: usize = 64 * 1024;
/// What a slow link carries at once.
const SEGMENT: usize = 300;

/// A direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the client to the gateway.
    Out,
    /// From the gateway to the client.
    Back,
}

impl Way {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Out, Self::Back];

    const fn index(self) -> usize {
        match self {
            Self::Out => 0,
            Self::Back => 1,
        }
    }
}

/// What becomes of bytes in one direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// They arrive.
    Open,
    /// They wait, and arrive when it is open again.
    Held,
    /// They are gone, and so is everything after them on that stream.
    Lost,
}

/// How fast the link is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Speed {
    /// From one end to the other.
    pub latency: Duration,
    /// Bytes a second; `None` for no limit.
    pub rate: Option<u32>,
}

/// Sees what the client's end of the network does.
pub trait Watch: Send + Sync {
    /// The client begins to dial.
    fn dials(&self);
    /// The dial failed, or was given up.
    fn dial_ends(&self);
    /// The dial has become this stream.
    fn connects(&self, stream: u64);
    /// The client wrote these bytes.
    fn writes(&self, stream: u64, bytes: &[u8]);
    /// The client read these bytes.
    fn reads(&self, stream: u64, bytes: &[u8]);
    /// The client has let go of the stream.
    fn drops(&self, stream: u64);
}

/// The network; clones are the same one.
#[derive(Clone)]
pub struct Net(Arc<Shared>);

type Accept = Box<dyn Fn(Half) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    watch: Arc<dyn Watch>,
    accept: Mutex<Option<Accept>>,
}

struct State {
    flows: [Flow; 2],
    speed: Speed,
    listening: bool,
    streams: BTreeMap<u64, Stream>,
    last: u64,
}

/// A TCP connection: the pipe of each way, and which of the two ends are still held.
#[derive(Default)]
struct Stream {
    pipes: [Pipe; 2],
    gone: [bool; 2],
    reset: bool,
}

#[derive(Default)]
struct Pipe {
    queue: VecDeque<Segment>,
    /// Bytes that were written and not read, the lost ones included.
    held: usize,
    /// Something was lost: nothing more arrives.
    broken: bool,
    finished: bool,
    last_due: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Segment {
    due: Instant,
    /// Empty for the end of the stream.
    bytes: Vec<u8>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

impl Net {
    /// A network that works, to a gateway that is not there yet.
    #[must_use]
    pub fn new(watch: Arc<dyn Watch>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                flows: [Flow::Open; 2],
                speed: Speed::default(),
                listening: false,
                streams: BTreeMap::new(),
                last: 0,
            }),
            changed: Notify::new(),
            watch,
            accept: Mutex::new(None),
        }))
    }

    /// What a gateway does with each new stream.
    pub fn on_accept(&self, accept: impl Fn(Half) + Send + Sync + 'static) {
        let mut slot = self.0.accept.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Box::new(accept));
    }

    /// Whether the gateway listens; otherwise dials are refused.
    pub fn listen(&self, on: bool) {
        self.lock().listening = on;
    }

    /// Whether the gateway listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.lock().listening
    }

    /// Both ways, out and back.
    #[must_use]
    pub fn flows(&self) -> [Flow; 2] {
        self.lock().flows
    }

    /// Changes what becomes of bytes in one direction, those under way included.
    pub fn set_flow(&self, way: Way, flow: Flow) {
        let mut state = self.lock();
        state.flows[way.index()] = flow;
        for stream in state.streams.values_mut() {
            let pipe = &mut stream.pipes[way.index()];
            if flow == Flow::Lost && !pipe.queue.is_empty() {
                pipe.queue.clear();
                pipe.broken = true;
            }
        }
        Self::wake_all(state);
        self.0.changed.notify_waiters();
    }

    /// How fast bytes are from now on.
    pub fn set_speed(&self, speed: Speed) {
        self.lock().speed = speed;
    }

    /// Opens both ways. Streams that lost something on the way are reset, or stay silent for ever.
    pub fn heal(&self, resets: bool) {
        let mut state = self.lock();
        state.flows = [Flow::Open; 2];
        for stream in state.streams.values_mut() {
            stream.reset |= resets && stream.pipes.iter().any(|pipe| pipe.broken);
        }
        Self::wake_all(state);
        self.0.changed.notify_waiters();
    }

    /// Resets every stream, as a box in the middle does that has forgotten them.
    pub fn reset(&self) {
        let mut state = self.lock();
        for stream in state.streams.values_mut() {
            stream.reset = true;
        }
        Self::wake_all(state);
    }

    fn wake_all(mut state: MutexGuard<'_, State>) {
        let pipes = state
            .streams
            .values_mut()
            .flat_map(|stream| &mut stream.pipes);
        let wakers: Vec<Waker> = pipes
            .flat_map(|pipe| [pipe.reader.take(), pipe.writer.take()])
            .flatten()
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as a route is missing, as a dial does.
    async fn route(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.flows() == [Flow::Open; 2] {
                return;
            }
            changed.await;
        }
    }

    fn open(&self) -> Option<Half> {
        let mut state = self.lock();
        if !state.listening {
            return None;
        }
        state.last += 1;
        let id = state.last;
        state.streams.insert(id, Stream::default());
        drop(state);
        let half = |side| Half {
            net: self.clone(),
            id,
            side,
            timer: None,
        };
        let accept = self.0.accept.lock().unwrap_or_else(PoisonError::into_inner);
        let accept = accept.as_ref()?;
        let client = half(Way::Out);
        accept(half(Way::Back));
        Some(client)
    }
}

/// A dial that has not come to its end.
struct Dial<'a> {
    watch: &'a dyn Watch,
    done: bool,
}

impl Drop for Dial<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.watch.dial_ends();
        }
    }
}

impl Connector for Net {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let watch = &*self.0.watch;
            watch.dials();
            let mut dial = Dial { watch, done: false };
            let round_trip = self.lock().speed.latency * 2;
            if !round_trip.is_zero() {
                sleep(round_trip).await;
            }
            self.route().await;
            let half = self
                .open()
                .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            dial.done = true;
            watch.connects(half.id);
            Ok(Box::new(half) as Box<dyn Connection>)
        })
    }
}

/// One end of a stream.
pub struct Half {
    net: Net,
    id: u64,
    /// The way on which this end writes.
    side: Way,
    timer: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half")
            .field("id", &self.id)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

/// What a look at the incoming pipe found.
enum Look {
    Bytes(Vec<u8>),
    End,
    Reset,
    Until(Instant),
    Nothing,
}

impl Half {
    const fn incoming(&self) -> usize {
        1 - self.side.index()
    }

    fn look(&self, most: usize, cx: &Context<'_>) -> Look {
        let mut state = self.net.lock();
        let flow = state.flows[self.incoming()];
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Look::End;
        };
        if stream.reset {
            return Look::Reset;
        }
        let pipe = &mut stream.pipes[self.incoming()];
        let front = pipe.queue.front_mut().filter(|_| flow == Flow::Open);
        let Some(segment) = front else {
            pipe.reader = Some(cx.waker().clone());
            return Look::Nothing;
        };
        if segment.due > Instant::now() {
            pipe.reader = Some(cx.waker().clone());
            return Look::Until(segment.due);
        }
        if segment.bytes.is_empty() {
            return Look::End;
        }
        let rest = segment.bytes.split_off(most.min(segment.bytes.len()));
        let bytes = std::mem::replace(&mut segment.bytes, rest);
        if segment.bytes.is_empty() {
            pipe.queue.pop_front();
        }
        pipe.held -= bytes.len();
        let writer = pipe.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Look::Bytes(bytes)
    }

    /// Puts bytes, or the end of the stream, on their way.
    fn send(&self, bytes: &[u8], cx: Option<&Context<'_>>) -> Poll<io::Result<usize>> {
        let mut state = self.net.lock();
        let open = state.flows == [Flow::Open; 2];
        let flow = state.flows[self.side.index()];
        let Speed { latency, rate } = state.speed;
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if stream.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let deaf = stream.gone[self.incoming()];
        let pipe = &mut stream.pipes[self.side.index()];
        // The answer to bytes that nobody wants comes back only where there is a way back.
        if deaf && open && !pipe.broken && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = BUFFER.saturating_sub(pipe.held);
        if room == 0 && !bytes.is_empty() {
            pipe.writer = cx.map(|cx| cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = bytes.get(..room).unwrap_or(bytes);
        pipe.held += bytes.len();
        pipe.broken |= flow == Flow::Lost;
        if pipe.broken {
            return Poll::Ready(Ok(bytes.len()));
        }
        let now = Instant::now();
        let mut due = pipe
            .last_due
            .map_or(now, |last| last.max(now + latency) - latency);
        let mut put = |segment: &[u8]| {
            if let Some(rate) = rate {
                let bits = u32::try_from(segment.len()).unwrap_or(u32::MAX);
                due += Duration::from_secs(1) * bits / rate.max(1);
            }
            pipe.last_due = Some(due + latency);
            pipe.queue.push_back(Segment {
                due: due + latency,
                bytes: segment.to_vec(),
            });
        };
        if bytes.is_empty() || rate.is_none() {
            put(bytes);
        } else {
            bytes.chunks(SEGMENT).for_each(&mut put);
        }
        let reader = pipe.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn finish(&self) {
        let mut state = self.net.lock();
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return;
        };
        if !std::mem::replace(&mut stream.pipes[self.side.index()].finished, true) {
            drop(state);
            // A stream that is reset has ended already.
            let _ = self.send(b"", None);
        }
    }
}

impl AsyncRead for Half {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.look(buffer.remaining(), cx) {
                Look::Bytes(bytes) => {
                    if self.side == Way::Out {
                        self.net.0.watch.reads(self.id, &bytes);
                    }
                    buffer.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Look::End => return Poll::Ready(Ok(())),
                Look::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Look::Nothing => return Poll::Pending,
                Look::Until(due) => {
                    let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                    timer.as_mut().reset(due);
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl AsyncWrite for Half {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = self.send(bytes, Some(cx));
        if let (Way::Out, Poll::Ready(Ok(length))) = (self.side, &written) {
            let bytes = bytes.get(..*length).unwrap_or(bytes);
            self.net.0.watch.writes(self.id, bytes);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.finish();
        let mut state = self.net.lock();
        if let Some(stream) = state.streams.get_mut(&self.id) {
            stream.gone[self.side.index()] = true;
            let writer = stream.pipes[self.incoming()].writer.take();
            if stream.gone == [true; 2] {
                state.streams.remove(&self.id);
            }
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
        }
        if self.side == Way::Out {
            self.net.0.watch.drops(self.id);
        }
    }
}
