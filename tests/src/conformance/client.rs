//! A WebSocket client that does nothing by itself: it dials, keeps what it is told, and sends what
//! a case says.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Target;

/// How long an answer may take. Gateways answer in milliseconds; a loaded machine may not.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to listen, after the gateway has answered a later request, before silence counts.
const QUIET: Duration = Duration::from_millis(300);

/// From where a client comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Via {
    Local,
    Remote,
}

/// A client and all it was told so far.
#[derive(Debug)]
pub(super) struct Client {
    /// `None` once the gateway has closed, or refused the upgrade.
    socket: Option<WebSocketStream<TcpStream>>,
    log: Vec<Value>,
}

impl Client {
    /// Dials, and reads the challenge unless the upgrade is refused.
    pub(super) async fn dial(target: &Target, via: Via, headers: &[(&str, &str)]) -> Result<Self> {
        let url = match via {
            Via::Local => &target.local_url,
            Via::Remote => &target.remote_url,
        };
        let mut headers: Vec<(&str, &str)> = headers.to_vec();
        if via == Via::Remote {
            headers.extend(target.remote_headers.iter().map(|(n, v)| (&**n, &**v)));
        }
        let (socket, refusal) = timeout(PATIENCE, upgrade(url, &headers))
            .await
            .context("the upgrade was not answered")??;
        let mut client = Self {
            socket,
            log: refusal.into_iter().collect(),
        };
        if client.is_open() {
            client.next().await?.context("no challenge")?;
        }
        Ok(client)
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn log(&self) -> &[Value] {
        &self.log
    }

    pub(super) fn into_log(self) -> Vec<Value> {
        self.log
    }

    /// The hello-ok that let this client in.
    pub(super) fn hello(&self) -> Option<&Value> {
        let is_hello = |entry: &&Value| entry["payload"]["type"] == "hello-ok";
        self.log.iter().find(is_hello)
    }

    /// Forgets what was said so far, so that the log holds only what comes from here on.
    pub(super) fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The nonce and the time of the challenge.
    pub(super) fn challenge(&self) -> Result<(String, i64)> {
        let payload = self
            .log
            .iter()
            .find(|entry| entry["event"] == "connect.challenge")
            .map(|entry| &entry["payload"])
            .context("the gateway sent no challenge")?;
        Ok((
            payload["nonce"].as_str().context("no nonce")?.to_owned(),
            payload["ts"].as_i64().context("no ts")?,
        ))
    }

    pub(super) async fn send_text(&mut self, text: String) -> Result<()> {
        let socket = self.socket.as_mut().context("the connection is closed")?;
        timeout(PATIENCE, socket.send(Message::text(text)))
            .await
            .context("the gateway does not read")?
            .context("cannot send")
    }

    /// Sends a request and waits for its answer; what comes in between goes to the log, and so
    /// does the answer.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.request(method, Some(params)).await
    }

    /// The same, where a request without `params` is possible.
    pub(super) async fn request(&mut self, method: &str, params: Option<Value>) -> Result<Value> {
        let id = uuid::Uuid::new_v4().to_string();
        let mut frame = json!({"type": "req", "id": id, "method": method});
        if let Some(params) = params {
            frame["params"] = params;
        }
        self.send_text(frame.to_string()).await?;
        while let Some(entry) = self.next().await? {
            if entry["type"] == "res" && entry["id"] == id.as_str() {
                return Ok(entry);
            }
        }
        Err(anyhow!("{method} was not answered: {}", json!(self.log)))
    }

    pub(super) async fn send_binary(&mut self, text: String) -> Result<()> {
        let socket = self.socket.as_mut().context("the connection is closed")?;
        timeout(PATIENCE, socket.send(Message::binary(text)))
            .await
            .context("the gateway does not read")?
            .context("cannot send")
    }

    /// Reads up to the first good answer, or the close.
    pub(super) async fn until_hello_or_close(&mut self) -> Result<()> {
        while let Some(entry) = self.next().await? {
            if entry["ok"] == true {
                break;
            }
        }
        Ok(())
    }

    /// Takes an entry out of the log again.
    pub(super) fn forget(&mut self, entry: &Value) {
        self.log.retain(|kept| kept != entry);
    }

    /// Sends text while reading, and reads until the gateway closes. The answer to a message that
    /// is too large comes before the whole of it is sent.
    pub(super) async fn send_until_closed(&mut self, text: String) -> Result<()> {
        let socket = self.socket.take().context("the connection is closed")?;
        let (mut sink, mut stream) = socket.split();
        let mut log = Vec::new();
        let reading = async {
            loop {
                let Some(Ok(message)) = stream.next().await else {
                    log.push(dropped());
                    break;
                };
                log.extend(entry(message));
                if log.last().is_some_and(is_close) {
                    break;
                }
            }
        };
        let writing = async {
            // The gateway may stop reading, or reset the connection, when it has seen enough.
            let _ = sink.send(Message::text(text)).await;
            std::future::pending::<()>().await;
        };
        let both = async {
            tokio::select! {
                () = reading => {}
                () = writing => {}
            }
        };
        timeout(PATIENCE, both)
            .await
            .context("the gateway does not close")?;
        self.log
            .extend(log.into_iter().filter(|entry| !unasked(entry)));
        Ok(())
    }

