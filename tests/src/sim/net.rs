//! A network in memory between one client and its gateway, on virtual time, and what a bad network
//! does to it.
//!
//! It is as rough as TCP over a real one and no rougher: bytes arrive in order or not at all; whoever
//! writes into nothing is not told at once; a route that comes back finds the other end alive, gone
//! without a word, or gone with a reset.

mod half;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use openclaw_adapter::{Connecting, Connection, Connector};
use openclaw_mock_gateway::{Locality, MockGateway};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

pub use self::half::Half;

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

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    watch: Arc<dyn Watch>,
    goal: Mutex<Option<(Weak<MockGateway>, Locality)>>,
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
            goal: Mutex::new(None),
        }))
    }

    /// Where it leads: this gateway serves each new stream, as long as somebody holds the gateway.
    pub fn lead_to(&self, gateway: &Arc<MockGateway>, locality: Locality) {
        let goal = (Arc::downgrade(gateway), locality);
        *self.0.goal.lock().unwrap_or_else(PoisonError::into_inner) = Some(goal);
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
        let goal = self.0.goal.lock().unwrap_or_else(PoisonError::into_inner);
        let (gateway, locality) = goal.as_ref()?;
        let client = half(Way::Out);
        let server = half(Way::Back);
        if let Some(gateway) = gateway.upgrade() {
            tokio::spawn(gateway.serve(server, *locality));
        }
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
