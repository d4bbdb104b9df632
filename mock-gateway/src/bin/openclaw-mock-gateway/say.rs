//! What the program tells the person or the script that started it.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use openclaw_mock_gateway::Edition;
use serde_json::{Value, json};

/// How to speak, and what about.
#[derive(Debug)]
pub(crate) struct Voice {
    pub(crate) json: bool,
    pub(crate) edition: Edition,
    pub(crate) url: String,
    pub(crate) port: u16,
    pub(crate) config_path: PathBuf,
    pub(crate) state_dir: PathBuf,
    /// The configuration was made just now.
    pub(crate) created: bool,
}

impl Voice {
    /// The banner with the token: on stdout for a person, on stderr beside JSON lines. This is the
    /// one place that shows the token, as the first start of the real container does.
    pub(crate) fn banner(&self, token: &str) {
        let made = if self.created { " (made just now)" } else { "" };
        let text = format!(
            "OpenClaw mock gateway {}\n\n  Config:  {}{made}\n  Token:   {token}\n  URL:     {}\n\n\
             Set OPENCLAW_GATEWAY_TOKEN of the backend to this token.\n\n",
            self.edition,
            self.config_path.display(),
            self.url,
        );
        if self.json {
            write(io::stderr(), &text);
        } else {
            write(io::stdout(), &text);
        }
    }

    /// Clients can come, for the first time or again after a restart.
    pub(crate) fn ready(&self) {
        if self.json {
            line(&json!({
                "event": "ready",
                "url": self.url,
                "port": self.port,
                "edition": self.edition.to_string(),
                "stateDir": self.state_dir,
                "config": self.config_path,
                "pid": std::process::id(),
            }));
        } else {
            write(io::stdout(), &format!("ready on {}\n", self.url));
        }
    }

    /// Something that a signal set off.
    pub(crate) fn event(&self, event: &str, signal: &str) {
        if self.json {
            line(&json!({"event": event, "signal": signal}));
        } else {
            write(io::stdout(), &format!("{event} ({signal})\n"));
        }
    }
}

/// Returns whether the log and the help may have colour: only on a terminal that can show it, and never
/// where `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn is_coloured() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal()
        && io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|term| term != "dumb")
}

/// Says why the program does not start.
pub(crate) fn refusal(refusal: &(dyn std::error::Error + 'static)) {
    let mut text = refusal.to_string();
    let mut source = refusal.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.push('\n');
    write(io::stderr(), &text);
}

/// Says what the scenario expected in vain.
pub(crate) fn report(text: &str) {
    write(io::stderr(), &format!("{}\n", text.trim_end()));
}

fn line(value: &Value) {
    write(io::stdout(), &format!("{value}\n"));
}

/// Whoever started the program may have stopped listening; that is no reason to end.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