    /// The next thing the gateway says that a recording would keep; `None` once it has closed.
    pub(super) async fn next(&mut self) -> Result<Option<Value>> {
        timeout(PATIENCE, self.hear())
            .await
            .with_context(|| format!("the gateway says nothing more after {}", json!(self.log)))?
    }

    /// Reads until the gateway closes, at most for `limit`.
    pub(super) async fn until_closed(&mut self, limit: Duration) -> Result<()> {
        timeout(limit, async {
            while self.hear().await?.is_some() {}
            Ok(())
        })
        .await
        .with_context(|| format!("the gateway does not close after {}", json!(self.log)))?
    }

    /// Reads what the gateway has to say about what it was sent: up to its answer to a request
    /// made now, and then for a moment longer, as the real ones close a session only after they
    /// have answered.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if self.is_open() {
            let id = uuid::Uuid::new_v4().to_string();
            let frame = json!({"type": "req", "id": id, "method": "health", "params": {}});
            // It may close at any point of this; that then is what it had to say.
            if self.send_text(frame.to_string()).await.is_ok() {
                while let Some(entry) = self.next().await? {
                    if entry["id"] == id.as_str() {
                        self.log.pop();
                        break;
                    }
                }
            }
        }
        self.quiet().await;
        Ok(())
    }

    /// Listens for a moment to what may still come.
    pub(super) async fn quiet(&mut self) {
        let _ = timeout(QUIET, async {
            while matches!(self.hear().await, Ok(Some(_))) {}
        })
        .await;
    }

    /// Waits for an event of this name, at most for `limit`, and returns it.
    pub(super) async fn event(&mut self, name: &str, limit: Duration) -> Result<Value> {
        timeout(limit, async {
            loop {
                let entry = self.hear_all().await?.context("the gateway closed")?;
                if entry["event"] == name {
                    return Ok(entry);
                }
            }
        })
        .await
        .with_context(|| format!("no event {name} came"))?
    }

    async fn hear(&mut self) -> Result<Option<Value>> {
        loop {
            match self.hear_all().await? {
                Some(entry) if unasked(&entry) => {}
                Some(entry) => {
                    self.log.push(entry.clone());
                    return Ok(Some(entry));
                }
                None => return Ok(None),
            }
        }
    }

    /// Cancel safe: a message is either read and returned, or not read.
    async fn hear_all(&mut self) -> Result<Option<Value>> {
        let Some(socket) = &mut self.socket else {
            return Ok(None);
        };
        loop {
            let heard = match socket.next().await {
                Some(Ok(message)) => entry(message),
                None | Some(Err(Error::Protocol(_) | Error::ConnectionClosed | Error::Io(_))) => {
                    Some(dropped())
                }
                Some(Err(error)) => return Err(error).context("cannot read"),
            };
            if let Some(heard) = heard {
                if is_close(&heard) {
                    self.socket = None;
                }
                return Ok(Some(heard));
            }
        }
    }
}

/// Events that come at their own times and belong to no case.
fn unasked(entry: &Value) -> bool {
    entry["type"] == "event"
        && matches!(
            entry["event"].as_str(),
            Some("health" | "heartbeat" | "presence" | "tick")
        )
}

fn is_close(entry: &Value) -> bool {
    entry.get("close").is_some()
}

fn dropped() -> Value {
    json!({"close": 1006, "reason": ""})
}

fn entry(message: Message) -> Option<Value> {
    match message {
        Message::Text(text) => {
            Some(serde_json::from_str(&text).unwrap_or_else(|_| json!({"text": text.as_str()})))
        }
        Message::Binary(bytes) => Some(json!({"binary": bytes.len()})),
        Message::Close(Some(frame)) => {
            Some(json!({"close": u16::from(frame.code), "reason": frame.reason.as_str()}))
        }
        Message::Close(None) => Some(json!({"close": 1005, "reason": ""})),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
    }
}

/// Upgrades by hand, since a refusal's body matters as much as its status.
async fn upgrade(
    url: &str,
    headers: &[(&str, &str)],
) -> Result<(Option<WebSocketStream<TcpStream>>, Option<Value>)> {
    let uri: http::Uri = url.parse().context("not a URL")?;
    let host = uri.host().context("no host in the URL")?;
    let port = uri.port_u16().context("no port in the URL")?;
    let mut tcp = TcpStream::connect((host.trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("cannot reach {host}:{port}"))?;
    tcp.set_nodelay(true)?;
    let key = generate_key();
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        uri.path(),
    );
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    tcp.write_all(request.as_bytes()).await?;

    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if tcp.read_buf(&mut read).await? == 0 {
            bail!("the gateway closed during the upgrade");
        }
    };
    let head = std::str::from_utf8(&read[..end]).context("the head is not text")?;
    let status: u16 = head
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("no status line")?;
    if status == 101 {
        let accept = derive_accept_key(key.as_bytes());
        if header(head, "sec-websocket-accept") != Some(&accept) {
            bail!("the upgrade's accept key is wrong");
        }
        let rest = read.split_off(end);
        let socket = WebSocketStream::from_partially_read(tcp, rest, Role::Client, None).await;
        return Ok((Some(socket), None));
    }
    let length: Option<usize> = header(head, "content-length").and_then(|n| n.parse().ok());
    let mut body = read.split_off(end);
    while length.is_none_or(|length| body.len() < length) {
        if tcp.read_buf(&mut body).await? == 0 {
            break;
        }
    }
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    Ok((None, Some(json!({"http": status, "body": body}))))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
