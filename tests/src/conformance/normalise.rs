//! Brings a log into the form of the recordings, so that two runs of one case are equal.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

/// The address of remote clients when the recordings were made.
const RECORDED_REMOTE_IP: &str = "10.77.0.2";

/// Times further from now than this are wrong, and are left in the log to be seen.
const TIME_SLACK_MS: u64 = 15 * 60 * 1000;

/// Replaces what differs from run to run. `remote_ip` is where the case's remote clients came from.
pub(super) fn normalise(log: &mut Value, remote_ip: &str) {
    cut_hello(log);
    Placeholders {
        remote_ip,
        seen: BTreeMap::new(),
    }
    .visit(log);
}

/// Keeps of each hello-ok its policy, its auth and the names of its other parts.
fn cut_hello(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(cut_hello),
        Value::Object(frame) => match frame.get_mut("payload") {
            Some(payload) if payload["type"] == "hello-ok" => *payload = hello(payload),
            _ => frame.values_mut().for_each(cut_hello),
        },
        _ => {}
    }
}

fn hello(payload: &Value) -> Value {
    json!({
        "type": payload["type"],
        "protocol": payload["protocol"],
        "keys": keys(payload),
        "auth": payload.get("auth").cloned().unwrap_or_else(|| json!({})),
        "features": keys(&payload["features"]),
        "policy": payload["policy"],
        "server": keys(&payload["server"]),
        "snapshot": keys(&payload["snapshot"]),
    })
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

struct Placeholders<'a> {
    remote_ip: &'a str,
    /// Per kind, the values in the order in which they came.
    seen: BTreeMap<&'static str, Vec<String>>,
}

impl Placeholders<'_> {
    /// Visits in the order of sorted keys, which numbers the placeholders.
    fn visit(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(item)),
            Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter_mut().collect();
                for (key, value) in sorted {
                    self.field(key, value);
                }
            }
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    fn field(&mut self, key: &str, value: &mut Value) {
        let kind = match key {
            "nonce" => Some("nonce"),
            "deviceToken" | "token" => Some("deviceToken"),
            "publicKey" => Some("publicKey"),
            "recoveryScope" => Some("recoveryScope"),
            _ => None,
        };
        match (kind, &*value) {
            (Some(kind), Value::String(text)) => {
                let text = text.clone();
                *value = self.placeholder(kind, &text).into();
            }
            (None, Value::String(text)) if key == "remoteIp" && text == self.remote_ip => {
                *value = RECORDED_REMOTE_IP.into();
            }
            (None, Value::Number(number))
                if key == "retryAfterMs" && number.as_u64().is_some_and(is_a_lockout) =>
            {
                *value = "<retryAfterMs>".into();
            }
            (None, Value::Number(number))
                if (key == "seq" && number.as_u64().is_some_and(|seq| seq > 0))
                    || ((key == "ts" || key.ends_with("AtMs"))
                        && number.as_u64().is_some_and(is_about_now)) =>
            {
                *value = format!("<{key}>").into();
            }
            _ => self.visit(value),
        }
    }

    fn placeholder(&mut self, kind: &'static str, text: &str) -> String {
        let seen = self.seen.entry(kind).or_default();
        let place = seen.iter().position(|old| old == text).unwrap_or_else(|| {
            seen.push(text.to_owned());
            seen.len() - 1
        });
        format!("<{kind}{place}>")
    }

    /// Replaces UUIDs and 64-digit hex numbers anywhere in a text, and says how much was left of
    /// a request id that the length limit of a close reason cut off.
    fn text(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let run = rest
                .find(|c: char| !matches!(c, '0'..='9' | 'a'..='f' | '-'))
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(run);
            if is_uuid(word) {
                out.push_str(&self.placeholder("uuid", word));
            } else if word.len() == 64 && !word.contains('-') {
                out.push_str(&self.placeholder("hex", word));
            } else if after.is_empty() && !word.is_empty() && out.ends_with("(requestId: ") {
                out.push_str("<cut to ");
                out.push_str(&word.len().to_string());
                out.push('>');
            } else {
                out.push_str(word);
            }
            let mut chars = after.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
        out
    }
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word
            .bytes()
            .enumerate()
            .all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23))
}

/// What is left of a lockout that began a moment ago.
fn is_a_lockout(ms: u64) -> bool {
    (280_000..=300_000).contains(&ms)
}

fn is_about_now(ms: u64) -> bool {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|now| u128::from(ms).abs_diff(now.as_millis()) < u128::from(TIME_SLACK_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const B: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

    #[test]
    fn equal_values_become_equal_placeholders_in_the_order_of_sorted_keys() {
        let mut log = json!([{"id": A, "error": {"requestId": B}}, {"reason": format!("({B})")}]);
        normalise(&mut log, "127.0.0.1");
        assert_eq!(
            log,
            json!([{"id": "<uuid1>", "error": {"requestId": "<uuid0>"}}, {"reason": "(<uuid0>)"}])
        );
    }

    #[test]
    fn a_cut_request_id_tells_how_much_of_it_is_left() {
        let mut log = json!([{"reason": format!("pairing (requestId: {}", &A[..31])}]);
        normalise(&mut log, "127.0.0.1");
        assert_eq!(log, json!([{"reason": "pairing (requestId: <cut to 31>"}]));
    }

    #[test]
    fn a_time_that_is_not_about_now_stays_to_be_seen() {
        let mut log = json!([{"ts": 12}]);
        normalise(&mut log, "127.0.0.1");
        assert_eq!(log, json!([{"ts": 12}]));
    }
}
