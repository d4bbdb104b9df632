//! Tools at work in 2026.9.6.

use serde_json::{Value, json};

use crate::methods::run::dialect::call::Call;
use crate::methods::run::dialect::common::{Said, tool_meta};
use crate::methods::run::dialect::new::events::{agent, said};
use crate::methods::run::dialect::result;
use crate::methods::sessions::history::title;
use crate::model::runs::Record;

/// Returns what is shown about the arguments of a tool. Measured: of commands that print, only that they do.
fn meta(call: &Call) -> Option<String> {
    let meta = tool_meta(&call.tool)?;
    let mut words = meta.split_whitespace();
    let first = words.find(|word| !word.ends_with("/env"));
    let prints = matches!(first, Some("echo" | "printf"));
    Some(if call.tool.is_command() && prints {
        "print text".to_owned()
    } else {
        meta
    })
}

fn item(call: &Call, phase: &str, status: &str) -> Value {
    let mut title = title(&call.tool.name);
    let mut data = json!({
        "itemId": format!("tool:{}", call.id), "toolCallId": call.id, "name": call.tool.name,
        "kind": "tool", "phase": phase, "status": status,
        "commandBearing": call.tool.is_command(),
    });
    if let Some(meta) = meta(call) {
        title = format!("{title} {meta}");
        data["meta"] = meta.into();
    }
    data["title"] = title.into();
    data
}

fn tool_event(run: &mut Record, data: Value, now: u64) -> Said {
    Said::Tool(agent(run, "tool", data, now).into())
}

/// Returns what a command prints, for everybody who sees the run.
fn output(call: &Call, phase: &str, status: &str, text: &str) -> Value {
    let title = meta(call).unwrap_or_default();
    json!({
        "itemId": format!("command:{}", call.id), "phase": phase, "title": format!("command {title}"),
        "toolCallId": call.id, "name": call.tool.name, "output": text, "status": status,
    })
}

/// A tool begins.
pub(super) fn begun(run: &mut Record, call: &Call, now: u64) -> Vec<Said> {
    let mut data = item(call, "start", "running");
    data["startedAt"] = call.started_at.into();
    let item = said(run, "item", data, now);
    let data = json!({
        "phase": "start", "name": call.tool.name, "toolCallId": call.id, "args": call.tool.args,
    });
    vec![item, tool_event(run, data, now)]
}

/// A tool is done.
pub(super) fn ended(run: &mut Record, call: &Call, now: u64) -> Vec<Said> {
    let tool = &call.tool;
    let works = tool.is_command() && !tool.is_error;
    let printed = tool.result.trim_end();
    let mut events = Vec::new();
    if works {
        let data = json!({
            "phase": "update", "name": tool.name, "toolCallId": call.id,
            "partialResult": result::command_so_far(call),
        });
        events.push(tool_event(run, data, now));
        events.push(said(run, "item", item(call, "update", "running"), now));
        let data = output(call, "delta", "running", printed);
        events.push(said(run, "command_output", data, now));
    }
    let mut data = json!({
        "phase": "result", "name": tool.name, "toolCallId": call.id, "isError": tool.is_error,
        "commandBearing": tool.is_command(),
        "result": if works {
            result::command_result(call, true, now)
        } else {
            result::tool_result(call)
        },
    });
    if let Some(meta) = meta(call) {
        data["meta"] = meta.into();
    }
    events.push(tool_event(run, data, now));
    let status = match tool.is_error {
        true if tool.is_unknown() => "blocked",
        true => "failed",
        false => "completed",
    };
    let mut data = item(call, "end", status);
    data["startedAt"] = call.started_at.into();
    data["endedAt"] = now.into();
    if tool.is_error {
        // Of the reason the first line.
        data["error"] = tool.result.lines().next().into();
    }
    events.push(said(run, "item", data, now));
    if works {
        let mut data = output(call, "end", status, printed);
        data["exitCode"] = 0.into();
        data["durationMs"] = now.saturating_sub(call.started_at).into();
        data["cwd"] = result::WORKSPACE.into();
        events.push(said(run, "command_output", data, now));
    } else if tool.is_command() {
        let mut data = output(call, "end", status, &result::tool_text(call));
        if call.verdict.is_some() {
            data["exitCode"] = Value::Null;
            data["durationMs"] = 0.into();
            data["cwd"] = result::WORKSPACE.into();
        }
        events.push(said(run, "command_output", data, now));
    }
    if call.verdict.is_some() {
        let data = json!({
            "phase": "resolved", "kind": "exec", "status": "denied",
            "title": "Command approval resolved", "itemId": format!("command:{}", call.id),
            "toolCallId": call.id, "message": tool.command(),
        });
        events.push(said(run, "approval", data, now));
    }
    events
}
