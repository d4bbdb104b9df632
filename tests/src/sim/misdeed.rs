//! What a bad gateway does, in the mock's words.

use openclaw_mock_gateway::{Fault, Point};

use super::action::Misdeed;

pub(super) fn fault(misdeed: Misdeed) -> Fault {
    match misdeed {
        Misdeed::Http(status, times, retry_after) => {
            let seconds = retry_after.map(|seconds| seconds.to_string());
            let header = seconds.as_deref().map(|seconds| ("Retry-After", seconds));
            Fault::http_with(status, header.as_slice(), "").times(times)
        }
        Misdeed::NoChallenge => Fault::no_challenge(),
        Misdeed::BadChallenge => Fault::challenge_without_nonce(),
        Misdeed::CloseAtConnect(code) => Fault::close(code, "").at(Point::Connect),
        Misdeed::SilenceAtConnect => Fault::silence().at(Point::Connect),
        Misdeed::Flap(times) => Fault::flapping().times(times),
        Misdeed::Close(code) => Fault::close(code, "a bad day"),
        Misdeed::Drop => Fault::drop_connection(),
        Misdeed::DropMidFrame => Fault::drop_mid_frame().at(Point::Now),
        Misdeed::Deaf => Fault::stop_reading(),
        Misdeed::Mute => Fault::stop_writing(),
        Misdeed::BlackHole => Fault::silence(),
        Misdeed::SeqGap(numbers) => Fault::seq_gap(numbers),
        Misdeed::NotJson => Fault::not_json(),
        Misdeed::Binary => Fault::binary(),
        Misdeed::LoseAnswer => Fault::never_answer(),
        Misdeed::UnknownId => Fault::unknown_id(),
        Misdeed::Reorder => Fault::reorder(),
    }
}
