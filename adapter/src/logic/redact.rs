//! What was told to the other side, taken out of what it says back.
//!
//! A careless proxy repeats a request's headers on its error page, and a gateway may repeat our token
//! in order to have it in our logs.

use std::fmt;

use http::HeaderMap;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::logic::handshake::Auth;
use crate::protocol::GatewayError;

/// What is shorter is not taken for a secret: it would be found in any text.
const LEAST: usize = 8;
const HIDDEN: &str = "[redacted]";

/// The secrets of one connection.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    /// Over the values of the extra headers.
    pub(crate) fn for_headers(headers: &HeaderMap) -> Self {
        let mut redactor = Self::default();
        for value in headers.values() {
            redactor.add(&String::from_utf8_lossy(value.as_bytes()));
        }
        redactor
    }

    /// Over what an attempt logs in with.
    pub(crate) fn add_auth(&mut self, auth: &Auth) {
        match auth {
            Auth::Shared(token) | Auth::Password(token) | Auth::Device(token) => {
                self.add(token.expose_secret());
            }
            Auth::Nothing => {}
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= LEAST {
            self.0.push(Zeroizing::new(secret.to_owned()));
        }
    }

    /// The text without what is secret.
    pub(crate) fn text(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), HIDDEN);
            }
        }
    }

    /// What a gateway said, without what is secret.
    pub(crate) fn error(&self, error: &mut GatewayError) {
        self.text(&mut error.code);
        self.text(&mut error.message);
        if let Some(details) = &mut error.details {
            self.value(details);
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(mut name, mut value)| {
                        self.text(&mut name);
                        self.value(&mut value);
                        (name, value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redactor").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::secret::Token;

    fn redactor() -> Redactor {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", http::HeaderValue::from_static("a-proxy-key"));
        headers.insert("x-flag", http::HeaderValue::from_static("yes"));
        let mut redactor = Redactor::for_headers(&headers);
        redactor.add_auth(&Auth::Shared(Token::new("shared-token").unwrap()));
        redactor
    }

    #[test]
    fn what_was_told_is_taken_out_wherever_it_stands() {
        let mut error: GatewayError = serde_json::from_value(json!({
            "code": "NO-shared-token",
            "message": "yes, shared-token and a-proxy-key",
            "details": {"seen": ["a-proxy-key", 7], "shared-token": {"x": "<shared-token>"}},
        }))
        .unwrap();
        redactor().error(&mut error);
        assert_eq!(error.code, "NO-[redacted]");
        assert_eq!(error.message, "yes, [redacted] and [redacted]");
        assert_eq!(
            error.details,
            Some(json!({"seen": ["[redacted]", 7], "[redacted]": {"x": "<[redacted]>"}}))
        );
    }

    #[test]
    fn it_shows_nothing_itself() {
        assert_eq!(format!("{:?}", redactor()), "Redactor(2)");
    }
}
