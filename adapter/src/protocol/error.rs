//! The error object of a response.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::base::sanitize::printable;

/// What a gateway said when it refused a request.
///
/// Measured shape: `{code, message, details?, retryable?, retryAfterMs?}` in both generations;
/// 2026.2.9 sends `details` only for pairing and protocol refusals.
///
/// Read field by field: one of an unexpected type counts as absent and takes nothing else with it.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// // Listing devices needs the scope `operator.pairing`, which this client did not ask for.
/// let refused = client.devices().list().await.unwrap_err();
/// let said = refused.gateway_error().ok_or("the gateway did not say a word")?;
/// assert_eq!(said.missing_scope(), Some("operator.pairing"));
/// assert_eq!(said.retry_after(), None);
/// println!("{said}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(from = "Value")]
#[non_exhaustive]
pub struct GatewayError {
    /// `INVALID_REQUEST`, `NOT_PAIRED`, `FORBIDDEN`, `UNAVAILABLE` and others; gateways add more.
    pub code: String,
    /// The gateway's own words, as they came. [`Display`](fmt::Display) shows them made safe to print.
    pub message: String,
    /// Structured facts behind the code, where the gateway gives them.
    pub details: Option<Value>,
    /// Whether the gateway says that the same request may succeed later.
    pub retryable: Option<bool>,
    /// As it came, and so perhaps absurd: [`retry_after`](Self::retry_after) makes a wait of it.
    pub(crate) retry_after_ms: Option<f64>,
}

impl From<Value> for GatewayError {
    fn from(mut wire: Value) -> Self {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            code: text(wire.get("code")),
            message: text(wire.get("message")),
            retryable: wire.get("retryable").and_then(Value::as_bool),
            retry_after_ms: wire.get("retryAfterMs").and_then(Value::as_f64),
            details: wire
                .get_mut("details")
                .map(Value::take)
                .filter(|details| !details.is_null()),
        }
    }
}

impl GatewayError {
    /// An error that nobody put into a frame: the words of a close reason, or our own.
    pub(crate) fn from_words(message: impl Into<String>) -> Self {
        Self {
            code: String::new(),
            message: message.into(),
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }

    /// `details.code`, the finer code of the 2026.9 generation.
    #[must_use]
    pub fn detail_code(&self) -> Option<&str> {
        self.detail("code")
    }

    /// How long the gateway asks to wait before the next try; at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        const DAY_MS: f64 = 86_400_000.0;
        let ms = self.retry_after_ms?;
        (ms.is_finite() && ms >= 0.0).then(|| Duration::from_secs_f64(ms.min(DAY_MS) / 1000.0))
    }

    /// The scope that the caller lacks, if that is why it was refused.
    ///
    /// 2026.9.6 names it in `details.missingScope`, 2026.2.9 only in the message
    /// `missing scope: operator.write`.
    #[must_use]
    pub fn missing_scope(&self) -> Option<&str> {
        self.detail("missingScope")
            .or_else(|| self.message.strip_prefix("missing scope: "))
    }

    /// A text field of `details`.
    pub(crate) fn detail(&self, name: &str) -> Option<&str> {
        self.details.as_ref()?.get(name)?.as_str()
    }

    /// A list of texts in `details`; `None` if it is not there.
    pub(crate) fn detail_list(&self, name: &str) -> Option<Vec<String>> {
        let list = self.details.as_ref()?.get(name)?.as_array()?;
        Some(
            list.iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect(),
        )
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable(&self.code), printable(&self.message))
    }
}

impl std::error::Error for GatewayError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_name_the_missing_scope() {
        let new: GatewayError = serde_json::from_str(
            r#"{"code":"FORBIDDEN","message":"missing scope: operator.pairing",
                "details":{"code":"MISSING_SCOPE","missingScope":"operator.pairing","requiredScopes":["operator.pairing"]}}"#,
        )
        .unwrap();
        let old: GatewayError = serde_json::from_str(
            r#"{"code":"INVALID_REQUEST","message":"missing scope: operator.pairing"}"#,
        )
        .unwrap();
        assert_eq!(new.missing_scope(), Some("operator.pairing"));
        assert_eq!(old.missing_scope(), Some("operator.pairing"));
        assert_eq!(new.detail_code(), Some("MISSING_SCOPE"));
    }

    #[test]
    fn a_field_of_an_unexpected_type_takes_nothing_else_with_it() {
        let error: GatewayError = serde_json::from_str(
            r#"{"code":"UNAVAILABLE","message":7,"retryAfterMs":"soon","retryable":true,"details":{"code":"X"}}"#,
        )
        .unwrap();
        assert_eq!((&*error.code, &*error.message), ("UNAVAILABLE", ""));
        assert_eq!((error.retryable, error.retry_after_ms), (Some(true), None));
        assert_eq!(error.detail_code(), Some("X"));
        let odd: GatewayError = serde_json::from_str(r#""boom""#).unwrap();
        assert_eq!(odd, GatewayError::from_words(""));
    }

    #[test]
    fn an_absurd_wait_is_no_wait_or_a_day() {
        let after = |ms: f64| {
            GatewayError {
                code: String::new(),
                message: String::new(),
                details: None,
                retryable: None,
                retry_after_ms: Some(ms),
            }
            .retry_after()
        };
        assert_eq!(after(-1.0), None);
        assert_eq!(after(f64::NAN), None);
        assert_eq!(after(1e300), Some(Duration::from_secs(86_400)));
        assert_eq!(after(500.0), Some(Duration::from_millis(500)));
    }
}
