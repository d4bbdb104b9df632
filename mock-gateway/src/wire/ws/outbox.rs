//! What is to be written to one client, and how much of it is waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};

/// One thing to write.
#[derive(Debug)]
pub(crate) enum Out {
    Text(String),
    /// A whole frame that goes to many.
    Shared(Arc<[u8]>),
    Ping,
    Pong(Vec<u8>),
    /// Bytes as they are, for the upgrade's answer and for broken frames.
    Raw(Vec<u8>),
    /// A frame of any kind: its first byte and its payload.
    Frame(u8, Vec<u8>),
    /// Nothing is written any more, and nothing is closed either.
    Stall,
    /// A close frame; nothing is written after it.
    Close(Option<u16>, String),
    /// Ends the connection without a close frame.
    Abort,
}

impl Out {
    /// Returns whether something else may follow in the same write.
    fn goes_on(&self) -> bool {
        !matches!(self, Self::Close(..) | Self::Stall | Self::Abort)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => frame(bytes, 0x81, text.as_bytes()),
            Self::Shared(whole) => bytes.extend_from_slice(whole),
            Self::Ping => frame(bytes, 0x89, b""),
            Self::Pong(payload) => frame(bytes, 0x8a, payload),
            Self::Raw(raw) => bytes.extend_from_slice(raw),
            Self::Frame(first, payload) => frame(bytes, *first, payload),
            Self::Close(None, _) => frame(bytes, 0x88, b""),
            Self::Close(Some(code), reason) => {
                let mut payload = code.to_be_bytes().to_vec();
                payload.extend_from_slice(reason.as_bytes());
                frame(bytes, 0x88, &payload);
            }
            Self::Stall | Self::Abort => {}
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Shared(whole) => whole.len(),
            Self::Pong(payload) | Self::Raw(payload) | Self::Frame(_, payload) => payload.len(),
            Self::Ping | Self::Close(..) | Self::Stall | Self::Abort => 0,
        }
    }
}

/// A text frame as it goes over the wire, for many receivers.
pub(crate) fn text_frame(text: &str) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    frame(&mut bytes, 0x81, text.as_bytes());
    bytes.into()
}

fn frame(bytes: &mut Vec<u8>, first: u8, payload: &[u8]) {
    bytes.reserve(payload.len() + 10);
    bytes.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
}

/// The writer is gone.
#[derive(Debug)]
pub(crate) struct Gone;

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    closing: AtomicBool,
    drained: Notify,
    closed: Notify,
}

/// The sending end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    sender: mpsc::UnboundedSender<Out>,
    shared: Arc<Shared>,
}

/// The end that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    receiver: mpsc::UnboundedReceiver<Out>,
    /// Taken out already, and not written yet.
    ahead: Option<Out>,
    shared: Arc<Shared>,
}

impl Outbox {
    pub(crate) fn new() -> (Self, Writer) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        (
            Self {
                sender,
                shared: Arc::clone(&shared),
            },
            Writer {
                receiver,
                ahead: None,
                shared,
            },
        )
    }

    /// Queues `out`, unless a close is on its way already. The first close wins.
    pub(crate) fn send(&self, out: Out) {
        let ends = matches!(out, Out::Close(..));
        let closing = if ends {
            self.shared.closing.swap(true, Ordering::AcqRel)
        } else {
            self.shared.closing.load(Ordering::Acquire) && !matches!(out, Out::Abort)
        };
        if closing {
            return;
        }
        if ends {
            self.shared.closed.notify_waiters();
        }
        self.shared.waiting.fetch_add(out.cost(), Ordering::AcqRel);
        // A writer that is gone has nobody left to write to.
        let _ = self.sender.send(out);
    }

    pub(crate) fn close(&self, code: u16, reason: impl Into<String>) {
        self.send(Out::Close(Some(code), reason.into()));
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    /// Waits until a close is on its way.
    pub(crate) async fn closing(&self) {
        let closed = self.shared.closed.notified();
        if !self.is_closing() {
            closed.await;
        }
    }

    /// Bytes of messages that the client has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    /// Waits until less than `limit` bytes are waiting.
    pub(crate) async fn below(&self, limit: usize) {
        loop {
            let drained = self.shared.drained.notified();
            if self.waiting() < limit {
                return;
            }
            drained.await;
        }
    }
}

/// As much goes out in one write, if it is there.
const BATCH: usize = 64 * 1024;

impl Writer {
    /// Takes the next thing to write; `None` when every sender is gone.
    pub(crate) async fn next(&mut self) -> Option<Out> {
        match self.ahead.take() {
            None => self.receiver.recv().await,
            ahead => ahead,
        }
    }

    /// Looks what is to be written after this, if it may go with it.
    fn follows(&mut self) -> Option<&Out> {
        if self.ahead.is_none() {
            self.ahead = self.receiver.try_recv().ok();
        }
        self.ahead.as_ref().filter(|next| next.goes_on())
    }

    /// Writes one thing, and with it what has come meanwhile.
    pub(crate) async fn write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        out: Out,
    ) -> Result<(), Gone> {
        let mut cost = out.cost();
        let alone = !out.goes_on() || self.follows().is_none();
        let written = if let Out::Shared(whole) = &out
            && alone
        {
            io.write_all(whole).await
        } else {
            let mut bytes = Vec::new();
            out.put(&mut bytes);
            while !alone && bytes.len() < BATCH && self.follows().is_some() {
                let Some(next) = self.ahead.take() else { break };
                cost += next.cost();
                next.put(&mut bytes);
            }
            io.write_all(&bytes).await
        };
        let written = written.is_ok() && io.flush().await.is_ok();
        self.shared.waiting.fetch_sub(cost, Ordering::AcqRel);
        self.shared.drained.notify_waiters();
        if written { Ok(()) } else { Err(Gone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_follows_a_close_and_the_first_close_wins() {
        let (outbox, mut writer) = Outbox::new();
        outbox.send(Out::Text("a".into()));
        outbox.close(1008, "one");
        outbox.close(1012, "two");
        outbox.send(Out::Text("b".into()));
        assert_eq!(outbox.waiting(), 1);
        drop(outbox);
        let mut written = Vec::new();
        while let Some(out) = writer.next().await {
            writer
                .write(&mut written, out)
                .await
                .expect("a vector takes all");
        }
        assert_eq!(written, b"\x81\x01a\x88\x05\x03\xf0one");
    }

    #[tokio::test]
    async fn what_waits_goes_out_together_up_to_a_close() {
        let (outbox, mut writer) = Outbox::new();
        outbox.send(Out::Shared(text_frame("a")));
        outbox.send(Out::Ping);
        outbox.send(Out::Text("b".into()));
        outbox.close(1000, "");
        let mut written = Vec::new();
        let first = writer.next().await.expect("there is one");
        writer.write(&mut written, first).await.expect("room");
        assert_eq!(written, b"\x81\x01a\x89\x00\x81\x01b");
        assert_eq!(outbox.waiting(), 0);
        let last = writer.next().await.expect("there is the close");
        assert!(matches!(last, Out::Close(Some(1000), _)), "{last:?}");
    }
}
