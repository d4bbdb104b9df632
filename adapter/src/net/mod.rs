//! From an address to a socket that carries text frames: TCP, TLS, the HTTP upgrade.

mod handshake;
mod race;
mod socket;
mod tls;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Response, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub(crate) use self::handshake::{challenge, log_in};
pub(crate) use self::socket::{Inbound, Socket};
pub(crate) use self::tls::TlsFault;
use crate::base::endpoint::Endpoint;
use crate::base::sanitize::printable;
use crate::logic::error::{TransportError, TransportErrorKind};
use crate::logic::proxy::Answerer;
use crate::logic::redact::Redactor;
use crate::logic::refusal::UpgradeRefusal;

// Below us `tungstenite` writes every frame and every header to the `log` crate at TRACE. A library
// cannot mute one target for the program it is part of; it can leave the level out of the build.
#[cfg(feature = "no-frame-log")]
const _: () = assert!(
    log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Debug as usize,
    "`log` still has its level TRACE, on which tokens are written"
);

/// A byte stream to a gateway; every type that can be one is. From a [`Connector`], which has an example.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// What [`Connector::connect`] returns.
pub type Connecting<'a> =
    Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send + 'a>>;

/// Opens the byte stream below TLS and WebSocket.
///
/// The default opens TCP. Another one can go through a proxy, or stay in memory for a test on
/// virtual time.
///
/// ```
/// use openclaw_adapter::{Client, Config, Connecting, Connection, Connector, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use tokio::net::TcpStream;
///
/// /// Whatever the address says, to the near end of a tunnel.
/// #[derive(Debug)]
/// struct Tunnel(String);
///
/// impl Connector for Tunnel {
///     fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
///         Box::pin(async move {
///             let stream = TcpStream::connect(&self.0).await?;
///             Ok(Box::new(stream) as Box<dyn Connection>)
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let near_end = gateway.local_url().replace("ws://", "");
/// let config = Config::builder()
///     .url("ws://gateway:18789")
///     .connector(Tunnel(near_end))
///     .token(Token::new(gateway.token())?)
///     .store(MemoryStore::new())
///     .build()?;
/// let client = Client::connect(config).await?;
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `host` (a name, or an address without brackets) and `port`.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::NotFound`] if the name has no address, of any other kind if the
    /// address cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has to abandon the attempt: it runs under the limit for the whole
    /// handshake, [`ConfigBuilder::connect_timeout`](crate::ConfigBuilder::connect_timeout).
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}

/// Plain TCP. A name is resolved for each attempt, and its addresses are raced as RFC 8305 says.
#[derive(Debug)]
pub(crate) struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let addresses = resolve(host, port).await?;
            let stream = connect_tcp(&addresses).await?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}

/// The addresses of a name, at least one; an error of kind `NotFound` if it has none.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?
        .collect();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses)
}

/// Opens a stream to the first of the addresses that answers.
pub(crate) async fn connect_tcp(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = race::race(addresses, TcpStream::connect).await?;
    // Frames are small and each one waits for an answer.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What one read may take, in bytes. It is there for as long as the connection: enough for a burst of
/// events, and a quarter of what the WebSocket library takes unasked.
const READ_BUFFER: usize = 32 * 1024;

/// How to reach one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) headers: HeaderMap,
    /// The largest message that is read, in bytes.
    pub(crate) max_message: usize,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

/// Why there is no socket.
#[derive(Debug)]
pub(crate) enum DialError {
    Refused(UpgradeRefusal),
    Failed(TransportError),
}

impl From<TransportError> for DialError {
    fn from(error: TransportError) -> Self {
        Self::Failed(error)
    }
}

impl Dialer {
    /// Opens a socket, ready for frames.
    pub(crate) async fn dial(&self) -> Result<Socket, DialError> {
        let host = self.endpoint.host();
        let port = self.endpoint.port();
        let stream = self.connector.connect(host, port).await.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => TransportErrorKind::Resolve,
                _ => TransportErrorKind::Connect,
            };
            TransportError::new(
                kind,
                format!("cannot connect to {host} port {port}: {error}"),
            )
        })?;
        let stream = self.secure(stream).await?;
        self.upgrade(stream).await
    }

    /// Makes a byte stream, encrypted already where it has to be, a socket for frames.
    pub(crate) async fn upgrade(&self, stream: Box<dyn Connection>) -> Result<Socket, DialError> {
        let mut request = self
            .endpoint
            .uri()
            .into_client_request()
            .map_err(|error| upgrade_error(&error))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((stream, _)) => Ok(Socket::new(stream, Redactor::for_headers(&self.headers))),
            Err(WsError::Http(response)) => {
                let redactor = Redactor::for_headers(&self.headers);
                Err(DialError::Refused(read_refusal(&response, &redactor)))
            }
            Err(error) => Err(DialError::Failed(upgrade_error(&error))),
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        stream: Box<dyn Connection>,
    ) -> Result<Box<dyn Connection>, TransportError> {
        let Some(config) = &self.tls else {
            return Ok(stream);
        };
        let stream = self.encrypt(config, stream).await.map_err(|error| {
            let (host, fault) = (self.endpoint.host(), TlsFault::of(&error));
            let what = format!("TLS with {host} failed: {fault}");
            TransportError::new(TransportErrorKind::Tls, what)
        })?;
        Ok(Box::new(stream))
    }

    /// The TLS handshake alone.
    #[cfg(feature = "tls")]
    pub(crate) async fn encrypt(
        &self,
        config: &Arc<rustls::ClientConfig>,
        stream: Box<dyn Connection>,
    ) -> io::Result<tokio_rustls::client::TlsStream<Box<dyn Connection>>> {
        let host = self.endpoint.host().to_owned();
        let name = rustls::pki_types::ServerName::try_from(host).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the host cannot be a TLS server name",
            )
        })?;
        tokio_rustls::TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same shape as with TLS")]
    async fn secure(
        &self,
        stream: Box<dyn Connection>,
    ) -> Result<Box<dyn Connection>, TransportError> {
        Ok(stream)
    }
}

fn upgrade_error(error: &WsError) -> TransportError {
    #[cfg(feature = "tls")]
    if let WsError::Io(error) = error
        && let fault @ TlsFault::ClientCertificate = TlsFault::of(error)
    {
        let what = format!("TLS failed: {fault}");
        return TransportError::new(TransportErrorKind::Tls, what);
    }
    let what = match error {
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            "the connection was closed in the middle of it; a port with TLS is dialled by wss://"
                .to_owned()
        }
        WsError::Protocol(ProtocolError::HttparseError(_)) => {
            "what listens there speaks no HTTP; a port with TLS is dialled by wss://".to_owned()
        }
        other => printable(&other.to_string()),
    };
    TransportError::new(
        TransportErrorKind::Upgrade,
        format!("the WebSocket upgrade failed: {what}"),
    )
}

/// Reads an HTTP answer that is not an upgrade.
fn read_refusal(response: &Response<Option<Vec<u8>>>, redactor: &Redactor) -> UpgradeRefusal {
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let message = response
        .body()
        .as_deref()
        .map_or_else(String::new, |body| read_body(body, redactor));
    UpgradeRefusal {
        status: response.status().as_u16(),
        answered_by: Answerer::of(response.status().as_u16(), response.headers(), &message),
        message,
        location: text(header::LOCATION).map(|location| {
            // The query may hold a ticket of whoever redirects.
            let mut location = location
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned();
            redactor.text(&mut location);
            printable(&location)
        }),
        retry_after: text(header::RETRY_AFTER)
            .and_then(|value| retry_after(value, SystemTime::now())),
    }
}

/// `Retry-After`: seconds or a date, at most a day.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value.trim())
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(86_400)))
}

/// The words of an error page: the message of a JSON error, the title of an HTML page, or the text.
fn read_body(body: &[u8], redactor: &Redactor) -> String {
    let mut text = String::from_utf8_lossy(body.get(..4096).unwrap_or(body)).into_owned();
    redactor.text(&mut text);
    let message = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| {
            let error = value.get("error").unwrap_or(&value);
            let message = error.get("message").or(Some(error))?;
            message.as_str().map(ToOwned::to_owned)
        })
        .or_else(|| between(&text, "<title>", "</title>"))
        .unwrap_or_else(|| {
            if text.trim_start().starts_with('<') {
                "an HTML page".to_owned()
            } else {
                text.clone()
            }
        });
    printable(message.trim())
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let from = lower.find(start)? + start.len();
    let to = from + lower.get(from..)?.find(end)?;
    text.get(from..to).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &[u8]) -> String {
        read_body(body, &Redactor::default())
    }

    #[test]
    fn retry_after_takes_seconds_and_dates_and_has_a_limit() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            retry_after("99999999999", now),
            Some(Duration::from_secs(86_400))
        );
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_body_says_one_line_whatever_it_is() {
        assert_eq!(
            words(br#"{"error":{"message":"Proxy client attribution is required."}}"#),
            "Proxy client attribution is required."
        );
        assert_eq!(words(br#"{"error":"no"}"#), "no");
        assert_eq!(
            words(b"<html><head><TITLE>502 Bad\nGateway</title>"),
            "502 Bad Gateway"
        );
        assert_eq!(words(b"<!doctype html><p>x"), "an HTML page");
        assert_eq!(
            words(b"Too many unauthenticated sockets\n"),
            "Too many unauthenticated sockets"
        );
        assert!(!words(b"\x1b[2J\xff").contains('\u{1b}'));
    }
}
