//! What the fuzz targets do with their bytes, and what must hold whatever these are. Each of them
//! panics if it does not. The corpora run through them as ordinary tests, too.

#![allow(clippy::missing_panics_doc)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::identity::{DeviceId, DeviceIdentity};
use crate::base::sanitize::is_safe_id;
use crate::base::secret::Token;
use crate::config::Config;
use crate::logic::handshake::{Auth, Handshake, Offer, Step};
use crate::logic::lifecycle::{Lifecycle, Next, Outcome, Rules};
use crate::logic::pairing::{PairingPolicy, PairingRequired};
use crate::logic::refusal::RefusalKind;
use crate::logic::retry::RetryPolicy;
use crate::logic::session::{Output, Session};
use crate::protocol::connect::Profile;
use crate::protocol::frame::{self, Incoming};
use crate::protocol::json::replace_lone_surrogates;
use crate::protocol::method::AnswerMode;
use crate::protocol::{GatewayError, Hello};
use crate::store::{SignatureVersion, read_tokens_twice};

const SHARED: &str = "shared-token-0123";
/// A key that is none.
const IDENTITY: &str = include_str!("../../tests/fixtures/identity/openclaw-2026.2.9-device.json");

/// One frame, read as before and as after a hello.
pub fn frame(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match frame::parse(text) {
        Ok(Incoming::Response(response)) => {
            if let Some(error) = &response.error {
                assert_error_is_harmless(error);
            }
            assert_is_part(text, response.payload);
        }
        Ok(Incoming::Event(event)) => {
            assert!(!event.name.is_empty(), "an event without a name");
            assert_is_part(text, event.payload);
        }
        Ok(Incoming::Other) | Err(frame::FrameFault::NotAFrame) => {}
        // What no reader of JSON takes is not taken here either, and the other way round: only the
        // depth of what nobody has looked into may differ.
        Err(frame::FrameFault::NotJson) => {
            assert!(serde_json::from_str::<Value>(text).is_err(), "it is JSON");
        }
    }
}

/// A payload is borrowed from its frame, and is JSON.
fn assert_is_part(text: &str, payload: Option<&RawValue>) {
    if let Some(payload) = payload {
        let payload = payload.get();
        assert!(text.as_bytes().as_ptr_range().contains(&payload.as_ptr()));
        assert!(!payload.is_empty());
    }
}

fn assert_error_is_harmless(error: &GatewayError) {
    assert_is_plain(&error.to_string());
    if let Some(wait) = error.retry_after() {
        assert!(wait <= Duration::from_secs(86_400));
    }
    let _ = RefusalKind::of(error).as_str();
}

fn assert_is_plain(text: &str) {
    assert!(
        !text.chars().any(char::is_control),
        "it moves the cursor: {text:?}"
    );
    assert!(text.len() < 32 * 1024, "{} bytes to print", text.len());
}

fn identity() -> Option<DeviceIdentity> {
    DeviceIdentity::from_json(IDENTITY).ok()
}

/// What a client says of itself where nothing else is set.
fn profile() -> Profile {
    Config::builder().profile()
}

/// A handshake: each line is a frame.
pub fn hello(data: &[u8]) {
    let (Ok(text), Some(identity), Ok(token)) =
        (str::from_utf8(data), identity(), Token::new(SHARED))
    else {
        return;
    };
    let profile = profile();
    let auth = Auth::Shared(token.clone());
    let offer = Offer {
        identity: Some(&identity),
        profile: &profile,
        auth: &auth,
        signature: SignatureVersion::V3,
    };
    let mut handshake = Handshake::new();
    let mut sent = 0;
    for line in text.lines() {
        match handshake.on_text(line, &offer) {
            Ok(Step::Wait) => {}
            Ok(Step::Send(connect)) => {
                sent += 1;
                assert!(sent == 1 && line.contains("challenge"), "sent unasked");
                let sent: Value = serde_json::from_str(&connect).unwrap_or_default();
                assert_eq!(sent["params"]["auth"]["token"], SHARED);
                assert_eq!(sent["params"]["device"]["id"], identity.id().as_str());
                assert!(connect.len() < 64 * 1024, "more than a gateway reads");
            }
            Ok(Step::Accepted(hello)) => {
                assert_eq!(sent, 1, "let in without having asked");
                assert_hello_is_harmless(&hello);
                decide(&profile, identity.id(), token, Outcome::Accepted(hello));
                return;
            }
            Ok(Step::Refused(error)) => {
                assert_eq!(sent, 1, "refused without having asked");
                assert_error_is_harmless(&error);
                let pairing = PairingRequired::from_error(&error, identity.id(), &profile, None);
                assert_is_plain(&pairing.to_string());
                assert_is_plain(&pairing.approve_command());
                assert!(pairing.request_id.as_deref().is_none_or(is_safe_id));
                let new_generation = handshake.is_new_generation();
                let refused = Outcome::Refused {
                    error,
                    new_generation,
                };
                decide(&profile, identity.id(), token, refused);
                return;
            }
            Err(fault) => {
                assert_is_plain(&fault.to_string());
                return;
            }
        }
    }
}

fn assert_hello_is_harmless(hello: &Hello) {
    for text in [&hello.server_version, &hello.conn_id, &hello.role] {
        assert_is_plain(text);
        assert!(!text.contains(char::is_whitespace));
    }
    hello.scopes.iter().for_each(|scope| assert_is_plain(scope));
    assert!((3..=4).contains(&hello.protocol));
    assert!(hello.policy.max_payload >= 1024);
    assert!(hello.policy.tick_interval >= Duration::from_secs(1));
    assert!(!format!("{hello:?}").contains(SHARED));
}

