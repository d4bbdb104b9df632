//! `connect.challenge`, the parameters of `connect`, and `hello-ok`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SignatureVersion;
use crate::base::sanitize::{word, words};
use crate::base::secret::Token;

/// The oldest protocol we speak (2026.2.9).
pub(crate) const MIN_PROTOCOL: u32 = 3;
/// The newest protocol we speak (2026.9.6).
pub(crate) const MAX_PROTOCOL: u32 = 4;

/// The longest nonce that is signed, in bytes. Gateways of both generations send a UUID.
const MAX_NONCE: usize = 256;

/// Payload of the `connect.challenge` event, the first frame on every socket.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) nonce: String,
    /// The gateway's clock in milliseconds. Signing this instead of our own time makes the skew of
    /// this host harmless.
    pub(crate) ts: u64,
    /// Sent by 2026.9.6, not by 2026.2.9.
    #[serde(default)]
    pub(crate) capabilities: Option<Value>,
}

impl Challenge {
    /// Whether the nonce can be signed: a short word, without the `|` that parts the fields of the
    /// signed text. With one in it a gateway could have us sign other fields than those that we send.
    pub(crate) fn is_usable(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'|';
        (1..=MAX_NONCE).contains(&self.nonce.len()) && self.nonce.bytes().all(is_plain)
    }
}

/// Who the client says it is. Part of the pairing: 2026.9.6 asks for approval again when the
/// platform changes, so all of it is fixed for the life of a client.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) client_id: String,
    pub(crate) mode: String,
    pub(crate) display_name: String,
    pub(crate) version: String,
    pub(crate) platform: String,
    pub(crate) device_family: Option<String>,
    pub(crate) role: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) caps: Vec<String>,
}

/// Parameters of `connect`. Gateways refuse properties that they do not know, so what is absent is
/// left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectParams<'a> {
    pub(crate) min_protocol: u32,
    pub(crate) max_protocol: u32,
    pub(crate) client: ClientInfo<'a>,
    pub(crate) caps: &'a [String],
    pub(crate) role: &'a str,
    pub(crate) scopes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DeviceProof<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<AuthParams<'a>>,
    pub(crate) user_agent: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientInfo<'a> {
    pub(crate) id: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) platform: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_family: Option<&'a str>,
    pub(crate) mode: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceProof<'a> {
    pub(crate) id: &'a str,
    pub(crate) public_key: String,
    pub(crate) signature: String,
    pub(crate) signed_at: u64,
    pub(crate) nonce: &'a str,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthParams<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    /// Known to protocol 4 only; 2026.2.9 answers it with a schema error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<&'a str>,
}

impl std::fmt::Debug for AuthParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthParams").finish_non_exhaustive()
    }
}

impl<'a> AuthParams<'a> {
    /// The token that the device's signature covers: `auth.token`, else `auth.deviceToken`, else
    /// nothing. The password is never part of it (measured on both generations).
    pub(crate) fn signed_token(&self) -> &'a str {
        self.token.or(self.device_token).unwrap_or("")
    }
}

/// The text that the device signs.
///
/// `v2|deviceId|clientId|clientMode|role|scopes|signedAtMs|token|nonce`, and for v3 the platform and
/// the device family behind it, trimmed and with ASCII letters in lower case. Measured: 2026.9.6
/// takes v3 and v2, 2026.2.9 only v2.
pub(crate) fn signed_text(
    version: SignatureVersion,
    device_id: &str,
    profile: &Profile,
    challenge: &Challenge,
    token: &str,
) -> zeroize::Zeroizing<String> {
    let scopes = profile.scopes.join(",");
    let at = challenge.ts.to_string();
    let platform = normalised(&profile.platform);
    let family = normalised(profile.device_family.as_deref().unwrap_or(""));
    let mut parts = vec![
        version.as_str(),
        device_id,
        &profile.client_id,
        &profile.mode,
        &profile.role,
        &scopes,
        &at,
        token,
        &challenge.nonce,
    ];
    if version == SignatureVersion::V3 {
        parts.extend([&*platform, &family]);
    }
    // Of the right length from the start: growing would leave copies of the token behind.
    zeroize::Zeroizing::new(parts.join("|"))
}

fn normalised(value: &str) -> String {
    value.trim().to_ascii_lowercase()
}

