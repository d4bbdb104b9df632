//! The connect request in all its right and wrong forms, and first messages that are none.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::Target;
use super::client::{Client, Via};
use super::device::{Claims, Device, Version, zero_signature};

/// What stands in `device.nonce`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nonce {
    Challenge,
    LeftOut,
    Other,
}

/// One connect, as a default client of the recordings would make it unless changed.
pub(super) struct Attempt {
    via: Via,
    headers: Vec<(&'static str, &'static str)>,
    device: Option<Device>,
    pub(super) client: Value,
    pub(super) role: &'static str,
    scopes: Vec<String>,
    auth: Option<Value>,
    range: (u32, u32),
    version: Version,
    signed_token: Option<&'static str>,
    signed_at_offset_ms: i64,
    nonce: Nonce,
    change: fn(&mut Map<String, Value>),
}

impl Attempt {
    pub(super) fn new(target: &Target, via: Via, device: Option<&Device>) -> Self {
        let protocol = target.edition.protocol();
        Self {
            via,
            headers: Vec::new(),
            device: device.cloned(),
            client: json!({
                "id": "gateway-client",
                "mode": "backend",
                "displayName": "backend-adapter",
                "platform": "backend",
                "version": "1.0.0",
            }),
            role: "operator",
            scopes: vec!["operator.read".into(), "operator.write".into()],
            auth: Some(json!({"token": target.token})),
            range: (protocol, protocol),
            version: Version::of(target.edition),
            signed_token: None,
            signed_at_offset_ms: 0,
            nonce: Nonce::Challenge,
            change: |_| {},
        }
    }

    pub(super) fn with_device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// The command line program of the gateway.
    pub(super) fn cli(mut self, platform: &str) -> Self {
        self.client["id"] = "cli".into();
        self.client["mode"] = "cli".into();
        self.client["platform"] = platform.into();
        self
    }

    pub(super) fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self
    }

    pub(super) fn role(mut self, role: &'static str) -> Self {
        self.role = role;
        self
    }

    pub(super) fn auth(mut self, auth: Value) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Dials, answers the challenge, and reads up to hello-ok or the close.
    pub(super) async fn play(self, target: &Target) -> Result<Client> {
        let mut client = Client::dial(target, self.via, &self.headers).await?;
        if !client.is_open() {
            return Ok(client);
        }
        let (nonce, ts) = client.challenge()?;
        let params = self.params(&nonce, ts);
        let id = uuid::Uuid::new_v4().to_string();
        let frame = json!({"type": "req", "id": id, "method": "connect", "params": params});
        client.send_text(frame.to_string()).await?;
        client.until_hello_or_close().await?;
        Ok(client)
    }

    pub(super) fn params(&self, nonce: &str, ts: i64) -> Value {
        let mut params = Map::new();
        params.insert("minProtocol".into(), self.range.0.into());
        params.insert("maxProtocol".into(), self.range.1.into());
        params.insert("client".into(), self.client.clone());
        params.insert("role".into(), self.role.into());
        params.insert("scopes".into(), self.scopes.clone().into());
        params.insert("caps".into(), json!([]));
        if let Some(auth) = &self.auth {
            params.insert("auth".into(), auth.clone());
        }
        if let Some(device) = &self.device {
            params.insert("device".into(), self.proof(device, nonce, ts));
        }
        (self.change)(&mut params);
        Value::Object(params)
    }

    fn proof(&self, device: &Device, nonce: &str, ts: i64) -> Value {
        let auth = self.auth.as_ref();
        let sent = |field| auth.and_then(|auth| auth[field].as_str());
        let signed_at_ms = ts + self.signed_at_offset_ms;
        let text = |field| self.client[field].as_str().unwrap_or_default();
        let signature = device.sign(
            self.version,
            &Claims {
                client_id: text("id"),
                client_mode: text("mode"),
                role: self.role,
                scopes: &self.scopes,
                signed_at_ms,
                token: self
                    .signed_token
                    .or_else(|| sent("token"))
                    .or_else(|| sent("deviceToken"))
                    .unwrap_or_default(),
                nonce,
                platform: text("platform"),
                device_family: text("deviceFamily"),
            },
        );
        let mut proof = json!({
            "id": device.id(),
            "publicKey": device.public_key(),
            "signature": signature,
            "signedAt": signed_at_ms,
        });
        match self.nonce {
            Nonce::Challenge => proof["nonce"] = nonce.into(),
            Nonce::Other => proof["nonce"] = "abc".into(),
            Nonce::LeftOut => {}
        }
        proof
    }
}

