//! Output of the program: one JSON object per line, or lines for a person.

use std::io::{self, Write as _};
use std::time::Duration;

use openclaw_adapter::{ConfigError, ConnectionState, Error, StopReason};
use serde::Serialize;
use serde_json::Value;

use crate::terminal::{Look, Mark, above};

/// Prints results on stdout. Logs go to stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) stdout: Look,
    pub(crate) stderr: Look,
}

/// A line of `connect --json`; the fields stand in this order.
#[derive(Serialize)]
#[serde(
    tag = "state",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
enum Line<'a> {
    Connecting {
        attempt: u32,
    },
    AwaitingApproval {
        request_id: Option<&'a str>,
        device_id: &'a str,
        reason: &'a str,
        approve_command: String,
        requested_role: &'a str,
        requested_scopes: &'a [String],
        approved_roles: Option<&'a [String]>,
        approved_scopes: Option<&'a [String]>,
    },
    BackingOff {
        attempt: u32,
        delay_ms: u64,
        cause: String,
    },
    Ready {
        protocol: u32,
        server_version: &'a str,
        conn_id: &'a str,
        scopes: &'a [String],
        auth_method: Option<&'a str>,
    },
    Stopped {
        kind: &'a str,
        message: &'a str,
        fix: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Refused<'a>>,
    },
}

