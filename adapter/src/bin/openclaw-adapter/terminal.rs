//! The terminal: colour and symbols, and the one line that is drawn again and again. Where there is
//! no terminal there are none of them.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

/// The style of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Good,
    Waiting,
    Warning,
    Bad,
    Minor,
}

impl Mark {
    const fn colour(self) -> &'static str {
        match self {
            Self::Good => "\u{1b}[32m",
            Self::Waiting => "\u{1b}[36m",
            Self::Warning => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Minor => "\u{1b}[2m",
        }
    }

    const fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓ ",
            Self::Waiting => "… ",
            Self::Warning => "! ",
            Self::Bad => "✗ ",
            Self::Minor => "· ",
        }
    }
}

const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// The abilities of one output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Look {
    colour: bool,
    symbols: bool,
}

impl Look {
    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal(), |name| env::var_os(name))
    }

    pub(crate) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal(), |name| env::var_os(name))
    }

    /// Colour and symbols need a terminal that can show them, and a person who has not set
    /// `NO_COLOR` (<https://no-color.org>); symbols need a locale in UTF-8 as well.
    fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let colour = is_terminal && set("NO_COLOR").is_none() && moves(set("TERM"));
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"))
            .map(|locale| locale.to_string_lossy().to_lowercase());
        let is_utf8 = locale.is_some_and(|name| name.contains("utf-8") || name.contains("utf8"));
        Self {
            colour,
            symbols: colour && is_utf8,
        }
    }

    pub(crate) const fn has_colour(self) -> bool {
        self.colour
    }

    /// `text`, marked; the text itself and nothing else where it should be plain.
    pub(crate) fn mark(self, mark: Mark, text: &str) -> String {
        let symbol = if self.symbols { mark.symbol() } else { "" };
        if self.colour {
            format!("{}{symbol}{text}{RESET}", mark.colour())
        } else {
            text.to_owned()
        }
    }

    /// Text that a person has to see, or to type.
    pub(crate) fn strong(self, text: &str) -> String {
        if self.colour {
            format!("{BOLD}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    /// The program's name before what it says on stderr.
    pub(crate) fn name(self, mark: Mark) -> String {
        if self.colour {
            format!("{}openclaw-adapter:{RESET}", mark.colour())
        } else {
            "openclaw-adapter:".to_owned()
        }
    }
}

/// Returns true if the cursor can be moved on a terminal of this name.
fn moves(term: Option<OsString>) -> bool {
    term.is_some_and(|term| term != "dumb")
}

/// Returns true if a line can be drawn again: a person watches both outputs on a terminal that can do it.
pub(crate) fn can_redraw() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal() && moves(env::var_os("TERM"))
}

/// The columns of the line that stands on the terminal now and goes before anything else is
/// written; 0 if there is none.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// Draws the line in the place of the one before. It must hold no control characters.
pub(crate) fn draw(text: &str) {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let columns = columns();
    let text: String = text.chars().take(columns).collect();
    let width = text.chars().count();
    // Spaces, not an escape sequence: NO_COLOR stays true to the letter.
    let rest = drawn
        .saturating_sub(width)
        .min(columns.saturating_sub(width));
    let mut stderr = io::stderr().lock();
    // Should the terminal be gone, there is nobody to see the line.
    let _ = write!(
        stderr,
        "\r{text}{}{}",
        " ".repeat(rest),
        "\u{8}".repeat(rest)
    );
    let _ = stderr.flush();
    *drawn = width;
}

/// The columns that can be written to: the last one would break the line.
fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(80, |(width, _)| usize::from(width.0))
        .saturating_sub(1)
}

/// Takes the line away.
pub(crate) fn clear() {
    above(|| ());
}

/// Writes with the line out of the way; it comes back with the next second.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let width = std::mem::take(&mut *drawn);
    if width > 0 {
        // Two more columns: for the ^C that the terminal shows itself.
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r{}\r", " ".repeat((width + 2).min(columns())));
        let _ = stderr.flush();
    }
    write()
}

/// Writes the log to stderr, and never into the drawn line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(is_terminal: bool, variables: &[(&str, &str)]) -> Look {
        Look::of(is_terminal, |name| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    const XTERM: (&str, &str) = ("TERM", "xterm-256color");
    const UTF8: (&str, &str) = ("LANG", "de_DE.UTF-8");

    #[test]
    fn colour_is_for_a_terminal_that_can_and_a_person_who_wants_it() {
        let colour = Look {
            colour: true,
            symbols: false,
        };
        let both = Look {
            colour: true,
            symbols: true,
        };
        let plain = Look::default();
        for (is_terminal, variables, wanted) in [
            (true, &[XTERM, UTF8][..], both),
            (true, &[XTERM, UTF8, ("NO_COLOR", "")], both),
            (true, &[XTERM], colour),
            (true, &[XTERM, UTF8, ("LC_ALL", "C")], colour),
            (true, &[XTERM, UTF8, ("LC_ALL", "")], both),
            (false, &[XTERM, UTF8], plain),
            (false, &[XTERM, UTF8, ("CLICOLOR_FORCE", "1")], plain),
            (true, &[XTERM, UTF8, ("NO_COLOR", "1")], plain),
            (true, &[XTERM, ("NO_COLOR", "0")], plain),
            (
                true,
                &[XTERM, ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
                plain,
            ),
            (true, &[("TERM", "dumb"), UTF8], plain),
            (true, &[UTF8], plain),
        ] {
            assert_eq!(look(is_terminal, variables), wanted, "{variables:?}");
        }
    }

    #[test]
    fn plain_text_is_left_as_it_is() {
        let (plain, both) = (Look::default(), look(true, &[XTERM, UTF8]));
        assert_eq!(plain.mark(Mark::Bad, "stopped"), "stopped");
        assert_eq!(plain.strong("approve"), "approve");
        assert_eq!(
            both.mark(Mark::Bad, "stopped"),
            "\u{1b}[31m✗ stopped\u{1b}[0m"
        );
    }
}
