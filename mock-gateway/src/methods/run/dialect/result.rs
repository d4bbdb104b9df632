//! The final answers of `agent`.
//!
//! The gateway reports on its prompt, its skills and its tools here. The mock has none, so these lists are
//! empty; the fields are all there.

use serde_json::{Value, json};

use crate::methods::run::dialect::call::Call;
use crate::model::runs::{Kind, Record};
use crate::model::script::{MODEL, PROVIDER, Tool};

/// Where tools work.
pub(crate) const WORKSPACE: &str = "/home/node/.openclaw/workspace";

/// The text of what a tool gave: of a failure, the account that the gateway makes of it.
pub(crate) fn tool_text(call: &Call) -> String {
    if !call.tool.is_error || call.verdict.is_some() || call.tool.is_unknown() {
        return call.tool.result.clone();
    }
    // Measured on both editions: pretty, in this order.
    let quoted = |text: &str| Value::from(text).to_string();
    format!(
        "{{\n  \"status\": \"error\",\n  \"tool\": {},\n  \"error\": {}\n}}",
        quoted(&call.tool.name),
        quoted(&call.tool.result),
    )
}

/// Returns what a tool gave.
pub(super) fn tool_result(call: &Call) -> Value {
    let tool = &call.tool;
    let details = match tool.name.as_str() {
        _ if call.verdict.is_some() => {
            let details = call.verdict.as_ref().map(|verdict| verdict.details(call));
            details.unwrap_or_default()
        }
        _ if tool.is_unknown() => json!({}),
        _ if tool.is_error => {
            json!({"status": "error", "tool": tool.name, "error": tool.result})
        }
        "read" => json!({"kind": "text", "content": tool.result}),
        _ => json!({}),
    };
    json!({"content": [{"type": "text", "text": tool_text(call)}], "details": details})
}

/// Returns what a command printed so far.
pub(super) fn command_so_far(call: &Call) -> Value {
    json!({
        "content": [{"type": "text", "text": call.tool.result}],
        "details": {
            "status": "running", "sessionId": "calm-mock", "pid": 1, "startedAt": call.started_at,
            "cwd": WORKSPACE, "tail": call.tool.result,
        },
    })
}

/// Returns how a command ended.
pub(super) fn command_result(call: &Call, is_new: bool, now: u64) -> Value {
    let output = call.tool.result.trim_end();
    let mut details = json!({
        "status": "completed", "exitCode": 0, "aggregated": output, "cwd": WORKSPACE,
        "durationMs": now.saturating_sub(call.started_at),
    });
    if is_new {
        details["exitSignal"] = Value::Null;
        details["exitReason"] = "exit".into();
        details["noOutputTimedOut"] = false.into();
    }
    json!({"content": [{"type": "text", "text": output}], "details": details})
}

/// Returns what 2026.9.6 says about how a run went.
pub(super) fn receipt(run: &Record, is_terminal: bool) -> Value {
    let mut receipt = json!({
        "runId": run.run_id, "sessionId": run.session_id, "turnId": run.run_id,
        "requested": {"provider": PROVIDER, "model": MODEL},
        "effective": {"provider": PROVIDER, "model": MODEL, "responseModel": MODEL},
        "successfulToolNames": run.tools, "rerouted": false,
    });
    if is_terminal {
        let disposition = if run.text.is_empty() {
            "empty"
        } else {
            "visible"
        };
        receipt["terminalDisposition"] = disposition.into();
    }
    receipt
}

fn prompt_report(run: &Record, now: u64) -> Value {
    json!({
        "source": "run", "generatedAt": now, "sessionId": run.session_id,
        "sessionKey": run.session_key, "provider": PROVIDER, "model": MODEL,
        "workspaceDir": WORKSPACE, "bootstrapMaxChars": 20000,
        "sandbox": {"mode": "off", "sandboxed": false},
        "systemPrompt": {"chars": 0, "projectContextChars": 0, "nonProjectContextChars": 0},
        "injectedWorkspaceFiles": [],
        "skills": {"promptChars": 0, "entries": []},
        "tools": {"listChars": 0, "schemaChars": 0, "entries": []},
    })
}

