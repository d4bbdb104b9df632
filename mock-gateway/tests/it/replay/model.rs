//! The model behind the recordings: what a message asks of it in double brackets, as a script.

use std::time::Duration;

use openclaw_mock_gateway::{Edition, RunRequest, RunScript};
use serde_json::Value;

/// What the model says when it is not told.
const USUAL: &str = "Hello from the fake model, in several deltas.";

/// So long the model keeps silent when it is told to hang.
const HANGS: Duration = Duration::from_secs(45);

/// The orders in a message: `[[name:value]]` or `[[name]]`; a value may end in a bracket of its own.
fn orders(message: &str) -> Vec<(&str, &str)> {
    let mut orders = Vec::new();
    let mut rest = message;
    while let Some(start) = rest.find("[[") {
        rest = &rest[start + 2..];
        let Some(end) = rest.find("]]") else { break };
        orders.push(rest[..end].split_once(':').unwrap_or((&rest[..end], "")));
        rest = &rest[end + 2..];
    }
    orders
}

/// The script that does what the recorded model did.
pub(super) fn script(edition: Edition, request: &RunRequest) -> RunScript {
    // A turn about a command that somebody decided on.
    if request.method == "heartbeat" && request.message.contains("approved-output") {
        return RunScript::text("ok");
    }
    let orders = orders(&request.message);
    let order = |name: &str| {
        orders
            .iter()
            .rev()
            .find(|(order, _)| *order == name)
            .map(|(_, value)| *value)
    };
    let number = |name: &str, usual: u64| {
        order(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(usual)
    };
    let say = order("say").filter(|say| !say.is_empty());
    let tool = order("tool").map(|tool| tool.split_once(' ').unwrap_or((tool, "{}")));
    let (text, mut run) = match tool {
        None => {
            let text = say.unwrap_or(USUAL).to_owned();
            (text.clone(), RunScript::text(text))
        }
        Some((name, args)) => called(
            edition,
            name,
            serde_json::from_str(args).expect("arguments"),
            say,
        ),
    };
    // The model cut its text by length.
    let pieces = usize::try_from(number("n", 4)).expect("a number");
    run = if text.is_empty() {
        run.deltas(pieces)
    } else {
        run.chunks(text.chars().count().div_ceil(pieces).max(1))
    };
    run = run
        .delay_first(Duration::from_millis(number("first", 0)))
        .delay_per_delta(Duration::from_millis(number("delay", 60)));
    if let Some(reason) = order("reason") {
        run = run.reasoning(reason);
    }
    if order("drop").is_some() {
        // The stream ends after the second piece.
        let size = text.chars().count().div_ceil(pieces).max(1);
        let said: String = text.chars().take(2 * size).collect();
        run = RunScript::text(said).chunks(size).cut_off();
    }
    if let Some(code) = order("status") {
        let said = format!("{code} fake upstream says {code}");
        run = match (edition, code) {
            (Edition::V2026_9_6, "429") => RunScript::silent()
                .rate_limited("⚠️ API rate limit reached. Please try again later."),
            (Edition::V2026_9_6, _) => RunScript::silent().fails(format!(
                "⚠️ mock/mock-1 request failed (provider internal error, HTTP {code}). This is usually \
                 temporary — try again shortly.",
            )),
            (_, "429") => RunScript::silent().rate_limited(said),
            _ => RunScript::silent().fails(said),
        };
    }
    if order("hang").is_some() {
        run = run.delay_last(HANGS);
    }
    run
}

/// What the tools of the recorded gateways gave.
fn called(edition: Edition, name: &str, args: Value, say: Option<&str>) -> (String, RunScript) {
    let command = args["command"].as_str().unwrap_or_default().to_owned();
    let (result, is_error) = match name {
        "read" if args["path"] == "hello.txt" => ("file content for the read tool\n", false),
        "read" if edition == Edition::V2026_9_6 => ("File not found: /no/such/file.", true),
        "read" => (
            "ENOENT: no such file or directory, access '/no/such/file'",
            true,
        ),
        "exec" => (command.rsplit(' ').next().unwrap_or_default(), false),
        _ => ("Tool no_such_tool not found", true),
    };
    // Not what the gateway makes of a tool's failure: there is no tool.
    let given = if is_error && name == "read" {
        format!(
            "{{\n  \"status\": \"error\",\n  \"tool\": \"{name}\",\n  \"error\": {}\n}}",
            Value::from(result),
        )
    } else {
        result.to_owned()
    };
    if command.ends_with("approved-output-7") {
        // What it says is up to who decides.
        let run = RunScript::text("The tool said: ").approved_command(command.clone(), result);
        return (String::new(), run.quoting(80));
    }
    let said = || {
        let given: String = given.chars().take(80).collect();
        format!("The tool said: {given}")
    };
    let text = say.map_or_else(said, str::to_owned);
    let run = RunScript::text(text.clone());
    let run = match (name, is_error) {
        ("exec", _) => run.command(command.clone(), result),
        (_, false) => run.tool(name, args, result),
        (_, true) => run.failing_tool(name, args, result),
    };
    (text, run)
}
