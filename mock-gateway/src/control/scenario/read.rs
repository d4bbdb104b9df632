//! Values and where they stand, for errors that name the place.

use serde_json::{Map, Value};

/// Something that no scenario says.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// A value and its place in the file.
#[derive(Debug)]
pub(super) struct Node<'v> {
    place: String,
    value: &'v Value,
}

impl<'v> Node<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self {
            place: String::new(),
            value,
        }
    }

    pub(super) fn value(&self) -> &'v Value {
        self.value
    }

    pub(super) fn expected(&self, expected: impl Into<String>) -> Invalid {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(number) => &number.to_string(),
            Value::String(text) if text.is_empty() => "empty text",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.invalid(expected, found)
    }

    fn invalid(&self, expected: impl Into<String>, found: impl Into<String>) -> Invalid {
        let place = if self.place.is_empty() {
            "the whole file".to_owned()
        } else {
            self.place.clone()
        };
        Invalid {
            place,
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn members(&self) -> Result<&'v Map<String, Value>, Invalid> {
        self.value
            .as_object()
            .ok_or_else(|| self.expected("an object"))
    }

    pub(super) fn object(&self) -> Result<(), Invalid> {
        self.members().map(drop)
    }

    /// An object with these members and no others.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Invalid> {
        let other = self
            .members()?
            .keys()
            .find(|name| !names.contains(&name.as_str()));
        match other {
            None => Ok(()),
            Some(other) => {
                Err(self.invalid(format!("only {}", names.join(", ")), format!("{other:?}")))
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name)?;
        let place = if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        };
        Some(Self { place, value })
    }

    pub(super) fn required(&self, name: &str) -> Result<Self, Invalid> {
        self.members()?;
        self.get(name)
            .ok_or_else(|| self.invalid(format!("a member {name}"), "none"))
    }

    pub(super) fn maybe<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        self.get(name).map(|node| read(&node)).transpose()
    }

    pub(super) fn items(&self) -> Result<Vec<Self>, Invalid> {
        let items = self.value.as_array();
        let items = items.ok_or_else(|| self.expected("a list"))?;
        let node = |(index, value)| Self {
            place: format!("{}[{index}]", self.place),
            value,
        };
        Ok(items.iter().enumerate().map(node).collect())
    }

    /// The items of a member that need not be there.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        let Some(node) = self.get(name) else {
            return Ok(Vec::new());
        };
        node.items()?.iter().map(read).collect()
    }

    pub(super) fn any_text(&self) -> Result<&'v str, Invalid> {
        self.value.as_str().ok_or_else(|| self.expected("text"))
    }

    /// Text that is not empty.
    pub(super) fn text(&self) -> Result<&'v str, Invalid> {
        let text = self.value.as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| self.expected("text that is not empty"))
    }

    pub(super) fn whole(&self, least: u64, most: u64) -> Result<u64, Invalid> {
        // A JSON schema takes 5.0 for a whole number.
        let from_float = || {
            let number = self.value.as_f64().filter(|number| number.fract() == 0.0)?;
            format!("{number:.0}").parse().ok()
        };
        let number = self.value.as_u64().or_else(from_float);
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.expected(format!("a whole number from {least} to {most}")))
    }

    /// A whole number that counts something, in as many bits as it is asked in.
    pub(super) fn count<N: TryFrom<u64>>(&self, least: u64, most: u64) -> Result<N, Invalid> {
        let number = self.whole(least, most)?;
        N::try_from(number).map_err(|_| self.expected("a smaller number"))
    }

    /// Returns how often: `None` for `"always"`.
    pub(super) fn times(&self) -> Result<Option<u32>, Invalid> {
        if self.value == "always" {
            return Ok(None);
        }
        self.whole(1, u64::from(u32::MAX))
            .ok()
            .and_then(|times| u32::try_from(times).ok())
            .map(Some)
            .ok_or_else(|| {
                self.expected(format!(
                    "\"always\" or a whole number from 1 to {}",
                    u32::MAX
                ))
            })
    }

    pub(super) fn yes(&self) -> Result<(), Invalid> {
        if self.value == true {
            Ok(())
        } else {
            Err(self.expected("true"))
        }
    }

    /// Any JSON; `{}` when it is not there.
    pub(super) fn payload(&self, name: &str) -> Value {
        let value = self.value.get(name);
        value.cloned().unwrap_or_else(|| Value::Object(Map::new()))
    }
}
