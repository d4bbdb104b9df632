//! `openclaw-adapter completions` and `openclaw-adapter man`: made from the command line itself, so
//! that they cannot say anything else.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use clap::{ColorChoice, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn completions(shell: Shell) -> io::Result<Exit> {
    let mut command = command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    io::stdout().lock().write_all(&text)?;
    Ok(Exit::Done)
}

/// The program's page on stdout, or with a directory the pages of all commands in it.
pub(crate) fn man(dir: Option<&Path>, output: Output) -> io::Result<Exit> {
    let mut command = command().disable_help_subcommand(true);
    // Gives the commands their full names.
    command.build();
    let Some(dir) = dir else {
        io::stdout().lock().write_all(&page(&command)?)?;
        return Ok(Exit::Done);
    };
    if let Err(error) = fs::create_dir_all(dir).and_then(|()| write_pages(&command, dir)) {
        let message = format!("{} cannot be written: {error}", dir.display());
        output.stopped("usage", &message, "")?;
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

fn write_pages(command: &Command, dir: &Path) -> io::Result<()> {
    for one in command.get_subcommands() {
        write_pages(one, dir)?;
    }
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    fs::write(dir.join(format!("{name}.1")), page(command)?)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_long_help() {
        page.extend(below(&help.to_string()).into_bytes());
    }
    Ok(page)
}

/// Converts the help below the options: each paragraph becomes a section, whose lines stay as
/// they are.
fn below(help: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in help.split("\n\n") {
        let (title, text) = paragraph.split_once(':').unwrap_or(("Notes", paragraph));
        lines.push(format!(".SH \"{}\"", title.to_uppercase()));
        lines.push(".nf".to_owned());
        for line in text.trim_start_matches('\n').lines() {
            // Neither a request nor an escape, and hyphens that can be copied.
            let line = line.replace('\\', "\\e").replace('-', "\\-");
            lines.push(format!("\\&{line}"));
        }
        lines.push(".fi".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn command() -> Command {
    Cli::command().color(ColorChoice::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_of_the_help_becomes_a_section_with_its_lines() {
        let roff = below("Examples:\n  a --b\n  .c \\d\n\nExit codes: 0 done");
        let wanted = [
            ".SH \"EXAMPLES\"",
            ".nf",
            "\\&  a \\-\\-b",
            "\\&  .c \\ed",
            ".fi",
            ".SH \"EXIT CODES\"",
            ".nf",
            "\\& 0 done",
            ".fi",
            "",
        ];
        assert_eq!(roff, wanted.join("\n"));
    }
}
