//! The envelope: one flat object per frame, its payload left unparsed for whoever wants it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::error::GatewayError;

/// A frame from the gateway.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// `{"type":"res", id, ok, payload?, error?}`. A failed agent run carries both payload and error.
    Response(Response<'a>),
    /// `{"type":"event", event, payload?, seq?}`.
    Event(Event<'a>),
    /// A frame of a type that this version does not know: ignored.
    Other,
}

#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// `None` when the id is none of ours, which are numbers written as strings: such an answer
    /// belongs to nobody.
    pub(crate) id: Option<u64>,
    pub(crate) ok: bool,
    pub(crate) payload: Option<&'a RawValue>,
    pub(crate) error: Option<GatewayError>,
}

#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) payload: Option<&'a RawValue>,
    /// `None` where it is absent or no whole number.
    pub(crate) seq: Option<u64>,
}

/// The frame was not what the protocol allows. The frame's own text is not kept: it may hold secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FrameFault {
    NotJson,
    NotAFrame,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    ok: Option<bool>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// Empty where it is absent: no event has such a name. Borrowed, unlike in an `Option`.
    #[serde(borrow, default)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
}

/// Reads the envelope of one text frame.
pub(crate) fn parse(text: &str) -> Result<Incoming<'_>, FrameFault> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            FrameFault::NotAFrame
        } else {
            FrameFault::NotJson
        }
    })?;
    match (&*envelope.kind, &*envelope.event, envelope.ok) {
        ("res", _, Some(ok)) => Ok(Incoming::Response(Response {
            id: envelope.id.and_then(|raw| number(raw.get())),
            ok,
            payload: envelope.payload,
            error: envelope.error.map(read_error),
        })),
        ("res", _, None) | ("event", "", _) => Err(FrameFault::NotAFrame),
        ("event", _, _) => Ok(Incoming::Event(Event {
            name: envelope.event,
            payload: envelope.payload,
            seq: envelope.seq.and_then(|raw| raw.get().parse().ok()),
        })),
        _ => Ok(Incoming::Other),
    }
}

/// The longest error that is read, in bytes: as values it takes many times its text, and it is kept.
const MAX_ERROR: usize = 256 * 1024;

fn read_error(raw: &RawValue) -> GatewayError {
    let text = raw.get();
    if text.len() > MAX_ERROR {
        let words = format!("an error of {} bytes, which was not read", text.len());
        return GatewayError::from_words(words);
    }
    // Any JSON makes an error, unless it is nested too deep.
    serde_json::from_str(text)
        .unwrap_or_else(|_| GatewayError::from_words("an error that cannot be read"))
}

/// The number in `"17"`, as [`request`] writes it.
fn number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('"')?.strip_suffix('"')?;
    // Another spelling of a number is another id.
    let is_ours = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| is_ours)
}

#[derive(Serialize)]
struct Request<'a, P> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Id,
    method: &'a str,
    params: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

/// A number, as the string that gateways want.
struct Id(u64);

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Writes a request frame. Gateways of both generations refuse any other top-level property, and those
/// of protocol 3 `traceparent` as well.
pub(crate) fn request(
    id: u64,
    method: &str,
    params: impl Serialize,
    traceparent: Option<&str>,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Request {
        kind: "req",
        id: Id(id),
        method,
        params,
        traceparent,
    })
}

