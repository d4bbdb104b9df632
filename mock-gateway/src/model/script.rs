//! What a run is to do, as a test says it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// The provider and the model that play the runs.
pub(crate) const PROVIDER: &str = "mock";
pub(crate) const MODEL: &str = "mock-1";

/// The script of one agent run, for `agent`, `chat.send` and `sessions.send`.
///
/// It is played as the edition plays a real one: the same answers, the same events in the same order with
/// the same fields, down to the numbers. Without pauses all of it is sent at once.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
///
/// use openclaw_mock_gateway::{MockGateway, On, RunScript, partial_json};
/// use serde_json::json;
///
/// let gateway = MockGateway::start().await;
/// gateway.script_runs(|request| RunScript::text(format!("You said: {}", request.message)));
/// On::method("agent")
///     .with(partial_json(json!({"message": "list"})))
///     .respond(
///         RunScript::text("There are two files.")
///             .tool("exec", json!({"command": "ls"}), "a\nb\n")
///             .deltas(4)
///             .delay_per_delta(Duration::from_millis(50)),
///     )
///     .mount(&gateway);
/// On::method("agent")
///     .with(partial_json(json!({"message": "break"})))
///     .respond(RunScript::text("Well, ").fails("the model is on fire"))
///     .mount(&gateway);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RunScript {
    pub(crate) text: String,
    pub(crate) cut: Cut,
    pub(crate) tools: Vec<Tool>,
    /// How much of the last tool's result follows the text.
    pub(crate) quotes: Option<usize>,
    pub(crate) reasoning: Option<String>,
    pub(crate) delay_first: Duration,
    pub(crate) delay_per_delta: Duration,
    pub(crate) delay_last: Duration,
    pub(crate) ending: Ending,
    pub(crate) attempts: Option<u32>,
    pub(crate) usage: (u64, u64),
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) args: Value,
    pub(crate) result: String,
    pub(crate) is_error: bool,
    /// Whether it waits for an approval before it works.
    pub(crate) wants_approval: bool,
}

impl Tool {
    /// Returns whether the gateway says that there is no such tool.
    pub(crate) fn is_unknown(&self) -> bool {
        self.is_error && self.result == format!("Tool {} not found", self.name)
    }

    /// Returns whether it runs a command, whose output is shown as it comes.
    pub(crate) fn is_command(&self) -> bool {
        self.name == "exec"
    }

    pub(crate) fn command(&self) -> &str {
        self.args["command"].as_str().unwrap_or_default()
    }
}

/// How a model fails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) cause: Cause,
}

/// Why a model fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// Something broke at the provider.
    Broken,
    /// The provider was asked too often.
    Limit,
    /// What it says was cut off.
    Cut,
}

/// How the text is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Pieces(usize),
    Characters(usize),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Answers,
    Fails(Failure),
    Hangs,
    /// The model says that it has no answer, where one is wanted.
    Silent,
    /// The transcript does not take the message: it has it already, with an answer.
    TurnedAway,
    /// The gateway says the text by itself.
    Local,
}

