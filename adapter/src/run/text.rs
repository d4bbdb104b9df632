//! The text of an answer, put together from cumulative pieces.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use std::sync::Arc;

use super::event::{Voice, Words};
use super::item::RunText;

/// Between the parts of an answer, as 2026.9.6 puts it there.
const BETWEEN: &str = "\n\n";

/// What was said so far.
///
/// On 2026.9.6 a `chat` event carries everything, and an `agent` event the part since the last tool.
/// On 2026.2.9 both carry the part, and `chat` comes late and not always. So one voice is listened to:
/// `chat` on the new generation, `agent` on the old one; the other one serves until the first is heard.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    leading: Voice,
    heard_leading: bool,
    said: String,
    /// Where the current part begins.
    part: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self {
            leading: Voice::Chat,
            heard_leading: false,
            said: String::new(),
            part: 0,
        }
    }

    /// Which generation is speaking.
    pub(crate) const fn set_protocol(&mut self, protocol: u32) {
        self.leading = if protocol >= 4 {
            Voice::Chat
        } else {
            Voice::Agent
        };
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.said
    }

    /// Takes what was said; `None` if it is nothing new.
    pub(crate) fn take(&mut self, words: &Words) -> Option<RunText> {
        if words.voice == self.leading {
            self.heard_leading = true;
        } else if self.heard_leading {
            return None;
        }
        let everything = self.leading == Voice::Chat && words.voice == Voice::Chat;
        if everything {
            self.part = 0;
        }
        let part = &self.said[self.part..];
        if words.retracts {
            return self.put(&words.text, true);
        }
        if everything {
            return if part.starts_with(&words.text) {
                None
            } else {
                self.put(&words.text, false)
            };
        }
        let is_next = words.begins && !part.is_empty();
        if !is_next && words.text.starts_with(part) {
            return self.put(&words.text, false);
        }
        if !is_next && part.starts_with(&words.text) {
            return None;
        }
        let before = self.said.len();
        self.said.push_str(BETWEEN);
        self.part = self.said.len();
        self.said.push_str(&words.text);
        Some(self.told(before, false))
    }

    /// A failed attempt begins again: the part that it had said counts no more.
    pub(crate) fn retract_part(&mut self) -> Option<RunText> {
        self.put("", true)
    }

    /// Puts a text from an answer in the place of what was heard.
    pub(crate) fn settle(&mut self, whole: &str) -> Option<RunText> {
        self.part = 0;
        self.put(whole, false)
    }

    /// Puts `words` in the place of the current part. What is no continuation replaces.
    fn put(&mut self, words: &str, retracts: bool) -> Option<RunText> {
        let part = &self.said[self.part..];
        if part == words {
            return None;
        }
        let replaced = retracts || !words.starts_with(part);
        let before = self.said.len();
        self.said.truncate(self.part);
        self.said.push_str(words);
        Some(self.told(before, replaced))
    }

    fn told(&self, before: usize, replaced: bool) -> RunText {
        let delta = if replaced {
            self.said.clone()
        } else {
            self.said[before..].to_owned()
        };
        RunText {
            text: Arc::from(&*self.said),
            delta,
            replaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(voice: Voice, text: &str) -> Words {
        Words {
            voice,
            text: text.to_owned(),
            retracts: false,
            begins: false,
        }
    }

    fn new() -> Text {
        let mut text = Text::new();
        text.set_protocol(4);
        text
    }

    fn old() -> Text {
        let mut text = Text::new();
        text.set_protocol(3);
        text
    }

    #[test]
    fn the_new_generation_tells_everything_by_chat() {
        let mut text = new();
        assert_eq!(text.take(&words(Voice::Agent, "Fir")).unwrap().delta, "Fir");
        assert_eq!(text.take(&words(Voice::Chat, "Fir")), None);
        assert_eq!(text.take(&words(Voice::Agent, "Second")), None);
        let told = text.take(&words(Voice::Chat, "First.\n\nSecond")).unwrap();
        assert_eq!((&*told.delta, told.replaced), ("st.\n\nSecond", false));
    }

    #[test]
    fn the_old_generation_tells_part_by_part_by_agent() {
        let mut text = old();
        text.take(&words(Voice::Agent, "Before"));
        text.take(&words(Voice::Agent, "Before the tool."));
        let mut next = words(Voice::Agent, "After");
        next.begins = true;
        assert_eq!(text.take(&next).unwrap().delta, "\n\nAfter");
        assert_eq!(text.take(&words(Voice::Chat, "Af")), None);
        text.take(&words(Voice::Agent, "After the tool."));
        assert_eq!(text.as_str(), "Before the tool.\n\nAfter the tool.");
    }

    #[test]
    fn a_retraction_is_said() {
        let mut text = new();
        text.take(&words(Voice::Chat, "First attempt."));
        let mut back = words(Voice::Chat, "");
        back.retracts = true;
        let told = text.take(&back).unwrap();
        assert!(told.replaced && told.text.is_empty() && told.delta.is_empty());
        assert_eq!(
            text.take(&words(Voice::Chat, "Second.")).unwrap().delta,
            "Second."
        );
    }

    #[test]
    fn an_attempt_that_begins_again_takes_only_its_own_part_back() {
        let mut text = old();
        text.take(&words(Voice::Agent, "Kept."));
        let mut next = words(Voice::Agent, "Gone");
        next.begins = true;
        text.take(&next);
        let told = text.retract_part().unwrap();
        assert!(told.replaced);
        assert_eq!(text.as_str(), "Kept.\n\n");
        text.take(&words(Voice::Agent, "Again."));
        assert_eq!(text.as_str(), "Kept.\n\nAgain.");
    }

    #[test]
    fn what_comes_late_or_twice_changes_nothing() {
        for mut text in [new(), old()] {
            let voice = text.leading;
            text.take(&words(voice, "One two"));
            assert_eq!(text.take(&words(voice, "One two")), None);
            assert_eq!(text.take(&words(voice, "One")), None);
            assert_eq!(text.as_str(), "One two");
        }
    }

    #[test]
    fn the_answer_has_the_last_word() {
        let mut text = new();
        text.take(&words(Voice::Chat, "One"));
        assert_eq!(text.settle("One two").unwrap().delta, " two");
        assert!(text.settle("Three").unwrap().replaced);
        assert_eq!(text.settle("Three"), None);
    }
}
