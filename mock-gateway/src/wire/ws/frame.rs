//! Reading a client's frames.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A message or control frame of a client.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Incoming {
    /// Text, or a binary message read as text: the gateways do not tell them apart.
    Text(String),
    Ping(Vec<u8>),
    Pong,
    /// The code of the client's close frame.
    Close(Option<u16>),
}

/// Why nothing more can be read.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ReadFault {
    /// The peer went away.
    Gone,
    /// A message over the limit.
    TooLarge,
    /// The peer broke the protocol; the close code that this earns.
    Broken(u16),
}

impl From<io::Error> for ReadFault {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Puts a client's frames together, never holding more than the limit.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    io: R,
    buffer: Vec<u8>,
    limit: usize,
    /// A message of which more fragments are to come: whether it is text, and what is there.
    partial: Option<(bool, Vec<u8>)>,
}

struct Frame {
    fin: bool,
    opcode: u8,
    payload: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R, buffer: Vec<u8>, limit: usize) -> Self {
        Self {
            io,
            buffer,
            limit,
            partial: None,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next message or control frame.
    ///
    /// Cancel safe: what was read stays in the reader.
    pub(crate) async fn next(&mut self) -> Result<Incoming, ReadFault> {
        loop {
            let frame = self.frame().await?;
            if frame.opcode >= 8 && !frame.fin {
                return Err(ReadFault::Broken(1002));
            }
            match frame.opcode {
                0 => {
                    let Some((_, message)) = &mut self.partial else {
                        return Err(ReadFault::Broken(1002));
                    };
                    message.extend_from_slice(&frame.payload);
                }
                1 | 2 if self.partial.is_none() => {
                    self.partial = Some((frame.opcode == 1, frame.payload));
                }
                8 => {
                    let code = frame
                        .payload
                        .first_chunk()
                        .map(|bytes| u16::from_be_bytes(*bytes));
                    return Ok(Incoming::Close(code));
                }
                9 => return Ok(Incoming::Ping(frame.payload)),
                10 => return Ok(Incoming::Pong),
                _ => return Err(ReadFault::Broken(1002)),
            }
            if !frame.fin {
                continue;
            }
            let Some((is_text, message)) = self.partial.take() else {
                continue;
            };
            return match String::from_utf8(message) {
                Ok(text) => Ok(Incoming::Text(text)),
                Err(_) if is_text => Err(ReadFault::Broken(1007)),
                Err(error) => Ok(Incoming::Text(
                    String::from_utf8_lossy(error.as_bytes()).into_owned(),
                )),
            };
        }
    }

    /// Reads to the end without looking.
    pub(crate) async fn discard(&mut self) {
        self.buffer = vec![0; 16 * 1024];
        while self
            .io
            .read(&mut self.buffer)
            .await
            .is_ok_and(|length| length > 0)
        {}
    }

    async fn frame(&mut self) -> Result<Frame, ReadFault> {
        loop {
            match self.parse()? {
                Ok(frame) => return Ok(frame),
                Err(missing) => {
                    self.buffer.reserve(missing.clamp(1024, 64 * 1024));
                    if self.io.read_buf(&mut self.buffer).await? == 0 {
                        return Err(ReadFault::Gone);
                    }
                }
            }
        }
    }

    /// Takes a whole frame out of the buffer, or says how many bytes are missing at least.
    fn parse(&mut self) -> Result<Result<Frame, usize>, ReadFault> {
        let bytes = self.buffer.as_slice();
        let [first, second, ..] = *bytes else {
            return Ok(Err(2 - bytes.len()));
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(ReadFault::Broken(1002));
        }
        let (length, head) = match second & 0x7f {
            126 => match bytes.get(2..4).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(Err(4 - bytes.len())),
            },
            127 => match bytes.get(2..10).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(Err(10 - bytes.len())),
            },
            length => (u64::from(length), 2),
        };
        if opcode >= 8 && length > 125 {
            return Err(ReadFault::Broken(1002));
        }
        let already = self
            .partial
            .as_ref()
            .map_or(0, |(_, message)| message.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length.saturating_add(already) > self.limit && opcode < 8 {
            return Err(ReadFault::TooLarge);
        }
        let end = head + 4 + length;
        if bytes.len() < end {
            return Ok(Err(end - bytes.len()));
        }
        let Some(mask) = bytes[head..].first_chunk::<4>().copied() else {
            return Ok(Err(4));
        };
        let mut payload = bytes[head + 4..end].to_vec();
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        self.buffer.drain(..end);
        if self.buffer.is_empty() && self.buffer.capacity() > 16 * 1024 {
            self.buffer = Vec::new();
        }
        Ok(Ok(Frame {
            fin,
            opcode,
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        if payload.len() < 126 {
            bytes.push(0x80 | u8::try_from(payload.len()).expect("small"));
        } else {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(payload.len()).expect("short").to_be_bytes());
        }
        let mask = [1, 2, 3, 4];
        bytes.extend(mask);
        bytes.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }

    async fn read(bytes: &[u8], limit: usize) -> Vec<Result<Incoming, ReadFault>> {
        let mut reader = FrameReader::new(bytes, Vec::new(), limit);
        let mut seen = Vec::new();
        loop {
            let next = reader.next().await;
            let done = next.is_err();
            seen.push(next);
            if done {
                return seen;
            }
        }
    }

    #[tokio::test]
    async fn fragments_and_control_frames_are_told_apart() {
        let mut bytes = client_frame(0x01, b"hel");
        bytes.extend(client_frame(0x89, b"?"));
        bytes.extend(client_frame(0x80, b"lo"));
        bytes.extend(client_frame(0x82, b"{}"));
        bytes.extend(client_frame(0x88, &1000_u16.to_be_bytes()));
        let seen = read(&bytes, 100).await;
        assert_eq!(seen[0], Ok(Incoming::Ping(b"?".to_vec())));
        assert_eq!(seen[1], Ok(Incoming::Text("hello".into())));
        assert_eq!(seen[2], Ok(Incoming::Text("{}".into())));
        assert_eq!(seen[3], Ok(Incoming::Close(Some(1000))));
        assert_eq!(seen[4], Err(ReadFault::Gone));
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused_by_its_header() {
        let whole = client_frame(0x81, &[b'x'; 300]);
        assert_eq!(read(&whole[..8], 299).await, [Err(ReadFault::TooLarge)]);
        let mut parts = client_frame(0x01, &[b'x'; 200]);
        parts.extend(client_frame(0x80, &[b'x'; 100]));
        assert_eq!(read(&parts, 299).await, [Err(ReadFault::TooLarge)]);
    }

    #[tokio::test]
    async fn broken_frames_earn_their_close_code() {
        assert_eq!(
            read(&[0x81, 0x01, b'x'], 10).await,
            [Err(ReadFault::Broken(1002))]
        );
        assert_eq!(
            read(&client_frame(0x81, &[0xff]), 10).await,
            [Err(ReadFault::Broken(1007))]
        );
        assert_eq!(
            read(&client_frame(0xc1, b"x"), 10).await,
            [Err(ReadFault::Broken(1002))]
        );
    }
}
