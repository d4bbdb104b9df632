//! The W3C trace context that goes with a call, so that its trace goes on in the gateway.

use std::fmt;

tokio::task_local! {
    /// What a task of our own sends: the trace of whoever set it off, in whose task it is not.
    pub(crate) static INHERITED: Option<TraceParent>;
}

/// A `traceparent`: `00-<trace id>-<span id>-<flags>`, in hexadecimal.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct TraceParent(Box<str>);

impl TraceParent {
    /// `None` for what is no `traceparent` of version 00: gateways refuse a whole frame for a
    /// property that they do not like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length: usize, may_be_zero: bool| {
            let part = parts.next()?;
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let is_good = part.len() == length
                && part.bytes().all(is_hex)
                && (may_be_zero || part.bytes().any(|byte| byte != b'0'));
            is_good.then_some(part)
        };
        part(2, true).filter(|version| *version == "00")?;
        part(32, false)?;
        part(16, false)?;
        part(2, true)?;
        parts.next().is_none().then(|| Self(text.into()))
    }

    pub(crate) const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_traceparent_is_one() {
        assert!(TraceParent::parse(GOOD).is_some());
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            r#"00-4bf92f3577b34da6a3ce929d0e0e473"-00f067aa0ba902b7-01"#,
        ] {
            assert!(TraceParent::parse(bad).is_none(), "{bad}");
        }
    }
}
