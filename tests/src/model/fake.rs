//! A model for real gateways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::script::{End, Script, ToolCall};
use super::{Model, http, marker_of};
use crate::net::Listener;

/// What it says to a message that no script is for.
const SMALL_TALK: &str = "I have nothing to say to that.";

/// Answers on a listener until it is dropped.
#[derive(Debug)]
pub struct FakeModel {
    book: Arc<Book>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Book {
    pages: Mutex<HashMap<String, Page>>,
    asks: watch::Sender<u64>,
}

#[derive(Debug)]
struct Page {
    script: Script,
    asked: usize,
}

/// The only model there is.
const NAME: &str = FakeModel::NAME;

impl FakeModel {
    /// Its name at its provider.
    pub const NAME: &str = "fake-1";

    /// Starts answering.
    #[must_use]
    pub fn serve(listener: Listener) -> Self {
        let book = Arc::new(Book::default());
        let answering = Arc::clone(&book);
        let task = tokio::spawn(async move {
            // What is asked belongs to this task, and ends with it.
            let mut answers = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(stream) => {
                            let book = Arc::clone(&answering);
                            answers.spawn(async move { book.answer(stream).await });
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the model cannot accept a connection");
                            return;
                        }
                    },
                    Some(_) = answers.join_next() => {}
                }
            }
        });
        Self {
            book,
            task: task.abort_handle(),
        }
    }

    /// The configuration of a gateway whose only model this is, at this port of its own loopback.
    #[must_use]
    pub fn provider(port: u16) -> Value {
        json!({
            "baseUrl": format!("http://127.0.0.1:{port}/v1"),
            "apiKey": "fake",
            "api": "openai-completions",
            "models": [{
                "id": NAME,
                "name": "Fake",
                "reasoning": false,
                "input": ["text"],
                "cost": { "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 },
                "contextWindow": 128_000,
                "maxTokens": 8_192,
            }],
        })
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Model for FakeModel {
    fn replies(&self, marker: &str, script: Script) {
        let page = Page { script, asked: 0 };
        self.book.pages().insert(marker.to_owned(), page);
    }

    fn asked(&self, marker: &str) -> usize {
        self.book.pages().get(marker).map_or(0, |page| page.asked)
    }

    fn asks(&self) -> watch::Receiver<u64> {
        self.book.asks.subscribe()
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, HashMap<String, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Send + Unpin) {
        let request = match http::read(&mut stream).await {
            Ok(request) => request,
            Err(error) => return tracing::debug!(%error, "no request for the model"),
        };
        // A gateway that no longer wants the answer closes the connection. That is its right.
        let _ = if request.method == "GET" {
            let models = json!({
                "object": "list",
                "data": [{ "id": NAME, "object": "model", "owned_by": "fake" }],
            });
            http::answer(&mut stream, 200, &models.to_string()).await
        } else {
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let (script, turn) = self.look_up(&asked);
            let streamed = asked["stream"] == true;
            play(&mut stream, &script, turn, streamed).await
        };
    }

    /// What to say to a request, and which turn of it this is.
    fn look_up(&self, asked: &Value) -> (Script, Turn) {
        let messages = asked["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let user = messages
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, message)| message["role"] == "user")
            .find_map(|(at, message)| {
                let text = text_of(message);
                marker_of(&text).map(|marker| (at, marker.to_owned()))
            });
        let mut pages = self.pages();
        let found = user.and_then(|(at, marker)| Some((at, pages.get_mut(&marker)?)));
        let Some((at, page)) = found else {
            return (Script::says([SMALL_TALK]), Turn::Text);
        };
        let has_result = messages[at..]
            .iter()
            .any(|message| message["role"] == "tool");
        if !has_result {
            page.asked += 1;
        }
        let turn = match &page.script.tool {
            Some(tool) if !has_result => Turn::Tool(tool.clone()),
            _ => Turn::Text,
        };
        let script = page.script.clone();
        drop(pages);
        self.asks.send_modify(|asks| *asks += 1);
        (script, turn)
    }
}

enum Turn {
    Tool(ToolCall),
    Text,
}

/// The text of a message, whose content is a string or a list of parts.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

async fn play(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    script: &Script,
    turn: Turn,
    streamed: bool,
) -> std::io::Result<()> {
    if let End::Refuses(status) = script.end {
        let kind = if status == 429 {
            "rate_limit_exceeded"
        } else {
            "server_error"
        };
        let error = json!({ "error": {
            "message": format!("the fake model says {status}"), "type": kind, "code": kind,
        }});
        return http::answer(stream, status, &error.to_string()).await;
    }
    if !streamed {
        let text = json!({
            "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": NAME,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": script.text() },
                "finish_reason": "stop",
            }],
            "usage": usage(),
        });
        return http::answer(stream, 200, &text.to_string()).await;
    }
    http::begin_events(stream).await?;
    choice(stream, json!({ "role": "assistant", "content": "" }), None).await?;
    let finish = match turn {
        Turn::Tool(tool) => {
            call_tool(stream, &tool).await?;
            "tool_calls"
        }
        Turn::Text => {
            pause(stream, script.first).await?;
            for piece in &script.pieces {
                choice(stream, json!({ "content": piece }), None).await?;
                pause(stream, script.pause).await?;
            }
            match script.end {
                End::Drops => return Ok(()),
                End::Silence => loop {
                    pause(stream, Duration::from_secs(3600)).await?;
                },
                End::Whole | End::Refuses(_) => {}
            }
            "stop"
        }
    };
    choice(stream, json!({}), Some(finish)).await?;
    let mut last = chunk();
    last["choices"] = json!([]);
    last["usage"] = usage();
    http::event(stream, &last.to_string()).await?;
    http::event(stream, "[DONE]").await?;
    http::end_events(stream).await
}

