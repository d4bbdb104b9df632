//! Reads the events of a run, from either generation of gateways.
//!
//! Every measured `agent` event breaks the published schema, so nothing here depends on a field that
//! it can do without: a payload that is unknown, incomplete or of another type counts as activity and no more.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use serde_json::Value;

use super::answer::TerminalReply;
use super::item::{Approval, FailureDetail, Retry, ToolEvent, ToolStep};
use super::json::{flag, number, owned, text};

/// The meaning of one event for its run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunEvent {
    /// An attempt begins; once more on every retry.
    Started { at_ms: Option<i64> },
    /// The text so far.
    Text(TextUpdate),
    /// The step that the gateway carries out for the run.
    Status(String),
    /// The model is asked again after a failure.
    Retrying(Retry),
    /// Tokens that the model has sent so far.
    Usage { output: u64 },
    /// A tool is called, works or has ended. `true` for an outline without arguments and result.
    Tool(ToolEvent, bool),
    /// The run waits for a decision.
    ApprovalWanted(Approval),
    /// A decision was made.
    ApprovalResolved(Approval),
    /// The end of the run, or of one attempt only.
    Terminal(TerminalEvent),
    /// Anything else.
    Activity,
}

/// Text of the answer in one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TextUpdate {
    pub(crate) source: TextSource,
    /// The text of the whole answer, or of the part since the last tool.
    pub(crate) text: String,
    /// The text replaces everything before it.
    pub(crate) replaces: bool,
    /// It is the first text of a part.
    pub(crate) starts_part: bool,
}

/// The stream that a text came by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum TextSource {
    /// Stream `assistant` of an `agent` event: the part since the last tool.
    Agent,
    /// A `chat` event: everything on 2026.9.6, the part since the last tool on 2026.2.9.
    Chat,
}

/// An event of the end of a run or of an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TerminalEvent {
    pub(crate) kind: TerminalKind,
    /// The text in it.
    pub(crate) text: Option<String>,
    /// The error message.
    pub(crate) message: Option<String>,
    pub(crate) detail: Option<FailureDetail>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) timeout_phase: Option<String>,
    /// `errorKind`: `timeout`, `rate_limit`, …
    pub(crate) error_kind: Option<String>,
    pub(crate) aborted: bool,
    /// `executionSettled`: 2026.9.6 sets it on a run's last event.
    pub(crate) settled: bool,
    pub(crate) reply: Option<TerminalReply>,
    pub(crate) started_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum TerminalKind {
    #[default]
    LifecycleEnd,
    LifecycleError,
    ChatFinal,
    ChatAborted,
    ChatError,
}

/// Reads an event by its name; `None` if it belongs to no run.
pub(crate) fn read(name: &str, payload: &Value) -> Option<RunEvent> {
    match name {
        "agent" => Some(agent(payload)),
        "chat" => Some(chat(payload)),
        "exec.approval.requested" => approval(payload).map(RunEvent::ApprovalWanted),
        "exec.approval.resolved" => approval(payload).map(RunEvent::ApprovalResolved),
        _ => None,
    }
}

fn agent(payload: &Value) -> RunEvent {
    let data = &payload["data"];
    match text(payload, "stream") {
        Some("lifecycle") => lifecycle(data),
        Some("assistant") => {
            let part = text(data, "text").unwrap_or_default();
            RunEvent::Text(TextUpdate {
                source: TextSource::Agent,
                text: part.to_owned(),
                replaces: flag(data, "replace"),
                starts_part: text(data, "delta") == Some(part),
            })
        }
        Some("usage") => {
            number(data, "outputTokens").map_or(RunEvent::Activity, |output| RunEvent::Usage {
                output: output.unsigned_abs(),
            })
        }
        Some("run_status") => match text(data, "phase") {
            Some("retrying") => RunEvent::Retrying(retry(data)),
            Some(phase) => RunEvent::Status(phase.to_owned()),
            None => RunEvent::Activity,
        },
        Some("tool") => tool(data).map_or(RunEvent::Activity, |event| RunEvent::Tool(event, false)),
        Some("item") if text(data, "kind") == Some("tool") => {
            item(data).map_or(RunEvent::Activity, |event| RunEvent::Tool(event, true))
        }
        _ => RunEvent::Activity,
    }
}

