//! Reads what goes over a stream, without taking part: HTTP, then WebSocket frames of either side.

/// Something that was seen whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// The head of the HTTP request or answer.
    Head(String),
    /// A text message.
    Text(String),
    /// A close frame: its code and reason.
    Close(Option<u16>, String),
    /// Any other frame.
    Other,
}

/// One direction of one stream.
#[derive(Debug, Default)]
pub(super) struct Tap {
    buffer: Vec<u8>,
    is_past_head: bool,
}

impl Tap {
    /// Takes bytes as they come; what they complete comes back.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.buffer.extend_from_slice(bytes);
        let mut seen = Vec::new();
        while let Some(next) = self.next() {
            seen.push(next);
        }
        seen
    }

    /// Whether anything came after the HTTP head, be it only half a frame.
    #[must_use]
    pub(super) fn is_past_head(&self) -> bool {
        self.is_past_head && !self.buffer.is_empty()
    }

    fn next(&mut self) -> Option<Seen> {
        if !self.is_past_head {
            let end = self
                .buffer
                .windows(4)
                .position(|part| part == b"\r\n\r\n")?
                + 4;
            let head = self.buffer.drain(..end).collect::<Vec<_>>();
            self.is_past_head = true;
            return Some(Seen::Head(String::from_utf8_lossy(&head).into_owned()));
        }
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        let (length, after): (usize, usize) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?)),
                4,
            ),
            127 => (
                usize::try_from(u64::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?))
                    .unwrap_or(usize::MAX),
                10,
            ),
            short => (usize::from(short), 2),
        };
        let is_masked = second & 0x80 != 0;
        let start = if is_masked { after + 4 } else { after };
        let end = start.checked_add(length)?;
        let mut payload = self.buffer.get(start..end)?.to_vec();
        if is_masked {
            let mask: [u8; 4] = *self.buffer.get(after..)?.first_chunk()?;
            for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= key;
            }
        }
        self.buffer.drain(..end);
        Some(match first & 0x0f {
            1 => Seen::Text(String::from_utf8_lossy(&payload).into_owned()),
            8 => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                let reason = payload.get(2..).unwrap_or_default();
                Seen::Close(code, String::from_utf8_lossy(reason).into_owned())
            }
            _ => Seen::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_seen_whole_however_they_are_cut() {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        bytes.extend_from_slice(&[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
        bytes.extend_from_slice(&[0x88, 0x03, 0x03, 0xf0, b'x', 0x89, 0x00]);
        let mut tap = Tap::default();
        let mut seen = Vec::new();
        for byte in bytes {
            seen.extend(tap.feed(&[byte]));
        }
        assert_eq!(
            seen[1..],
            [
                Seen::Text("hi".into()),
                Seen::Close(Some(1008), "x".into()),
                Seen::Other
            ]
        );
        assert!(!tap.is_past_head());
        tap.feed(&[0x81]);
        assert!(tap.is_past_head());
    }
}
