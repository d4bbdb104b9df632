//! Reading WebSocket frames as they pass, without keeping them.

use serde::Deserialize;

/// The opcodes of a text and of what continues it.
const TEXT: u8 = 1;
const MORE: u8 = 0;

/// One direction of a connection: an HTTP head, then frames.
#[derive(Debug, Default)]
pub(super) struct Reader {
    upgraded: bool,
    /// What has come of the head or of the frame at hand.
    held: Vec<u8>,
    /// Bytes of a frame's payload that are still to come, where nobody reads it.
    skip: u64,
    /// The text so far, if it comes in several frames.
    text: Vec<u8>,
}

/// What a request asks for; nothing else of it is looked at.
#[derive(Deserialize)]
struct Request {
    method: Option<String>,
}

struct Head {
    fin: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    /// Of the head itself.
    len: usize,
    payload: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (mut len, payload) = match second & 0x7f {
            126 => (
                4,
                u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            ),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let mask = bytes.get(len..len + 4)?.try_into().ok()?;
            len += 4;
            Some(mask)
        };
        Some(Self {
            fin: first & 0x80 != 0,
            opcode: first & 0x0f,
            mask,
            len,
            payload,
        })
    }
}

impl Reader {
    /// The methods of the requests that these bytes complete.
    pub(super) fn methods(&mut self, bytes: &[u8]) -> Vec<String> {
        self.held.extend_from_slice(bytes);
        let mut methods = Vec::new();
        while let Some((head, payload)) = self.frame() {
            if head.opcode != TEXT && head.opcode != MORE {
                continue;
            }
            self.text.extend(payload);
            if head.fin {
                let text = std::mem::take(&mut self.text);
                let request: Option<Request> = serde_json::from_slice(&text).ok();
                methods.extend(request.and_then(|request| request.method));
            }
        }
        methods
    }

    /// The next whole frame, unmasked.
    fn frame(&mut self) -> Option<(Head, Vec<u8>)> {
        self.upgrade()?;
        let head = Head::read(&self.held)?;
        let end = head.len + usize::try_from(head.payload).ok()?;
        if self.held.len() < end {
            return None;
        }
        let rest = self.held.split_off(end);
        let mut payload = std::mem::replace(&mut self.held, rest).split_off(head.len);
        if let Some(mask) = head.mask {
            for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= key;
            }
        }
        Some((head, payload))
    }

    /// Follows the frames without reading them, to know where they end.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.skip > 0 {
                let here =
                    usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
                self.skip -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            // Heads are short: one byte after the other.
            self.held.push(*first);
            bytes = rest;
            if self.upgrade().is_some()
                && let Some(head) = Head::read(&self.held)
            {
                self.held.clear();
                self.skip = head.payload;
            }
        }
    }

    /// Whether the last byte that passed was not the last of a frame.
    pub(super) fn within_a_frame(&self) -> bool {
        self.upgraded && (self.skip > 0 || !self.held.is_empty())
    }

    /// Leaves the head behind, once all of it is there.
    fn upgrade(&mut self) -> Option<()> {
        if !self.upgraded {
            let end = self.held.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            self.held.drain(..end);
            self.upgraded = true;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    fn frame(first: u8, text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match u16::try_from(text.len()).unwrap() {
            short @ 0..126 => bytes.push(masked | u8::try_from(short).unwrap()),
            long => {
                bytes.push(masked | 0x7e);
                bytes.extend(long.to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flatten());
        let key = mask.unwrap_or_default();
        bytes.extend(
            text.bytes()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }

    #[test]
    fn requests_are_counted_whatever_pieces_they_come_in() {
        let long = format!(
            r#"{{"type":"req","method":"health","params":"{}"}}"#,
            "x".repeat(400)
        );
        let mut bytes = UPGRADE.to_vec();
        bytes.extend(frame(0x81, &long, Some([1, 2, 3, 4])));
        bytes.extend(frame(0x89, "ping", Some([9, 9, 9, 9])));
        let (start, end) = r#"{"type":"req","method":"agent"}"#.split_at(7);
        bytes.extend(frame(0x01, start, Some([5, 6, 7, 8])));
        bytes.extend(frame(0x80, end, Some([0, 0, 0, 1])));

        for size in [1, 7, 64, bytes.len()] {
            let mut reader = Reader::default();
            let methods: Vec<String> = bytes
                .chunks(size)
                .flat_map(|chunk| reader.methods(chunk))
                .collect();
            assert_eq!(methods, ["health", "agent"], "in pieces of {size}");
        }
    }

    #[test]
    fn the_end_of_a_frame_is_told_from_its_middle() {
        let mut bytes = UPGRADE.to_vec();
        bytes.extend(frame(0x81, &"x".repeat(300), None));
        let mut reader = Reader::default();
        reader.pass(&bytes[..UPGRADE.len()]);
        assert!(!reader.within_a_frame(), "after the upgrade");
        for (at, byte) in bytes.iter().enumerate().skip(UPGRADE.len()) {
            reader.pass(&[*byte]);
            assert_eq!(
                reader.within_a_frame(),
                at + 1 < bytes.len(),
                "after byte {at}"
            );
        }
    }
}
