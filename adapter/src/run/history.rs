//! What `chat.history` shows of a run.
//!
//! 2026.9.6 marks the rows: the user's with `idempotencyKey` `<runId>:user`, the assistant's with
//! `__openclaw.runId`. 2026.2.9 marks nothing; there a run is found by the time at which it began.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use serde_json::Value;

use super::answer::usage;
use super::event::message_text;
use super::item::Usage;
use super::json::{flag, number, owned, text};

/// How far the time of a user's row may be from the start of its run, in milliseconds. Measured on
/// 2026.2.9: at most 2.
const CLOSE_MS: i64 = 1_000;

/// What a session's history says of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trace {
    /// There is any trace of it.
    pub(crate) known: bool,
    /// Whether something runs in the session; 2026.2.9 does not say.
    pub(crate) active: Option<bool>,
    /// The text so far, if the run is the one that runs.
    pub(crate) in_flight: Option<String>,
    /// It waits behind another one.
    pub(crate) pending: bool,
    /// It waited when the gateway ended, and will not begin any more.
    pub(crate) abandoned: bool,
    /// What was answered to it.
    pub(crate) told: Option<Told>,
}

/// The rows that answer a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) text: String,
    /// Some of the text is not shown.
    pub(crate) cut: bool,
    /// The run that gave it, if it was another one.
    pub(crate) by: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) ending: Ending,
    /// How many attempts have failed in these rows.
    pub(crate) failures: usize,
}

/// How the rows of an answer end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    /// More is to come: a tool was called, or nothing was said yet.
    #[default]
    Open,
    Stopped,
    Failed(String),
    Aborted,
}

/// Whose rows are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) message: Option<&'a str>,
    /// When the run began, by the gateway's clock.
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) protocol: u32,
}

/// Reads an answer to `chat.history`.
pub(crate) fn trace(history: &Value, wanted: Wanted<'_>) -> Trace {
    let rows = history["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if wanted.protocol < 4 {
        let told = wanted
            .started_at_ms
            .and_then(|start| by_time(rows, start, wanted.message));
        return Trace {
            known: told.is_some(),
            told,
            ..Trace::default()
        };
    }
    let run_id = wanted.run_id;
    let in_flight = &history["inFlightRun"];
    let in_flight = (text(in_flight, "runId") == Some(run_id))
        .then(|| owned(in_flight, "text").unwrap_or_default());
    let info = &history["sessionInfo"];
    let is_active = info["activeRunIds"]
        .as_array()
        .is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(run_id)));
    let inputs = history["pendingInputs"]["items"].as_array();
    let mut inputs = inputs.map_or(&[][..], Vec::as_slice).iter();
    let input = inputs.find(|item| text(item, "runId") == Some(run_id));
    // Measured after a crash: the input stays, and its key is refused as `ownership ended`.
    let abandoned = input.is_some_and(|input| text(input, "state") == Some("interrupted"));
    let pending = input.is_some() && !abandoned;
    let (asked, told) = by_marks(rows, wanted);
    Trace {
        known: asked || is_active || in_flight.is_some() || input.is_some(),
        active: info.get("hasActiveRun").and_then(Value::as_bool),
        in_flight,
        pending,
        abandoned,
        told,
    }
}

/// Whether the run's own row was found, and what answers it.
fn by_marks(rows: &[Value], wanted: Wanted<'_>) -> (bool, Option<Told>) {
    let own: Vec<&Value> = rows
        .iter()
        .filter(|row| is_by(row, wanted.run_id))
        .collect();
    let asked = rows
        .iter()
        .position(|row| is_question(row, wanted.run_id))
        .or_else(|| {
            rows.iter()
                .rposition(|row| is_collected(row, wanted.message))
        });
    let mut told = (!own.is_empty()).then(|| read(&own));
    let is_open = told.as_ref().is_none_or(|told| told.ending == Ending::Open);
    if let Some(asked) = asked
        && is_open
    {
        // After a crash the gateway goes on under another id, after a row that says so.
        let after = rows[asked + 1..]
            .iter()
            .take_while(|row| !is_user(row) || is_recovery(row))
            .filter(|row| text(row, "role") == Some("assistant"));
        let answer: Vec<&Value> = after.collect();
        let other = answer.iter().rev().find_map(|row| run_of(row));
        if let Some(other) = other.filter(|other| *other != wanted.run_id) {
            told = Some(Told {
                by: Some(other.to_owned()),
                ..read(&answer)
            });
        }
    }
    (asked.is_some() || !own.is_empty(), told)
}

