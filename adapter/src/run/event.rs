//! What the events of a run say, whichever generation sent them.
//!
//! Every measured `agent` event breaks the published schema, so nothing here depends on a field that
//! it can do without: what is unknown, missing or of another type is a sign of life and no more.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use serde_json::Value;

use super::answer::Reply;
use super::item::{Approval, FailureDetail, Retry, ToolEvent, ToolStep};
use super::json::{flag, number, owned, text};

/// What one event says of its run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunEvent {
    /// An attempt begins; once more on every retry.
    Started { at_ms: Option<i64> },
    /// The text so far.
    Text(Words),
    /// What the gateway does for the run.
    Status(String),
    /// The model is asked again after a failure.
    Retrying(Retry),
    /// Tokens that the model has sent so far.
    Usage { output: u64 },
    /// A tool is called, works or has ended. `true` if it is only the outline of it.
    Tool(ToolEvent, bool),
    /// The run stands still until somebody decides.
    ApprovalWanted(Approval),
    /// Somebody has decided.
    ApprovalResolved(Approval),
    /// What looks like the end; it may be the end of one attempt only.
    End(End),
    /// Anything else.
    Alive,
}

/// Text of the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    pub(crate) voice: Voice,
    /// All of it: of the whole answer, or of the part since the last tool.
    pub(crate) text: String,
    /// What was said before counts no more.
    pub(crate) retracts: bool,
    /// Whether it is a part's first text.
    pub(crate) begins: bool,
}

/// Which of the two streams a text came by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Voice {
    /// Stream `assistant` of an `agent` event: the part since the last tool.
    Agent,
    /// A `chat` event: everything on 2026.9.6, the part since the last tool on 2026.2.9.
    Chat,
}

/// An event that looks like the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) kind: EndKind,
    /// The text in it.
    pub(crate) text: Option<String>,
    /// What went wrong.
    pub(crate) message: Option<String>,
    pub(crate) detail: Option<FailureDetail>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) timeout_phase: Option<String>,
    /// `errorKind`: `timeout`, `rate_limit`, …
    pub(crate) error_kind: Option<String>,
    pub(crate) aborted: bool,
    /// 2026.9.6 says so of the last word of a run.
    pub(crate) settled: bool,
    pub(crate) reply: Option<Reply>,
    pub(crate) started_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum EndKind {
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
            let said = text(data, "text").unwrap_or_default();
            RunEvent::Text(Words {
                voice: Voice::Agent,
                text: said.to_owned(),
                retracts: flag(data, "replace"),
                begins: text(data, "delta") == Some(said),
            })
        }
        Some("usage") => {
            number(data, "outputTokens").map_or(RunEvent::Alive, |output| RunEvent::Usage {
                output: output.unsigned_abs(),
            })
        }
        Some("run_status") => match text(data, "phase") {
            Some("retrying") => RunEvent::Retrying(retry(data)),
            Some(phase) => RunEvent::Status(phase.to_owned()),
            None => RunEvent::Alive,
        },
        Some("tool") => tool(data).map_or(RunEvent::Alive, |event| RunEvent::Tool(event, false)),
        Some("item") if text(data, "kind") == Some("tool") => {
            item(data).map_or(RunEvent::Alive, |event| RunEvent::Tool(event, true))
        }
        _ => RunEvent::Alive,
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
                return RunEvent::Alive;
            };
            return if phase == "waiting-approval" {
                RunEvent::ApprovalWanted(approval)
            } else {
                RunEvent::ApprovalResolved(approval)
            };
        }
        Some("end") => EndKind::LifecycleEnd,
        Some("error") => EndKind::LifecycleError,
        _ => return RunEvent::Alive,
    };
    RunEvent::End(End {
        kind,
        text: None,
        message: owned(data, "error"),
        detail: detail(&data["errorObservation"]),
        stop_reason: owned(data, "stopReason"),
        timeout_phase: owned(data, "timeoutPhase"),
        error_kind: None,
        aborted: flag(data, "aborted") || text(data, "status") == Some("cancelled"),
        settled: flag(data, "executionSettled"),
        reply: Reply::read(data),
        started_at_ms: number(data, "startedAt"),
    })
}

fn chat(payload: &Value) -> RunEvent {
    let said = message_text(&payload["message"]);
    let kind = match text(payload, "state") {
        Some("delta") => {
            return said.map_or(RunEvent::Alive, |said| {
                RunEvent::Text(Words {
                    voice: Voice::Chat,
                    retracts: flag(payload, "replace"),
                    begins: false,
                    text: said,
                })
            });
        }
        Some("status") => {
            let retry = &payload["retry"];
            return match text(payload, "phase") {
                Some("retrying") if retry.is_object() => RunEvent::Retrying(self::retry(retry)),
                Some(phase) if phase != "retrying" => RunEvent::Status(phase.to_owned()),
                _ => RunEvent::Alive,
            };
        }
        Some("final") => EndKind::ChatFinal,
        Some("aborted") => EndKind::ChatAborted,
        Some("error") => EndKind::ChatError,
        _ => return RunEvent::Alive,
    };
    RunEvent::End(End {
        kind,
        text: said,
        message: owned(payload, "errorMessage"),
        detail: detail(&payload["errorDetail"]),
        stop_reason: owned(payload, "stopReason"),
        error_kind: owned(payload, "errorKind"),
        aborted: kind == EndKind::ChatAborted,
        ..End::default()
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
    fn both_voices_carry_text() {
        let agent = json!({"runId":"r","seq":3,"stream":"assistant","data":{"text":"One two","delta":" two","itemId":"i:1"}});
        let chat = json!({"runId":"r","seq":3,"state":"delta","deltaText":" two",
            "message":{"role":"assistant","content":[{"type":"text","text":"One two"}]}});
        for (name, payload, voice) in [("agent", agent, Voice::Agent), ("chat", chat, Voice::Chat)]
        {
            assert_eq!(
                read(name, &payload),
                Some(RunEvent::Text(Words {
                    voice,
                    text: "One two".to_owned(),
                    retracts: false,
                    begins: false
                }))
            );
        }
    }

    #[test]
    fn the_end_of_an_attempt_is_told_from_the_settled_end() {
        let end = |data| match read("agent", &json!({"stream":"lifecycle","data":data})) {
            Some(RunEvent::End(end)) => end,
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
    fn a_tool_is_known_by_either_stream() {
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
        assert_eq!(read("agent", &preamble), Some(RunEvent::Alive));
    }

    #[test]
    fn what_is_unknown_or_odd_is_a_sign_of_life() {
        for payload in [
            json!({"stream":"compaction","data":{"phase":"x"}}),
            json!({"stream":7}),
            json!({"stream":"lifecycle","data":[1]}),
            json!({"stream":"tool","data":{"phase":"start"}}),
            json!([]),
            Value::Null,
        ] {
            assert_eq!(read("agent", &payload), Some(RunEvent::Alive), "{payload}");
        }
        assert_eq!(read("chat", &json!({"state":"new"})), Some(RunEvent::Alive));
        assert_eq!(read("tick", &json!({})), None);
    }
}