/// What the gateway grants on a connection: the payload of `hello-ok`.
///
/// Only what a backend needs is typed; fields that are not known are ignored, as gateways add some
/// in every release. The texts are safe to print. From [`Client::ready`](crate::Client::ready) and
/// [`ConnectionState::Ready`](crate::ConnectionState::Ready):
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let hello = client.ready().await?;
/// println!("gateway {}, protocol {}", hello.server_version, hello.protocol);
/// if !hello.scopes.iter().any(|scope| scope == "operator.write") {
///     println!("this client may look, and no more");
/// }
/// assert!(hello.announces("chat.send"));
/// println!("frames of at most {} bytes", hello.policy.max_payload);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hello {
    /// The protocol of this connection: 3 (2026.2.9) or 4 (2026.9.6).
    pub protocol: u32,
    /// The gateway's own version; 2026.2.9 says `dev`.
    pub server_version: String,
    /// The gateway's id for this connection.
    pub conn_id: String,
    /// New with every start of the gateway's process; 2026.2.9 has none.
    pub boot_id: Option<String>,
    /// Methods that the gateway announces. Not a complete list: do not refuse a call for it.
    pub methods: Vec<String>,
    /// Events that the gateway announces.
    pub events: Vec<String>,
    /// How we were let in: `token`, `password`, `device-token`, …; 2026.2.9 does not say.
    pub auth_method: Option<String>,
    /// The role of this connection.
    pub role: String,
    /// The scopes live on this connection (2026.9.6), or those of the device token (2026.2.9).
    pub scopes: Vec<String>,
    /// Limits that hold on this connection.
    pub policy: Policy,
    /// The gateway's state at the moment of the hello, as it came.
    pub snapshot: Arc<Value>,
    pub(crate) device_token: Option<Token>,
}

