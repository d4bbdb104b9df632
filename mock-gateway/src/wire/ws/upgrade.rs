//! The HTTP request that asks for a WebSocket.

use std::fmt::Write as _;
use std::io;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const MAX_HEAD: usize = 16 * 1024;

/// The head of an HTTP request.
#[derive(Debug)]
pub(crate) struct Head {
    method: String,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) enum HeadFault {
    /// The peer went away.
    Gone,
    TooLarge,
    NotHttp,
}

impl From<io::Error> for HeadFault {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Head {
    /// The first header of this name, which is given in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns whether a header begins with this, in small letters.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.starts_with(prefix))
    }

    /// The key of a well-formed upgrade request.
    pub(crate) fn websocket_key(&self) -> Option<&str> {
        let has_token = |name: &str, wanted: &str| {
            self.header(name).is_some_and(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(wanted))
            })
        };
        let asks = self.method == "GET"
            && has_token("upgrade", "websocket")
            && has_token("connection", "upgrade")
            && self.header("sec-websocket-version") == Some("13");
        self.header("sec-websocket-key")
            .filter(|key| asks && !key.is_empty())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut request = lines.next()?.split(' ');
        let (method, _path, version) = (request.next()?, request.next()?, request.next()?);
        if !version.starts_with("HTTP/1.") {
            return None;
        }
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            method: method.to_owned(),
            headers,
        })
    }
}

/// Reads a request head; what came after it stays in `buffer`.
pub(crate) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<Head, HeadFault> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = std::mem::replace(buffer, rest);
            let text = std::str::from_utf8(&head[..end]).map_err(|_| HeadFault::NotHttp)?;
            return Head::parse(text).ok_or(HeadFault::NotHttp);
        }
        // A greeting of TLS, or of another protocol. Node's parser does not wait for the rest of it either.
        if buffer
            .first()
            .is_some_and(|first| !first.is_ascii_uppercase())
        {
            return Err(HeadFault::NotHttp);
        }
        if buffer.len() >= MAX_HEAD {
            return Err(HeadFault::TooLarge);
        }
        buffer.reserve(1024);
        if stream.read_buf(buffer).await? == 0 {
            return Err(HeadFault::Gone);
        }
    }
}

/// The 101 response. Neither a sub-protocol nor compression is ever agreed to, as measured on both editions.
pub(crate) fn accept_response(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )
}

/// A refusal of the upgrade.
pub(crate) fn http_response(status: u16, headers: &[(String, String)], body: &str) -> String {
    let phrase = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused");
    let mut response = format!("HTTP/1.1 {status} {phrase}\r\n");
    for (name, value) in headers {
        let _ = write!(response, "{name}: {value}\r\n");
    }
    let _ = write!(
        response,
        "Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn head(bytes: &[u8]) -> Result<Head, HeadFault> {
        read_head(&mut &*bytes, &mut Vec::new()).await
    }

    #[tokio::test]
    async fn an_upgrade_request_is_recognised() {
        let text = b"GET /any HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: k\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
        let head = head(text).await.expect("a head");
        assert_eq!(head.websocket_key(), Some("k"));
        assert_eq!(head.header("host"), Some("a"));
        assert!(head.has_prefix("x-forwarded-"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_without_reading_on() {
        let endless = vec![b'X'; 64 * 1024];
        assert!(matches!(head(&endless).await, Err(HeadFault::TooLarge)));
        assert!(matches!(
            head(b"SSH-2.0-x\r\n\r\n").await,
            Err(HeadFault::NotHttp)
        ));
        assert!(matches!(head(b"GET / HT").await, Err(HeadFault::Gone)));

        // Whoever begins with TLS waits for an answer.
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(&[22, 3, 1]).await.expect("room for it");
        let fault = read_head(&mut server, &mut Vec::new()).await;
        assert!(matches!(fault, Err(HeadFault::NotHttp)));
    }
}