fn lifecycle(data: &Value) -> RunEvent {
    let kind = match text(data, "phase") {
        Some("start") => {
            return RunEvent::Started {
                at_ms: number(data, "startedAt"),
            };
        }
        Some(phase @ ("waiting-approval" | "approval-resolved")) => {
            let Some(approval) = approval_of_lifecycle(data) else {
                return RunEvent::Activity;
            };
            return if phase == "waiting-approval" {
                RunEvent::ApprovalWanted(approval)
            } else {
                RunEvent::ApprovalResolved(approval)
            };
        }
        Some("end") => TerminalKind::LifecycleEnd,
        Some("error") => TerminalKind::LifecycleError,
        _ => return RunEvent::Activity,
    };
    RunEvent::Terminal(TerminalEvent {
        kind,
        text: None,
        message: owned(data, "error"),
        detail: detail(&data["errorObservation"]),
        stop_reason: owned(data, "stopReason"),
        timeout_phase: owned(data, "timeoutPhase"),
        error_kind: None,
        aborted: flag(data, "aborted") || text(data, "status") == Some("cancelled"),
        settled: flag(data, "executionSettled"),
        reply: TerminalReply::read(data),
        started_at_ms: number(data, "startedAt"),
    })
}

fn chat(payload: &Value) -> RunEvent {
    let message = message_text(&payload["message"]);
    let kind = match text(payload, "state") {
        Some("delta") => {
            return message.map_or(RunEvent::Activity, |text| {
                RunEvent::Text(TextUpdate {
                    source: TextSource::Chat,
                    replaces: flag(payload, "replace"),
                    starts_part: false,
                    text,
                })
            });
        }
        Some("status") => {
            let retry = &payload["retry"];
            return match text(payload, "phase") {
                Some("retrying") if retry.is_object() => RunEvent::Retrying(self::retry(retry)),
                Some(phase) if phase != "retrying" => RunEvent::Status(phase.to_owned()),
                _ => RunEvent::Activity,
            };
        }
        Some("final") => TerminalKind::ChatFinal,
        Some("aborted") => TerminalKind::ChatAborted,
        Some("error") => TerminalKind::ChatError,
        _ => return RunEvent::Activity,
    };
    RunEvent::Terminal(TerminalEvent {
        kind,
        text: message,
        message: owned(payload, "errorMessage"),
        detail: detail(&payload["errorDetail"]),
        stop_reason: owned(payload, "stopReason"),
        error_kind: owned(payload, "errorKind"),
        aborted: kind == TerminalKind::ChatAborted,
        ..TerminalEvent::default()
    })
}

/// The text of a message: its parts of type `text`, or the content itself where it is a text.
pub(crate) fn message_text(message: &Value) -> Option<String> {
    match &message["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts
                .iter()
                .filter(|part| text(part, "type") == Some("text"))
                .filter_map(|part| text(part, "text"));
            Some(texts.collect::<Vec<_>>().join("\n\n"))
        }
        _ => None,
    }
}

fn retry(data: &Value) -> Retry {
    let count = |name| number(data, name).and_then(|n| u32::try_from(n).ok());
    Retry {
        attempt: count("attempt"),
        max_attempts: count("maxAttempts"),
        delay_ms: number(data, "delayMs").map(i64::unsigned_abs),
        reason: owned(data, "reason"),
        message: owned(data, "message"),
    }
}

fn tool(data: &Value) -> Option<ToolEvent> {
    let step = match text(data, "phase")? {
        "start" => ToolStep::Started {
            args: data["args"].clone(),
        },
        "update" => ToolStep::Update {
            partial: data["partialResult"].clone(),
        },
        "result" => ToolStep::Ended {
            is_error: flag(data, "isError"),
            result: data["result"].clone(),
        },
        _ => return None,
    };
    event(data, step)
}

/// The outline of a tool call, which every client of 2026.9.6 gets; arguments and result are not in it.
fn item(data: &Value) -> Option<ToolEvent> {
    let step = match text(data, "phase")? {
        "start" => ToolStep::Started { args: Value::Null },
        "update" => ToolStep::Update {
            partial: Value::Null,
        },
        "end" => ToolStep::Ended {
            is_error: text(data, "status").is_some_and(|status| status != "completed"),
            result: data["error"].clone(),
        },
        _ => return None,
    };
    event(data, step)
}