async fn call_tool(stream: &mut (impl AsyncWrite + Unpin), tool: &ToolCall) -> std::io::Result<()> {
    let args = tool.args.to_string();
    // Arguments come in pieces from real models too.
    let mut middle = args.len() / 2;
    while !args.is_char_boundary(middle) {
        middle += 1;
    }
    let id = format!("call_{}", uuid::Uuid::new_v4().simple());
    let call = json!({
        "index": 0, "id": id, "type": "function",
        "function": { "name": tool.name, "arguments": "" },
    });
    choice(stream, json!({ "tool_calls": [call] }), None).await?;
    for part in [&args[..middle], &args[middle..]] {
        let part = json!({ "index": 0, "function": { "arguments": part } });
        choice(stream, json!({ "tool_calls": [part] }), None).await?;
    }
    Ok(())
}

/// Waits, unless the gateway hangs up.
async fn pause(stream: &mut (impl AsyncRead + Unpin), time: Duration) -> std::io::Result<()> {
    if time.is_zero() {
        return Ok(());
    }
    let mut byte = [0];
    tokio::select! {
        () = sleep(time) => Ok(()),
        // The gateway has said all it had to say: whatever comes now is its end.
        _ = stream.read(&mut byte) => Err(std::io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn choice(
    stream: &mut (impl AsyncWrite + Unpin),
    delta: Value,
    finish: Option<&str>,
) -> std::io::Result<()> {
    let mut said = chunk();
    said["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    http::event(stream, &said.to_string()).await
}

fn chunk() -> Value {
    json!({ "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": NAME })
}

fn usage() -> Value {
    json!({ "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18 })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::net::Address;

    /// The texts and the finish reason of one answer, and whether it was ended as HTTP has it.
    async fn ask(
        model: &Address,
        messages: Value,
    ) -> anyhow::Result<(Vec<String>, Option<String>, bool)> {
        let body = json!({ "stream": true, "messages": messages }).to_string();
        let mut stream = model.connect().await?;
        let head = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (mut texts, mut finish) = (Vec::new(), None);
        for data in answer
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
        {
            let Ok(said) = serde_json::from_str::<Value>(data) else {
                continue;
            };
            let choice = &said["choices"][0];
            texts.extend(choice["delta"]["content"].as_str().map(ToOwned::to_owned));
            finish = finish.or_else(|| Some(choice["finish_reason"].as_str()?.to_owned()));
        }
        texts.retain(|text| !text.is_empty());
        Ok((texts, finish, answer.ends_with("0\r\n\r\n")))
    }

    async fn model() -> anyhow::Result<(FakeModel, Address)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = Address::Tcp(listener.local_addr()?);
        Ok((FakeModel::serve(Listener::Tcp(listener)), address))
    }

    #[tokio::test]
    async fn a_script_is_streamed_piece_by_piece_and_its_askers_are_counted() -> anyhow::Result<()>
    {
        let (model, address) = model().await?;
        model.replies("tea", Script::says(["Gréen", " tea"]));
        model.replies("cut", Script::says(["Half"]).ends(End::Drops));
        let asks = |text: &str| json!([{ "role": "user", "content": text }]);

        let whole = ask(&address, asks("Which? [[tea]]")).await?;
        let cut = ask(&address, asks("[[tea]] and [[cut]]")).await?;

        assert_eq!(
            whole,
            (
                vec!["Gréen".into(), " tea".into()],
                Some("stop".into()),
                true
            )
        );
        assert_eq!(cut, (vec!["Half".into()], None, false));
        assert_eq!(
            (model.asked("tea"), model.asked("cut"), model.asked("none")),
            (1, 1, 0)
        );
        Ok(())
    }

    #[tokio::test]
    async fn the_turn_after_a_tool_is_not_a_new_answer() -> anyhow::Result<()> {
        let (model, address) = model().await?;
        let tool = ToolCall {
            name: "read".to_owned(),
            args: json!({ "path": "ä.txt" }),
            result: "x".to_owned(),
        };
        model.replies("tool", Script::says(["It says x."]).calls(tool));
        let user = json!({ "role": "user", "content": [{ "type": "text", "text": "[[tool]]" }] });

        let first = ask(&address, json!([user])).await?;
        let second = ask(&address, json!([user, { "role": "tool", "content": "x" }])).await?;

        assert_eq!(first, (vec![], Some("tool_calls".into()), true));
        assert_eq!(
            second,
            (vec!["It says x.".into()], Some("stop".into()), true)
        );
        assert_eq!(model.asked("tool"), 1);
        Ok(())
    }
}
