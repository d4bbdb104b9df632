//! Lines of code: those with a token on them that is no comment, outside of what only tests need.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};

/// Counts the lines of code in `text`, without the ranges of lines in `skipped`.
pub(super) fn code_lines(text: &str, skipped: &[(usize, usize)]) -> anyhow::Result<usize> {
    let tokens = TokenStream::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let source: Vec<&str> = text.lines().collect();
    let mut lines = BTreeSet::new();
    collect(tokens, &source, &mut lines);
    lines.retain(|line| {
        !skipped
            .iter()
            .any(|(first, last)| (first..=last).contains(&line))
    });
    Ok(lines.len())
}

fn collect(tokens: TokenStream, source: &[&str], lines: &mut BTreeSet<usize>) {
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            let (open, close) = (group.span_open().start(), group.span_close().start());
            // The tokens of a doc comment all stand where the comment stands.
            if is_comment(source, open.line, open.column) {
                continue;
            }
            lines.insert(open.line);
            lines.insert(close.line);
            collect(group.stream(), source, lines);
            continue;
        }
        let (start, end) = (token.span().start(), token.span().end());
        if !is_comment(source, start.line, start.column) {
            lines.extend(start.line..=end.line);
        }
    }
}

fn is_comment(source: &[&str], line: usize, column: usize) -> bool {
    let rest = line
        .checked_sub(1)
        .and_then(|line| source.get(line))
        .map(|text| text.chars().skip(column).take(2).collect::<String>());
    rest.is_some_and(|rest| rest == "//" || rest == "/*")
}
