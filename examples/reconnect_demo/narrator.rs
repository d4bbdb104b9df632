//! The output of the demo: in colour on a terminal, plain elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

/// Columns of the text beside the speaker's name.
const WIDTH: usize = 86;
const SPEAKER: usize = 10;

/// Prints the demo on stdout.
pub(crate) struct Narrator {
    colour: bool,
}

/// An ANSI style; nothing without colour.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "1;31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

impl Narrator {
    /// Uses colour on a terminal, unless `NO_COLOR` or `TERM=dumb` is set.
    pub(crate) fn for_stdout() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            colour: io::stdout().is_terminal()
                && set("NO_COLOR").is_none()
                && set("TERM").is_some_and(|terminal| terminal != "dumb"),
        }
    }

    pub(crate) fn title(&self, text: &str) {
        self.line(Style::Bold, text);
    }

    pub(crate) fn step(&self, number: usize, title: &str) {
        self.line(Style::Plain, "");
        self.line(Style::Bold, &format!("{number}. {title}"));
    }

    /// Prints an explanation.
    pub(crate) fn explain(&self, text: &str) {
        self.speak("", Style::Plain, text, Style::Plain);
    }

    /// Prints a command; never broken into lines, so that it can be copied.
    pub(crate) fn types(&self, who: &str, command: &str) {
        self.labelled(who, Style::Cyan, &format!("$ {command}"), Style::Cyan);
    }

    /// Prints the output of a program, unchanged.
    pub(crate) fn prints(&self, text: &str) {
        for line in text.lines() {
            self.labelled("", Style::Plain, line, Style::Dim);
        }
    }

    /// Prints an action or an observation.
    pub(crate) fn says(&self, who: &str, text: &str) {
        self.speak(who, Style::Cyan, text, Style::Plain);
    }

    /// Prints a line of a log.
    pub(crate) fn logs(&self, text: &str) {
        self.speak("log", Style::Yellow, text, Style::Yellow);
    }

    /// Prints a fact that was checked.
    pub(crate) fn fact(&self, text: &str) {
        self.speak("ok", Style::Green, text, Style::Green);
    }

    pub(crate) fn failed(&self, text: &str) {
        self.line(Style::Plain, "");
        self.line(Style::Red, &format!("FAILED: {text}"));
    }

    pub(crate) fn ended(&self, text: &str) {
        self.line(Style::Plain, "");
        self.line(Style::Green, text);
    }

    fn speak(&self, who: &str, who_style: Style, text: &str, style: Style) {
        let mut who = who;
        for line in wrapped(text) {
            self.labelled(who, who_style, &line, style);
            who = "";
        }
    }

    fn labelled(&self, who: &str, who_style: Style, text: &str, style: Style) {
        let who = self.styled(who_style, &format!("{who:>SPEAKER$}"));
        let text = self.styled(style, text);
        put(&format!("{who}  {text}"));
    }

    fn line(&self, style: Style, text: &str) {
        put(&self.styled(style, text));
    }

    fn styled(&self, style: Style, text: &str) -> String {
        match style.code() {
            code if self.colour && !code.is_empty() && !text.trim().is_empty() => {
                format!("\u{1b}[{code}m{text}\u{1b}[0m")
            }
            _ => text.to_owned(),
        }
    }
}

/// A story goes on when its audience has left; what counts is its end.
fn put(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{}", line.trim_end());
}

/// Breaks a text between words. A word that is longer than a line stays whole, so that a command or
/// a path can be copied.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = WIDTH;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length < room => {
                line.push(' ');
                line.push_str(word);
                room -= 1;
            }
            _ => {
                lines.push(word.to_owned());
                room = WIDTH;
            }
        }
        room = room.saturating_sub(length);
    }
    lines
}