/// As [`request`], for parameters that hold a secret: no copy of the text is left behind.
pub(crate) fn secret_request(
    id: u64,
    method: &str,
    params: impl Serialize,
) -> Result<Zeroizing<String>, serde_json::Error> {
    // Large enough from the start: growing would leave copies. Gateways read as much before the hello.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    let request = Request {
        kind: "req",
        id: Id(id),
        method,
        params,
        traceparent: None,
    };
    serde_json::to_writer(&mut *text, &request)?;
    // JSON is UTF-8, so the text is taken over as it is.
    Ok(Zeroizing::new(
        String::from_utf8(std::mem::take(&mut *text)).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_answer_may_carry_payload_and_error_at_once() {
        let text = r#"{"type":"res","id":"7","ok":false,"payload":{"runId":"k"},"error":{"code":"UNAVAILABLE","message":"no"}}"#;
        let Ok(Incoming::Response(response)) = parse(text) else {
            panic!("not a response");
        };
        assert_eq!(response.id, Some(7));
        assert!(!response.ok);
        assert_eq!(
            response.payload.map(RawValue::get),
            Some(r#"{"runId":"k"}"#)
        );
        assert_eq!(response.error.unwrap().code, "UNAVAILABLE");
    }

    #[test]
    fn an_answer_to_an_id_that_is_none_of_ours_is_nobodys() {
        for id in [
            "7",
            r#""invalid""#,
            r#""-7""#,
            r#""99999999999999999999""#,
            "[]",
            "null",
        ] {
            let text = format!(r#"{{"type":"res","id":{id},"ok":true}}"#);
            let Ok(Incoming::Response(response)) = parse(&text) else {
                panic!("not a response: {text}");
            };
            assert_eq!(response.id, None, "{text}");
        }
    }

    #[test]
    fn a_request_can_be_read_back() {
        let write =
            |traceparent| request(17, "health", serde_json::json!({}), traceparent).unwrap();
        assert_eq!(
            write(None),
            r#"{"type":"req","id":"17","method":"health","params":{}}"#
        );
        assert_eq!(
            write(Some("00-ab-cd-01")),
            r#"{"type":"req","id":"17","method":"health","params":{},"traceparent":"00-ab-cd-01"}"#
        );
        assert_eq!(number(r#""17""#), Some(17));
    }

    #[test]
    fn a_number_that_is_none_counts_as_absent() {
        for (seq, expected) in [
            ("3", Some(3)),
            ("-1", None),
            ("1.5", None),
            (r#""3""#, None),
        ] {
            let text = format!(r#"{{"type":"event","event":"x","seq":{seq}}}"#);
            let Ok(Incoming::Event(event)) = parse(&text) else {
                panic!("not an event: {text}");
            };
            assert_eq!(event.seq, expected);
        }
    }

    #[test]
    fn unknown_fields_types_and_error_shapes_do_no_harm() {
        assert!(matches!(
            parse(r#"{"type":"event","event":"x","seq":-1,"recipientProfileId":"p"}"#),
            Ok(Incoming::Event(_))
        ));
        assert!(matches!(
            parse(r#"{"type":"hint","x":1}"#),
            Ok(Incoming::Other)
        ));
        assert!(matches!(
            parse(r#"{"type":"res","id":"1","ok":false,"error":"boom"}"#),
            Ok(Incoming::Response(Response { error: Some(_), .. }))
        ));
    }

    #[test]
    fn an_error_that_is_too_long_or_too_deep_is_an_error_without_its_words() {
        for odd in [
            format!(r#"{{"details":[{}0]}}"#, "0,".repeat(MAX_ERROR / 2)),
            format!("{}{}", "[".repeat(500), "]".repeat(500)),
        ] {
            let text = format!(r#"{{"type":"res","id":"1","ok":false,"error":{odd}}}"#);
            let Ok(Incoming::Response(response)) = parse(&text) else {
                panic!("not a response");
            };
            let error = response.error.unwrap();
            assert!(error.message.starts_with("an error ") && error.details.is_none());
        }
    }

    #[test]
    fn what_is_not_a_frame_is_told_from_what_is_not_json() {
        assert_eq!(parse("garbage").unwrap_err(), FrameFault::NotJson);
        assert_eq!(parse("[1,2]").unwrap_err(), FrameFault::NotAFrame);
        assert_eq!(parse(r#"{"a":1}"#).unwrap_err(), FrameFault::NotAFrame);
        assert_eq!(
            parse(r#"{"type":"res","id":"1"}"#).unwrap_err(),
            FrameFault::NotAFrame
        );
    }

    #[test]
    fn deep_nesting_does_not_crash_the_reader_nor_whoever_reads_the_payload() {
        let deep = format!(
            r#"{{"type":"event","event":"x","payload":{}{}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        let Ok(Incoming::Event(event)) = parse(&deep) else {
            panic!("not an event");
        };
        let payload = event.payload.unwrap().get();
        assert!(serde_json::from_str::<Value>(payload).is_err());
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}|res|event|[0-9]{1,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// An object with some of the fields of a frame, with the right types more often than not.
    fn frame_like() -> impl Strategy<Value = Value> {
        let kind = prop_oneof![Just("res"), Just("event"), Just("req"), Just("")];
        let mostly = |right: BoxedStrategy<Value>| prop_oneof![6 => right, 1 => anything()];
        let fields = (
            mostly(kind.prop_map(Value::from).boxed()),
            prop::option::of(mostly("[+0]{0,1}[0-9]{1,20}".prop_map(Value::from).boxed())),
            prop::option::of(mostly(any::<bool>().prop_map(Value::from).boxed())),
            prop::option::of(mostly("[a-z.]{0,8}".prop_map(Value::from).boxed())),
            prop::option::of(mostly(any::<u64>().prop_map(Value::from).boxed())),
            prop::option::of(anything()),
            prop::option::of(anything()),
        );
        fields.prop_map(|(kind, id, ok, event, seq, payload, error)| {
            let mut frame = serde_json::Map::new();
            let optional = [
                ("id", id),
                ("ok", ok),
                ("event", event),
                ("seq", seq),
                ("payload", payload),
                ("error", error),
            ];
            frame.insert("type".into(), kind);
            frame.extend(
                optional
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?))),
            );
            frame.into()
        })
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn a_frame_is_what_a_plain_reader_of_json_finds_in_it(frame in frame_like(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&frame)
            } else {
                serde_json::to_string(&frame)
            };
            let text = text.unwrap();
            let frame: Value = serde_json::from_str(&text).unwrap();
            let number_of = |id: &str| id.parse().ok().filter(|number: &u64| number.to_string() == id);
            let payload_of = |payload: Option<&RawValue>| {
                payload.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap())
            };
            let expected = frame.get("payload").filter(|value| !value.is_null()).cloned();
            match parse(&text) {
                Ok(Incoming::Response(response)) => {
                    prop_assert_eq!(&frame["type"], "res");
                    prop_assert_eq!(Some(response.ok), frame["ok"].as_bool());
                    prop_assert_eq!(payload_of(response.payload), expected);
                    prop_assert_eq!(response.id, frame["id"].as_str().and_then(number_of));
                    let failed = frame.get("error").is_some_and(|error| !error.is_null());
                    prop_assert_eq!(response.error.is_some(), failed);
                }
                Ok(Incoming::Event(event)) => {
                    prop_assert_eq!(&frame["type"], "event");
                    prop_assert_eq!(Some(&*event.name), frame["event"].as_str());
                    prop_assert_eq!(event.seq, frame["seq"].as_u64());
                    prop_assert_eq!(payload_of(event.payload), expected);
                }
                Ok(Incoming::Other) => {
                    let kind = frame["type"].as_str();
                    prop_assert!(kind.is_some_and(|kind| kind != "res" && kind != "event"));
                }
                Err(fault) => {
                    prop_assert_eq!(fault, FrameFault::NotAFrame);
                    let is_wrong = |name: &str, right: fn(&Value) -> bool| {
                        frame.get(name).is_some_and(|value| !right(value))
                    };
                    let wrong = is_wrong("type", Value::is_string)
                        || is_wrong("event", Value::is_string)
                        || is_wrong("ok", |ok| ok.is_boolean() || ok.is_null());
                    let bare = match frame["type"].as_str() {
                        Some("res") => frame["ok"].as_bool().is_none(),
                        Some("event") => frame["event"].as_str().is_none_or(str::is_empty),
                        _ => false,
                    };
                    prop_assert!(wrong || bare, "{}", text);
                }
            }
        }
    }
}
