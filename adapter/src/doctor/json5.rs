//! JSON with what people write into configuration files: comments, trailing commas, names without
//! quotes, single quotes. OpenClaw reads its `openclaw.json` as JSON5; this is the part of it that
//! is met in practice. No I/O.

use serde_json::Value;

/// Reads `text`; `None` if it is not even that.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text)
        .ok()
        .or_else(|| serde_json::from_str(&strict(text)?).ok())
}

/// The same as strict JSON, as far as it goes.
fn strict(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let width = match character {
            '"' | '\'' => string(rest, character, &mut out)?,
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/")? + 2,
            '}' | ']' => {
                // A comma before it may stand in JSON5.
                let kept = out.trim_end().len();
                if out.get(..kept).is_some_and(|out| out.ends_with(',')) {
                    out.truncate(kept - 1);
                }
                out.push(character);
                1
            }
            _ if is_name(character) && !character.is_ascii_digit() => name(rest, &mut out),
            _ => {
                out.push(character);
                character.len_utf8()
            }
        };
        rest = rest.get(width..)?;
    }
    Some(out)
}

/// Copies one string with double quotes; how many bytes it took.
fn string(text: &str, quote: char, out: &mut String) -> Option<usize> {
    out.push('"');
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => {
                out.push('"');
                return Some(at + 1);
            }
            '\\' => match characters.next()?.1 {
                // JSON has no escape for it.
                '\'' => out.push('\''),
                '\n' => {}
                escaped => {
                    out.push('\\');
                    out.push(escaped);
                }
            },
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    None
}

/// Copies a word: a name gets quotes, `true`, `false` and `null` get none.
fn name(text: &str, out: &mut String) -> usize {
    let end = text
        .find(|character| !is_name(character))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if rest.trim_start().starts_with(':') {
        out.push('"');
        out.push_str(word);
        out.push('"');
    } else {
        out.push_str(word);
    }
    end
}

/// Numbers are words too, so that `1e5` is not taken apart; a sign or a point ends one.
fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_json_is_read_as_it_is() {
        assert_eq!(
            parse(r#"{"a":[1,-2.5e3,"//"]}"#),
            Some(json!({"a":[1,-2.5e3,"//"]}))
        );
    }

    #[test]
    fn what_people_write_is_understood() {
        let text = "\u{feff}// the gateway\n{ gateway: { /* token, */ auth: { token: 'it\\'s \"x\"', mode: \"token\", }, port: 18789, on: true, list: [1e5, null, ], }, }\n";
        assert_eq!(
            parse(text),
            Some(
                json!({"gateway":{"auth":{"token":"it's \"x\"","mode":"token"},"port":18789,"on":true,"list":[1e5,null]}})
            )
        );
    }

    #[test]
    fn a_comment_sign_inside_a_string_is_no_comment() {
        let text = "{a: \"ws://x /* y */\", /* z */ b: 'http://q',}";
        assert_eq!(
            parse(text),
            Some(json!({"a":"ws://x /* y */","b":"http://q"}))
        );
    }

    #[test]
    fn what_is_neither_is_nothing() {
        for text in ["", "{", "{a:", "'open", "/* open", "{\"a\" 1}", "nonsense"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
