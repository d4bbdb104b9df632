//! What can happen to a client, and how often it does.

use std::time::Duration;

use fastrand::Rng;
use openclaw_adapter::WhenDown;

use super::net::{Speed, Way};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
    /// The gateway is started again, if it is down.
    Start,
    /// The gateway restarts in process.
    Restart,
    /// Bytes are lost, one way or both.
    Partition(&'static [Way]),
    /// Bytes are held back, one way or both.
    Hold(&'static [Way]),
    /// The way is free again; streams that lost something are reset, or stay silent.
    Heal {
        /// Whether they are reset.
        resets: bool,
    },
    /// Every stream is reset.
    Reset,
    /// The link becomes slow, or fast again.
    Link(Speed),
    /// The operator approves what is pending.
    Approve,
    /// The operator rejects it.
    Reject,
    /// The operator removes the device.
    Remove,
    /// The operator revokes its token.
    Revoke,
    /// The operator rotates its token.
    Rotate,
    /// Somebody edits the shared token on the gateway's disk.
    ChangeSecret,
    /// The backend gets the token that is right now.
    RightToken,
    /// The backend gets a wrong token.
    WrongToken,
    /// The backend asks for an attempt.
    RetryNow,
    /// Others at the same address log in with wrong tokens, so often.
    Strangers(u32),
    /// The gateway's wall clock jumps.
    GatewayClock(Duration),
    /// Time leaps on both sides, as when a machine is suspended.
    Leap(Duration),
    /// The backend makes calls.
    Calls {
        /// So many.
        count: u32,
        /// Under this deadline.
        within: Duration,
        /// With or without waiting for a connection.
        when_down: WhenDown,
    },
    /// The backend starts an agent run, if none goes on.
    Run,
    /// The backend drops calls that it waits for.
    DropCalls,
    /// The gateway tells so many events.
    Events(u32),
    /// Another consumer comes, with such a pause after each event.
    Listen(Duration),
    /// A consumer goes.
    Unlisten,
    /// The gateway does what it should not.
    Fault(Misdeed),
    /// It stops doing so.
    ClearFaults,
    /// Nothing.
    Wait,
}

/// What a gateway, or something in front of it, does on a bad day.
#[derive(Clone, Copy, Debug)]
pub(super) enum Misdeed {
    /// Answers the upgrade with a status, so often, and perhaps with `Retry-After`.
    Http(u16, u32, Option<u32>),
    /// Does not send the challenge.
    NoChallenge,
    /// Sends one without a nonce.
    BadChallenge,
    /// Closes instead of answering the connect.
    CloseAtConnect(u16),
    /// Says nothing to the connect.
    SilenceAtConnect,
    /// Closes right after hello-ok, so often.
    Flap(u32),
    /// Closes with a code, now.
    Close(u16),
    /// Drops the connection, now.
    Drop,
    /// Drops it in the middle of a frame.
    DropMidFrame,
    /// Reads nothing more.
    Deaf,
    /// Writes nothing more.
    Mute,
    /// Neither reads nor writes.
    BlackHole,
    /// Leaves numbers out of the sequence of events.
    SeqGap(u64),
    /// Sends text that is no JSON.
    NotJson,
    /// Sends a binary message.
    Binary,
    /// Loses an answer.
    LoseAnswer,
    /// Gives an answer to an id that nobody asked with.
    UnknownId,
    /// Swaps two answers.
    Reorder,
}

/// What keeps a client from being ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The gateway does not run.
    Down,
    /// Bytes are lost or held.
    NoRoute,
    /// Nobody has approved the device.
    Unapproved,
    /// The client has given up.
    Stopped,
    /// The link is slow.
    Slow,
}

fn seconds(rng: &mut Rng, most: f64) -> Duration {
    // In whole milliseconds, so that the story does not depend on rounding.
    let exact = Duration::from_secs_f64(rng.f64() * most);
    Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX))
}

fn ways(rng: &mut Rng) -> &'static [Way] {
    match rng.u8(0..4) {
        0 => &[Way::Out],
        1 => &[Way::Back],
        _ => &Way::BOTH,
    }
}

