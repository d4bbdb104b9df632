//! `openclaw-adapter run`: one agent run or chat turn, its text as it comes.

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use openclaw_adapter::{
    Client, ConfigBuilder, PairingPolicy, Run, RunItem, RunOutcome, ToolStep, Usage,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::args;
use crate::connect_once::{Failure, connect, failed};
use crate::exit::Exit;
use crate::output::{Output, plain};
use crate::setup::Signals;
use crate::terminal::Mark;

/// The time limit of the connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time that a run has to end after a signal. A gateway that is away, or cannot
/// stop runs, must not hold up a shell.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A line of `run --json`.
#[derive(Serialize)]
#[serde(
    tag = "item",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
enum Line<'a> {
    /// The first one, before anything is sent; the key of a bare session is known when the run is accepted.
    Run {
        run_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_key: Option<&'a str>,
    },
    Accepted {
        joined: bool,
        session_key: Option<&'a str>,
    },
    Text {
        delta: &'a str,
        replaced: bool,
    },
    Tool {
        call_id: &'a str,
        name: &'a str,
        step: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'a Value>,
    },
    Status {
        status: &'a str,
    },
    Retrying {
        attempt: Option<u32>,
        delay_ms: Option<u64>,
        reason: Option<&'a str>,
    },
    Usage {
        output_tokens: u64,
    },
    ApprovalWanted {
        id: &'a str,
        command: Option<&'a str>,
    },
    ApprovalResolved {
        id: &'a str,
        decision: Option<&'a str>,
    },
    Interrupted,
    Resumed {
        restarted: bool,
    },
    Lagged {
        items: u64,
    },
    Ended {
        outcome: &'a str,
        message: String,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        answered_by: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Tokens>,
    },
}

#[derive(Serialize)]
struct Tokens {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input,
            output: usage.output,
            total: usage.total,
        }
    }
}

pub(crate) async fn run(
    builder: ConfigBuilder,
    args: &args::Run,
    output: Output,
) -> io::Result<Exit> {
    let config = match builder
        .pairing(PairingPolicy::FailFast)
        .capabilities(["tool-events"])
        .build()
    {
        Ok(config) => config,
        Err(error) => {
            output.config(&error)?;
            return Ok(Exit::of_config(&error));
        }
    };
    let mut signals = Signals::listen()?;
    let client = tokio::select! {
        signal = signals.next() => return Ok(signal),
        client = connect(config, PATIENCE) => match client {
            Ok(client) => client,
            Err(failure) => return failed(output, &failure),
        },
    };
    let exit = follow(begin(&client, args), &mut signals, output).await;
    client.close().await;
    exit
}

fn begin(client: &Client, args: &args::Run) -> Run {
    let session = &args.session_key;
    if args.chat {
        let mut turn = client.chat().send(session, &args.message);
        if let Some(id) = &args.id {
            turn = turn.with_id(id);
        }
        if let Some(timeout) = args.timeout {
            turn = turn.timeout(timeout);
        }
        if let Some(level) = &args.thinking {
            turn = turn.thinking(level);
        }
        turn.start()
    } else {
        let mut run = client.agent().run(session, &args.message);
        if let Some(id) = &args.id {
            run = run.with_id(id);
        }
        if let Some(timeout) = args.timeout {
            run = run.timeout(timeout);
        }
        if let Some(level) = &args.thinking {
            run = run.thinking(level);
        }
        run.start()
    }
}

/// Prints a run to its end. The first signal stops the run, the second one leaves.
async fn follow(mut run: Run, signals: &mut Signals, output: Output) -> io::Result<Exit> {
    let mut screen = Screen::new(output);
    if output.json {
        let line = Line::Run {
            run_id: run.id(),
            session_key: run.session_key(),
        };
        output.print(&line, String::new)?;
    }
    let mut stopped: Option<Exit> = None;
    let mut last_words = pin!(sleep(Duration::MAX));
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                if stopped.is_some() {
                    screen.end_line()?;
                    return Ok(signal);
                }
                stopped = Some(signal);
                last_words.as_mut().reset(Instant::now() + LAST_WORDS);
                let handle = run.handle();
                screen.say("stopping the run; once more leaves without waiting")?;
                tokio::spawn(async move { handle.abort().await });
            }
            item = run.next() => match item {
                Some(RunItem::Ended(outcome)) => {
                    screen.end_line()?;
                    return ended(&outcome, stopped, output);
                }
                Some(item) => screen.show(&item, &run)?,
                None => return Ok(Exit::ConnectionLost),
            },
            () = last_words.as_mut() => {
                screen.say("the run has not ended; it may go on at the gateway")?;
                return Ok(stopped.unwrap_or(Exit::ConnectionLost));
            }
        }
    }
}

