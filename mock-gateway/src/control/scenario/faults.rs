//! The faults of a scenario, by the names that the library's constructors have.

use std::time::Duration;

use crate::control::scenario::MAX_MS;
use crate::control::scenario::read::{Invalid, Node};
use crate::model::fault::{Fault, Point};

const MAX_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_DEPTH: u64 = 10_000_000;
const MAX_REASON: usize = 123;
const NAMES: &str = "a fault: approve_meanwhile, bad_utf8, binary, challenge_without_nonce, \
    challenge_without_ts, clear_faults, close, deep_nesting, delay, drop_connection, drop_mid_frame, \
    duplicate_answer, flapping, http, never_answer, no_challenge, not_json, oversize, refuse_tcp, reorder, \
    seq_gap, silence, stop_reading, stop_writing or unknown_id";

pub(super) enum TheFault {
    Inject(Fault),
    /// The end of all faults.
    Clear,
}

/// When a fault may strike.
#[derive(Clone, Copy, Eq, PartialEq)]
enum When {
    /// At one moment only, once.
    Once,
    /// At one point only.
    Fixed,
    /// At an answer.
    Answers,
    /// Now or after hello-ok.
    Sequence,
    /// From the challenge on.
    Any,
}

impl When {
    const fn points(self) -> &'static [&'static str] {
        match self {
            Self::Once | Self::Fixed => &[],
            Self::Answers => &["answer"],
            Self::Sequence => &["now", "hello"],
            Self::Any => &["now", "challenge", "connect", "hello", "answer"],
        }
    }

    const fn has_answers(self) -> bool {
        matches!(self, Self::Answers | Self::Any)
    }
}

pub(super) fn read(node: &Node<'_>) -> Result<TheFault, Invalid> {
    let name = node.required("fault")?;
    let word = name.text()?;
    let plain = |fault: Fault, when: When| Ok((fault, when, [].as_slice()));
    let (fault, when, own) = match word {
        "clear_faults" => {
            node.only(&["fault", "afterMs"])?;
            return Ok(TheFault::Clear);
        }
        "refuse_tcp" => plain(Fault::refuse_tcp(), When::Once),
        "no_challenge" => plain(Fault::no_challenge(), When::Fixed),
        "challenge_without_ts" => plain(Fault::challenge_without_ts(), When::Fixed),
        "challenge_without_nonce" => plain(Fault::challenge_without_nonce(), When::Fixed),
        "approve_meanwhile" => plain(Fault::approve_meanwhile(), When::Fixed),
        "flapping" => plain(Fault::flapping(), When::Fixed),
        "never_answer" => plain(Fault::never_answer(), When::Answers),
        "duplicate_answer" => plain(Fault::duplicate_answer(), When::Answers),
        "reorder" => plain(Fault::reorder(), When::Answers),
        "unknown_id" => plain(Fault::unknown_id(), When::Answers),
        "stop_reading" => plain(Fault::stop_reading(), When::Any),
        "stop_writing" => plain(Fault::stop_writing(), When::Any),
        "silence" => plain(Fault::silence(), When::Any),
        "drop_connection" => plain(Fault::drop_connection(), When::Any),
        "drop_mid_frame" => plain(Fault::drop_mid_frame(), When::Any),
        "not_json" => plain(Fault::not_json(), When::Any),
        "binary" => plain(Fault::binary(), When::Any),
        "bad_utf8" => plain(Fault::bad_utf8(), When::Any),
        "http" => {
            let own: &[&str] = &["status", "headers", "body"];
            Ok((http(node)?, When::Fixed, own))
        }
        "delay" => {
            let ms = node.required("ms")?.whole(0, MAX_MS)?;
            let fault = Fault::delay(Duration::from_millis(ms));
            Ok((fault, When::Answers, ["ms"].as_slice()))
        }
        "close" => {
            let own: &[&str] = &["code", "reason"];
            Ok((close(node)?, When::Any, own))
        }
        "seq_gap" => {
            let numbers = node.required("numbers")?.whole(1, u64::from(u32::MAX))?;
            Ok((
                Fault::seq_gap(numbers),
                When::Sequence,
                ["numbers"].as_slice(),
            ))
        }
        "oversize" => {
            let bytes = node.required("bytes")?.count(1, MAX_BYTES)?;
            Ok((Fault::oversize(bytes), When::Any, ["bytes"].as_slice()))
        }
        "deep_nesting" => {
            let depth = node.required("depth")?.count(1, MAX_DEPTH)?;
            Ok((Fault::deep_nesting(depth), When::Any, ["depth"].as_slice()))
        }
        _ => Err(name.expected(NAMES)),
    }?;
    let mut members = vec!["fault", "afterMs"];
    members.extend(own);
    if !when.points().is_empty() {
        members.push("at");
    }
    if when != When::Once {
        members.push("times");
    }
    node.only(&members)?;
    placed(node, fault, when).map(TheFault::Inject)
}

/// The fault at its point, so often as the scenario says.
fn placed(node: &Node<'_>, fault: Fault, when: When) -> Result<Fault, Invalid> {
    let at = node.maybe("at", |at| point(at, when))?;
    let fault = match at {
        Some(point) => fault.at(point),
        None => fault,
    };
    match node.maybe("times", Node::times)? {
        None => Ok(fault),
        Some(_) if fault.is_now() => {
            Err(node.expected("a point other than \"now\" in at, beside times"))
        }
        Some(Some(times)) => Ok(fault.times(times)),
        Some(None) => Ok(fault.always()),
    }
}

fn point(node: &Node<'_>, when: When) -> Result<Point, Invalid> {
    let expected = || {
        let mut words: Vec<String> = when
            .points()
            .iter()
            .map(|word| format!("{word:?}"))
            .collect();
        if when.has_answers() {
            words.push("{\"answerTo\": \"METHOD\"}".to_owned());
        }
        node.expected(words.join(" or "))
    };
    if node.value().is_object() && when.has_answers() {
        node.only(&["answerTo"])?;
        let method = node.required("answerTo")?.text()?;
        return Ok(Point::AnswerTo(method.to_owned()));
    }
    let word = node.value().as_str().unwrap_or_default();
    if !when.points().contains(&word) {
        return Err(expected());
    }
    match word {
        "now" => Ok(Point::Now),
        "challenge" => Ok(Point::Challenge),
        "connect" => Ok(Point::Connect),
        "hello" => Ok(Point::Hello),
        "answer" => Ok(Point::Answer),
        _ => Err(expected()),
    }
}

fn http(node: &Node<'_>) -> Result<Fault, Invalid> {
    let status = node.required("status")?.count(200, 599)?;
    let headers = node.maybe("headers", |headers| {
        headers.object()?;
        let members = headers.value().as_object().into_iter().flatten();
        members
            .map(|(name, _)| Ok((name.as_str(), headers.required(name)?.any_text()?)))
            .collect::<Result<Vec<(&str, &str)>, Invalid>>()
    })?;
    let body = node.maybe("body", Node::any_text)?;
    Ok(Fault::http_with(
        status,
        &headers.unwrap_or_default(),
        body.unwrap_or_default(),
    ))
}

fn close(node: &Node<'_>) -> Result<Fault, Invalid> {
    let code = node.required("code")?.count(1000, 4999)?;
    let reason = node.maybe("reason", |reason| {
        let text = reason.any_text()?;
        if text.chars().count() > MAX_REASON {
            return Err(reason.expected(format!("at most {MAX_REASON} characters")));
        }
        Ok(text)
    })?;
    Ok(Fault::close(code, reason.unwrap_or_default()))
}
