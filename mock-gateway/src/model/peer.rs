//! Who is at the other end, and whether the gateway takes it for local.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::settings::Settings;
use crate::wire::ws::upgrade::Head;

/// From where a connection is taken to come; for [`MockGateway::serve`](crate::MockGateway::serve), which
/// has an example.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Locality {
    /// From another host; the address is the one given to the builder.
    Remote,
    /// From the gateway's own host, over loopback.
    Local,
    /// From this address, judged as a real gateway would judge it.
    Peer(IpAddr),
}

/// What the upgrade request tells about a client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The address that counts for limits.
    pub(crate) ip: IpAddr,
    pub(crate) is_local: bool,
    /// The address shown to operators; local ones are not.
    pub(crate) reported_ip: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) host: String,
    /// What the proxy allows at most.
    pub(crate) scope_cap: Option<Vec<String>>,
}

/// A forwarding header of a peer that is no trusted proxy.
#[derive(Debug)]
pub(crate) struct Unattributed;

fn is_trusted(settings: &Settings, ip: IpAddr) -> bool {
    let networks = settings.edition.facts().refuses_unattributed_proxies;
    let mut proxies = settings.trusted_proxies.iter();
    proxies.any(|proxy| proxy.is(ip, networks))
}

/// Judges a peer by its address and headers, as the edition does.
pub(crate) fn attribute(
    settings: &Settings,
    locality: Locality,
    head: &Head,
) -> Result<Client, Unattributed> {
    let facts = settings.edition.facts();
    let peer = match locality {
        Locality::Remote => settings.remote_ip,
        Locality::Local => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Locality::Peer(ip) => match ip.to_canonical() {
            ip if ip.is_loopback() && settings.loopback_is_remote => settings.remote_ip,
            ip => ip,
        },
    };
    let trusted = is_trusted(settings, peer);
    let forwarded = if facts.refuses_unattributed_proxies {
        ["forwarded", "x-real-ip"]
            .iter()
            .any(|name| head.header(name).is_some())
            || ["x-forwarded-", "tailscale-"]
                .iter()
                .any(|prefix| head.has_prefix(prefix))
    } else {
        ["x-forwarded-for", "x-real-ip", "x-forwarded-host"]
            .iter()
            .any(|name| head.header(name).is_some())
    };
    if forwarded && !trusted && facts.refuses_unattributed_proxies {
        return Err(Unattributed);
    }
    let ip = if forwarded && trusted {
        forwarded_for(settings, head).unwrap_or(peer)
    } else {
        peer
    };
    let host = head.header("host").unwrap_or_default().to_owned();
    let is_local = ip.is_loopback()
        && (!forwarded || (trusted && !facts.refuses_unattributed_proxies))
        && (!facts.host_decides_locality || is_local_host(&host));
    let cap = |list: &str| {
        list.split([',', ' '])
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Ok(Client {
        ip,
        is_local,
        reported_ip: (!is_local && !ip.is_loopback()).then(|| ip.to_string()),
        origin: head
            .header("origin")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        scope_cap: head
            .header("x-openclaw-scopes")
            .filter(|_| facts.protocol >= 4)
            .map(cap),
        host,
    })
}

/// The right-most hop that is no trusted proxy itself.
fn forwarded_for(settings: &Settings, head: &Head) -> Option<IpAddr> {
    let hops = head.header("x-forwarded-for")?.rsplit(',');
    hops.filter_map(|hop| hop.trim().parse::<IpAddr>().ok())
        .find(|ip| !is_trusted(settings, *ip))
}

/// Measured on 2026.2.9: these hosts make a loopback client local, any other does not.
fn is_local_host(host: &str) -> bool {
    let name = host_name(host);
    matches!(name, "localhost" | "127.0.0.1" | "::1") || name.ends_with(".ts.net")
}

/// The host without port and brackets.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Returns whether an address belongs to a private network.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edition::Edition;
    use crate::model::proxy::TrustedProxy;
    use crate::wire::ws::upgrade::read_head;

    async fn judged(edition: Edition, ip: &str, headers: &str) -> Option<(bool, Option<String>)> {
        let text = format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n");
        let head = read_head(&mut text.as_bytes(), &mut Vec::new())
            .await
            .expect("a head");
        let settings = Settings {
            edition,
            trusted_proxies: ["10.0.0.1", "192.168.4.0/22", "fd00::/8"]
                .map(|text| text.parse().expect("a proxy"))
                .to_vec(),
            ..Settings::default()
        };
        let peer = Locality::Peer(ip.parse().expect("an address"));
        let client = attribute(&settings, peer, &head).ok()?;
        Some((client.is_local, client.reported_ip))
    }

    #[tokio::test]
    async fn the_old_edition_wants_a_local_host_header() {
        let old = Edition::V2026_2_9;
        assert_eq!(
            judged(old, "127.0.0.1", "Host: localhost:1").await,
            Some((true, None))
        );
        assert_eq!(
            judged(old, "127.0.0.1", "Host: a.ts.net").await,
            Some((true, None))
        );
        assert_eq!(
            judged(old, "127.0.0.1", "Host: evil").await,
            Some((false, None))
        );
        let forwarded = "Host: localhost\r\nX-Forwarded-For: 10.9.8.7";
        assert_eq!(
            judged(old, "127.0.0.1", forwarded).await,
            Some((false, None))
        );
    }

    #[tokio::test]
    async fn the_old_edition_knows_no_networks_of_proxies() {
        let (old, head) = (Edition::V2026_2_9, "X-Forwarded-For: 203.0.113.9");
        let behind = judged(old, "10.0.0.1", head).await;
        assert_eq!(behind, Some((false, Some("203.0.113.9".into()))));
        let alone = judged(old, "192.168.4.7", head).await;
        assert_eq!(alone, Some((false, Some("192.168.4.7".into()))));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in ["", "a", "10.0.0.0/33", "10.0.0.0/x", "::/129", "1.2.3/8"] {
            assert!(text.parse::<TrustedProxy>().is_err(), "{text}");
        }
        let all: TrustedProxy = "0.0.0.0/0".parse().expect("a network");
        assert!(all.is(IpAddr::from([8, 8, 8, 8]), true));
        assert!(!all.is(IpAddr::from([0_u16; 8]), true));
    }

    #[tokio::test]
    async fn the_new_edition_goes_by_the_address_and_refuses_unknown_proxies() {
        let new = Edition::V2026_9_6;
        assert_eq!(
            judged(new, "127.0.0.1", "Host: evil").await,
            Some((true, None))
        );
        assert_eq!(
            judged(new, "::ffff:127.0.0.1", "Host: evil").await,
            Some((true, None))
        );
        assert_eq!(
            judged(new, "127.0.0.1", "Forwarded: for=1.2.3.4").await,
            None
        );
        let forwarded = "X-Forwarded-For: 127.0.0.1, 203.0.113.9, 192.168.4.77";
        let client = Some((false, Some("203.0.113.9".into())));
        for proxy in ["10.0.0.1", "192.168.7.255", "fd12:3::4"] {
            assert_eq!(judged(new, proxy, forwarded).await, client, "{proxy}");
        }
        for other in ["10.0.0.2", "192.168.8.0", "fc00::1"] {
            assert_eq!(judged(new, other, forwarded).await, None, "{other}");
        }
    }
}
