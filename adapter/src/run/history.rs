//! Finds a run in an answer to `chat.history`.
//!
//! 2026.9.6 marks the rows: the user's with `idempotencyKey` `<runId>:user`, the assistant's with
//! `__openclaw.runId`. 2026.2.9 marks nothing; a run is found there by its start time.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use serde_json::Value;

use super::answer::usage;
use super::event::message_text;
use super::item::Usage;
use super::json::{flag, number, owned, text};

/// The greatest distance of a user's row from the start of its run, in milliseconds. Measured on
/// 2026.2.9: at most 2.
const CLOSE_MS: i64 = 1_000;

/// The same where no mark tells rows apart, and the start is that of a `lifecycle` event. Measured on
/// 2026.6.11 and 2026.7.35: 6 ms.
const NEAR_MS: i64 = 5_000;
/// The end of a text that a gateway has cut; 2026.9.6 marks the row as well.
const CUT: &str = "\n...(truncated)...";

/// One run as its session's history shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HistoryView {
    /// The history shows the run at all.
    pub(crate) known: bool,
    /// Some run is active in the session; 2026.2.9 does not say.
    pub(crate) active: Option<bool>,
    /// The text so far, if it is this run that is active.
    pub(crate) in_flight: Option<String>,
    /// The turn waits behind another one.
    pub(crate) pending: bool,
    /// The turn was waiting when the gateway ended, and will not start.
    pub(crate) abandoned: bool,
    /// The answer to the run.
    pub(crate) answer: Option<HistoryAnswer>,
}

/// The answer to a run, from the rows of the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HistoryAnswer {
    pub(crate) text: String,
    /// The text is not complete.
    pub(crate) cut: bool,
    /// The run that gave it, if it was another one.
    pub(crate) by: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) ending: Ending,
    /// Number of failed attempts in these rows.
    pub(crate) failures: usize,
}

/// The end of an answer's rows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    /// More follows: a tool was called, or there is no text yet.
    #[default]
    Open,
    Stopped,
    Failed(String),
    Aborted,
}

/// The run to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) message: Option<&'a str>,
    /// The start of the run, by the gateway's clock.
    pub(crate) started_at_ms: Option<i64>,
    /// The text that was streamed.
    pub(crate) streamed: &'a str,
    /// The run is known to have ended.
    pub(crate) has_ended: bool,
    pub(crate) protocol: u32,
}