/// Limits that the gateway announces in `hello-ok`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The largest frame that the gateway reads, in bytes (26,214,400 on 2026.9.6, 524,288 on 2026.2.9).
    pub max_payload: usize,
    /// The gateway drops a client that lets more than this many bytes pile up.
    pub max_buffered_bytes: usize,
    /// How often the gateway sends `tick`. Silence for twice as long means that the link is dead.
    pub tick_interval: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HelloWire {
    protocol: u32,
    server: ServerWire,
    #[serde(default)]
    features: FeaturesWire,
    #[serde(default)]
    snapshot: Value,
    #[serde(default)]
    auth: Option<AuthWire>,
    #[serde(default)]
    policy: PolicyWire,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerWire {
    #[serde(default)]
    version: String,
    #[serde(default)]
    conn_id: String,
    #[serde(default)]
    boot_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct FeaturesWire {
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthWire {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    device_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyWire {
    #[serde(default)]
    max_payload: Option<f64>,
    #[serde(default)]
    max_buffered_bytes: Option<f64>,
    #[serde(default)]
    tick_interval_ms: Option<f64>,
}

/// The limits of 2026.2.9, the smaller of the two generations, for a gateway that names none.
const DEFAULT_MAX_PAYLOAD: f64 = 524_288.0;
const DEFAULT_MAX_BUFFERED: f64 = 1_572_864.0;
/// Both generations tick every 30 s.
const DEFAULT_TICK_MS: f64 = 30_000.0;

impl Hello {
    /// Reads the payload of the answer to `connect`. `profile` fills in what 2026.2.9 leaves out.
    pub(crate) fn parse(payload: &str, profile: &Profile) -> Result<Self, serde_json::Error> {
        let wire: HelloWire = serde_json::from_str(payload)?;
        if !(MIN_PROTOCOL..=MAX_PROTOCOL).contains(&wire.protocol) {
            return Err(serde::de::Error::custom("a protocol that was not offered"));
        }
        let auth = wire.auth;
        let (method, role, scopes, device_token) = match auth {
            Some(auth) => (auth.method, auth.role, auth.scopes, auth.device_token),
            None => (None, None, None, None),
        };
        Ok(Self {
            protocol: wire.protocol,
            server_version: word(&wire.server.version),
            conn_id: word(&wire.server.conn_id),
            boot_id: wire.server.boot_id.as_deref().map(word),
            methods: wire.features.methods,
            events: wire.features.events,
            auth_method: method.as_deref().map(word),
            role: role.map_or_else(|| profile.role.clone(), |role| word(&role)),
            scopes: scopes.map_or_else(|| profile.scopes.clone(), |scopes| words(&scopes)),
            policy: Policy::from_wire(&wire.policy),
            snapshot: Arc::new(wire.snapshot),
            // A token that cannot be one of ours (blank, a placeholder) is as good as none.
            device_token: device_token.and_then(|token| Token::new(token).ok()),
        })
    }

    /// Whether the gateway announces `method`. A `false` is a hint, not proof: the list that
    /// gateways send is not complete.
    #[must_use]
    pub fn announces(&self, method: &str) -> bool {
        self.methods.iter().any(|name| name == method)
    }
}

impl Policy {
    fn from_wire(wire: &PolicyWire) -> Self {
        let number = |value: Option<f64>, default: f64, least: f64, most: f64| {
            value
                .filter(|value| value.is_finite() && *value > 0.0)
                .unwrap_or(default)
                .clamp(least, most)
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to a small positive range"
        )]
        let bytes = |value: f64| value as usize;
        Self {
            max_payload: bytes(number(wire.max_payload, DEFAULT_MAX_PAYLOAD, 1024.0, 1e9)),
            max_buffered_bytes: bytes(number(
                wire.max_buffered_bytes,
                DEFAULT_MAX_BUFFERED,
                1024.0,
                4e9,
            )),
            // A tick more often than once a second would make the watchdog nervous; one a day
            // would blind it.
            tick_interval: Duration::from_secs_f64(
                number(wire.tick_interval_ms, DEFAULT_TICK_MS, 1000.0, 600_000.0) / 1000.0,
            ),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn profile() -> Profile {
        Profile {
            client_id: "gateway-client".into(),
            mode: "backend".into(),
            display_name: "backend-adapter".into(),
            version: "0.1.0".into(),
            platform: " Backend ".into(),
            device_family: Some("iPhone ÄB".into()),
            role: "operator".into(),
            scopes: vec!["operator.read".into(), "operator.write".into()],
            caps: Vec::new(),
        }
    }

    /// A hello of either generation.
    pub(crate) fn hello(protocol: u32) -> Hello {
        let text = format!(r#"{{"protocol":{protocol},"server":{{"connId":"c"}}}}"#);
        Hello::parse(&text, &profile()).unwrap()
    }

    #[test]
    fn the_signed_text_has_the_measured_order_and_normalisation() {
        let challenge = Challenge {
            nonce: "n-1".into(),
            ts: 1_700_000_000_123,
            capabilities: None,
        };
        let text = |version| signed_text(version, "d1", &profile(), &challenge, "tok").to_string();
        assert_eq!(
            text(SignatureVersion::V2),
            "v2|d1|gateway-client|backend|operator|operator.read,operator.write|1700000000123|tok|n-1"
        );
        assert_eq!(
            text(SignatureVersion::V3),
            "v3|d1|gateway-client|backend|operator|operator.read,operator.write|1700000000123|tok|n-1|backend|iphone Äb"
        );
    }

    #[test]
    fn the_signature_covers_the_token_that_is_sent_and_never_the_password() {
        let both = AuthParams {
            token: Some("shared"),
            device_token: Some("device"),
            password: None,
        };
        let device = AuthParams {
            device_token: Some("device"),
            ..AuthParams::default()
        };
        let password = AuthParams {
            password: Some("secret"),
            ..AuthParams::default()
        };
        assert_eq!(both.signed_token(), "shared");
        assert_eq!(device.signed_token(), "device");
        assert_eq!(password.signed_token(), "");
    }

    #[test]
    fn a_hello_without_auth_or_policy_gets_safe_defaults() {
        let hello = Hello::parse(
            r#"{"type":"hello-ok","protocol":3,"server":{"version":"dev","connId":"c"},"policy":{"tickIntervalMs":-5}}"#,
            &profile(),
        )
        .unwrap();
        assert_eq!(hello.role, "operator");
        assert_eq!(hello.scopes, profile().scopes);
        assert_eq!(hello.policy.max_payload, 524_288);
        assert_eq!(hello.policy.tick_interval, Duration::from_secs(30));
        assert!(hello.device_token.is_none());
    }

    #[test]
    fn a_hello_never_shows_its_device_token() {
        let hello = Hello::parse(
            r#"{"protocol":4,"server":{"version":"2026.9.6","connId":"c","bootId":"b"},"auth":{"method":"token","role":"operator","scopes":["operator.read"],"deviceToken":"canary-device-token"}}"#,
            &profile(),
        )
        .unwrap();
        assert!(hello.device_token.is_some());
        assert!(!format!("{hello:?}").contains("canary"));
    }
}
