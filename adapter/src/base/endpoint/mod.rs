//! `Endpoint`: the gateway's address, parsed once, with the rule for plain `ws://`.

mod host;

pub(crate) use self::host::class_of;

use std::fmt;
use std::str::FromStr;

use http::Uri;

use self::host::{Host, HostError};

/// Where the gateway listens: a `ws://` or `wss://` address.
///
/// It holds no credentials (user info is refused), and neither `Display` nor `Debug` shows the
/// query, where some proxies want a secret.
///
/// ```
/// use openclaw_adapter::{AddressClass, Endpoint, EndpointError};
///
/// let endpoint: Endpoint = "ws://gateway:18789".parse()?;
/// assert_eq!((endpoint.host(), endpoint.port()), ("gateway", 18789));
/// assert_eq!(endpoint.address_class(), AddressClass::LocalName);
///
/// // What a mistake should have been is in its message.
/// let error = Endpoint::parse("https://gateway.example.com/").unwrap_err();
/// assert!(error.to_string().contains("wss://gateway.example.com"));
///
/// // Nobody is sent a token in the clear over the internet.
/// let public = Endpoint::parse("ws://gateway.example.com")?;
/// let refused = public.check_plaintext(false);
/// assert!(matches!(refused, Err(EndpointError::PlainToPublic { .. })));
/// # Ok::<(), EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    tls: bool,
    host: Host,
    port: u16,
    path: String,
    uri: Uri,
}

/// Where a gateway listens unless it is told otherwise.
pub(crate) const DEFAULT_PORT: u16 = 18789;

impl Endpoint {
    /// The address of a gateway on this host with its default port.
    pub const DEFAULT_URL: &str = "ws://127.0.0.1:18789";

    /// Parses an address. Without a port it is the scheme's own: 80 or 443.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] says what is wrong with it, in any variant but
    /// [`PlainToPublic`](EndpointError::PlainToPublic). It never repeats user info or the query.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EndpointError::NoScheme);
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" => return Err(http_scheme("ws", rest)),
            "https" => return Err(http_scheme("wss", rest)),
            _ => return Err(EndpointError::OtherScheme),
        };
        if rest.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let default_port = if tls { 443 } else { 80 };

        let scheme = if tls { "wss" } else { "ws" };
        let target = if path_and_query.starts_with('/') {
            path_and_query.to_owned()
        } else {
            format!("/{path_and_query}")
        };
        let authority = match port {
            Some(port) if port != default_port => format!("{}:{port}", host.in_url()),
            _ => host.in_url(),
        };
        let uri: Uri = format!("{scheme}://{authority}{target}")
            .parse()
            .map_err(|_: http::uri::InvalidUri| EndpointError::Path)?;
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            tls,
            host,
            port: port.unwrap_or(default_port),
            path,
            uri,
        })
    }

    /// The host as it is dialled and as a certificate names it: lower case, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The port to dial.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the address is `wss://`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// What kind of address it is, judged by the text alone: no name is resolved.
    #[must_use]
    pub fn address_class(&self) -> AddressClass {
        self.host.class()
    }

    /// Refuses plain `ws://` to a public address, where anybody on the way could read the token.
    ///
    /// # Errors
    ///
    /// [`EndpointError::PlainToPublic`], unless `allow_insecure` is set.
    pub fn check_plaintext(&self, allow_insecure: bool) -> Result<(), EndpointError> {
        if self.tls || allow_insecure || self.address_class() != AddressClass::Public {
            return Ok(());
        }
        Err(EndpointError::PlainToPublic {
            host: self.host().to_owned(),
        })
    }

    /// The name under which a store remembers this gateway.
    #[must_use]
    pub fn key(&self) -> GatewayKey {
        GatewayKey(self.to_string())
    }

    /// Whether a stored device token may be offered here after the shared token was refused.
    ///
    /// `verified_or_pinned` says whether the certificate of a `wss://` connection was checked.
    #[must_use]
    pub fn is_trusted_for_device_token(&self, verified_or_pinned: bool) -> bool {
        (self.tls && verified_or_pinned) || self.address_class() != AddressClass::Public
    }

    /// The whole address for the upgrade request, with the query.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(
            f,
            "{scheme}://{}:{}{}",
            self.host.in_url(),
            self.port,
            self.path
        )
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), EndpointError> {
    // Only the colon behind the bracket of an IPv6 literal starts a port.
    let from = authority.find(']').unwrap_or(0);
    let Some(colon) = authority[from..].find(':').map(|at| from + at) else {
        return Ok((authority, None));
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if port.contains(':') {
        return Err(EndpointError::Ipv6WithoutBrackets);
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if digits && port != 0 => Ok((host, Some(port))),
        _ => Err(EndpointError::Port),
    }
}

fn http_scheme(scheme: &'static str, rest: &str) -> EndpointError {
    let instead = Endpoint::parse(&format!("{scheme}://{rest}"))
        .map_or_else(|_| format!("{scheme}://"), |endpoint| endpoint.to_string());
    EndpointError::HttpScheme { instead }
}

/// What kind of address an [`Endpoint`] names, for the plaintext rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// `localhost`, 127.0.0.0/8, `::1`.
    Loopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, `fc00::/7`.
    Private,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// 100.64.0.0/10, which carriers and Tailscale use.
    Cgnat,
    /// A single-label name such as a compose service, `.local`, `.ts.net`.
    LocalName,
    /// Everything else.
    Public,
}

