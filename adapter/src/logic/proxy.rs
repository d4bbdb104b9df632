//! Who answered an upgrade request instead of the gateway, and what that answer means. No I/O.

use std::fmt;

use http::{HeaderMap, header};

use crate::base::sanitize::word;

/// Who answered an upgrade with something else, as far as the answer shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answerer {
    /// The gateway itself, told by its own words.
    Gateway,
    /// Cloudflare's edge.
    Cloudflare(Cloudflare),
    /// nginx.
    Nginx,
    /// Another server, as its `Server` header has it; made printable.
    Server(String),
}

/// What Cloudflare's edge means by its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cloudflare {
    /// A page that only a browser can pass ("Just a moment...").
    Challenge,
    /// Cloudflare Access wants a login.
    Access,
    /// A rule of the firewall refused this client (error codes 1005 to 1020).
    Blocked,
    /// Too many requests for a rule (HTTP 429, error code 1015).
    RateLimited,
    /// The edge does not reach the gateway (HTTP 502, 504, 520 to 524).
    OriginUnreachable,
    /// The edge does not accept the gateway's TLS (HTTP 525, 526).
    OriginTls,
    /// No tunnel or address stands behind the name (HTTP 530, error codes 1016 and 1033).
    NoOrigin,
    /// Passed on, or something else.
    Other,
}

impl Answerer {
    /// Reads who answered from the status, the headers and the words of the body.
    pub(crate) fn of(status: u16, headers: &HeaderMap, body: &str) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if OWN_WORDS.iter().any(|words| body.contains(words)) {
            return Some(Self::Gateway);
        }
        let server = text(header::SERVER.as_str());
        let is =
            |name: &str| server.is_some_and(|server| server.to_ascii_lowercase().starts_with(name));
        if is("cloudflare") || headers.contains_key("cf-ray") {
            let meaning = Cloudflare::of(
                status,
                text("cf-mitigated"),
                text(header::LOCATION.as_str()),
                body,
            );
            return Some(Self::Cloudflare(meaning));
        }
        if is("nginx") || is("openresty") {
            return Some(Self::Nginx);
        }
        server.map(|server| Self::Server(product(server)))
    }

    /// What a person does about it, where who answered says more than the status.
    pub(crate) fn fix(&self, status: u16) -> Option<String> {
        match self {
            Self::Cloudflare(meaning) => meaning.fix().map(ToOwned::to_owned),
            Self::Nginx if status == 502 || status == 504 => Some(
                "Start the gateway, or correct the address in nginx's proxy_pass: nginx does not reach it.".to_owned(),
            ),
            Self::Nginx if matches!(status, 200 | 400 | 404 | 426) => Some(
                "Let nginx pass WebSocket upgrades on: proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade, proxy_set_header Connection \"upgrade\"; or check host, port and path of OPENCLAW_GATEWAY_URL.".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Name and version of the first product in a `Server` header: `awselb/2.0`.
fn product(server: &str) -> String {
    let first = server.split_whitespace().next().unwrap_or_default();
    let parts: Vec<String> = first.splitn(2, '/').map(word).collect();
    parts.join("/")
}

/// Beginnings of what real gateways of the 2026.9 generation answer to an upgrade (measured).
const OWN_WORDS: [&str; 4] = [
    "Proxy client attribution is required",
    "Gateway websocket admission closed",
    "Too many unauthenticated sockets",
    "websocket handlers unavailable",
];

impl fmt::Display for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("the gateway"),
            Self::Cloudflare(_) => f.write_str("Cloudflare"),
            Self::Nginx => f.write_str("nginx"),
            Self::Server(name) => f.write_str(name),
        }
    }
}

impl Cloudflare {
    fn of(status: u16, mitigated: Option<&str>, location: Option<&str>, body: &str) -> Self {
        let code = error_code(body);
        if mitigated == Some("challenge") || body.starts_with("Just a moment") {
            return Self::Challenge;
        }
        if location.is_some_and(|to| {
            to.contains(".cloudflareaccess.com/") || to.contains("/cdn-cgi/access/")
        }) {
            return Self::Access;
        }
        match (status, code) {
            (_, Some(1015)) | (429, _) => Self::RateLimited,
            (530, _) | (_, Some(1016 | 1033)) => Self::NoOrigin,
            (_, Some(1005..=1012 | 1020)) => Self::Blocked,
            (502 | 504 | 520..=524, _) => Self::OriginUnreachable,
            (525 | 526, _) => Self::OriginTls,
            _ => Self::Other,
        }
    }