/// What a client does after it: never again without a pause, but for a change of what it offers.
fn decide(profile: &Profile, device: &DeviceId, token: Token, outcome: Outcome) {
    let rules = Rules {
        profile: profile.clone().into(),
        pairing: PairingPolicy::WaitForever,
        retry: RetryPolicy::default(),
        may_fall_back: true,
        token_origin: "a test".into(),
        token_is_file: false,
    };
    let now = Instant::now();
    let secret = crate::logic::credentials::Secret::Token(token);
    let mut life = Lifecycle::new(rules, secret, now, 7);
    life.begin();
    match life.attempt_ended(now, 0, device, outcome) {
        Next::BackOff { delay, cause } => {
            assert!(delay >= Duration::from_millis(100), "{delay:?}");
            assert_is_plain(&cause.to_string());
        }
        Next::Await { delay, .. } => assert!(delay >= Duration::from_millis(100)),
        Next::Stop(reason) => {
            assert_is_plain(&reason.to_string());
            assert_is_plain(&reason.fix());
        }
        Next::Ready(_) | Next::Again | Next::ReadToken { .. } => {}
    }
}

/// A file of the store: the first byte says which, the rest is what is in it.
pub fn store_file(data: &[u8]) {
    let Some((kind, content)) = data.split_first() else {
        return;
    };
    let complaint = if *kind == b't' {
        read_tokens_twice(content)
    } else {
        let Ok(text) = str::from_utf8(content) else {
            return;
        };
        DeviceIdentity::from_json(text)
            .map(|identity| {
                let again = DeviceIdentity::from_json(&identity.to_json());
                assert_eq!(
                    again.map(|again| again.id().clone()).as_ref(),
                    Ok(identity.id()),
                    "what is written is not what was read"
                );
                assert!(identity.sign("x").len() == 86);
            })
            .map_err(|error| error.to_string())
    };
    if let Err(complaint) = complaint {
        assert_is_plain(&complaint);
        assert!(complaint.len() < 500, "it repeats the file: {complaint}");
    }
}

/// A connection: each line begins with what is done. `b` and `a` begin the call of an id, with one answer
/// or with two; `f` forgets it; `t` takes a frame; `3` at the very beginning is the older protocol.
pub fn session_ops(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let protocol = if text.starts_with('3') { 3 } else { 4 };
    let hello = format!(r#"{{"protocol":{protocol},"server":{{}}}}"#);
    let Ok(hello) = Hello::parse(&hello, &profile()) else {
        return;
    };
    let now = Instant::now();
    let mut session: Session<u64> = Session::new(&hello, now);
    // What waits, and whether it may still be accepted.
    let mut waits = BTreeMap::new();
    let mut last_seq = 0;
    for line in text.lines() {
        let Some((what, rest)) = line.split_at_checked(1) else {
            continue;
        };
        match (what, rest.parse::<u64>()) {
            ("b", Ok(id)) => {
                session.begin(id, AnswerMode::Once, id);
                waits.insert(id, false);
            }
            ("a", Ok(id)) => {
                session.begin(id, AnswerMode::AcceptedThenFinal, id);
                waits.insert(id, true);
            }
            ("f", Ok(id)) => {
                session.forget(id);
                waits.remove(&id);
            }
            ("t", _) => match session.on_text(now, rest) {
                Output::Answered { caller, .. } => {
                    assert!(waits.remove(&caller).is_some(), "answered twice");
                }
                Output::Accepted { caller, .. } => {
                    assert_eq!(waits.insert(*caller, false), Some(true), "accepted twice");
                }
                Output::Event { event, gap } => {
                    assert!(gap.is_none() || protocol == 4, "a gap without numbers");
                    if let Some(gap) = gap {
                        assert!(gap.got > gap.expected && event.seq == Some(gap.got));
                        assert_eq!(gap.expected, last_seq + 1, "a gap in another place");
                    }
                    last_seq = event.seq.unwrap_or(last_seq);
                }
                Output::Nothing | Output::Stray => {}
            },
            _ => {}
        }
        assert_eq!(session.waiting(), waits.len(), "an entry is left, or lost");
    }
    assert!(session.dead_at() > now);
    let left: Vec<_> = session.end().collect();
    assert!(left.into_iter().eq(waits.into_keys()), "not all are told");
}

/// A string of any UTF-16 units, in an event as `JSON.stringify` writes it.
pub fn node_string(data: &[u8]) {
    let units = data
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    let mut text = String::from(r#"{"type":"event","event":"e","payload":""#);
    let mut expected = String::new();
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(character) => {
                let quoted = Value::from(character.to_string()).to_string();
                text.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                expected.push(character);
            }
            Err(lone) => {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{:04x}", lone.unpaired_surrogate());
                expected.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    text.push_str("\"}");
    let text = replace_lone_surrogates(&text).unwrap_or(text);
    let read: Option<String> = match frame::parse(&text) {
        Ok(Incoming::Event(event)) => event
            .payload
            .and_then(|payload| serde_json::from_str(payload.get()).ok()),
        _ => None,
    };
    assert_eq!(read, Some(expected), "{text}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn run(target: &str, check: impl Fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let mut files = 0;
        for entry in fs::read_dir(dir.join(target)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
            files += 1;
        }
        assert!(files >= 5, "only {files} files in the corpus of {target}");
    }

    #[test]
    fn the_corpus_of_frames_holds() {
        run("frame", frame);
    }

    #[test]
    fn the_corpus_of_handshakes_holds() {
        run("hello", hello);
    }

    #[test]
    fn the_corpus_of_store_files_holds() {
        run("store_file", store_file);
    }

    #[test]
    fn the_corpus_of_node_strings_holds() {
        run("node_string", node_string);
    }

    #[test]
    fn the_corpus_of_session_operations_holds() {
        run("session_ops", session_ops);
    }
}