/// The rows of the run that began at `start`.
fn by_time(rows: &[Value], start: i64, message: Option<&str>) -> Option<Told> {
    let distance = |row: &Value| {
        let at = number(row, "timestamp").filter(|_| is_user(row))?;
        let is_ours = message.is_none_or(|message| {
            message_text(row).is_some_and(|text| text.contains(message.trim()))
        });
        Some((at - start).abs()).filter(|distance| is_ours && *distance <= CLOSE_MS)
    };
    let asked = (0..rows.len())
        .filter_map(|at| Some((distance(&rows[at])?, at)))
        .min()?
        .1;
    let answer: Vec<&Value> = rows[asked + 1..]
        .iter()
        .take_while(|row| !is_user(row))
        .filter(|row| text(row, "role") == Some("assistant"))
        .collect();
    Some(read(&answer))
}

fn read(rows: &[&Value]) -> Told {
    let mut told = Told::default();
    let mut texts: Vec<String> = Vec::new();
    let mut kept = 0;
    for row in rows {
        let is_last_word =
            text(row, "idempotencyKey").is_some_and(|key| key.ends_with(":terminal-error"));
        // A key that was answered before a restart and is sent again afterwards gets such a row.
        if is_last_word && told.ending == Ending::Stopped {
            continue;
        }
        let said = message_text(row).unwrap_or_default();
        let said = said.trim();
        told.cut |= flag(&row["__openclaw"], "truncated");
        told.usage = usage(&row["usage"]).or(told.usage);
        if let Ending::Failed(_) = told.ending {
            // Another attempt: what the failed one had said counts no more.
            texts.truncate(kept);
        }
        kept = texts.len();
        told.ending = match text(row, "stopReason") {
            _ if row.get("openclawAbort").is_some() => Ending::Aborted,
            Some("error") => {
                told.failures += 1;
                Ending::Failed(owned(row, "errorMessage").unwrap_or_else(|| said.to_owned()))
            }
            Some("aborted") => Ending::Aborted,
            // A row may be shown in two: its text, and the call of a tool.
            Some("toolUse") | None => Ending::Open,
            Some(_) => Ending::Stopped,
        };
        if !said.is_empty() && !is_last_word && said != "NO_REPLY" {
            texts.push(said.to_owned());
        }
    }
    // What an aborted attempt had said is repeated in the row that says so.
    texts.dedup();
    told.text = texts.join("\n\n");
    told
}

fn is_user(row: &Value) -> bool {
    text(row, "role") == Some("user")
}

fn is_by(row: &Value, run_id: &str) -> bool {
    text(row, "role") == Some("assistant") && run_of(row) == Some(run_id)
}

fn run_of(row: &Value) -> Option<&str> {
    text(&row["__openclaw"], "runId")
}

fn is_question(row: &Value, run_id: &str) -> bool {
    is_user(row)
        && text(row, "idempotencyKey").and_then(|key| key.strip_suffix(":user")) == Some(run_id)
}

/// Queue mode `collect` makes one row of all that waited, with their messages in it.
fn is_collected(row: &Value, message: Option<&str>) -> bool {
    is_user(row)
        && text(row, "idempotencyKey").is_some_and(|key| key.starts_with("followup-collect:"))
        && message.is_some_and(|message| {
            message_text(row).is_some_and(|collected| collected.contains(message))
        })
}

