//! Proxies whose forwarding headers are believed.

use std::net::IpAddr;
use std::str::FromStr;

/// Whose forwarding headers are believed: one address, or a network.
///
/// ```
/// use openclaw_mock_gateway::{MockGateway, TrustedProxy};
///
/// let network: TrustedProxy = "10.0.0.0/8".parse()?;
/// let builder = MockGateway::builder().trusted_proxy(network);
/// assert!("10.0.0.0/99".parse::<TrustedProxy>().is_err());
/// # drop(builder);
/// # Ok::<(), openclaw_mock_gateway::InvalidProxy>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrustedProxy {
    address: IpAddr,
    prefix: Option<u8>,
}

/// Text that is neither an address nor a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network such as 10.0.0.0/8")]
pub struct InvalidProxy(String);

impl From<IpAddr> for TrustedProxy {
    fn from(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            prefix: None,
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidProxy(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            None => (text.trim(), None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => return Ok(address.into()),
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits),
        };
        Ok(Self {
            address,
            prefix: Some(prefix.ok_or_else(invalid)?),
        })
    }
}

impl TrustedProxy {
    /// Only 2026.9.6 knows networks; to 2026.2.9 they are names of nobody. Read in the code of both.
    pub(crate) fn is(self, ip: IpAddr, knows_networks: bool) -> bool {
        let Some(prefix) = self.prefix else {
            return self.address == ip;
        };
        let same = |own: u128, other: u128, bits: u32| {
            let rest = bits - u32::from(prefix);
            own.checked_shr(rest) == other.checked_shr(rest)
        };
        knows_networks
            && match (self.address, ip) {
                (IpAddr::V4(own), IpAddr::V4(ip)) => {
                    same(own.to_bits().into(), ip.to_bits().into(), 32)
                }
                (IpAddr::V6(own), IpAddr::V6(ip)) => same(own.to_bits(), ip.to_bits(), 128),
                _ => false,
            }
    }
}
