//! What a model says to one message.

use std::time::Duration;

use serde_json::Value;

/// What the model does when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Script {
    /// Called first; the text follows when the model is asked again with the tool's result.
    pub tool: Option<ToolCall>,
    /// The text, in the pieces in which it is streamed.
    pub pieces: Vec<String>,
    /// Before the first piece.
    pub first: Duration,
    /// After each piece.
    pub pause: Duration,
    /// How it ends.
    pub end: End,
}

/// A tool that the model calls, of those that every agent has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Value,
    /// What it gives back, for a gateway that does not run it itself.
    pub result: String,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// Not at all: this HTTP status instead of an answer, every time it is asked.
    Refuses(u16),
    /// The connection is gone after the pieces, every time it is asked.
    Drops,
    /// Nothing follows the pieces, and the connection stays.
    Silence,
}

impl Script {
    /// Streams the pieces without a pause and ends well.
    pub fn says<S: Into<String>>(pieces: impl IntoIterator<Item = S>) -> Self {
        Self {
            tool: None,
            pieces: pieces.into_iter().map(Into::into).collect(),
            first: Duration::ZERO,
            pause: Duration::ZERO,
            end: End::Whole,
        }
    }

    /// Answers with this status.
    pub fn refuses(status: u16) -> Self {
        Self::says::<String>([]).ends(End::Refuses(status))
    }

    /// Ends like this.
    pub fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Waits so long after each piece.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Waits so long before the first piece.
    pub fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Calls this tool first.
    pub fn calls(mut self, tool: ToolCall) -> Self {
        self.tool = Some(tool);
        self
    }

    /// All of the text.
    #[must_use]
    pub fn text(&self) -> String {
        self.pieces.concat()
    }
}
