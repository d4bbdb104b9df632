//! `Token`: a secret that is never printed and is wiped when it is dropped.

use std::fmt;
use std::hint::black_box;

use zeroize::{Zeroize as _, Zeroizing};

/// The longest token that is taken, in bytes. A gateway reads at most 64 KiB before the hello, and
/// a longer "token" is a wrong file far more often than a token.
const MAX_LEN: usize = 8192;

/// Values that configuration tools leave where a token should be: a JavaScript value printed as
/// text, OpenClaw's own mask for a secret it does not show, and the placeholder of its examples.
const PLACEHOLDERS: [&str; 4] = [
    "undefined",
    "null",
    "__OPENCLAW_REDACTED__",
    "REPLACE_WITH_GENERATED_TOKEN",
];

/// A gateway token, device token or password.
///
/// `Debug` never shows the value, comparison takes the same time whether the values differ early
/// or late, and the memory is wiped on drop.
///
/// ```
/// use openclaw_adapter::{Token, TokenError};
///
/// let token = Token::new("0123456789abcdef\n")?;
/// assert_eq!(token.expose_secret(), "0123456789abcdef");
/// assert!(!format!("{token:?}").contains("0123"));
/// assert!(matches!(Token::new("undefined"), Err(TokenError::Placeholder(_))));
/// # Ok::<(), TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token, without the white space around it (files end in a newline).
    ///
    /// # Errors
    ///
    /// [`TokenError`] if the value cannot be a token: blank, a known placeholder, with control
    /// characters such as a newline inside, or longer than 8192 bytes.
    pub fn new(value: impl Into<String>) -> Result<Self, TokenError> {
        let given = Zeroizing::new(value.into());
        let value = given.trim();
        if value.is_empty() {
            return Err(TokenError::Blank);
        }
        if let Some(name) = PLACEHOLDERS.into_iter().find(|name| *name == value) {
            return Err(TokenError::Placeholder(name));
        }
        if value.len() > MAX_LEN {
            return Err(TokenError::TooLong);
        }
        if value.chars().any(char::is_control) {
            return Err(TokenError::ControlCharacter);
        }
        Ok(Self(Zeroizing::new(value.to_owned())))
    }

    /// The value itself. Meant for the one place that puts it on the wire.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Token {}

/// Wipes the part of the stack below its caller, where functions that worked with a key have left
/// copies of it: a value that is moved is not wiped where it was.
#[inline(never)]
pub(crate) fn scrub_stack() {
    #[expect(clippy::large_stack_arrays, reason = "this is the part that is wiped")]
    let mut stale = [0xa5_u8; 32 * 1024];
    stale.zeroize();
    black_box(&stale);
}

/// Compares without stopping at the first difference. Only the lengths can be learned from the time.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left
        .iter()
        .zip(right)
        .fold(0_u8, |seen, (left, right)| black_box(seen | (left ^ right)));
    black_box(difference) == 0
}

/// Why a value was not taken as a token. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nothing, or only white space.
    #[error("the token is blank")]
    Blank,
    /// A word that stands where a token should be, for example `undefined`.
    #[error("the token is the placeholder {0:?}, not a token")]
    Placeholder(&'static str),
    /// A newline or another control character inside.
    #[error("the token has a line break or another control character inside")]
    ControlCharacter,
    /// Over 8192 bytes.
    #[error("the token is longer than 8192 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_around_a_token_is_not_part_of_it() {
        assert_eq!(Token::new(" \tabc\r\n").unwrap().expose_secret(), "abc");
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_with_the_reason() {
        for blank in ["", " ", "\n\t"] {
            assert_eq!(Token::new(blank), Err(TokenError::Blank));
        }
        for name in PLACEHOLDERS {
            assert_eq!(
                Token::new(format!("{name}\n")),
                Err(TokenError::Placeholder(name))
            );
        }
        for text in ["a\nb", "a\0b", "a\u{1b}[31mb", "a\u{85}b"] {
            assert_eq!(Token::new(text), Err(TokenError::ControlCharacter));
        }
        assert_eq!(
            Token::new("x".repeat(MAX_LEN + 1)),
            Err(TokenError::TooLong)
        );
        assert!(Token::new("x".repeat(MAX_LEN)).is_ok());
    }

    #[test]
    fn a_token_that_only_contains_a_placeholder_is_a_token() {
        assert!(Token::new("nullable").is_ok());
        assert!(Token::new("undefined-1").is_ok());
    }

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let token = Token::new("s3cret").unwrap();
        assert_eq!(format!("{token:?}"), "Token([redacted])");
        assert_eq!(
            format!("{:#?}", Some(token)),
            "Some(\n    Token([redacted]),\n)"
        );
    }

    #[test]
    fn tokens_are_equal_only_if_every_byte_is() {
        let token = Token::new("abcd").unwrap();
        assert_eq!(token, Token::new("abcd ").unwrap());
        for other in ["abce", "xbcd", "abc", "abcde"] {
            assert_ne!(token, Token::new(other).unwrap());
        }
    }

    proptest! {
        #[test]
        fn no_refusal_repeats_the_value(value in ".{8,40}") {
            if let Err(error) = Token::new(format!("canary\n{value}")) {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains("canary") && !shown.contains(&value));
            }
        }

        #[test]
        fn comparison_agrees_with_the_bytes(left: Vec<u8>, right: Vec<u8>) {
            prop_assert_eq!(constant_time_eq(&left, &right), left == right);
            prop_assert!(constant_time_eq(&left, &left.clone()));
        }
    }
}