/// A gateway's name in a store: `scheme://host:port[/path]`, scheme and host in lower case, the
/// port always written, no query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayKey(String);

impl GatewayKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for GatewayKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an address was not taken. Never holds user info or a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing, or only white space.
    #[error("the gateway address is empty")]
    Empty,
    /// No `ws://` or `wss://` in front.
    #[error("the gateway address has no scheme; write ws:// or wss:// in front")]
    NoScheme,
    /// `http://` or `https://`.
    #[error("the gateway is reached by WebSocket, not HTTP; write {instead}")]
    #[non_exhaustive]
    HttpScheme {
        /// The same address with the WebSocket scheme.
        instead: String,
    },
    /// Another scheme.
    #[error("the gateway address must begin with ws:// or wss://")]
    OtherScheme,
    /// `user:password@` in front of the host.
    #[error("the gateway address must not contain a user name or password")]
    UserInfo,
    /// A `#` and what follows.
    #[error("the gateway address must not contain a # fragment")]
    Fragment,
    /// No host between `://` and the path.
    #[error("the gateway address has no host")]
    NoHost,
    /// A character or label that no host name has.
    #[error("the host of the gateway address is not a valid name or IP address")]
    Host,
    /// A number that resolvers read as an IPv4 address, such as `2130706433` or `127.1`.
    #[error("the host of the gateway address is a number; write an IPv4 address as a.b.c.d")]
    NumericHost,
    /// `0.0.0.0` or `[::]`.
    #[error("0.0.0.0 and [::] are addresses to listen on; to connect to this host use 127.0.0.1")]
    Unspecified,
    /// An IPv6 address without `[` and `]`.
    #[error("an IPv6 address needs brackets: ws://[::1]:18789")]
    Ipv6WithoutBrackets,
    /// `[fe80::1%eth0]`.
    #[error("an IPv6 address with a zone (%…) is not supported; use a name instead")]
    Ipv6Zone,
    /// Not a number from 1 to 65535.
    #[error("the port of the gateway address is not a number from 1 to 65535")]
    Port,
    /// A character that may not stand in a path or query.
    #[error("the path of the gateway address has a character that is not allowed there")]
    Path,
    /// `ws://` to a public address.
    #[error(
        "plain ws:// would show the token to everybody on the way to {host}; use wss://, or set \
         OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 if the way is private"
    )]
    #[non_exhaustive]
    PlainToPublic {
        /// The host.
        host: String,
    },
}

impl From<HostError> for EndpointError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Empty => Self::NoHost,
            HostError::Invalid => Self::Host,
            HostError::Numeric => Self::NumericHost,
            HostError::Unspecified => Self::Unspecified,
            HostError::Zone => Self::Ipv6Zone,
        }
    }
}

#[cfg(test)]
mod tests;