fn event(data: &Value, step: ToolStep) -> Option<ToolEvent> {
    Some(ToolEvent {
        call_id: owned(data, "toolCallId")?,
        name: owned(data, "name").unwrap_or_default(),
        step,
    })
}

fn approval_of_lifecycle(data: &Value) -> Option<Approval> {
    Some(Approval {
        id: owned(data, "approvalId")?,
        tool_call_id: owned(data, "toolCallId"),
        command: None,
        decision: None,
    })
}

fn approval(payload: &Value) -> Option<Approval> {
    let request = &payload["request"];
    Some(Approval {
        id: owned(payload, "id")?,
        tool_call_id: owned(request, "toolCallId"),
        command: owned(request, "command"),
        decision: owned(payload, "decision"),
    })
}

fn detail(value: &Value) -> Option<FailureDetail> {
    value.as_object()?;
    Some(FailureDetail {
        provider: owned(value, "provider"),
        model: owned(value, "model"),
        reason: owned(value, "failoverReason"),
        kind: owned(value, "providerRuntimeFailureKind"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_sources_carry_text() {
        let agent = json!({"runId":"r","seq":3,"stream":"assistant","data":{"text":"One two","delta":" two","itemId":"i:1"}});
        let chat = json!({"runId":"r","seq":3,"state":"delta","deltaText":" two",
            "message":{"role":"assistant","content":[{"type":"text","text":"One two"}]}});
        for (name, payload, source) in [
            ("agent", agent, TextSource::Agent),
            ("chat", chat, TextSource::Chat),
        ] {
            assert_eq!(
                read(name, &payload),
                Some(RunEvent::Text(TextUpdate {
                    source,
                    text: "One two".to_owned(),
                    replaces: false,
                    starts_part: false
                }))
            );
        }
    }

    #[test]
    fn the_end_of_an_attempt_differs_from_the_settled_end() {
        let end = |data| match read("agent", &json!({"stream":"lifecycle","data":data})) {
            Some(RunEvent::Terminal(end)) => end,
            other => panic!("{other:?}"),
        };
        assert!(!end(json!({"phase":"end","endedAt":1})).settled);
        let new = end(json!({"phase":"end","executionSettled":true,
            "terminalReply":{"disposition":"visible","text":"hi"}}));
        assert!(new.settled && !new.aborted);
        assert_eq!(
            new.reply.and_then(|reply| reply.text).as_deref(),
            Some("hi")
        );
        let abort =
            end(json!({"phase":"end","status":"cancelled","aborted":true,"stopReason":"rpc"}));
        assert!(abort.aborted && !abort.settled);
    }

    #[test]
    fn a_tool_is_read_from_either_stream() {
        let tool = json!({"stream":"tool","data":{"phase":"result","name":"read","toolCallId":"c","isError":true,"result":{"a":1}}});
        let Some(RunEvent::Tool(event, false)) = read("agent", &tool) else {
            panic!()
        };
        assert_eq!(
            event.step,
            ToolStep::Ended {
                is_error: true,
                result: json!({"a":1})
            }
        );
        let item = json!({"stream":"item","data":{"kind":"tool","phase":"end","name":"read","toolCallId":"c","status":"completed"}});
        let Some(RunEvent::Tool(event, true)) = read("agent", &item) else {
            panic!()
        };
        assert_eq!(
            event.step,
            ToolStep::Ended {
                is_error: false,
                result: Value::Null
            }
        );
        let preamble = json!({"stream":"item","data":{"kind":"preamble","phase":"end"}});
        assert_eq!(read("agent", &preamble), Some(RunEvent::Activity));
    }

    #[test]
    fn an_unknown_or_odd_event_counts_as_activity() {
        for payload in [
            json!({"stream":"compaction","data":{"phase":"x"}}),
            json!({"stream":7}),
            json!({"stream":"lifecycle","data":[1]}),
            json!({"stream":"tool","data":{"phase":"start"}}),
            json!([]),
            Value::Null,
        ] {
            assert_eq!(
                read("agent", &payload),
                Some(RunEvent::Activity),
                "{payload}"
            );
        }
        assert_eq!(
            read("chat", &json!({"state":"new"})),
            Some(RunEvent::Activity)
        );
        assert_eq!(read("tick", &json!({})), None);
    }
}