impl Action {
    /// The next thing. Half of the time it mends what `trouble` says is broken.
    pub(super) fn choose(rng: &mut Rng, trouble: Option<Trouble>) -> Self {
        if let Some(trouble) = trouble
            && rng.bool()
        {
            return match trouble {
                Trouble::Down => Self::Start,
                Trouble::NoRoute => Self::Heal { resets: rng.bool() },
                Trouble::Unapproved => Self::Approve,
                Trouble::Stopped if rng.bool() => Self::RetryNow,
                Trouble::Stopped => Self::RightToken,
                Trouble::Slow => Self::Link(Speed::default()),
            };
        }
        match rng.u8(0..100) {
            0..4 => Self::Stop,
            4..8 => Self::Kill,
            8..16 => Self::Start,
            16..19 => Self::Restart,
            19..23 => Self::Partition(ways(rng)),
            23..27 => Self::Hold(ways(rng)),
            27..34 => Self::Heal { resets: rng.bool() },
            34..36 => Self::Reset,
            36..40 => Self::Link(Speed {
                latency: Duration::from_millis(*pick(rng, &[0, 5, 40, 300, 2_000])),
                rate: *pick(rng, &[None, None, Some(50_000), Some(5_000), Some(500)]),
            }),
            40..48 => Self::Approve,
            48..49 => Self::Reject,
            49..51 => Self::Remove,
            51..53 => Self::Revoke,
            53..56 => Self::Rotate,
            56..58 => Self::ChangeSecret,
            58..62 => Self::RightToken,
            62..64 => Self::WrongToken,
            64..66 => Self::RetryNow,
            66..67 => Self::Strangers(rng.u32(1..12)),
            67..69 => Self::GatewayClock(seconds(rng, 900.0)),
            69..70 => Self::Leap(seconds(rng, 1_200.0)),
            70..72 => Self::Run,
            72..80 => Self::Calls {
                count: rng.u32(1..12),
                within: seconds(rng, 25.0),
                when_down: if rng.u8(0..4) == 0 {
                    WhenDown::Fail
                } else {
                    WhenDown::Wait
                },
            },
            80..82 => Self::DropCalls,
            82..90 => Self::Events(rng.u32(1..120)),
            90..91 => Self::Listen(seconds(rng, 2.0)),
            91..92 => Self::Unlisten,
            92..97 => Self::Fault(Misdeed::choose(rng)),
            97..98 => Self::ClearFaults,
            _ => Self::Wait,
        }
    }

    /// How long until the next one.
    pub(super) fn pause(rng: &mut Rng) -> Duration {
        match rng.u8(0..100) {
            0..30 => seconds(rng, 0.05),
            30..70 => seconds(rng, 3.0),
            70..96 => seconds(rng, 20.0),
            _ => seconds(rng, 80.0),
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.usize(0..list.len())]
}

impl Misdeed {
    fn choose(rng: &mut Rng) -> Self {
        match rng.u8(0..20) {
            0 => Self::Http(
                *pick(rng, &[500, 502, 503, 504, 429, 408]),
                rng.u32(1..4),
                rng.bool().then(|| rng.u32(0..60)),
            ),
            1 => Self::Http(*pick(rng, &[301, 400, 401, 403, 404, 200]), 1, None),
            2 => Self::NoChallenge,
            3 => Self::BadChallenge,
            4 => Self::CloseAtConnect(*pick(rng, &[1000, 1001, 1006, 1011, 1012, 1013])),
            5 => Self::SilenceAtConnect,
            6 => Self::Flap(rng.u32(1..6)),
            7 | 8 => Self::Close(*pick(
                rng,
                &[
                    1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 4000, 4001, 4001,
                ],
            )),
            9 => Self::Drop,
            10 => Self::DropMidFrame,
            11 => Self::Deaf,
            12 => Self::Mute,
            13 => Self::BlackHole,
            14 => Self::SeqGap(rng.u64(1..50)),
            15 => Self::NotJson,
            16 => Self::Binary,
            17 => Self::LoseAnswer,
            18 => Self::UnknownId,
            _ => Self::Reorder,
        }
    }
}
