//! The gateway's frames, written and read here and nowhere else.

pub(crate) mod schema;
pub(crate) mod ws;

use serde_json::{Map, Value, json};

/// The error part of a response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorShape {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    /// Present as `retryable: true` when set.
    pub(crate) retryable: bool,
    pub(crate) retry_after_ms: Option<u64>,
    /// What the response carries next to the error, as that of a failed run does.
    pub(crate) payload: Option<Box<Value>>,
}

impl ErrorShape {
    /// Returns what every call gets while the gateway drains (measured on 2026.9.6).
    pub(crate) fn restarting(method: &str) -> Self {
        Self {
            details: Some(json!({
                "method": method, "reason": "gateway-restarting", "phase": "accepting",
            })),
            retryable: true,
            retry_after_ms: Some(1000),
            ..Self::new(
                "UNAVAILABLE",
                format!("{method} unavailable during gateway restart"),
            )
        }
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retryable: false,
            retry_after_ms: None,
            payload: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_REQUEST", message)
    }

    pub(crate) fn with_details(mut self, details: Option<Value>) -> Self {
        self.details = details;
        self
    }

    pub(crate) fn with_payload(mut self, payload: Value) -> Self {
        self.payload = Some(Box::new(payload));
        self
    }

    pub(crate) fn retry_after(mut self, ms: Option<u64>) -> Self {
        self.retryable = true;
        self.retry_after_ms = ms;
        self
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), self.code.into());
        error.insert("message".into(), self.message.clone().into());
        if let Some(details) = &self.details {
            error.insert("details".into(), details.clone());
        }
        if self.retryable {
            error.insert("retryable".into(), true.into());
        }
        if let Some(ms) = self.retry_after_ms {
            error.insert("retryAfterMs".into(), ms.into());
        }
        Value::Object(error)
    }
}

pub(crate) type Reply = Result<Value, ErrorShape>;

/// A response frame; `id` is echoed as it came, even when it is no string.
pub(crate) fn response(id: &Value, reply: &Reply) -> String {
    match reply {
        Ok(payload) => json!({"type": "res", "id": id, "ok": true, "payload": payload}),
        Err(error) => {
            let mut frame =
                json!({"type": "res", "id": id, "ok": false, "error": error.to_value()});
            if let Some(payload) = &error.payload {
                frame["payload"] = Value::clone(payload);
            }
            frame
        }
    }
    .to_string()
}

/// An event frame that may go to many: its payload is written out once, whoever is the receiver.
pub(crate) struct Event {
    /// Up to the number.
    before: String,
    /// After the number.
    after: String,
}

impl Event {
    pub(crate) fn new(name: &str, payload: &Value, state_version: Option<&Value>) -> Self {
        let before = format!(r#"{{"event":{},"payload":{payload}"#, Value::from(name));
        let version = state_version.map(|version| format!(r#","stateVersion":{version}"#));
        let after = format!(r#"{},"type":"event"}}"#, version.unwrap_or_default());
        Self { before, after }
    }

    /// The frame with this number, or without one.
    pub(crate) fn text(&self, seq: Option<u64>) -> String {
        let Self { before, after } = self;
        match seq {
            Some(seq) => format!(r#"{before},"seq":{seq}{after}"#),
            None => format!("{before}{after}"),
        }
    }
}

/// An event frame for one.
pub(crate) fn event(name: &str, payload: &Value, seq: Option<u64>) -> String {
    Event::new(name, payload, None).text(seq)
}

/// Cuts a close reason at `limit` bytes without splitting a character.
///
/// Measured on 2026.9.6: reasons end at 120 bytes, which can fall in the middle of a request id.
pub(crate) fn cut_reason(reason: &str, limit: usize) -> &str {
    if reason.len() <= limit {
        return reason;
    }
    let mut end = limit;
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_json_for_one_and_for_many() {
        let payload = json!({"text": "\"quoted\" \n", "n": [1, null]});
        let version = json!({"presence": 2, "health": 3});
        let whole = |seq: Option<u64>| {
            let text = Event::new("he\"alth", &payload, Some(&version)).text(seq);
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let mut expected = json!({
            "type": "event", "event": "he\"alth", "payload": payload, "stateVersion": version,
        });
        assert_eq!(whole(None), expected);
        expected["seq"] = 7.into();
        assert_eq!(whole(Some(7)), expected);
        let alone: Value = serde_json::from_str(&event("tick", &json!({}), Some(1))).expect("JSON");
        assert_eq!(
            alone,
            json!({"type": "event", "event": "tick", "payload": {}, "seq": 1})
        );
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        assert_eq!(cut_reason("short", 120), "short");
        let long = format!("{}ä", "x".repeat(119));
        assert_eq!(cut_reason(&long, 120), "x".repeat(119));
    }
}
