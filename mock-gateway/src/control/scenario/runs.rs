//! The scripts of agent runs, as a scenario has them.

use std::time::Duration;

use serde_json::json;

use crate::control::scenario::MAX_MS;
use crate::control::scenario::read::{Invalid, Node};
use crate::model::script::{RunScript, Tool};

/// Pieces of a text, and attempts of a model.
const MAX_COUNT: u64 = 1_000_000;
const MAX_TOKENS: u64 = 1_000_000_000;
/// What an entry may say beside its script.
const OWN: [&str; 2] = ["with", "expect"];
const SCRIPT: [&str; 10] = [
    "text",
    "deltas",
    "tools",
    "reasoning",
    "delayFirstMs",
    "delayPerDeltaMs",
    "fails",
    "attempts",
    "hangs",
    "usage",
];

pub(super) fn read(node: &Node<'_>) -> Result<RunScript, Invalid> {
    node.only(&[OWN.as_slice(), &SCRIPT].concat())?;
    let text = node.maybe("text", Node::any_text)?;
    let mut run = RunScript::text(text.unwrap_or_default());
    if let Some(pieces) = node.maybe("deltas", |count| count.count(0, MAX_COUNT))? {
        run = run.deltas(pieces);
    }
    for tool in node.list("tools", tool)? {
        run = run.with_tool(tool);
    }
    if let Some(reasoning) = node.maybe("reasoning", Node::text)? {
        run = run.reasoning(reasoning);
    }
    let pause = |name| node.maybe(name, |ms| ms.whole(0, MAX_MS).map(Duration::from_millis));
    if let Some(first) = pause("delayFirstMs")? {
        run = run.delay_first(first);
    }
    if let Some(each) = pause("delayPerDeltaMs")? {
        run = run.delay_per_delta(each);
    }
    if let Some(message) = node.maybe("fails", Node::text)? {
        run = run.fails(message);
    }
    if let Some(attempts) = node.maybe("attempts", |count| count.count(1, MAX_COUNT))? {
        node.required("fails")?;
        run = run.attempts(attempts);
    }
    if node.maybe("hangs", Node::yes)?.is_some() {
        if node.get("fails").is_some() {
            return Err(node.expected("fails or hangs, not both"));
        }
        run = run.hangs();
    }
    let usage = node.maybe("usage", |usage| {
        usage.only(&["input", "output"])?;
        let of = |name| usage.required(name)?.whole(0, MAX_TOKENS);
        Ok((of("input")?, of("output")?))
    })?;
    if let Some((input, output)) = usage {
        run = run.usage(input, output);
    }
    Ok(run)
}

fn tool(node: &Node<'_>) -> Result<Tool, Invalid> {
    node.only(&["name", "args", "result", "isError", "wantsApproval"])?;
    let name = node.required("name")?.text()?;
    let args = node.maybe("args", |args| args.object().map(|()| args.value().clone()))?;
    let is_error = node.maybe("isError", Node::yes)?.is_some();
    Ok(Tool {
        name: name.to_owned(),
        args: args.unwrap_or_else(|| json!({})),
        result: node.required("result")?.any_text()?.to_owned(),
        is_error,
        wants_approval: node.maybe("wantsApproval", Node::yes)?.is_some(),
    })
}
