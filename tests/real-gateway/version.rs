//! A version of `openclaw`, as npm names it.

use std::fmt;
use std::str::FromStr;

/// A version such as `2026.9.6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    text: String,
    numbers: (u32, u32, u32),
}

impl Version {
    /// The version as npm writes it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it came before this one.
    pub(crate) fn before(&self, year: u32, month: u32, patch: u32) -> bool {
        self.numbers < (year, month, patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text} is no version of openclaw; they look like 2026.9.6");
        // What follows a dash or a plus names a beta or a build of the same numbers.
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        if !text.chars().all(allowed) {
            return Err(wrong());
        }
        let mut parts = numbers.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(year)), Some(Ok(month)), Some(Ok(patch)), None) => Ok(Self {
                text: text.to_owned(),
                numbers: (year, month, patch),
            }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_ordered_by_its_numbers() {
        let version: Version = "2026.2.26-beta.1".parse().unwrap();

        assert!(version.before(2026, 3, 0));
        assert!(!version.before(2026, 2, 26));
        assert!(!version.before(2026, 2, 9));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "latest",
            "2026.9",
            "2026.9.6.1",
            "../../etc",
            "2026.9.6 && x",
            "",
        ] {
            assert!(
                text.parse::<Version>().is_err(),
                "{text} was taken for a version"
            );
        }
    }
}