/// Prints a gateway's refusal of a call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            stdout: Look::of_stdout(),
            stderr: Look::of_stderr(),
        }
    }

    /// Prints `value` with `--json`, `text` without.
    pub(crate) fn print(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        let line = if self.json {
            escaped(serde_json::to_string(value)?)
        } else {
            text()
        };
        above(|| {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        })
    }

    /// Says something on stderr, with the program's name before it.
    pub(crate) fn say(self, mark: Mark, text: &str) -> io::Result<()> {
        above(|| writeln!(io::stderr().lock(), "{} {text}", self.stderr.name(mark)))
    }

    /// Prints the end of the program for a reason that is not a state.
    pub(crate) fn stopped(self, kind: &str, message: &str, fix: &str) -> io::Result<()> {
        self.ends(kind, message, fix, None)
    }

    /// Says that a call went wrong; with what the gateway said, if it was the gateway that refused.
    pub(crate) fn refused(self, kind: &str, error: &Error, fix: &str) -> io::Result<()> {
        let refused = match error {
            Error::Call { error, .. } => Some(Refused {
                code: &error.code,
                message: &error.message,
                details: error.details.as_ref(),
                missing_scope: error.missing_scope(),
                retryable: error.retryable,
                retry_after_ms: error.retry_after().map(millis),
            }),
            _ => None,
        };
        self.ends(kind, &error.to_string(), fix, refused)
    }

    fn ends(
        self,
        kind: &str,
        message: &str,
        fix: &str,
        error: Option<Refused<'_>>,
    ) -> io::Result<()> {
        if self.json {
            let line = Line::Stopped {
                kind,
                message,
                fix,
                error,
            };
            self.print(&line, String::new)?;
        }
        if fix.is_empty() {
            self.say(Mark::Bad, message)
        } else {
            self.say(
                Mark::Bad,
                &format!("{message}\n{}", self.stderr.strong(fix)),
            )
        }
    }

    /// Says that the gateway was not reached.
    pub(crate) fn unreachable(self, message: &str) -> io::Result<()> {
        self.stopped(
            "unreachable",
            message,
            "Check that the gateway runs, and that OPENCLAW_GATEWAY_URL is its address.",
        )
    }

    /// Says that the configuration is not usable.
    pub(crate) fn config(self, error: &ConfigError) -> io::Result<()> {
        let fix = error.fix().unwrap_or_default();
        self.stopped("config", &error.to_string(), &fix)
    }

    pub(crate) fn state(self, state: &ConnectionState) -> io::Result<()> {
        let text = || state_text(self.stdout, state);
        match state {
            ConnectionState::Connecting { attempt, .. } => {
                self.print(&Line::Connecting { attempt: *attempt }, text)
            }
            ConnectionState::AwaitingApproval { pairing, .. } => self.print(
                &Line::AwaitingApproval {
                    request_id: pairing.request_id.as_deref(),
                    device_id: pairing.device_id.as_str(),
                    reason: pairing.reason.as_str(),
                    approve_command: pairing.approve_command(),
                    requested_role: &pairing.requested_role,
                    requested_scopes: &pairing.requested_scopes,
                    approved_roles: pairing.approved_roles.as_deref(),
                    approved_scopes: pairing.approved_scopes.as_deref(),
                },
                text,
            ),
            ConnectionState::BackingOff {
                attempt,
                delay,
                cause,
                ..
            } => self.print(
                &Line::BackingOff {
                    attempt: *attempt,
                    delay_ms: millis(*delay),
                    cause: cause.to_string(),
                },
                text,
            ),
            ConnectionState::Ready { hello, .. } => self.print(
                &Line::Ready {
                    protocol: hello.protocol,
                    server_version: &hello.server_version,
                    conn_id: &hello.conn_id,
                    scopes: &hello.scopes,
                    auth_method: hello.auth_method.as_deref(),
                },
                text,
            ),
            ConnectionState::Stopped { reason, .. } => self.print(
                &Line::Stopped {
                    kind: reason.kind(),
                    // JSON quotes the gateway's words already.
                    message: &match reason {
                        StopReason::Refused(refusal) => refusal.to_string(),
                        other => other.to_string(),
                    },
                    fix: &reason.fix(),
                    error: None,
                },
                text,
            ),
            // A state of a later version of the library.
            _ => Ok(()),
        }
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

fn state_text(look: Look, state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connecting { attempt: 1, .. } => look.mark(Mark::Minor, "connecting"),
        ConnectionState::Connecting { attempt, .. } => {
            look.mark(Mark::Minor, &format!("connecting, attempt {attempt}"))
        }
        ConnectionState::AwaitingApproval { pairing, .. } => format!(
            "{} ({}): device {} asks for role {} with scopes [{}]{}\n  run on the gateway's host: {}",
            look.mark(Mark::Waiting, "waiting for approval"),
            pairing.reason,
            pairing.device_id.short(),
            pairing.requested_role,
            pairing.requested_scopes.join(" "),
            pairing
                .approved_scopes
                .as_ref()
                .map_or_else(String::new, |scopes| format!(
                    ", approved so far [{}]",
                    scopes.join(" ")
                )),
            look.strong(&pairing.approve_command()),
        ),
        ConnectionState::BackingOff { delay, cause, .. } => look.mark(
            Mark::Warning,
            &format!("{cause}; trying again in {:.1} s", delay.as_secs_f64()),
        ),
        ConnectionState::Ready { hello, .. } => format!(
            "{}: gateway {} (protocol {}), connection {}, scopes [{}]",
            look.mark(Mark::Good, "ready"),
            hello.server_version,
            hello.protocol,
            hello.conn_id,
            hello.scopes.join(" ")
        ),
        ConnectionState::Stopped { reason, .. } => format!(
            "{}: {reason}\n  {}",
            look.mark(Mark::Bad, "stopped"),
            look.strong(&reason.fix())
        ),
        other => format!("{other:?}"),
    }
}

/// Text of the gateway in a line for a person: nothing in it may move the cursor.
pub(crate) fn plain(text: &str) -> String {
    printable(text).chars().take(200).collect()
}

/// The same, however long it is.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if is_active(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// Returns true if a terminal interprets the character instead of showing it.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same JSON, with escapes where a terminal would act on what the gateway says. JSON itself asks
/// for them only below U+0020. All of these stand inside strings.
fn escaped(json: String) -> String {
    use std::fmt::Write as _;
    if !json.contains(is_active) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if is_active(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_gateway_moves_no_cursor_and_stays_the_same() {
        let said = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{7f}\u{e0041}ä\u{1f600}\n";
        let json = escaped(serde_json::to_string(said).unwrap());
        assert!(
            json.chars().all(|character| !is_active(character)),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), said);
    }
}