/// Reads an answer to `chat.history`.
pub(crate) fn read(history: &Value, wanted: Wanted<'_>) -> HistoryView {
    let rows = history["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if wanted.protocol < 4 {
        let answer = match wanted.started_at_ms {
            Some(start) => by_time(rows, start, wanted.message),
            None => by_message(rows, wanted).map(|question| answer_to(rows, question, wanted).0),
        };
        return HistoryView {
            known: answer.is_some(),
            answer,
            ..HistoryView::default()
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
    let (has_question, answer) = by_marks(rows, wanted);
    HistoryView {
        known: has_question || is_active || in_flight.is_some() || input.is_some(),
        active: info.get("hasActiveRun").and_then(Value::as_bool),
        in_flight,
        pending,
        abandoned,
        answer,
    }
}

/// Finds the run by its marks: `true` if it has any row, and its answer.
fn by_marks(rows: &[Value], wanted: Wanted<'_>) -> (bool, Option<HistoryAnswer>) {
    let own: Vec<&Value> = rows
        .iter()
        .filter(|row| is_by(row, wanted.run_id))
        .collect();
    let question = rows
        .iter()
        .position(|row| is_question(row, wanted.run_id))
        .or_else(|| {
            rows.iter()
                .rposition(|row| is_collected(row, wanted.message))
        });
    let mut answer = (!own.is_empty()).then(|| read_rows(&own));
    let is_open = answer
        .as_ref()
        .is_none_or(|answer| answer.ending == Ending::Open);
    if let Some(question) = question
        && is_open
    {
        let (after, run_ids) = answer_to(rows, question, wanted);
        match run_ids.last() {
            Some(other) if *other != wanted.run_id => {
                answer = Some(HistoryAnswer {
                    by: Some((*other).to_owned()),
                    ..after
                });
            }
            // Releases before 2026.8.2 do not mark an answer.
            None if own.is_empty() && after != HistoryAnswer::default() => answer = Some(after),
            _ => {}
        }
    }
    if question.is_none() && own.is_empty() {
        let found = by_message(rows, wanted).map(|question| answer_to(rows, question, wanted).0);
        return (found.is_some(), found);
    }
    (question.is_some() || !own.is_empty(), answer)
}

/// Reads the answer to the user's row at `question`, and the runs that gave it.
fn answer_to<'a>(
    rows: &'a [Value],
    question: usize,
    wanted: Wanted<'_>,
) -> (HistoryAnswer, Vec<&'a str>) {
    let asked = &rows[question];
    // A retry writes the user's row again, under its key or with a note behind its text; after a crash
    // the gateway continues under another id, after a row that names it.
    let is_same = |row: &Value| match text(asked, "idempotencyKey") {
        Some(key) => text(row, "idempotencyKey") == Some(key),
        None => wanted.message.is_some_and(|message| {
            let note = format!("{}\n\nThe previous attempt ", message.trim());
            message_text(row).is_some_and(|text| text.starts_with(&note))
        }),
    };
    let answer: Vec<&Value> = rows[question + 1..]
        .iter()
        .take_while(|row| !is_user(row) || is_recovery(row) || is_same(row))
        .filter(|row| text(row, "role") == Some("assistant"))
        .collect();
    let run_ids = answer.iter().filter_map(|row| run_of(row)).collect();
    (read_rows(&answer), run_ids)
}

/// Finds the user's row of a run where nothing marks it: it has our message, stands near the start of
/// the run or is the only one, and its answer continues what was streamed.
fn by_message(rows: &[Value], wanted: Wanted<'_>) -> Option<usize> {
    let message = wanted.message?.trim();
    let mut candidates = (0..rows.len()).filter(|at| {
        let row = &rows[*at];
        is_user(row)
            && row.get("idempotencyKey").is_none()
            && message_text(row).is_some_and(|text| text.trim() == message)
    });
    let found = match wanted.started_at_ms {
        Some(start) => {
            let distance = |at: usize| Some((number(&rows[at], "timestamp")? - start).abs());
            candidates
                .filter_map(|at| Some((distance(at)?, at)))
                .min()
                .filter(|(distance, _)| *distance <= NEAR_MS)?
                .1
        }
        // One of several may be another turn with the same message.
        None if wanted.has_ended => candidates.next().filter(|_| candidates.next().is_none())?,
        None => return None,
    };
    let letters = |text: &str| {
        let is_kept = |c: &char| !c.is_whitespace() && *c != char::REPLACEMENT_CHARACTER;
        text.chars().filter(is_kept).collect::<String>()
    };
    let (answer, _) = answer_to(rows, found, wanted);
    let continues = letters(&answer.text).starts_with(&letters(wanted.streamed));
    (continues || answer.ending != Ending::Stopped).then_some(found)
}

/// Finds the answer to the run that started at `start`.
fn by_time(rows: &[Value], start: i64, message: Option<&str>) -> Option<HistoryAnswer> {
    let distance = |row: &Value| {
        let at = number(row, "timestamp").filter(|_| is_user(row))?;
        let is_ours = message.is_none_or(|message| {
            message_text(row).is_some_and(|text| text.contains(message.trim()))
        });
        Some((at - start).abs()).filter(|distance| is_ours && *distance <= CLOSE_MS)
    };
    let question = (0..rows.len())
        .filter_map(|at| Some((distance(&rows[at])?, at)))
        .min()?
        .1;
    let answer: Vec<&Value> = rows[question + 1..]
        .iter()
        .take_while(|row| !is_user(row))
        .filter(|row| text(row, "role") == Some("assistant"))
        .collect();
    Some(read_rows(&answer))
}

fn read_rows(rows: &[&Value]) -> HistoryAnswer {
    let mut answer = HistoryAnswer::default();
    let mut texts: Vec<String> = Vec::new();
    let mut kept = 0;
    for row in rows {
        let is_terminal_error =
            text(row, "idempotencyKey").is_some_and(|key| key.ends_with(":terminal-error"));
        // A key that was answered before a restart and is sent again afterwards gets such a row.
        if is_terminal_error && answer.ending == Ending::Stopped {
            continue;
        }
        let part = message_text(row).unwrap_or_default();
        let part = part.trim();
        answer.cut |= flag(&row["__openclaw"], "truncated") || part.ends_with(CUT.trim());
        answer.usage = usage(&row["usage"]).or(answer.usage);
        if let Ending::Failed(_) = answer.ending {
            // Another attempt: the text of the failed one is discarded.
            texts.truncate(kept);
        }
        kept = texts.len();
        answer.ending = match text(row, "stopReason") {
            _ if row.get("openclawAbort").is_some() => Ending::Aborted,
            // 2026.4.29 writes a failure like an answer.
            _ if text(row, "model") == Some("gateway-injected")
                && part.starts_with("⚠️ Agent failed") =>
            {
                answer.failures += 1;
                Ending::Failed(part.to_owned())
            }
            Some("error") => {
                answer.failures += 1;
                Ending::Failed(owned(row, "errorMessage").unwrap_or_else(|| part.to_owned()))
            }
            Some("aborted") => Ending::Aborted,
            // A row may be shown in two: its text, and the call of a tool.
            Some("toolUse") | None => Ending::Open,
            Some(_) => Ending::Stopped,
        };
        if !part.is_empty() && !is_terminal_error && part != "NO_REPLY" {
            texts.push(part.to_owned());
        }
    }
    // The row of an abort repeats the text before it.
    texts.dedup();
    answer.text = texts.join("\n\n");
    answer
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

/// Queue mode `collect` makes one row of all turns that waited, with their messages in it.
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
        streamed: "",
        has_ended: false,
        protocol: 4,
    };

    fn user(key: &str, text: &str) -> Value {
        json!({"role":"user","content":text,"idempotencyKey":key})
    }

    fn assistant(run: &str, text: &str, stop: &str) -> Value {
        json!({"role":"assistant","content":[{"type":"text","text":text}],"stopReason":stop,"__openclaw":{"runId":run}})
    }

    fn answer(rows: &[Value]) -> HistoryAnswer {
        read(&json!({"messages":rows}), NEW).answer.unwrap()
    }

    #[test]
    fn an_answer_has_all_its_parts() {
        let answer = answer(&[
            user("r:user", "q"),
            json!({"role":"assistant","content":[{"type":"text","text":"Before."}],"__openclaw":{"runId":"r"}}),
            assistant("r", "", "toolUse"),
            json!({"role":"toolResult","content":[{"type":"text","text":"file"}],"__openclaw":{"runId":"r"}}),
            assistant("r", "After.  \n", "stop"),
        ]);
        assert_eq!(
            (&*answer.text, answer.ending),
            ("Before.\n\nAfter.", Ending::Stopped)
        );
    }

    #[test]
    fn a_steered_or_queued_turn_is_answered_by_another_run() {
        let answer = answer(&[
            user("one:user", "one"),
            assistant("one", "First.", "stop"),
            user("r:user", "two"),
            assistant("one", "Second.", "stop"),
        ]);
        assert_eq!(
            (&*answer.text, answer.by.as_deref()),
            ("Second.", Some("one"))
        );
    }

    #[test]
    fn a_collected_turn_is_found_by_its_message() {
        let rows = [
            user("one:user", "one"),
            assistant("one", "First.", "stop"),
            user("followup-collect:s:1", "[Queued messages]\n---\ntwo"),
            assistant("new", "Second.", "stop"),
        ];
        assert_eq!(answer(&rows).by.as_deref(), Some("new"));
    }

    #[test]
    fn a_run_that_the_gateway_continues_is_found() {
        let mut recovery = user("new:user", "[System] interrupted");
        recovery["provenance"] = json!({"sourceTool":"main_session_restart_recovery"});
        let rows = [
            user("r:user", "q"),
            recovery,
            assistant("new", "All.", "stop"),
        ];
        let found = answer(&rows);
        assert_eq!((&*found.text, found.by.as_deref()), ("All.", Some("new")));
        let next = [
            user("r:user", "q"),
            user("new:user", "next"),
            assistant("new", "No.", "stop"),
        ];
        assert_eq!(read(&json!({"messages":next}), NEW).answer, None);
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
        assert_eq!(answer(&answered).ending, Ending::Stopped);
        let failed = answer(&[user("r:user", "q"), late]);
        assert_eq!(failed.ending, Ending::Failed("failed".to_owned()));
        assert_eq!(failed.text, "");
    }

    #[test]
    fn a_run_in_flight_and_a_turn_that_waits_are_known() {
        let flying = read(
            &json!({"messages":[],"inFlightRun":{"runId":"r","text":"so f"},"sessionInfo":{"hasActiveRun":true}}),
            NEW,
        );
        assert_eq!(
            (flying.known, flying.active, flying.in_flight.as_deref()),
            (true, Some(true), Some("so f"))
        );
        let waiting = read(
            &json!({"messages":[],"pendingInputs":{"items":[{"runId":"r"}]}}),
            NEW,
        );
        assert!(waiting.known && waiting.pending);
        let left = read(
            &json!({"messages":[],"pendingInputs":{"items":[{"runId":"r","state":"interrupted"}]}}),
            NEW,
        );
        assert!(left.known && left.abandoned && !left.pending);
        assert!(!read(&json!({"messages":[user("x:user","")]}), NEW).known);
        assert!(!read(&Value::Null, NEW).known);
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
            read(&history, wanted).answer
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
