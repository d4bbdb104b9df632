//! Text that came from the other side, made safe to print.
//!
//! A gateway, or a proxy in front of it, chooses the words of an error, a close reason and a request
//! id. They end up in an operator's terminal and in commands to copy, so nothing in them may move
//! the cursor, hide text or pass for a line of ours.

use std::fmt::Write as _;

/// The longest text of the other side that a message repeats, in characters.
const MAX_SHOWN: usize = 300;

/// `text` on one line, without control or direction-changing characters, cut to a sane length.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN));
    for (count, character) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            shown.push('…');
            break;
        }
        if is_plain(character) {
            shown.push(character);
        } else if character.is_whitespace() {
            shown.push(' ');
        } else {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        }
    }
    shown
}

/// The same between quotation marks that it cannot leave: what stands between them is not our word.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text).replace('"', "'"))
}

/// The longest word that a message repeats, in characters.
const MAX_WORD: usize = 64;
/// How many words of a list a message repeats. Gateways know about ten scopes.
const MAX_WORDS: usize = 64;

/// `text` as one word, for what is one on every gateway: a role, a scope, a version, an id. It cannot
/// pass for a sentence, for a field of a log line, or for a command.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':' | '*' | '+')
    };
    let plain = |character| if is_plain(character) { character } else { '?' };
    text.chars().take(MAX_WORD).map(plain).collect()
}

/// The first words of a list.
pub(crate) fn words(list: &[String]) -> Vec<String> {
    list.iter().take(MAX_WORDS).map(|text| word(text)).collect()
}

/// Whether `id` can stand in a command that a person copies into a shell.
///
/// Real gateways use UUIDs; anything beyond letters, digits, `-`, `_`, `.` and `:` is not one.
pub(crate) fn is_safe_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('-')
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn is_plain(character: char) -> bool {
    character == ' '
        || !(character.is_control()
            || character.is_whitespace()
            || matches!(character,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                    | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_line_breaks_lose_their_power() {
        assert_eq!(
            printable("a\u{1b}[2Jb\nopenclaw devices approve evil\u{202e}"),
            "a\\u{1b}[2Jb openclaw devices approve evil\\u{202e}"
        );
    }

    #[test]
    fn long_text_is_cut_once() {
        let shown = printable(&"ä".repeat(10_000));
        assert_eq!(shown.chars().count(), MAX_SHOWN + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn a_quotation_cannot_be_left() {
        assert_eq!(quoted("a\" b \n"), "\"a' b  \"");
    }

    #[test]
    fn a_word_is_no_sentence_no_field_and_no_command() {
        for real in [
            "operator.read",
            "2026.9.6",
            "dev",
            "not-paired",
            "device-token",
        ] {
            assert_eq!(word(real), real);
        }
        assert_eq!(word("x id=$(reboot)\u{1b}"), "x?id???reboot??");
        assert_eq!(word(&"x".repeat(1_000)).len(), MAX_WORD);
        assert_eq!(words(&vec![String::new(); 1_000]).len(), MAX_WORDS);
    }

    #[test]
    fn only_plain_identifiers_may_stand_in_a_command() {
        assert!(is_safe_id("6a43983e-02b8-4a20-ae96-ec54b6656358"));
        for bad in ["", "-rf", "a b", "a;b", "$(x)", "a\nb", "`x`", "ä"] {
            assert!(!is_safe_id(bad), "{bad:?}");
        }
        assert!(!is_safe_id(&"a".repeat(129)));
    }
}
