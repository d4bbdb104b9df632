//! Tools that a run calls.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_adapter::{Client, ToolStep};
use serde_json::json;

use super::follow::Following;
use crate::model::{Script, ToolCall};
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;

/// A command that says something, and some time later something else.
const COMMAND: &str = "echo one; sleep 1; echo two";
const OUTPUT: [&str; 2] = ["one", "two"];

const RUN: Duration = Duration::from_secs(120);

pub(super) async fn tool_events(stage: &Stage) -> anyhow::Result<String> {
    let road = stage.road().await?;
    let session = stage.session("tool");
    if stage.gateway().release() == Release::V2026_2_9 {
        // Off by default there, and only an administrator turns it on.
        let scopes = ["operator.read", "operator.write", "operator.admin"];
        let config = stage.config("admin", &road)?.scopes(scopes);
        let admin = Client::connect(config.build()?).await?;
        let patch = json!({ "key": session, "verboseLevel": "full" });
        admin.call_raw("sessions.patch", patch).await?;
        admin.close().await;
    }
    let config = stage.config("backend", &road)?;
    let client = Client::connect(config.capabilities(["tool-events"]).build()?).await?;
    let script = Script::says(["It said one and two."]).calls(ToolCall {
        name: "exec".to_owned(),
        args: json!({ "command": COMMAND }),
        result: OUTPUT.join("\n"),
    });
    let question = stage.question("tools", script)?;
    let run = client.agent().run(&session, &question.message).await?;
    let story = Following::new(run).until_its_end(RUN).await?;
    story.is_done_with(&question.answer)?;
    client.close().await;

    let of_the_call = |step: fn(&ToolStep) -> bool| {
        let at = story.tools.iter().position(|tool| step(&tool.step));
        at.with_context(|| format!("a step is missing: {:?}", story.tools))
    };
    let started = of_the_call(|step| matches!(step, ToolStep::Started { .. }))?;
    let updated = of_the_call(|step| matches!(step, ToolStep::Update { .. }))?;
    let ended = of_the_call(|step| matches!(step, ToolStep::Ended { .. }))?;
    ensure!(
        started < updated && updated < ended,
        "the steps are out of order: {:?}",
        story.tools
    );
    let id = &story.tools[started].call_id;
    ensure!(
        story
            .tools
            .iter()
            .all(|tool| tool.call_id == *id && tool.name == "exec"),
        "there is more than one call: {:?}",
        story.tools
    );
    if let ToolStep::Started { args, .. } = &story.tools[started].step {
        ensure!(args["command"] == COMMAND, "the arguments are {args}");
    }
    if let ToolStep::Ended {
        is_error, result, ..
    } = &story.tools[ended].step
    {
        let said = result.to_string();
        ensure!(
            !is_error && OUTPUT.iter().all(|line| said.contains(line)),
            "the result is {result}"
        );
    }
    let between = ended - started - 1;
    Ok(format!(
        "start with its arguments, {between} updates, result with its output"
    ))
}
