//! What a gateway makes of a model that says a paragraph twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::follow::Following;
use crate::model::Script;
use crate::scenarios::gateway::Release;
use crate::scenarios::stage::Stage;

/// Repeats, one of them with more behind it, blocks of code, and the same words on two lines and on one.
const SAID: [&str; 5] = [
    "Say ",
    "it.",
    "\n\nSay",
    " it.\n\nSay it.\n\n",
    "Say it. More.\n\n\n\nCode:\n\n```\na\n\na\n```\n\nCode:\nx\n\nCode: x",
];

/// What 2026.9.6 shows of that.
const SHOWN: &str = "Say it.\n\nSay it. More.\n\nCode:\n\n```\na\n\na\n```\n\nCode:\nx";

/// Long enough for each piece to be an event of its own.
const PIECE: Duration = Duration::from_millis(300);

const RUN: Duration = Duration::from_secs(120);

pub(super) async fn repeats(stage: &Stage) -> anyhow::Result<String> {
    let leaves_out = stage.gateway().release() != Release::V2026_2_9;
    let road = stage.road().await?;
    let client = stage.client("backend", &road).await?;
    for by_chat in [false, true] {
        let question = stage.question("repeats", Script::says(SAID).pause(PIECE))?;
        let session = stage.session("repeats");
        let run = if by_chat {
            client.chat().send(&session, &question.message).await?
        } else {
            client.agent().run(&session, &question.message).await?
        };
        let key = run.id().to_owned();
        let story = Following::new(run).until_its_end(RUN).await?;
        let shown = if leaves_out { SHOWN } else { &question.answer };
        story.is_done_with(shown)?;
        ensure!(story.text == shown, "the parts came to {:?}", story.text);
        ensure!(
            (story.replaced > 0) == leaves_out,
            "the text was taken back {} times",
            story.replaced
        );

        let history = json!({ "sessionKey": session });
        let history: Value = client.call_raw("chat.history", history).await?;
        let row = history["messages"]
            .as_array()
            .and_then(|rows| rows.iter().rfind(|row| row["role"] == "assistant"))
            .context("no answer in the history")?;
        let kept = &row["content"][0]["text"];
        ensure!(*kept == question.answer, "the history keeps {kept}");

        if leaves_out {
            let wait: Value = client
                .call_raw("agent.wait", json!({ "runId": key }))
                .await?;
            let reply = &wait["terminalReply"]["text"];
            ensure!(*reply == shown, "`agent.wait` says {reply}");
        }
        if !by_chat {
            let again = json!({
                "message": question.message, "sessionKey": session, "idempotencyKey": key,
            });
            let again: Value = client.call_raw("agent", again).await?;
            let text = &again["result"]["payloads"][0]["text"];
            ensure!(*text == shown, "the answer has {text}");
            if leaves_out {
                let raw = &again["result"]["meta"]["finalAssistantRawText"];
                ensure!(*raw == question.answer, "the raw text is {raw}");
            }
        }
    }
    client.close().await;
    Ok(if leaves_out {
        "shown once, after the text was taken back; the history keeps all".to_owned()
    } else {
        "everything shown as it was said".to_owned()
    })
}
