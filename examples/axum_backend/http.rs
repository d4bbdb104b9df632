//! A minimal HTTP client for the demo. HTTP/1.0 has no chunks, and ends with the
//! connection.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

/// An answer, whose body is read line by line.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    lines: Lines<BufReader<TcpStream>>,
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    send(address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    send(address, &request).await
}

async fn send(address: SocketAddr, request: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next_line().await?.context("no answer")?;
    let status = first.split(' ').nth(1).context("no status")?.parse()?;
    let mut headers = Vec::new();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        headers.push(line);
    }
    Ok(Answer {
        status,
        headers,
        lines,
    })
}

impl Answer {
    /// The rest of the body, as JSON.
    pub(crate) async fn json(mut self) -> anyhow::Result<Value> {
        let mut body = String::new();
        while let Some(line) = self.lines.next_line().await? {
            body.push_str(&line);
        }
        Ok(serde_json::from_str(&body)?)
    }

    /// The next server-sent event: its name and its data.
    pub(crate) async fn event(&mut self) -> anyhow::Result<Option<(String, Value)>> {
        let mut name = String::new();
        while let Some(line) = self.lines.next_line().await? {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Ok(Some((name, serde_json::from_str(data)?)));
            }
        }
        Ok(None)
    }
}
