//! What a real gateway, or the network in front of it, does only on a bad day.

use std::time::Duration;

/// When a fault strikes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Point {
    /// At once, on every connection that had its hello-ok.
    Now,
    /// The upgrade request has been read.
    Upgrade,
    /// In place of the challenge.
    Challenge,
    /// A connect request has been read, and nothing has been answered.
    Connect,
    /// Right after hello-ok.
    Hello,
    /// In place of the answer to the next request, whatever its method.
    Answer,
    /// In place of the answer to the next request of this method.
    AnswerTo(String),
}

/// One fault: what happens, when, and how often.
///
/// Every constructor picks the most useful moment; [`at`](Self::at) picks another. A fault strikes once
/// unless [`times`](Self::times) or [`always`](Self::always) says otherwise.
///
/// # Examples
///
/// ```
/// use openclaw_mock_gateway::{Fault, Point};
///
/// let _bad_proxy = Fault::http(503).times(3);
/// let _lost_answer = Fault::never_answer().at(Point::AnswerTo("agent".into()));
/// let _killed_by_policy = Fault::close(1011, "internal error").at(Point::Hello);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fault {
    pub(crate) what: What,
    at: Point,
    left: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    RefuseTcp,
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    NoChallenge,
    ChallengeWithoutTs,
    ChallengeWithoutNonce,
    StopReading,
    StopWriting,
    Silence,
    Close(u16, String),
    Drop,
    DropMidFrame,
    Delay(Duration),
    Never,
    Duplicate,
    Reorder,
    UnknownId,
    SeqGap(u64),
    Garbage(Garbage),
    ApproveMeanwhile,
}

/// Frames that no client may choke on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Garbage {
    Oversize(usize),
    NotJson,
    Binary,
    BadUtf8,
    DeepNesting(usize),
}

impl Garbage {
    /// The frame's first byte and its payload.
    pub(crate) fn frame(self) -> (u8, Vec<u8>) {
        const TEXT: u8 = 0x81;
        match self {
            Self::Oversize(bytes) => {
                let head = br#"{"type":"event","event":"chat","payload":""#;
                let mut payload = head.to_vec();
                payload.resize(bytes.max(head.len() + 2) - 2, b'x');
                payload.extend_from_slice(b"\"}");
                (TEXT, payload)
            }
            Self::NotJson => (TEXT, b"this is no JSON".to_vec()),
            Self::Binary => (0x82, vec![0, 1, 2, 0xff, 0xfe]),
            Self::BadUtf8 => (TEXT, vec![b'"', 0xc3, 0x28, b'"']),
            Self::DeepNesting(depth) => (TEXT, [vec![b'['; depth], vec![b']'; depth]].concat()),
        }
    }
}

impl Fault {
    fn new(what: What, at: Point) -> Self {
        Self {
            what,
            at,
            left: Some(1),
        }
    }

    /// Stops listening, so that TCP is refused; connections stay. It lasts until
    /// [`clear_faults`](crate::MockGateway::clear_faults).
    pub fn refuse_tcp() -> Self {
        Self::new(What::RefuseTcp, Point::Now)
    }

    /// Answers the upgrade with this HTTP status.
    pub fn http(status: u16) -> Self {
        Self::http_with(status, &[], "")
    }

    /// Answers the upgrade with this HTTP status, headers and body.
    pub fn http_with(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        Self::new(
            What::Http {
                status,
                headers,
                body: body.to_owned(),
            },
            Point::Upgrade,
        )
    }

    /// Accepts the upgrade and never sends a challenge.
    pub fn no_challenge() -> Self {
        Self::new(What::NoChallenge, Point::Challenge)
    }

    /// Sends a challenge without `ts`.
    pub fn challenge_without_ts() -> Self {
        Self::new(What::ChallengeWithoutTs, Point::Challenge)
    }

    /// Sends a challenge without `nonce`.
    pub fn challenge_without_nonce() -> Self {
        Self::new(What::ChallengeWithoutNonce, Point::Challenge)
    }

    /// Reads nothing more from the socket.
    pub fn stop_reading() -> Self {
        Self::new(What::StopReading, Point::Now)
    }

    /// Writes nothing more to the socket; what the client sends is still read.
    pub fn stop_writing() -> Self {
        Self::new(What::StopWriting, Point::Now)
    }

    /// Neither reads nor writes: the black hole behind a lost route.
    pub fn silence() -> Self {
        Self::new(What::Silence, Point::Now)
    }

