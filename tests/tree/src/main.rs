//! Prints the figures of each crate's tree beside their limits, and what breaks the rules.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use openclaw_tree::Repository;

/// Holds the tree of each crate against `.ci/layers.toml`.
#[derive(Debug, Parser)]
#[command(name = "tree")]
struct Arguments {
    /// Print the folders that each folder uses as well.
    #[arg(long)]
    uses: bool,

    /// Hold names and comments against `.ci/words.toml` instead.
    #[arg(long, conflicts_with = "uses")]
    words: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let repository = Repository::here();
    let mut out = std::io::stdout().lock();
    let mut problems = Vec::new();
    if arguments.words {
        problems = repository.words()?;
    } else {
        for (rules, mut measured) in repository.layers()? {
            writeln!(out, "{}", rules.name)?;
            for (figure, value, limit) in measured.figures(&rules.limits) {
                writeln!(out, "  {value:>6} {figure} (at most {limit})")?;
            }
            if arguments.uses {
                for (folder, used) in &measured.uses {
                    let used: Vec<&str> = used.iter().map(String::as_str).collect();
                    writeln!(out, "         {folder}: {}", used.join(" "))?;
                }
            }
            problems.append(&mut measured.problems);
        }
    }
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{} problems", problems.len())?;
    Ok(ExitCode::FAILURE)
}
