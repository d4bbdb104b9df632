//! A host in an address: its canonical form and its class.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressClass;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    text: String,
    ip: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostError {
    Empty,
    Invalid,
    Numeric,
    Unspecified,
    Zone,
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Invalid)?;
            if inner.contains('%') {
                return Err(HostError::Zone);
            }
            return Self::address(IpAddr::V6(inner.parse().map_err(|_| HostError::Invalid)?));
        }
        let name = text.to_ascii_lowercase();
        // std reads only the four-part decimal form, so what is left over below is what a
        // resolver might still read as a number.
        if let Ok(ip) = name.parse::<Ipv4Addr>() {
            return Self::address(IpAddr::V4(ip));
        }
        let labels = name.strip_suffix('.').unwrap_or(&name);
        if name.len() > 254 || !labels.split('.').all(is_label) {
            return Err(HostError::Invalid);
        }
        if labels.rsplit('.').next().is_some_and(is_number) {
            return Err(HostError::Numeric);
        }
        Ok(Self {
            text: name,
            ip: None,
        })
    }

    fn address(ip: IpAddr) -> Result<Self, HostError> {
        if ip.to_canonical().is_unspecified() {
            return Err(HostError::Unspecified);
        }
        Ok(Self {
            text: ip.to_string(),
            ip: Some(ip),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The host as it stands in an address: IPv6 in brackets.
    pub(super) fn in_url(&self) -> String {
        match self.ip {
            Some(IpAddr::V6(_)) => format!("[{}]", self.text),
            _ => self.text.clone(),
        }
    }

    pub(super) fn class(&self) -> AddressClass {
        match self.ip {
            Some(ip) => class_of(ip),
            None => class_of_name(&self.text),
        }
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed)
}

/// Whether C resolvers may read the last label as part of an IPv4 address (`127.1`, `0x7f000001`).
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The class of an address.
pub(crate) fn class_of(ip: IpAddr) -> AddressClass {
    match ip.to_canonical() {
        IpAddr::V4(ip) => class_of_v4(ip),
        IpAddr::V6(ip) => class_of_v6(ip),
    }
}

fn class_of_v4(ip: Ipv4Addr) -> AddressClass {
    let [first, second, ..] = ip.octets();
    if ip.is_loopback() {
        AddressClass::Loopback
    } else if ip.is_private() {
        AddressClass::Private
    } else if ip.is_link_local() {
        AddressClass::LinkLocal
    } else if first == 100 && (64..128).contains(&second) {
        AddressClass::Cgnat
    } else {
        AddressClass::Public
    }
}

fn class_of_v6(ip: Ipv6Addr) -> AddressClass {
    if ip.is_loopback() {
        AddressClass::Loopback
    } else if ip.is_unique_local() {
        AddressClass::Private
    } else if ip.is_unicast_link_local() {
        AddressClass::LinkLocal
    } else {
        AddressClass::Public
    }
}

fn class_of_name(name: &str) -> AddressClass {
    // A trailing dot makes a name absolute, so that a single label is a top-level domain.
    let (name, absolute) = name
        .strip_suffix('.')
        .map_or((name, false), |name| (name, true));
    let mut labels = name.rsplit('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some("localhost"), None, _) => AddressClass::Loopback,
        (Some(_), None, _) if !absolute => AddressClass::LocalName,
        (Some("local"), Some(_), _) | (Some("net"), Some("ts"), Some(_)) => AddressClass::LocalName,
        _ => AddressClass::Public,
    }
}