fn ended(outcome: &RunOutcome, stopped: Option<Exit>, output: Output) -> io::Result<Exit> {
    if let RunOutcome::NotStarted { error, .. } = outcome {
        return failed(output, &Failure::Call(error.clone()));
    }
    if output.json {
        let (answered_by, usage) = match outcome {
            RunOutcome::Done {
                answered_by, usage, ..
            } => (answered_by.as_deref(), *usage),
            _ => (None, None),
        };
        let line = Line::Ended {
            outcome: outcome.kind(),
            message: outcome.to_string(),
            text: outcome.text(),
            answered_by,
            usage: usage.map(Tokens::from),
        };
        output.print(&line, String::new)?;
    }
    let exit = match (outcome, stopped) {
        (RunOutcome::Done { .. }, _) => return Ok(Exit::Done),
        (RunOutcome::Aborted { .. }, Some(signal)) => signal,
        (RunOutcome::Lost { .. }, _) => Exit::ConnectionLost,
        _ => Exit::CallRefused,
    };
    output.say(Mark::Bad, &outcome.to_string())?;
    Ok(exit)
}

/// Output for a person: the text on stdout, all else on stderr.
struct Screen {
    output: Output,
    /// True if stdout is a terminal, on which control characters could mislead a person.
    is_terminal: bool,
    is_midline: bool,
}

impl Screen {
    fn new(output: Output) -> Self {
        Self {
            output,
            is_terminal: io::stdout().is_terminal(),
            is_midline: false,
        }
    }

    fn show(&mut self, item: &RunItem, run: &Run) -> io::Result<()> {
        if self.output.json {
            return match line(item, run) {
                Some(line) => self.output.print(&line, String::new),
                None => Ok(()),
            };
        }
        match item {
            RunItem::Text(text) => {
                if text.replaced {
                    self.say("what stands above is taken back")?;
                }
                self.write(&text.delta)
            }
            RunItem::Accepted { joined: true, .. } => {
                self.say("the gateway knows this run already")
            }
            RunItem::Tool(tool) => match &tool.step {
                ToolStep::Started { .. } => self.say(&format!("tool {}", tool.name)),
                ToolStep::Ended { is_error: true, .. } => {
                    self.say(&format!("tool {} failed", tool.name))
                }
                _ => Ok(()),
            },
            RunItem::Retrying(retry) => {
                let reason = retry.reason.as_deref().unwrap_or("it failed");
                self.say(&format!("the model is asked again: {reason}"))
            }
            RunItem::ApprovalWanted(approval) => {
                let command = approval.command.as_deref().unwrap_or("a command");
                self.say(&format!("waiting for approval {}: {command}", approval.id))
            }
            RunItem::Interrupted => self.say("the connection is lost; the run goes on"),
            RunItem::Resumed { .. } => self.say("connected again"),
            _ => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.is_terminal {
            write!(stdout, "{}", harmless(text))?;
        } else {
            write!(stdout, "{text}")?;
        }
        stdout.flush()?;
        if let Some(last) = text.chars().next_back() {
            self.is_midline = last != '\n';
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        if self.is_terminal {
            self.end_line()?;
        }
        self.output.say(Mark::Minor, &plain(text))
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_midline) {
            writeln!(io::stdout().lock())?;
        }
        Ok(())
    }
}

fn line<'a>(item: &'a RunItem, run: &'a Run) -> Option<Line<'a>> {
    Some(match item {
        RunItem::Accepted { joined, .. } => Line::Accepted {
            joined: *joined,
            session_key: run.session_key(),
        },
        RunItem::Text(text) => Line::Text {
            delta: &text.delta,
            replaced: text.replaced,
        },
        RunItem::Tool(tool) => {
            let (step, is_error, value) = match &tool.step {
                ToolStep::Started { args, .. } => ("started", None, args),
                ToolStep::Update { partial, .. } => ("update", None, partial),
                ToolStep::Ended {
                    is_error, result, ..
                } => ("ended", Some(*is_error), result),
                _ => return None,
            };
            Line::Tool {
                call_id: &tool.call_id,
                name: &tool.name,
                step,
                is_error,
                value: Some(value).filter(|value| !value.is_null()),
            }
        }
        RunItem::Status(status) => Line::Status { status },
        RunItem::Retrying(retry) => Line::Retrying {
            attempt: retry.attempt,
            delay_ms: retry.delay_ms,
            reason: retry.reason.as_deref(),
        },
        RunItem::Usage { output, .. } => Line::Usage {
            output_tokens: *output,
        },
        RunItem::ApprovalWanted(approval) => Line::ApprovalWanted {
            id: &approval.id,
            command: approval.command.as_deref(),
        },
        RunItem::ApprovalResolved(approval) => Line::ApprovalResolved {
            id: &approval.id,
            decision: approval.decision.as_deref(),
        },
        RunItem::Interrupted => Line::Interrupted,
        RunItem::Resumed { restarted, .. } => Line::Resumed {
            restarted: *restarted,
        },
        RunItem::Lagged(items) => Line::Lagged { items: *items },
        // Something of a later version of the library.
        _ => return None,
    })
}

/// Text of a model on a terminal: lines and tabs, and nothing that moves the cursor otherwise.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_text_cannot_move_the_cursor() {
        assert_eq!(
            harmless("a\tb\n\u{1b}[31mc\r"),
            "a\tb\n\u{fffd}[31mc\u{fffd}"
        );
    }
}
