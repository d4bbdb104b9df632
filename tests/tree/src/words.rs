//! The words of names and comments, by `.ci/words.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;

use crate::Sources;

/// Vocabulary that names and comments do without.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// First words of a doc comment that an index of items cannot be searched by.
    first: Vec<String>,
    /// Names in code that were given up, and the name instead.
    names: BTreeMap<String, String>,
    /// File names, without `.rs`, that were given up, and the name instead.
    files: BTreeMap<String, String>,
    /// Phrases in comments and pages that were given up, and what to write instead.
    phrases: BTreeMap<String, String>,
}

impl Vocabulary {
    /// Reads the words.
    ///
    /// # Errors
    ///
    /// Says what is wrong with `toml` and where.
    pub fn parse(toml: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(toml)?)
    }

    /// Says for each place in Rust sources and pages which word is wrong there, by file and line.
    ///
    /// # Errors
    ///
    /// Fails if a Rust source has no valid tokens.
    pub fn check(&self, sources: &Sources) -> anyhow::Result<Vec<String>> {
        let mut problems = Vec::new();
        for (file, text) in sources {
            let shown = file.display();
            for name in file.iter().filter_map(|name| name.to_str()) {
                let name = name.strip_suffix(".rs").unwrap_or(name);
                if let Some(better) = self.files.get(name) {
                    problems.push(format!("{shown}: `{name}` was given up for `{better}`"));
                }
            }
            let is_page = file.extension().is_some_and(|extension| extension == "md");
            let mut found = Vec::new();
            self.check_text(text, is_page, &mut found);
            if !is_page {
                self.check_names(file, text, &mut found)?;
            }
            found.sort();
            problems.extend(
                found
                    .iter()
                    .map(|(line, what)| format!("{shown}:{line}: {what}")),
            );
        }
        Ok(problems)
    }

    fn check_text(&self, text: &str, is_page: bool, found: &mut Vec<(usize, String)>) {
        let mut before = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let comment = ["///", "//!", "//"]
                .into_iter()
                .find_map(|kind| Some((kind, line.strip_prefix(kind)?)));
            let kind = comment.map(|(kind, _)| kind);
            let words = match comment {
                Some((_, words)) => words,
                None if is_page => line,
                None => {
                    before = None;
                    continue;
                }
            };
            if kind.is_some_and(|kind| kind != "//") && kind != before {
                let first = words.split_whitespace().next().unwrap_or_default();
                if self.first.iter().any(|word| word == first) {
                    found.push((at + 1, format!("a doc comment begins with \"{first}\"")));
                }
            }
            before = kind;
            for (phrase, better) in &self.phrases {
                if has_words(words, phrase) {
                    found.push((
                        at + 1,
                        format!("\"{phrase}\" was given up for \"{better}\""),
                    ));
                }
            }
        }
    }

    fn check_names(
        &self,
        file: &Path,
        text: &str,
        found: &mut Vec<(usize, String)>,
    ) -> anyhow::Result<()> {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        let mut next = vec![tokens];
        while let Some(tokens) = next.pop() {
            for token in tokens {
                match token {
                    TokenTree::Group(group) => next.push(group.stream()),
                    TokenTree::Ident(ident) => {
                        if let Some(better) = self.names.get(&ident.to_string()) {
                            let line = ident.span().start().line;
                            found.push((line, format!("`{ident}` was given up for `{better}`")));
                        }
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// Looks for whole words: "lives" is not in "olives".
fn has_words(text: &str, phrase: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(phrase).any(|(at, _)| {
        !text[..at].ends_with(is_letter) && !text[at + phrase.len()..].starts_with(is_letter)
    })
}
