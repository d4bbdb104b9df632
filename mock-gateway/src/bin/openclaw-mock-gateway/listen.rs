//! Where to listen, from the flags and the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use openclaw_mock_gateway::{Edition, TrustedProxy, listen};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::cli::Bind;

const DEFAULT_PORT: u16 = 18789;

/// A value in the configuration that a gateway would refuse.
#[derive(Debug, thiserror::Error)]
#[error("Config invalid: {place}: {reason}")]
pub(crate) struct Invalid {
    place: &'static str,
    reason: &'static str,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub(crate) struct Taken {
    address: SocketAddr,
    source: std::io::Error,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(SocketAddr);

impl Address {
    /// Flags before the configuration, the configuration before the defaults.
    pub(crate) fn choose(
        bind: Option<&Bind>,
        port: Option<u16>,
        config: &Value,
    ) -> Result<Self, Invalid> {
        let bind = match (bind, &config["gateway"]["bind"]) {
            (Some(bind), _) => bind.clone(),
            (None, Value::Null) => Bind::Loopback,
            (None, Value::String(word)) if word == "loopback" => Bind::Loopback,
            (None, Value::String(word)) if word == "lan" || word == "auto" => Bind::Lan,
            (None, Value::String(word)) if word == "custom" => {
                let host = config["gateway"]["customBindHost"].as_str();
                let address = host.and_then(|host| host.parse().ok());
                Bind::Address(address.ok_or(Invalid {
                    place: "gateway.customBindHost",
                    reason: "must be an address when gateway.bind is \"custom\"",
                })?)
            }
            (None, _) => {
                return Err(Invalid {
                    place: "gateway.bind",
                    reason: "use \"loopback\", \"lan\", \"auto\" or \"custom\"",
                });
            }
        };
        let port = match (port, &config["gateway"]["port"]) {
            (Some(port), _) => port,
            (None, Value::Null) => DEFAULT_PORT,
            (None, given) => given
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0)
                .ok_or(Invalid {
                    place: "gateway.port",
                    reason: "must be a number from 1 to 65535",
                })?,
        };
        let ip = match bind {
            Bind::Loopback => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Bind::Lan => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Bind::Address(ip) => ip,
        };
        Ok(Self(SocketAddr::new(ip, port)))
    }

    /// The listener of this address, and the one that a gateway of the edition opens with it on the same port.
    ///
    /// Read in the code of both: `loopback` is `::1` as well, where there is one. 2026.9.6 opens 127.0.0.1
    /// beside any one IPv4 address, for the command line on the same host; it does not start without, the
    /// mock does.
    pub(crate) fn bind(
        self,
        edition: Edition,
    ) -> Result<(TcpListener, Option<TcpListener>), Taken> {
        let first = listen(self.0).map_err(|source| Taken {
            address: self.0,
            source,
        })?;
        let beside: IpAddr = match self.0.ip() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V4(own) if edition != Edition::V2026_2_9 && !own.is_unspecified() => {
                Ipv4Addr::LOCALHOST.into()
            }
            _ => return Ok((first, None)),
        };
        let port = first
            .local_addr()
            .map_or_else(|_| self.0.port(), |own| own.port());
        let beside = SocketAddr::new(beside, port);
        let second = listen(beside)
            .inspect_err(|error| tracing::debug!(%beside, %error, "not listened on"))
            .ok();
        Ok((first, second))
    }

    /// The URL under which a client on this host reaches the gateway.
    pub(crate) fn url(self, port: u16) -> String {
        let ip = if self.0.ip().is_unspecified() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            self.0.ip()
        };
        format!("ws://{}", SocketAddr::new(ip, port))
    }
}

/// The addresses and networks in `gateway.trustedProxies`. A gateway passes over what is neither.
pub(crate) fn trusted_proxies(config: &Value) -> Result<Vec<TrustedProxy>, Invalid> {
    let invalid = Invalid {
        place: "gateway.trustedProxies",
        reason: "must be a list of addresses",
    };
    let read = |text: &str| match text.parse() {
        Ok(proxy) => Some(proxy),
        Err(error) => {
            tracing::warn!(%error, "gateway.trustedProxies");
            None
        }
    };
    match &config["gateway"]["trustedProxies"] {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list
            .iter()
            .map(|entry| entry.as_str().map(read))
            .collect::<Option<Vec<_>>>()
            .map(|proxies| proxies.into_iter().flatten().collect())
            .ok_or(invalid),
        _ => Err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chosen(bind: Option<&Bind>, port: Option<u16>, config: &Value) -> Option<String> {
        Some(Address::choose(bind, port, config).ok()?.0.to_string())
    }

    #[test]
    fn flags_come_before_the_configuration_and_that_before_the_defaults() {
        let config = json!({"gateway": {"bind": "lan", "port": 19000}});
        assert_eq!(
            chosen(None, None, &json!({})).as_deref(),
            Some("127.0.0.1:18789")
        );
        assert_eq!(
            chosen(None, None, &config).as_deref(),
            Some("0.0.0.0:19000")
        );
        let address = Bind::Address("10.1.2.3".parse().unwrap());
        assert_eq!(
            chosen(Some(&address), Some(0), &config).as_deref(),
            Some("10.1.2.3:0")
        );
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_by_its_place() {
        let refused = |config: &Value| Address::choose(None, None, config).unwrap_err().to_string();
        let port = refused(&json!({"gateway": {"port": "x"}}));
        assert!(port.starts_with("Config invalid: gateway.port"), "{port}");
        let bind = refused(&json!({"gateway": {"bind": "everywhere"}}));
        assert!(bind.starts_with("Config invalid: gateway.bind"), "{bind}");
    }

    #[test]
    fn a_gateway_on_all_addresses_is_shown_by_one_that_works() {
        let all = Address("0.0.0.0:0".parse().unwrap());
        assert_eq!(all.url(4711), "ws://127.0.0.1:4711");
    }
}
