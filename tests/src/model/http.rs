//! As much of HTTP/1.1 as a gateway's model client needs: one request per connection, and an answer
//! in chunks, so that one that breaks off can be told from one that ends.

use std::io;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest head and body that are taken. A gateway sends its whole system prompt and the
/// history of the session.
const MAX_HEAD: usize = 32 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) body: Vec<u8>,
}

/// Reads one request.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Request> {
    let mut bytes = Vec::new();
    let head_ends = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(bytes.len() < MAX_HEAD, "the head is too long");
        ensure!(stream.read_buf(&mut bytes).await? > 0, "no whole head");
    };
    let head = String::from_utf8_lossy(&bytes[..head_ends]).into_owned();
    let method = head
        .split_whitespace()
        .next()
        .context("no method")?
        .to_owned();
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    if header("transfer-encoding").is_some() {
        bail!("a request in chunks is not expected of a gateway");
    }
    let length: usize = header("content-length").unwrap_or("0").parse()?;
    ensure!(length <= MAX_BODY, "the body is too long");
    let mut body = bytes.split_off(head_ends);
    while body.len() < length {
        ensure!(stream.read_buf(&mut body).await? > 0, "no whole body");
    }
    Ok(Request { method, body })
}

/// Answers with a whole body.
pub(super) async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    status: u16,
    body: &str,
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Fake\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Begins an answer of server-sent events.
pub(super) async fn begin_events(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// Sends one event.
pub(super) async fn event(stream: &mut (impl AsyncWrite + Unpin), data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    stream.write_all(chunk.as_bytes()).await?;
    stream.flush().await
}

/// Says that no event follows.
pub(super) async fn end_events(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n").await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_comes_in_pieces_is_read_to_its_end() -> anyhow::Result<()> {
        let (mut client, mut server) = tokio::io::duplex(8);
        let send = async {
            let text = "POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world";
            client.write_all(text.as_bytes()).await
        };
        let (written, request) = tokio::join!(send, read(&mut server));
        written?;
        let request = request?;
        assert_eq!(
            (request.method.as_str(), request.body.as_slice()),
            ("POST", &b"hello world"[..])
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_request_that_breaks_off_is_an_error() -> anyhow::Result<()> {
        let (mut client, mut server) = tokio::io::duplex(64);
        client
            .write_all(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
            .await?;
        drop(client);
        assert!(read(&mut server).await.is_err());
        Ok(())
    }
}
