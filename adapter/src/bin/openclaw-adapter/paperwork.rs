//! `openclaw-adapter completions` and `openclaw-adapter man`: made from the command line itself, so
//! that they cannot say anything else.

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
    let Some(dir) = dir else {
        clap_mangen::Man::new(command()).render(&mut io::stdout().lock())?;
        return Ok(Exit::Done);
    };
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command(), dir));
    if let Err(error) = written {
        let message = format!("{} cannot be written: {error}", dir.display());
        output.stopped("usage", &message, "")?;
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

fn command() -> Command {
    Cli::command().color(ColorChoice::Never)
}
