//! What 2026.9.6 leaves out of what it shows: a paragraph that says again what the one before it said.
//!
//! Measured: the pieces are passed on as they come; at the end of the model's turn the text is taken back and
//! told again without the repeats, and the run's last words have none. History keeps what the model said.
//! 2026.2.9 leaves nothing out.

use std::borrow::Cow;

/// The text as it is shown, if that is another one: blocks of code stay whole and are no repeats.
pub(super) fn without_repeats(text: &str) -> Cow<'_, str> {
    let mut shown: Vec<&str> = Vec::new();
    let mut before = String::new();
    let mut leaves_out = false;
    for paragraph in paragraphs(text) {
        let words = if is_fence(paragraph) {
            String::new()
        } else {
            paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        if !words.is_empty() && words == before {
            leaves_out = true;
        } else {
            shown.push(paragraph.trim());
            before = words;
        }
    }
    if leaves_out {
        shown.join("\n\n").into()
    } else {
        text.into()
    }
}

/// The parts between empty lines; a block of code is one part with what stands directly around it.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        let mut in_code = false;
        for line in rest.split_inclusive('\n') {
            if !in_code && line == "\n" {
                break;
            }
            in_code ^= opens_code(line);
            end += line.len();
        }
        let (paragraph, after) = rest.split_at(end);
        rest = after.trim_start_matches('\n');
        Some(paragraph)
    })
}

fn opens_code(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

fn is_fence(paragraph: &str) -> bool {
    paragraph.lines().any(opens_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_left_out_as_a_real_gateway_did() {
        let said = "Say it.\n\nSay it.\n\nSay it.\n\nSay it. More.\n\n\n\nCode:\n\n```\na\n\na\n```\n\nCode:\nx\n\nCode: x";
        let shown = "Say it.\n\nSay it. More.\n\nCode:\n\n```\na\n\na\n```\n\nCode:\nx";
        assert_eq!(without_repeats(said), shown);
    }

    #[test]
    fn a_text_without_repeats_stays_as_it_is() {
        for text in [
            "",
            "One.",
            "One.\n\n\n\nTwo.\n",
            "One.\nOne.",
            "One.\n\nTwo.\n\nOne.",
            "```\na\n```\n\n```\na\n```",
            " \n\n \n\nx",
        ] {
            assert!(
                matches!(without_repeats(text), Cow::Borrowed(same) if same == text),
                "{text:?}"
            );
        }
    }
}
