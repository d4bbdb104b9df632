//! The bytes on the wire, so that a test knows which secrets really went over it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use openclaw_adapter::{Connecting, Connection, Connector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Dials over TCP and keeps what goes through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<Vec<Arc<Mutex<Wire>>>>>);

#[derive(Debug, Default)]
struct Wire {
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Tap {
    /// What the client said on all connections, with the masks taken off.
    pub(crate) fn sent(&self) -> String {
        let wires = self.0.lock().unwrap();
        let plain = |wire: &Arc<Mutex<Wire>>| unmasked(&wire.lock().unwrap().sent);
        wires.iter().map(plain).collect()
    }

    /// What the gateway said on all connections.
    pub(crate) fn received(&self) -> String {
        let wires = self.0.lock().unwrap();
        let text = |wire: &Arc<Mutex<Wire>>| {
            String::from_utf8_lossy(&wire.lock().unwrap().received).into_owned()
        };
        wires.iter().map(text).collect()
    }
}

impl Connector for Tap {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            let wire = Arc::new(Mutex::default());
            self.0.lock().unwrap().push(Arc::clone(&wire));
            Ok(Box::new(Tapped { stream, wire }) as Box<dyn Connection>)
        })
    }
}

struct Tapped {
    stream: TcpStream,
    wire: Arc<Mutex<Wire>>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let mut wire = self.wire.lock().unwrap();
        wire.received.extend_from_slice(&into.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.stream).poll_write(cx, from))?;
        let mut wire = self.wire.lock().unwrap();
        wire.sent.extend_from_slice(&from[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The upgrade request as it is, and after it the payloads of the frames.
fn unmasked(sent: &[u8]) -> String {
    let end = sent.windows(4).position(|window| window == b"\r\n\r\n");
    let head = end.map_or(sent.len(), |end| end + 4);
    let mut plain = sent[..head].to_vec();
    let mut rest = &sent[head..];
    while let Some((mask, payload, after)) = frame(rest) {
        let masked = payload.iter().zip(mask.iter().cycle());
        plain.extend(masked.map(|(byte, mask)| byte ^ mask));
        plain.push(b'\n');
        rest = after;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The first frame of a client: its mask, its payload, and what comes after it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, at) = match bytes.get(1)? & 0x7f {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let end = at + 4 + usize::try_from(length).ok()?;
    Some((
        bytes.get(at..at + 4)?,
        bytes.get(at + 4..end)?,
        bytes.get(end..)?,
    ))
}
