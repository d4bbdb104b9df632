//! One WebSocket: text frames in and out, neither waiting for the other.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use tokio::io::AsyncWrite as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message, Utf8Bytes};

use super::Connection;
use crate::logic::error::CloseInfo;
use crate::logic::redact::Redactor;
use crate::protocol::json::replace_lone_surrogates;

/// What arrives on a socket.
#[derive(Debug)]
pub(crate) enum Inbound {
    Text(Utf8Bytes),
    /// A ping, a pong, or a binary message, which gateways do not send: a sign of life.
    Other,
    /// The gateway closed, or the connection broke (1006).
    Closed(CloseInfo),
}

/// How many frames may wait to be written before no more calls are taken.
const MAX_QUEUED: usize = 64;
/// How many pings may come while none of the answers can be written. `tungstenite` keeps the answers
/// in memory, without a limit of its own.
const MAX_UNWRITTEN_PONGS: usize = 1024;

/// What waits to be written.
enum Outgoing {
    Message(Message),
    /// A whole frame, masked. It goes past `tungstenite`, which would log it at TRACE, and leave a
    /// copy of it in memory that is not wiped.
    Secret {
        frame: Vec<u8>,
        written: usize,
    },
}

/// A WebSocket that is read and written by one task, neither waiting for the other.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Connection>>,
    queue: VecDeque<Outgoing>,
    unflushed: bool,
    unwritten_pongs: usize,
    redactor: Redactor,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

impl Socket {
    pub(super) fn new(stream: WebSocketStream<Box<dyn Connection>>, redactor: Redactor) -> Self {
        Self {
            stream,
            queue: VecDeque::new(),
            unflushed: false,
            unwritten_pongs: 0,
            redactor,
        }
    }

    /// What was told on this connection and must not be repeated.
    pub(crate) const fn redactor(&mut self) -> &mut Redactor {
        &mut self.redactor
    }

    /// Puts a text frame into the queue; [`next`](Self::next) writes it.
    pub(crate) fn queue(&mut self, text: impl Into<Utf8Bytes>) {
        self.queue.push_back(Outgoing::Message(Message::text(text)));
    }

    /// As [`queue`](Self::queue), for a text that holds a token: no copy of it is left behind.
    pub(crate) fn queue_secret(&mut self, text: &str) -> Result<(), getrandom::Error> {
        let mut mask = [0; 4];
        getrandom::fill(&mut mask)?;
        let frame = masked_text(text, mask);
        self.queue.push_back(Outgoing::Secret { frame, written: 0 });
        Ok(())
    }

    /// Puts a ping into the queue; its answer arrives as [`Inbound::Other`].
    pub(crate) fn ping(&mut self) {
        let ping = Message::Ping(Bytes::new());
        self.queue.push_back(Outgoing::Message(ping));
    }

