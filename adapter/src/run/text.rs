//! Assembles the text of an answer from cumulative pieces.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::sync::Arc;

use super::event::{TextSource, TextUpdate};
use super::item::RunText;

/// The separator of an answer's parts, as 2026.9.6 writes it.
const SEPARATOR: &str = "\n\n";

/// The text of an answer so far.
///
/// On 2026.9.6 a `chat` event carries the whole answer, and an `agent` event the part since the last
/// tool. On 2026.2.9 both carry the part, and `chat` comes late and not always. So one source leads:
/// `chat` on protocol 4, `agent` on protocol 3; the other one serves until the first of the leading one.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    leading: TextSource,
    has_leading: bool,
    whole: String,
    /// Start of the current part.
    part: usize,
}

impl Text {
    pub(crate) const fn new(protocol: u32) -> Self {
        Self {
            leading: leading(protocol),
            has_leading: false,
            whole: String::new(),
            part: 0,
        }
    }

    pub(crate) const fn set_protocol(&mut self, protocol: u32) {
        self.leading = leading(protocol);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.whole
    }

    /// Applies an update; `None` if it adds nothing.
    pub(crate) fn apply(&mut self, update: &TextUpdate) -> Option<RunText> {
        if update.source == self.leading {
            self.has_leading = true;
        } else if self.has_leading {
            return None;
        }
        let is_whole = self.leading == TextSource::Chat && update.source == TextSource::Chat;
        if is_whole {
            self.part = 0;
        }
        let part = &self.whole[self.part..];
        if update.replaces {
            return self.set_part(&update.text, true);
        }
        let is_next = !is_whole && update.starts_part && !part.is_empty();
        if !is_next && part.starts_with(without_half_pair(&update.text)) {
            return None;
        }
        if is_whole || !is_next && update.text.starts_with(without_half_pair(part)) {
            return self.set_part(&update.text, false);
        }
        let before = self.whole.len();
        self.whole.push_str(SEPARATOR);
        self.part = self.whole.len();
        self.whole.push_str(&update.text);
        Some(self.item(before, false))
    }

    /// Discards the current part: a failed attempt starts again.
    pub(crate) fn discard_part(&mut self) -> Option<RunText> {
        self.set_part("", true)
    }

    /// Replaces the text by that of an answer.
    pub(crate) fn settle(&mut self, whole: &str) -> Option<RunText> {
        self.part = 0;
        self.set_part(whole, false)
    }

    /// Sets the current part. A text that does not continue it replaces it.
    fn set_part(&mut self, text: &str, replaces: bool) -> Option<RunText> {
        let part = &self.whole[self.part..];
        if part == text {
            return None;
        }
        let is_other = replaces || !text.starts_with(part);
        let before = self.whole.len();
        self.whole.truncate(self.part);
        self.whole.push_str(text);
        Some(self.item(before, is_other))
    }

    fn item(&self, before: usize, replaced: bool) -> RunText {
        let delta = if replaced {
            self.whole.clone()
        } else {
            self.whole[before..].to_owned()
        };
        RunText {
            text: Arc::from(&*self.whole),
            delta,
            replaced,
        }
    }
}

/// Leaves out the end of a text that was cut in the middle of a surrogate pair; it is completed later.
pub(crate) fn without_half_pair(text: &str) -> &str {
    text.strip_suffix(char::REPLACEMENT_CHARACTER)
        .unwrap_or(text)
}

const fn leading(protocol: u32) -> TextSource {
    if protocol >= 4 {
        TextSource::Chat
    } else {
        TextSource::Agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(source: TextSource, text: &str) -> TextUpdate {
        TextUpdate {
            source,
            text: text.to_owned(),
            replaces: false,
            starts_part: false,
        }
    }

    const fn new() -> Text {
        Text::new(4)
    }

    const fn old() -> Text {
        Text::new(3)
    }

    #[test]
    fn chat_carries_the_whole_text_on_protocol_4() {
        let mut text = new();
        assert_eq!(
            text.apply(&update(TextSource::Agent, "Fir")).unwrap().delta,
            "Fir"
        );
        assert_eq!(text.apply(&update(TextSource::Chat, "Fir")), None);
        assert_eq!(text.apply(&update(TextSource::Agent, "Second")), None);
        let item = text
            .apply(&update(TextSource::Chat, "First.\n\nSecond"))
            .unwrap();
        assert_eq!((&*item.delta, item.replaced), ("st.\n\nSecond", false));
    }

    #[test]
    fn agent_carries_part_by_part_on_protocol_3() {
        let mut text = old();
        text.apply(&update(TextSource::Agent, "Before"));
        text.apply(&update(TextSource::Agent, "Before the tool."));
        let mut next = update(TextSource::Agent, "After");
        next.starts_part = true;
        assert_eq!(text.apply(&next).unwrap().delta, "\n\nAfter");
        assert_eq!(text.apply(&update(TextSource::Chat, "Af")), None);
        text.apply(&update(TextSource::Agent, "After the tool."));
        assert_eq!(text.as_str(), "Before the tool.\n\nAfter the tool.");
    }

    #[test]
    fn a_replacement_is_reported() {
        let mut text = new();
        text.apply(&update(TextSource::Chat, "First attempt."));
        let mut back = update(TextSource::Chat, "");
        back.replaces = true;
        let item = text.apply(&back).unwrap();
        assert!(item.replaced && item.text.is_empty() && item.delta.is_empty());
        assert_eq!(
            text.apply(&update(TextSource::Chat, "Second."))
                .unwrap()
                .delta,
            "Second."
        );
    }

    #[test]
    fn an_attempt_that_starts_again_discards_only_its_own_part() {
        let mut text = old();
        text.apply(&update(TextSource::Agent, "Kept."));
        let mut next = update(TextSource::Agent, "Gone");
        next.starts_part = true;
        text.apply(&next);
        let item = text.discard_part().unwrap();
        assert!(item.replaced);
        assert_eq!(text.as_str(), "Kept.\n\n");
        text.apply(&update(TextSource::Agent, "Again."));
        assert_eq!(text.as_str(), "Kept.\n\nAgain.");
    }

    #[test]
    fn a_pair_that_is_split_over_two_updates_is_one_character() {
        for mut text in [new(), old()] {
            let source = text.leading;
            text.apply(&update(source, "Part \u{fffd}"));
            let item = text.apply(&update(source, "Part 😀 two")).unwrap();
            assert_eq!((&*item.text, item.replaced), ("Part 😀 two", true));
            assert_eq!(text.apply(&update(source, "Part \u{fffd}")), None);
            assert_eq!(text.as_str(), "Part 😀 two");
        }
    }

    #[test]
    fn late_and_repeated_updates_change_nothing() {
        for mut text in [new(), old()] {
            let source = text.leading;
            text.apply(&update(source, "One two"));
            assert_eq!(text.apply(&update(source, "One two")), None);
            assert_eq!(text.apply(&update(source, "One")), None);
            assert_eq!(text.as_str(), "One two");
        }
    }

    #[test]
    fn the_text_of_the_answer_replaces_what_was_streamed() {
        let mut text = new();
        text.apply(&update(TextSource::Chat, "One"));
        assert_eq!(text.settle("One two").unwrap().delta, " two");
        assert!(text.settle("Three").unwrap().replaced);
        assert_eq!(text.settle("Three"), None);
    }
}
