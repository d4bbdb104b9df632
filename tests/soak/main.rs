//! `soak`: connects and loses, tells and is told, for long, and says what that leaves behind.
#![allow(clippy::print_stdout, reason = "a program for a person to read")]

use clap::Parser;
use openclaw_tests::soak::{Report, cycles, events};

/// Long runs of one adapter on one mock gateway over TCP, in one process and on one thread.
#[derive(Debug, Parser)]
struct Arguments {
    /// Connections to make and lose.
    #[arg(long, default_value_t = 10_000)]
    cycles: u64,
    /// Events to send.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// KiB by which memory may differ between the second and the last quarter.
    #[arg(long, default_value_t = 2_048)]
    slack: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut reports = Vec::new();
    if arguments.cycles > 0 {
        reports.push(cycles(arguments.cycles).await);
        show(reports.last());
    }
    if arguments.events > 0 {
        reports.push(events(arguments.events).await);
        show(reports.last());
    }
    for report in &reports {
        report.check(arguments.slack).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

fn show(report: Option<&Report>) {
    let Some(report) = report else { return };
    println!("{} in {:.1?}", report.done, report.took);
    let (early, late) = report.early_and_late();
    println!("  second quarter: {early}\n  last quarter:   {late}");
}