    /// Whether the queue has room: a gateway that stops reading must not fill our memory.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < MAX_QUEUED
    }

    /// Writes what is queued and waits for the next thing to arrive.
    ///
    /// Cancel safe: nothing read or queued is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Inbound {
        let mut inbound = std::future::poll_fn(|cx| self.poll_next(cx)).await;
        if let Inbound::Closed(close) = &mut inbound {
            self.redactor.text(&mut close.reason);
        }
        inbound
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        let written = self.poll_write(cx);
        if let Poll::Ready(Err(error)) = written {
            // The gateway's close frame, if there is one, says more than a failed write.
            if let Poll::Ready(Some(Ok(Message::Close(frame)))) =
                Pin::new(&mut self.stream).poll_next(cx)
            {
                return Poll::Ready(Inbound::Closed(close_info(frame)));
            }
            return Poll::Ready(Inbound::Closed(broken(&error)));
        }
        if let Some(Outgoing::Secret { written: 1.., .. }) = self.queue.front() {
            // A read may write a pong, which would land in the middle of this frame.
            return Poll::Pending;
        }
        match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Inbound::Closed(CloseInfo::broken())),
            Poll::Ready(Some(Ok(Message::Text(text)))) => {
                let replaced = replace_lone_surrogates(&text).map(Into::into);
                Poll::Ready(Inbound::Text(replaced.unwrap_or(text)))
            }
            Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                Poll::Ready(Inbound::Closed(close_info(frame)))
            }
            Poll::Ready(Some(Ok(Message::Ping(_)))) => {
                // The answer was put into the stream's buffer by the read.
                self.unflushed = true;
                self.unwritten_pongs += 1;
                if self.unwritten_pongs > MAX_UNWRITTEN_PONGS {
                    return Poll::Ready(Inbound::Closed(CloseInfo {
                        code: 1006,
                        reason: "pings without end, and nobody reads the answers".to_owned(),
                    }));
                }
                cx.waker().wake_by_ref();
                Poll::Ready(Inbound::Other)
            }
            Poll::Ready(Some(Ok(Message::Pong(_) | Message::Binary(_) | Message::Frame(_)))) => {
                Poll::Ready(Inbound::Other)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Inbound::Closed(broken(&error))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        while let Some(next) = self.queue.front_mut() {
            if let Outgoing::Secret { frame, written } = next {
                if *written == 0 {
                    // What was begun before has to be out as a whole.
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                }
                let rest = frame.get(*written..).unwrap_or_default();
                let stream = Pin::new(self.stream.get_mut());
                *written += match ready!(stream.poll_write(cx, rest)) {
                    Ok(0) if !rest.is_empty() => {
                        return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                    }
                    Ok(length) => length,
                    Err(error) => return Poll::Ready(Err(error.into())),
                };
                self.unflushed = true;
                if *written < frame.len() {
                    continue;
                }
                self.queue.pop_front();
                continue;
            }
            ready!(Pin::new(&mut self.stream).poll_ready(cx))?;
            if let Some(Outgoing::Message(message)) = self.queue.pop_front() {
                Pin::new(&mut self.stream).start_send(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
            self.unwritten_pongs = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Says goodbye and waits at most `patience` for the gateway to do the same.
    pub(crate) async fn close(mut self, patience: Duration) {
        let goodbye = Message::Close(Some(CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        }));
        self.queue.push_back(Outgoing::Message(goodbye));
        // Whether the gateway answers or not, the socket is dropped here.
        let _ = tokio::time::timeout(patience, async {
            while !matches!(self.next().await, Inbound::Closed(_)) {}
        })
        .await;
    }
}

/// A text frame of a client, of one piece.
fn masked_text(text: &str, mask: [u8; 4]) -> Vec<u8> {
    const FIN_AND_TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    let mut frame = Vec::with_capacity(text.len() + 14);
    frame.push(FIN_AND_TEXT);
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(short @ ..=125), _) => frame.push(MASKED | short),
        (_, Ok(medium)) => {
            frame.push(MASKED | 0x7e);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 0x7f);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    let bytes = text.bytes().zip(mask.into_iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

fn close_info(frame: Option<CloseFrame>) -> CloseInfo {
    frame.map_or_else(
        || CloseInfo {
            code: 1005,
            reason: String::new(),
        },
        |frame| CloseInfo {
            code: frame.code.into(),
            reason: frame.reason.as_str().to_owned(),
        },
    )
}

/// A connection that ended without a close frame. The words say why, where there is more to say
/// than that it ended.
fn broken(error: &WsError) -> CloseInfo {
    let reason = match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
        ) => String::new(),
        other => other.to_string(),
    };
    CloseInfo { code: 1006, reason }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketContext};

    use super::*;

    #[test]
    fn a_frame_of_ours_is_read_by_the_other_side() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let text = "{".repeat(length % 2) + &"ä".repeat(length / 2);
            assert_eq!(text.len(), length);
            let mut frame = io::Cursor::new(masked_text(&text, [1, 2, 3, 250]));
            let mut gateway = WebSocketContext::new(Role::Server, None);
            let read = gateway.read(&mut frame).unwrap();
            assert_eq!(read.into_text().unwrap().as_str(), text);
        }
    }
}