/// `result.meta` of 2026.2.9.
pub(super) fn old_meta(run: &Record, aborted: bool, usage: Option<(u64, u64)>, now: u64) -> Value {
    let mut agent = json!({"sessionId": run.session_id, "provider": PROVIDER, "model": MODEL});
    if let Some((input, output)) = usage {
        agent["usage"] = json!({"input": input, "output": output, "total": input + output});
    }
    let mut report = prompt_report(run, now);
    if let (false, Some(report)) = (run.has_chat, report.as_object_mut()) {
        report.remove("sessionKey");
    }
    json!({
        "durationMs": now.saturating_sub(run.accepted_at), "agentMeta": agent, "aborted": aborted,
        "systemPromptReport": report,
    })
}

fn new_agent_meta(run: &Record, now: u64) -> Value {
    let (input, output) = run.script.usage;
    let (all_input, all_output) = run.tokens();
    json!({
        "sessionId": run.session_id, "sessionFile": run.session_key, "provider": PROVIDER,
        "model": MODEL, "contextTokens": 128_000, "contextTokensSource": "resolved",
        "agentHarnessId": "openclaw",
        "credentialSource": {
            "kind": "direct", "evidence": "provider-config", "authorization": "declared",
        },
        "usage": {
            "input": all_input, "output": all_output, "cacheRead": 0, "cacheWrite": 0,
            "total": all_input + all_output, "cost": {"total": 0},
        },
        "lastCallUsage": {
            "input": input, "output": output, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": 0},
            "total": input + output,
        },
        "promptTokens": input,
        "contextBudgetStatus": {
            "schemaVersion": 1, "source": "pre-prompt-estimate", "updatedAt": now,
            "provider": PROVIDER, "model": MODEL, "route": "fits", "shouldCompact": false,
            "estimatedPromptTokens": input, "contextTokenBudget": 128_000,
            "promptBudgetBeforeReserve": 108_000, "reserveTokens": 20_000,
            "effectiveReserveTokens": 20_000,
            "remainingPromptBudgetTokens": 108_000_u64.saturating_sub(input), "overflowTokens": 0,
            "toolResultReducibleChars": 0, "messageCount": 0, "unwindowedMessageCount": 0,
            "sessionId": run.session_id,
        },
        "codeModeEngaged": false, "assistantTurns": run.turn,
        "bridgeCalls": {"search": 0, "describe": 0, "call": 0}, "costUsd": 0,
        "terminalReceipt": receipt(run, false),
    })
}

/// Returns what 2026.9.6 says about a run, however it ended.
fn common_meta(run: &Record, now: u64) -> Value {
    let mut report = prompt_report(run, now);
    report["bootstrapTotalMaxChars"] = 60_000.into();
    report["bootstrapTruncation"] = json!({
        "warningMode": "always", "warningShown": false, "truncatedFiles": 0, "nearLimitFiles": 0,
        "totalNearLimit": false,
    });
    report["currentTurn"] = json!({
        "promptChars": run.message.chars().count(), "runtimeContextChars": 0,
        "modelOnlyPromptChars": 0,
    });
    let mut meta = json!({
        "durationMs": now.saturating_sub(run.accepted_at), "agentMeta": new_agent_meta(run, now),
        "aborted": false, "systemPromptReport": report, "finalPromptText": run.message,
        "finalAssistantVisibleText": run.text, "finalAssistantRawText": run.text,
    });
    if run.leaves_out {
        meta["finalAssistantRawText"] = run.turn_text.as_str().into();
    }
    meta
}

fn with(mut meta: Value, more: Value) -> Value {
    if let (Value::Object(meta), Value::Object(more)) = (&mut meta, more) {
        meta.extend(more);
    }
    meta
}

fn new_meta(run: &Record, now: u64) -> Value {
    let mut more = json!({
        "replayInvalid": run.script.tools.iter().any(Tool::is_command),
        "livenessState": "working", "stopReason": "stop",
        "executionTrace": {
            "winnerProvider": PROVIDER, "winnerModel": MODEL,
            "attempts": [{
                "provider": PROVIDER, "model": MODEL, "result": "success", "stage": "assistant",
            }],
            "fallbackUsed": false, "runner": "embedded",
        },
        "requestShaping": {"thinking": "off"},
        "completion": {"stopReason": "stop", "finishReason": "stop"},
    });
    let calls = run.tools.len() + run.failed_tools;
    if calls > 0 {
        let names: Vec<&str> = run
            .script
            .tools
            .iter()
            .map(|tool| tool.name.as_str())
            .collect();
        more["toolSummary"] = json!({"calls": calls, "tools": names, "failures": run.failed_tools});
        let last = run.script.tools.last();
        if let Some(last) = last.filter(|_| run.failed_tools > 0) {
            more["toolSummary"]["unresolvedError"] = json!({"toolName": last.name});
        }
    }
    with(common_meta(run, now), more)
}

