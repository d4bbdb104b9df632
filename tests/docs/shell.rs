//! As much of the shell's language as pages use.

/// A program and its arguments, as a page has them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    /// The file that its output goes to.
    pub(crate) output: Option<String>,
}

/// The commands of a script, in their order; what stands in `$(…)` comes before what it stands in.
pub(crate) fn commands(script: &str) -> Vec<Command> {
    let script = without_here_documents(script);
    let mut parser = Parser {
        rest: script.chars().peekable(),
        found: Vec::new(),
    };
    parser.list(false);
    let mut found = parser.found;
    for command in &mut found {
        command.words = program(std::mem::take(&mut command.words));
    }
    found.retain(|command| !command.words.is_empty());
    found
}

/// Leaves out what stands before the name of a program: keywords, assignments.
fn program(words: Vec<String>) -> Vec<String> {
    let is_before = |word: &String| {
        let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        let keywords = [
            "!", "{", "}", "do", "done", "else", "fi", "if", "then", "until", "while",
        ];
        let runners = ["env", "exec", "export", "sudo", "time"];
        is_assignment || keywords.contains(&&**word) || runners.contains(&&**word)
    };
    words.into_iter().skip_while(is_before).collect()
}

fn without_here_documents(script: &str) -> String {
    let mut kept = String::new();
    let mut end: Option<String> = None;
    for line in script.lines() {
        if let Some(word) = &end {
            if line.trim() == word {
                end = None;
            }
            continue;
        }
        if let Some((_, word)) = line.split_once("<<") {
            let word = word.trim_start_matches('-').trim();
            let word = word.split_whitespace().next().unwrap_or_default();
            end = Some(word.trim_matches(['\'', '"']).to_owned());
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    found: Vec<Command>,
}

impl Parser<'_> {
    /// Reads commands, up to the `)` that closes them or to the end.
    fn list(&mut self, closes: bool) {
        let mut command = Command::default();
        let mut word: Option<String> = None;
        let mut to_file = None;
        loop {
            let next = self.rest.next();
            let is_end = next.is_none_or(|c| "\n;|&()".contains(c));
            if is_end || next.is_some_and(|c| " \t<>".contains(c)) {
                // A number before a redirection is a descriptor.
                if let Some(word) = word.take()
                    && !(matches!(next, Some('<' | '>')) && word.parse::<u8>().is_ok())
                {
                    match to_file.take() {
                        Some(true) => command.output = Some(word),
                        Some(false) => {}
                        None => command.words.push(word),
                    }
                }
            }
            match next {
                Some('>') => {
                    while self
                        .rest
                        .next_if(|c| matches!(c, '>' | '&' | '|'))
                        .is_some()
                    {}
                    to_file = Some(true);
                }
                Some('<') => {
                    while self.rest.next_if(|c| matches!(c, '<' | '-')).is_some() {}
                    to_file = Some(false);
                }
                Some('(') => self.list(true),
                _ if is_end => {
                    self.found.push(std::mem::take(&mut command));
                    to_file = None;
                    if next.is_none() || (closes && next == Some(')')) {
                        return;
                    }
                }
                Some('#') if word.is_none() => while self.rest.next_if(|c| *c != '\n').is_some() {},
                Some('\\') => match self.rest.next() {
                    Some('\n') | None => {}
                    Some(other) => word.get_or_insert_default().push(other),
                },
                Some(quote @ ('\'' | '"')) => {
                    let word = word.get_or_insert_default();
                    self.quoted(quote, word);
                }
                Some('$') if self.rest.next_if_eq(&'(').is_some() => {
                    self.list(true);
                    word.get_or_insert_default().push_str("$()");
                }
                Some(' ' | '\t') | None => {}
                Some(other) => word.get_or_insert_default().push(other),
            }
        }
    }

    fn quoted(&mut self, quote: char, word: &mut String) {
        while let Some(next) = self.rest.next() {
            match next {
                _ if next == quote => return,
                '\\' if quote == '"' => word.extend(self.rest.next()),
                '$' if quote == '"' && self.rest.next_if_eq(&'(').is_some() => {
                    self.list(true);
                    word.push_str("$()");
                }
                other => word.push(other),
            }
        }
    }
}

#[test]
fn the_commands_of_a_script_are_found() {
    let script = "export A=b   # a comment\n\
        A=\"$(one 'a b' | two -w0)\" three --x \\\n  y 2>&1 >out.txt && (umask 077; four > \"five\")\n\
        for x in a; do six \"it's\"; done <<'END'\nseven\nEND\n";
    let found: Vec<(String, Option<String>)> = commands(script)
        .into_iter()
        .map(|command| (command.words.join("+"), command.output))
        .collect();
    let expected = [
        ("one+a b", None),
        ("two+-w0", None),
        ("three+--x+y", Some("out.txt")),
        ("umask+077", None),
        ("four", Some("five")),
        ("for+x+in+a", None),
        ("six+it's", None),
    ];
    let expected = expected.map(|(words, output)| (words.to_owned(), output.map(str::to_owned)));
    assert_eq!(found, expected);
}