    /// Closes with this code and reason; 1005 sends a close frame without a code, 1006 none at all.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(What::Close(code, reason.to_owned()), Point::Now)
    }

    /// Drops the connection without a close frame.
    pub fn drop_connection() -> Self {
        Self::new(What::Drop, Point::Now)
    }

    /// Drops the connection in the middle of a frame.
    pub fn drop_mid_frame() -> Self {
        Self::new(What::DropMidFrame, Point::Answer)
    }

    /// Answers so much later.
    pub fn delay(by: Duration) -> Self {
        Self::new(What::Delay(by), Point::Answer)
    }

    /// Never answers.
    pub fn never_answer() -> Self {
        Self::new(What::Never, Point::Answer)
    }

    /// Answers twice.
    pub fn duplicate_answer() -> Self {
        Self::new(What::Duplicate, Point::Answer)
    }

    /// Answers after the answer that comes next.
    pub fn reorder() -> Self {
        Self::new(What::Reorder, Point::Answer)
    }

    /// Answers an id that nobody asked with.
    pub fn unknown_id() -> Self {
        Self::new(What::UnknownId, Point::Answer)
    }

    /// Leaves so many numbers out of the sequence of events.
    pub fn seq_gap(numbers: u64) -> Self {
        Self::new(What::SeqGap(numbers), Point::Now)
    }

    /// Sends an event of so many bytes.
    pub fn oversize(bytes: usize) -> Self {
        Self::new(What::Garbage(Garbage::Oversize(bytes)), Point::Now)
    }

    /// Sends text that is no JSON.
    pub fn not_json() -> Self {
        Self::new(What::Garbage(Garbage::NotJson), Point::Now)
    }

    /// Sends a binary message.
    pub fn binary() -> Self {
        Self::new(What::Garbage(Garbage::Binary), Point::Now)
    }

    /// Sends a text message that is no UTF-8.
    pub fn bad_utf8() -> Self {
        Self::new(What::Garbage(Garbage::BadUtf8), Point::Now)
    }

    /// Sends arrays nested so deeply.
    pub fn deep_nesting(depth: usize) -> Self {
        Self::new(What::Garbage(Garbage::DeepNesting(depth)), Point::Now)
    }

    /// Accepts every client and closes it right after hello-ok, until
    /// [`clear_faults`](crate::MockGateway::clear_faults).
    pub fn flapping() -> Self {
        Self::close(1011, "flapping").at(Point::Hello).always()
    }

    /// Approves a device in the moment in which it is refused: its next connect goes through although
    /// this one was told to pair.
    pub fn approve_meanwhile() -> Self {
        Self::new(What::ApproveMeanwhile, Point::Connect)
    }

    /// Strikes at another point.
    pub fn at(mut self, point: Point) -> Self {
        self.at = point;
        self
    }

    /// Strikes so often.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Strikes again and again, until [`clear_faults`](crate::MockGateway::clear_faults).
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    pub(crate) fn is_now(&self) -> bool {
        self.at == Point::Now
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Armed(Vec<Fault>);

impl Armed {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The next fault of a point that `fits`, used up by one.
    pub(crate) fn take(
        &mut self,
        is_here: impl Fn(&Point) -> bool,
        fits: impl Fn(&What) -> bool,
    ) -> Option<What> {
        let index = self
            .0
            .iter()
            .position(|fault| is_here(&fault.at) && fits(&fault.what))?;
        let fault = &mut self.0[index];
        let what = fault.what.clone();
        if let Some(left) = &mut fault.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                drop(self.0.remove(index));
            }
        }
        Some(what)
    }

    pub(crate) fn at(&mut self, point: &Point) -> Option<What> {
        self.take(|here| here == point, |_| true)
    }

    pub(crate) fn answering(&mut self, method: &str) -> Option<What> {
        self.take(
            |here| match here {
                Point::Answer => true,
                Point::AnswerTo(wanted) => wanted == method,
                _ => false,
            },
            |_| true,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_was_told_to() {
        let mut armed = Armed::default();
        armed.add(
            Fault::never_answer()
                .at(Point::AnswerTo("agent".into()))
                .times(2),
        );
        assert!(armed.answering("health").is_none());
        assert!(armed.answering("agent").is_some());
        assert!(armed.answering("agent").is_some());
        assert!(armed.answering("agent").is_none());
        armed.add(Fault::flapping());
        for _ in 0..3 {
            assert!(armed.at(&Point::Hello).is_some());
        }
        armed.clear();
        assert!(armed.at(&Point::Hello).is_none());
    }

    #[test]
    fn an_oversize_event_has_the_size_asked_for_and_is_json() {
        let (_, payload) = Garbage::Oversize(1000).frame();
        assert_eq!(payload.len(), 1000);
        assert!(serde_json::from_slice::<serde_json::Value>(&payload).is_ok());
    }
}
