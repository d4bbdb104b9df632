//! Reading what a gateway says: what is strange in one field takes nothing else with it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A field that may be absent. `null` counts as absent, and so does a value of another type than
/// the one measured.
pub(crate) fn option<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// A list that may be absent or `null`. Its entries have to be what they are: one that was left out
/// in silence would look as if it did not exist.
pub(crate) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Read {
        #[serde(default, deserialize_with = "option")]
        count: Option<u64>,
        #[serde(default, deserialize_with = "list")]
        names: Vec<String>,
    }

    fn read(value: Value) -> serde_json::Result<Read> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        for strange in [
            json!({}),
            json!({"count": null, "names": null}),
            json!({"count": "many"}),
            json!({"count": -1}),
        ] {
            let read = read(strange.clone()).unwrap();
            assert_eq!((read.count, read.names.len()), (None, 0), "{strange}");
        }
    }

    #[test]
    fn an_entry_of_a_list_is_never_left_out() {
        assert_eq!(read(json!({"names": ["a", "b"]})).unwrap().names.len(), 2);
        assert!(read(json!({"names": ["a", 2]})).is_err());
    }
}
