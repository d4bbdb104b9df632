//! The two ends of a stream: what is written is on its way, and what has arrived can be read.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Flow, Net, Segment, Speed, Way};

/// What a socket's buffers hold in one direction before a writer has to wait.
const BUFFER: usize = 64 * 1024;
/// What a slow link carries at once.
const SEGMENT: usize = 300;

/// One end of a stream.
pub struct Half {
    pub(super) net: Net,
    pub(super) id: u64,
    /// The way on which this end writes.
    pub(super) side: Way,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
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