/// The cases that are one connect of a new device, or none if `name` is another kind of case.
pub(super) fn attempt(target: &Target, name: &str) -> Option<Attempt> {
    let device = Device::new().ok()?;
    let remote = || Attempt::new(target, Via::Remote, Some(&device));
    let local = || Attempt::new(target, Via::Local, Some(&device));
    Some(match name {
        "unpaired_remote" => remote(),
        "unpaired_sig_v2" => Attempt {
            version: Version::V2,
            ..remote()
        },
        "unpaired_sig_v3" => Attempt {
            version: Version::V3,
            ..remote()
        },
        "unpaired_sig_v1" => Attempt {
            version: Version::V1,
            nonce: Nonce::LeftOut,
            ..remote()
        },
        "wrong_token" => remote().auth(json!({"token": "wrong"})),
        "no_token" => Attempt {
            auth: None,
            ..remote()
        },
        "signed_with_other_token" => Attempt {
            signed_token: Some("other"),
            ..remote()
        },
        "bad_signature" => Attempt {
            change: |params| params["device"]["signature"] = zero_signature().into(),
            ..remote()
        },
        "stale_timestamp" => Attempt {
            signed_at_offset_ms: -700_000,
            ..remote()
        },
        "missing_nonce" => Attempt {
            nonce: Nonce::LeftOut,
            ..remote()
        },
        "wrong_nonce" => Attempt {
            nonce: Nonce::Other,
            ..remote()
        },
        "wrong_device_id" => Attempt {
            change: |params| params["device"]["id"] = "0".repeat(64).into(),
            ..remote()
        },
        "no_device" => Attempt::new(target, Via::Remote, None),
        "unknown_client_id" => {
            let mut attempt = remote();
            attempt.client["id"] = "backend-adapter".into();
            attempt
        }
        "unknown_client_mode" => {
            let mut attempt = remote();
            attempt.client["mode"] = "server".into();
            attempt
        }
        "unknown_role" => remote().role("root"),
        "node_role" => {
            let mut attempt = remote().role("node").scopes(&[]);
            attempt.client["id"] = "node-host".into();
            attempt.client["mode"] = "node".into();
            attempt
        }
        "protocol_too_old" => Attempt {
            range: (1, 2),
            ..remote()
        },
        "protocol_too_new" => Attempt {
            range: (5, 6),
            ..remote()
        },
        "protocol_3_only" => Attempt {
            range: (3, 3),
            ..remote()
        },
        "protocol_4_only" => Attempt {
            range: (4, 4),
            ..remote()
        },
        "protocol_3_to_4" => Attempt {
            range: (3, 4),
            ..remote()
        },
        "extra_param" => Attempt {
            change: |params| {
                params.insert("bogus".into(), true.into());
            },
            ..remote()
        },
        "missing_client" => Attempt {
            change: |params| {
                params.remove("client");
            },
            ..remote()
        },
        "instance_id" => {
            let mut attempt = remote();
            attempt.client["instanceId"] = uuid::Uuid::new_v4().to_string().into();
            attempt
        }
        "forwarded_header" => Attempt {
            headers: vec![("X-Forwarded-For", "10.9.8.7")],
            ..local()
        },
        "local_backend" => local(),
        "local_cli" => local().cli("linux"),
        "local_wrong_token" => local().auth(json!({"token": "wrong"})),
        _ => return None,
    })
}

/// A first message that is not a connect request.
pub(super) async fn first_message(target: &Target, name: &str) -> Result<Vec<Value>> {
    let mut client = Client::dial(target, Via::Remote, &[]).await?;
    let id = uuid::Uuid::new_v4().to_string();
    let text = match name {
        "first_request_not_connect" => {
            json!({"type": "req", "id": id, "method": "health", "params": {}}).to_string()
        }
        "raw_not_frame" => json!({"a": 1}).to_string(),
        "raw_connect_no_id" => {
            json!({"type": "req", "method": "connect", "params": {}}).to_string()
        }
        _ => "garbage".to_owned(),
    };
    client.send_text(text).await?;
    client.until_closed(Duration::from_secs(5)).await?;
    Ok(vec![client.into_log().into()])
}

/// A client that says nothing; the log ends with how long it was borne, in whole seconds.
pub(super) async fn silent_client(target: &Target) -> Result<Vec<Value>> {
    let dialled = Instant::now();
    let mut client = Client::dial(target, Via::Remote, &[]).await?;
    client
        .until_closed(Duration::from_secs(20))
        .await
        .context("a silent client is not closed")?;
    let seconds = (dialled.elapsed() + Duration::from_millis(500)).as_secs();
    let mut log = client.into_log();
    log.push(json!({"seconds": seconds}));
    Ok(vec![log.into()])
}