impl RunScript {
    /// A run that says this, in one piece, and ends well.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            cut: Cut::Pieces(1),
            tools: Vec::new(),
            reasoning: None,
            delay_first: Duration::ZERO,
            delay_per_delta: Duration::ZERO,
            delay_last: Duration::ZERO,
            ending: Ending::Answers,
            quotes: None,
            attempts: None,
            usage: (11, 7),
        }
    }

    /// A run that says nothing: for one that fails or hangs, or that ends without an answer.
    pub fn silent() -> Self {
        Self::text("")
    }

    /// Sets how many pieces the text comes in; at most one per character. With 0 it comes only in the end.
    pub fn deltas(mut self, pieces: usize) -> Self {
        self.cut = Cut::Pieces(pieces);
        self
    }

    /// Sets how many characters a piece of the text has; the last one has what is left.
    pub fn chunks(mut self, characters: usize) -> Self {
        self.cut = Cut::Characters(characters.max(1));
        self
    }

    /// A tool that the model calls before it says its text. More than one are called one after the other.
    ///
    /// Who sees the `tool` stream is up to the edition. 2026.9.6 sends it to the connection that started the
    /// run, if it has the capability `tool-events`; 2026.2.9 wants the session's `verboseLevel` `on` or
    /// `full` on top, which is `sessions.patch` there.
    pub fn tool(mut self, name: impl Into<String>, args: Value, result: impl Into<String>) -> Self {
        self.tools.push(Tool {
            name: name.into(),
            args,
            result: result.into(),
            is_error: false,
            wants_approval: false,
        });
        self
    }

    pub(crate) fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// A command that the model runs with the tool `exec`, and what it prints.
    ///
    /// Measured on 2026.9.6: everybody who sees the run sees the output, too, as stream `command_output`.
    pub fn command(self, command: impl Into<String>, output: impl Into<String>) -> Self {
        self.tool("exec", json!({"command": command.into()}), output)
    }

    /// A command that has to be approved before it runs.
    ///
    /// Everything else is up to the edition. In 2026.9.6 the run waits, if its caller has the scope
    /// `operator.approvals` and somebody is connected who can decide: with `operator.admin`, and the capability
    /// `approvals` or `exec-approvals`. Otherwise the command is refused. In 2026.2.9 the run goes on at once,
    /// and a turn in the main session follows the decision; scripts see it as method `heartbeat`.
    pub fn approved_command(self, command: impl Into<String>, output: impl Into<String>) -> Self {
        let mut run = self.command(command, output);
        if let Some(tool) = run.tools.last_mut() {
            tool.wants_approval = true;
        }
        run
    }

    /// After its text the model repeats so many characters of what its last tool gave.
    pub fn quoting(mut self, characters: usize) -> Self {
        self.quotes = Some(characters);
        self
    }

    /// A tool whose result is an error.
    pub fn failing_tool(
        self,
        name: impl Into<String>,
        args: Value,
        error: impl Into<String>,
    ) -> Self {
        let mut run = self.tool(name, args, error);
        if let Some(tool) = run.tools.last_mut() {
            tool.is_error = true;
        }
        run
    }

    /// Sets what the model thinks. No event carries it (measured on both editions); it is in the history.
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = Some(reasoning.into());
        self
    }

    /// Sets how long the model takes to its first word.
    pub fn delay_first(mut self, pause: Duration) -> Self {
        self.delay_first = pause;
        self
    }

    /// The pause after each piece of text, while each tool works, and before each new attempt.
    pub fn delay_per_delta(mut self, pause: Duration) -> Self {
        self.delay_per_delta = pause;
        self
    }

    /// Sets how long the model goes on, saying nothing, after its last word.
    pub fn delay_last(mut self, pause: Duration) -> Self {
        self.delay_last = pause;
        self
    }

    /// After its text the model fails with this, as often as the gateway tries again.
    ///
    /// What a caller sees is up to the edition. 2026.9.6 fails the run; 2026.2.9 says that all went well, and
    /// gives this message as the text of the answer.
    pub fn fails(mut self, message: impl Into<String>) -> Self {
        self.ending = Ending::Fails(Failure {
            message: message.into(),
            cause: Cause::Broken,
        });
        self
    }

    /// After its text the model fails with this because it was asked too often: as [`fails`](Self::fails),
    /// but 2026.9.6 says so, and tries 10 times.
    pub fn rate_limited(mut self, message: impl Into<String>) -> Self {
        self.ending = Ending::Fails(Failure {
            message: message.into(),
            cause: Cause::Limit,
        });
        self
    }

    /// After its text the stream of the model ends, as if there was more to come.
    ///
    /// 2026.9.6 asks 8 times, and fails the run as one that took too long; 2026.2.9 takes the text for the
    /// answer.
    pub fn cut_off(mut self) -> Self {
        self.ending = Ending::Fails(Failure {
            message: "LLM request timed out.".to_owned(),
            cause: Cause::Cut,
        });
        self
    }

    /// Sets how often a model that [`fails`](Self::fails) is asked before the gateway gives up; by default as
    /// often as the edition does after an internal error of the provider: 8 times in 2026.9.6, 4 times in
    /// 2026.2.9.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// After its text the model says nothing more, until the run is aborted or its `timeout` is over.
    ///
    /// An `agent` run of 2026.2.9 cannot be aborted.
    pub fn hangs(mut self) -> Self {
        self.ending = Ending::Hangs;
        self
    }

    /// The tokens of each turn of the model; 11 and 7 by default.
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = (input, output);
        self
    }

    /// Why the model fails, if it does.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match &self.ending {
            Ending::Fails(failure) => Some(failure.cause),
            _ => None,
        }
    }

    /// The answer is what the model said before it was cut off.
    pub(crate) fn answering(mut self) -> Self {
        if self.cause() == Some(Cause::Cut) {
            self.ending = Ending::Answers;
        }
        self
    }

    /// A text that needs no model.
    pub(crate) fn local(mut self) -> Self {
        self.ending = Ending::Local;
        self
    }

    pub(crate) fn is_local(&self) -> bool {
        self.ending == Ending::Local
    }

    /// Without a text, if the model says that it has none: what it says then is not shown.
    pub(crate) fn silenced(mut self, insists: bool) -> Self {
        if self.text.trim() == "NO_REPLY" {
            self.text.clear();
            if insists && self.ending == Ending::Answers {
                self.ending = Ending::Silent;
            }
        }
        self
    }

    /// Returns whether the transcript does not take the message.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.ending == Ending::TurnedAway
    }

    /// Returns what the model fails with.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.ending {
            Ending::Fails(failure) => Some(&failure.message),
            _ => None,
        }
    }

    /// The same message once more, which the transcript does not take.
    pub(crate) fn turned_away(mut self) -> Self {
        self.ending = Ending::TurnedAway;
        self
    }

    /// The text in as many pieces as it comes in, of about the same length.
    pub(crate) fn pieces(&self) -> Vec<String> {
        let chars: Vec<char> = self.text.chars().collect();
        let bounds: Vec<usize> = match self.cut {
            Cut::Pieces(pieces) => {
                let pieces = pieces.min(chars.len());
                (0..pieces).map(|n| n * chars.len() / pieces).collect()
            }
            Cut::Characters(size) => (0..chars.len()).step_by(size).collect(),
        };
        let ends = bounds.iter().skip(1).copied().chain([chars.len()]);
        bounds
            .iter()
            .zip(ends)
            .map(|(start, end)| chars[*start..end].iter().collect())
            .collect()
    }
}

/// A run that a client asks for, for [`MockGateway::script_runs`](crate::MockGateway::script_runs).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRequest {
    /// `agent`, `chat.send` or `sessions.send`.
    pub method: String,
    /// What the agent is told.
    pub message: String,
    /// The idempotency key, which is the run's id.
    pub run_id: String,
    /// The session as the client names it.
    pub session_key: Option<String>,
    /// All parameters of the call.
    pub params: Value,
}

/// Gives the script of a run.
pub(crate) type ScriptOf = Arc<dyn Fn(&RunRequest) -> RunScript + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_pieces_that_add_up() {
        let pieces = RunScript::text("hello world").deltas(3).pieces();
        assert_eq!(pieces, ["hel", "lo w", "orld"]);
        assert_eq!(RunScript::text("äö").deltas(9).pieces(), ["ä", "ö"]);
        assert_eq!(
            RunScript::text("hello world").chunks(4).pieces(),
            ["hell", "o wo", "rld"]
        );
        assert!(RunScript::text("x").deltas(0).pieces().is_empty());
        assert!(RunScript::silent().pieces().is_empty());
    }
}
