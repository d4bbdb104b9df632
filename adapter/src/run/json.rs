//! Fields of JSON objects, read leniently.

use serde_json::Value;

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

pub(crate) fn owned(value: &Value, name: &str) -> Option<String> {
    text(value, name).map(ToOwned::to_owned)
}

pub(crate) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool) == Some(true)
}

/// A whole number; a number with a fraction is cut.
pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    let value = value.get(name)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from f64 saturates, and no field here is near the ends"
    )]
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number as i64))
}