fn is_recovery(row: &Value) -> bool {
    text(&row["provenance"], "sourceTool") == Some("main_session_restart_recovery")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NEW: Wanted<'_> = Wanted {
        run_id: "r",
        message: Some("two"),
        started_at_ms: None,
        protocol: 4,
    };

    fn user(key: &str, text: &str) -> Value {
        json!({"role":"user","content":text,"idempotencyKey":key})
    }

    fn assistant(run: &str, text: &str, stop: &str) -> Value {
        json!({"role":"assistant","content":[{"type":"text","text":text}],"stopReason":stop,"__openclaw":{"runId":run}})
    }

    fn told(rows: &[Value]) -> Told {
        trace(&json!({"messages":rows}), NEW).told.unwrap()
    }

    #[test]
    fn an_answer_has_all_its_parts() {
        let told = told(&[
            user("r:user", "q"),
            json!({"role":"assistant","content":[{"type":"text","text":"Before."}],"__openclaw":{"runId":"r"}}),
            assistant("r", "", "toolUse"),
            json!({"role":"toolResult","content":[{"type":"text","text":"file"}],"__openclaw":{"runId":"r"}}),
            assistant("r", "After.  \n", "stop"),
        ]);
        assert_eq!(
            (&*told.text, told.ending),
            ("Before.\n\nAfter.", Ending::Stopped)
        );
    }

    #[test]
    fn a_steered_or_queued_turn_is_answered_by_another_run() {
        let told = told(&[
            user("one:user", "one"),
            assistant("one", "First.", "stop"),
            user("r:user", "two"),
            assistant("one", "Second.", "stop"),
        ]);
        assert_eq!((&*told.text, told.by.as_deref()), ("Second.", Some("one")));
    }

    #[test]
    fn a_collected_turn_is_found_by_its_words() {
        let rows = [
            user("one:user", "one"),
            assistant("one", "First.", "stop"),
            user("followup-collect:s:1", "[Queued messages]\n---\ntwo"),
            assistant("new", "Second.", "stop"),
        ];
        assert_eq!(told(&rows).by.as_deref(), Some("new"));
    }

    #[test]
    fn a_run_that_the_gateway_took_up_again_is_followed() {
        let mut recovery = user("new:user", "[System] interrupted");
        recovery["provenance"] = json!({"sourceTool":"main_session_restart_recovery"});
        let rows = [
            user("r:user", "q"),
            recovery,
            assistant("new", "All.", "stop"),
        ];
        let found = told(&rows);
        assert_eq!((&*found.text, found.by.as_deref()), ("All.", Some("new")));
        let next = [
            user("r:user", "q"),
            user("new:user", "next"),
            assistant("new", "No.", "stop"),
        ];
        assert_eq!(trace(&json!({"messages":next}), NEW).told, None);
    }

    #[test]
    fn an_answered_key_that_is_sent_again_stays_answered() {
        let mut late = assistant("r", "failed", "error");
        late["idempotencyKey"] = json!("r:terminal-error");
        let answered = [
            user("r:user", "q"),
            assistant("r", "Yes.", "stop"),
            late.clone(),
        ];
        assert_eq!(told(&answered).ending, Ending::Stopped);
        let failed = told(&[user("r:user", "q"), late]);
        assert_eq!(failed.ending, Ending::Failed("failed".to_owned()));
        assert_eq!(failed.text, "");
    }

    #[test]
    fn a_run_in_flight_and_a_turn_that_waits_are_known() {
        let flying = trace(
            &json!({"messages":[],"inFlightRun":{"runId":"r","text":"so f"},"sessionInfo":{"hasActiveRun":true}}),
            NEW,
        );
        assert_eq!(
            (flying.known, flying.active, flying.in_flight.as_deref()),
            (true, Some(true), Some("so f"))
        );
        let waiting = trace(
            &json!({"messages":[],"pendingInputs":{"items":[{"runId":"r"}]}}),
            NEW,
        );
        assert!(waiting.known && waiting.pending);
        let left = trace(
            &json!({"messages":[],"pendingInputs":{"items":[{"runId":"r","state":"interrupted"}]}}),
            NEW,
        );
        assert!(left.known && left.abandoned && !left.pending);
        assert!(!trace(&json!({"messages":[user("x:user","")]}), NEW).known);
        assert!(!trace(&Value::Null, NEW).known);
    }

    #[test]
    fn the_old_generation_is_read_by_time() {
        let row = |role: &str, at: i64, text: &str, stop: &str, error: Option<&str>| {
            let mut row = json!({"role":role,"content":[{"type":"text","text":text}],"timestamp":at,"stopReason":stop});
            if let Some(error) = error {
                row["errorMessage"] = json!(error);
            }
            row
        };
        let history = json!({"messages":[
            row("user", 1_000, "hi", "", None),
            row("assistant", 1_001, "Old.", "stop", None),
            row("user", 90_000, "hi", "", None),
            row("assistant", 90_001, "", "error", Some("500 no")),
            row("assistant", 92_000, "", "error", Some("500 no")),
        ]});
        let at = |start| {
            let wanted = Wanted {
                protocol: 3,
                started_at_ms: Some(start),
                message: Some("hi"),
                ..NEW
            };
            trace(&history, wanted).told
        };
        assert_eq!(at(1_003).unwrap().text, "Old.");
        let failed = at(90_002).unwrap();
        assert_eq!(
            (failed.ending, failed.failures),
            (Ending::Failed("500 no".to_owned()), 2)
        );
        assert_eq!(at(50_000), None);
    }
}