    const fn fix(self) -> Option<&'static str> {
        Some(match self {
            Self::Challenge => {
                "Exempt the gateway's host name from Cloudflare's bot checks (a WAF rule that skips them), or reach the gateway past Cloudflare: no backend can pass a browser challenge."
            }
            Self::Access => {
                "Give a Cloudflare Access service token as two extra headers, CF-Access-Client-Id and CF-Access-Client-Secret, and allow it in the Access policy."
            }
            Self::Blocked => {
                "Allow this host in the firewall rules of the gateway's Cloudflare zone."
            }
            Self::RateLimited => {
                "Wait: Cloudflare limits this address; raise the limit for the gateway's host name if it comes back."
            }
            Self::OriginUnreachable => {
                "Start the gateway, or correct its address in Cloudflare: the edge does not reach it."
            }
            Self::OriginTls => {
                "Correct the certificate of the gateway, or Cloudflare's SSL mode for it: the edge does not accept its TLS."
            }
            Self::NoOrigin => {
                "Start cloudflared, or correct the DNS record: nothing stands behind this name at Cloudflare."
            }
            Self::Other => return None,
        })
    }
}

/// `error code: 1020`, as the edge tells clients that are no browsers.
fn error_code(body: &str) -> Option<u16> {
    let (_, rest) = body.split_once("error code: ")?;
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Option<Answerer> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Answerer::of(status, &map, body)
    }

    #[test]
    fn each_answer_of_cloudflare_has_its_meaning() {
        let edge = ("server", "cloudflare");
        for (status, extra, body, meaning) in [
            (
                403,
                ("cf-mitigated", "challenge"),
                "",
                Cloudflare::Challenge,
            ),
            (503, edge, "Just a moment...", Cloudflare::Challenge),
            (
                302,
                (
                    "location",
                    "https://team.cloudflareaccess.com/cdn-cgi/access/login/x",
                ),
                "",
                Cloudflare::Access,
            ),
            (403, edge, "error code: 1020", Cloudflare::Blocked),
            (429, edge, "error code: 1015", Cloudflare::RateLimited),
            (521, edge, "error code: 521", Cloudflare::OriginUnreachable),
            (526, edge, "error code: 526", Cloudflare::OriginTls),
            (530, edge, "error code: 1033", Cloudflare::NoOrigin),
            (404, edge, "", Cloudflare::Other),
        ] {
            assert_eq!(
                of(status, &[("cf-ray", "8f-FRA"), extra], body),
                Some(Answerer::Cloudflare(meaning)),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn the_gateways_own_words_are_known_behind_any_proxy() {
        let body =
            "Proxy client attribution is required. Configure gateway.trustedProxies narrowly";
        assert_eq!(
            of(403, &[("server", "cloudflare")], body),
            Some(Answerer::Gateway)
        );
    }

    #[test]
    fn other_servers_are_named_as_they_name_themselves_but_printable() {
        assert_eq!(
            of(502, &[("server", "nginx/1.29.3")], ""),
            Some(Answerer::Nginx)
        );
        assert_eq!(
            of(404, &[("server", "Caddy")], ""),
            Some(Answerer::Server("Caddy".to_owned()))
        );
        for (server, shown) in [
            ("awselb/2.0", "awselb/2.0"),
            ("Apache/2.4.66 (Debian)", "Apache/2.4.66"),
            ("a/b;c/d\"e", "a/b?c?d?e"),
        ] {
            assert_eq!(
                of(404, &[("server", server)], ""),
                Some(Answerer::Server(shown.to_owned()))
            );
        }
        assert_eq!(of(404, &[], ""), None);
    }

    #[test]
    fn a_proxy_that_does_not_reach_the_gateway_is_not_blamed_for_the_upgrade() {
        assert!(Answerer::Nginx.fix(502).unwrap().contains("proxy_pass"));
        assert!(Answerer::Nginx.fix(426).unwrap().contains("Upgrade"));
        assert_eq!(Answerer::Nginx.fix(403), None);
    }
}