/// The final answer of 2026.9.6.
pub(super) fn new_result(run: &Record, now: u64) -> Value {
    let payloads = if run.text.is_empty() {
        json!([])
    } else {
        json!([{"text": run.text, "mediaUrl": null}])
    };
    json!({
        "runId": run.run_id, "status": "ok", "summary": "completed",
        "result": {
            "payloads": payloads, "meta": new_meta(run, now), "sourceReplyDeliveryState": "missing",
        },
    })
}

/// The final answer of 2026.9.6 to a run whose model had nothing to say.
pub(super) fn new_silent(run: &Record, message: &str, now: u64) -> Value {
    let more = json!({
        "replayInvalid": true, "livenessState": "abandoned",
        "finalAssistantVisibleText": "NO_REPLY", "finalAssistantRawText": "NO_REPLY",
        "error": {
            "kind": "incomplete_turn", "message": "Agent couldn't generate a response.",
            "fallbackSafe": true, "terminalPresentation": false,
        },
        "executionTrace": {
            "attempts": [{
                "provider": PROVIDER, "model": MODEL, "result": "candidate_failed", "reason": "format",
            }],
            "fallbackUsed": true,
        },
    });
    let mut meta = with(common_meta(run, now), more);
    meta["agentMeta"]["fallbackAttempts"] = json!([{
        "provider": PROVIDER, "model": MODEL, "error": message, "reason": "format",
        "code": "incomplete_result",
    }]);
    json!({
        "runId": run.run_id, "status": "error", "summary": "failed",
        "result": {
            "payloads": [{"text": message, "isError": true, "mediaUrl": null}], "meta": meta,
            "sourceReplyDeliveryState": "missing",
        },
    })
}

/// Returns what it says about one that the model did not answer.
fn unanswered_meta(run: &Record, now: u64) -> Value {
    let mut meta = common_meta(run, now);
    if let Some(agent) = meta["agentMeta"].as_object_mut() {
        for name in ["costUsd", "lastCallUsage", "promptTokens", "usage"] {
            agent.remove(name);
        }
    }
    meta
}

/// The final answer of 2026.9.6 to a run that took too long.
pub(super) fn new_timeout(run: &Record, message: &str, now: u64) -> Value {
    let meta = unanswered_meta(run, now);
    let mut payload = json!({
        "runId": run.run_id, "status": "timeout", "summary": "aborted", "timeoutPhase": "provider",
        "providerStarted": true,
    });
    if run.kind == Kind::Agent {
        let more = json!({
            "modelFallbackStopReason": "agent_run_terminal_timeout", "replayInvalid": true,
            "livenessState": "paused", "timeoutPhase": "provider", "providerStarted": true,
            "error": {"kind": "incomplete_turn", "message": message, "fallbackSafe": false},
            "executionTrace": {"fallbackUsed": false},
        });
        payload["result"] = json!({
            "payloads": [{"text": message, "isError": true, "mediaUrl": null}],
            "meta": with(meta, more), "sourceReplyDeliveryState": "missing",
        });
    }
    payload
}

/// The final answer of 2026.9.6 under a key that was answered before.
pub(super) fn new_turned_away(run: &Record, message: &str, now: u64) -> Value {
    let mut payload = json!({"runId": run.run_id, "status": "error", "summary": "failed"});
    if run.kind == Kind::Agent {
        let more = json!({
            "replayInvalid": true, "livenessState": "abandoned",
            "error": {"kind": "incomplete_turn", "message": message, "fallbackSafe": false},
            "executionTrace": {"fallbackUsed": false},
        });
        let mut meta = with(unanswered_meta(run, now), more);
        if let Some(meta) = meta.as_object_mut() {
            meta.remove("finalAssistantVisibleText");
            meta.remove("finalAssistantRawText");
        }
        payload["result"] = json!({
            "payloads": [{"text": message, "isError": true, "mediaUrl": null}], "meta": meta,
            "sourceReplyDeliveryState": "missing",
        });
    }
    payload
}
