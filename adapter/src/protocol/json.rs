//! JSON that a Node gateway writes and `serde_json` refuses.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// The depth from which on parts are left out where a text is nested too deep to be read.
const MAX_DEPTH: usize = 100;

/// Replaces each lone surrogate by U+FFFD; `None` if there is none.
///
/// `JSON.stringify` writes half of a pair as an escape (`\ud83d`), which is legal JSON. Gateways up to
/// 2026.6.11 cut strings in the middle of a pair, so an ordinary emoji is enough.
pub(crate) fn replace_lone_surrogates(text: &str) -> Option<String> {
    if !text.contains(r"\ud") && !text.contains(r"\uD") {
        return None;
    }
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut replaced: Option<String> = None;
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == b'\\') {
        let start = at + found;
        at = match unit(start) {
            None => bytes.len().min(start + 2),
            Some(0xD800..=0xDBFF) if matches!(unit(start + 6), Some(0xDC00..=0xDFFF)) => start + 12,
            Some(0xD800..=0xDFFF) => {
                let replaced = replaced.get_or_insert_with(|| text.to_owned());
                replaced.replace_range(start + 2..start + 6, "fffd");
                start + 6
            }
            Some(_) => start + 6,
        };
    }
    replaced
}

/// Reads a text; if it is nested too deep, without the parts over 100 levels, which read as `null`.
pub(crate) fn from_str_lossy<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|error| match without_depth(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(text) => serde_json::from_str(&text),
    })
}

fn without_depth(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    // Start of what is not copied yet.
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth == MAX_DEPTH {
                    kept.push_str(text.get(from..at).unwrap_or_default());
                    kept.push_str("null");
                }
            }
            b']' | b'}' if !in_string => {
                if depth == MAX_DEPTH {
                    from = at + 1;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    if kept.is_empty() {
        return Cow::Borrowed(text);
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// As `JSON.stringify` writes a string of these UTF-16 units.
    fn stringify(units: &[u16]) -> String {
        let mut text = String::from("\"");
        for unit in char::decode_utf16(units.iter().copied()) {
            match unit {
                Ok(c) => {
                    let escaped = serde_json::to_string(&c.to_string()).unwrap();
                    text.push_str(&escaped[1..escaped.len() - 1]);
                }
                Err(lone) => {
                    write!(text, "\\u{:04x}", lone.unpaired_surrogate()).unwrap();
                }
            }
        }
        text.push('"');
        text
    }

    fn read(text: &str) -> Value {
        let replaced = replace_lone_surrogates(text);
        serde_json::from_str(replaced.as_deref().unwrap_or(text)).unwrap()
    }

    #[test]
    fn a_lone_surrogate_is_read_as_the_replacement_character() {
        for (text, expected) in [
            (r#"" \ud83d""#, " \u{fffd}"),
            (r#""\uDE00x""#, "\u{fffd}x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for whole in ["\"plain\"", r#""\ud83d\ude00""#, r#""\u00e4""#] {
            assert_eq!(replace_lone_surrogates(whole), None);
        }
        // Not JSON; it is refused, and nothing breaks.
        for odd in ["\"\\ud", "\\ud83d\\", "\\ud8ä", "\"\\ud83d\\u"] {
            let _ = replace_lone_surrogates(odd);
        }
    }

    #[test]
    fn a_text_that_is_nested_too_deep_is_read_without_its_depth() {
        let deep = format!(
            r#"{{"a":"]\"[","b":{}1{},"c":[2]}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        assert!(serde_json::from_str::<Value>(&deep).is_err());
        let read: Value = from_str_lossy(&deep).unwrap();
        assert_eq!((&read["a"], &read["c"][0]), (&"]\"[".into(), &2.into()));
        assert!(from_str_lossy::<Value>("1e400").is_err());
        assert!(from_str_lossy::<Value>(&"[".repeat(500)).is_err());
        let big: Value = from_str_lossy(r#"{"a":1,"a":123456789012345678901234567890}"#).unwrap();
        assert!(big["a"].as_f64().unwrap() > 1e29);
    }

    proptest! {
        #[test]
        fn every_string_that_node_writes_is_read(units in proptest::collection::vec(
            prop_oneof![any::<u16>(), 0xD800_u16..0xE000, Just(0x5C), Just(0x22)], 0..40))
        {
            let expected: String = char::decode_utf16(units.iter().copied())
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            prop_assert_eq!(read(&stringify(&units)), expected);
        }
    }
}
