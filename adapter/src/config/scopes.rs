//! Which scopes are asked for: those that were set, or the usual ones.

use super::builder::ConfigBuilder;

/// What most backends need: to see, and to run agents.
const USUAL: [&str; 2] = ["operator.read", "operator.write"];

impl ConfigBuilder {
    pub(super) fn asked_scopes(&self) -> Vec<String> {
        self.scopes
            .clone()
            .unwrap_or_else(|| USUAL.map(ToOwned::to_owned).to_vec())
    }
}

/// Reads a list with commas or white space between its words; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Vec<String>> {
    let is_scope = |scope: &str| {
        scope.chars().all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '*')
        })
    };
    let scopes: Vec<String> = text
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|scope| !scope.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    (!scopes.is_empty() && scopes.iter().all(|scope| is_scope(scope))).then_some(scopes)
}
