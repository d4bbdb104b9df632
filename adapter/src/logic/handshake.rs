//! One handshake: challenge in, `connect` out, answer in. No I/O.

use serde_json::value::RawValue;

use crate::base::identity::DeviceIdentity;
use crate::base::secret::Token;
use crate::protocol::connect::{
    AuthParams, Challenge, ClientInfo, ConnectParams, DeviceProof, MAX_PROTOCOL, MIN_PROTOCOL,
    Profile, signed_text,
};
use crate::protocol::frame::{self, FrameFault, Incoming};
use crate::protocol::{GatewayError, Hello, SignatureVersion};

/// What one attempt logs in with.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    /// The gateway's shared token.
    Shared(Token),
    /// The gateway's password.
    Password(Token),
    /// This device's own token.
    Device(Token),
    /// Nothing: only to hear the challenge.
    Nothing,
}

/// Everything that one attempt offers.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    /// Without one the gateway judges the token alone: nobody is asked to approve anything.
    pub(crate) identity: Option<&'a DeviceIdentity>,
    pub(crate) profile: &'a Profile,
    pub(crate) auth: &'a Auth,
    pub(crate) signature: SignatureVersion,
}

/// What a frame leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing to do: the frame is not part of the handshake.
    Wait,
    /// Send this text.
    Send(zeroize::Zeroizing<String>),
    /// The gateway let us in.
    Accepted(Box<Hello>),
    /// The gateway refused, and closes by itself.
    Refused(Box<GatewayError>),
}

/// The gateway broke the protocol before letting us in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum HandshakeFault {
    #[error("the gateway sent something that is not JSON")]
    NotJson,
    #[error("the gateway sent something that is not a frame")]
    NotAFrame,
    #[error("the gateway sent a frame of more than 4 MiB before it let us in")]
    TooLarge,
    #[error("the challenge has no usable nonce, or no time")]
    BadChallenge,
    #[error("a second challenge came on one connection")]
    SecondChallenge,
    #[error("the answer to connect is not a hello-ok that this version can read")]
    BadHello,
    #[error("the connect request could not be written as JSON")]
    Encode,
}

/// The largest frame of a handshake, in bytes. A hello of 2026.9.6 has 20 KiB; its snapshot is kept, and
/// takes a multiple of its text as values.
const MAX_FRAME: usize = 4 * 1024 * 1024;

/// The request id of `connect`; calls count from 1.
const CONNECT_ID: u64 = 0;

/// The state of one handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// What the challenge told, once it is there.
    challenged: Option<Challenged>,
}

/// What a challenge tells besides its nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Challenged {
    /// Whether it was one of the 2026.9 generation.
    pub(crate) is_new_generation: bool,
    /// The gateway's clock, in milliseconds since 1970.
    pub(crate) ts: u64,
}

impl Handshake {
    pub(crate) const fn new() -> Self {
        Self { challenged: None }
    }

    /// Whether the challenge came from the 2026.9 generation: it names capabilities, the one of
    /// 2026.2.9 does not (measured on both).
    pub(crate) fn is_new_generation(&self) -> bool {
        self.challenged
            .is_some_and(|challenged| challenged.is_new_generation)
    }

    /// The challenge, once it has arrived.
    pub(crate) const fn challenged(&self) -> Option<Challenged> {
        self.challenged
    }

    /// Takes one text frame. Nothing is sent before the challenge.
    pub(crate) fn on_text(
        &mut self,
        text: &str,
        offer: &Offer<'_>,
    ) -> Result<Step, HandshakeFault> {
        if text.len() > MAX_FRAME {
            return Err(HandshakeFault::TooLarge);
        }
        match frame::parse(text) {
            Ok(Incoming::Event(event)) if event.name == "connect.challenge" => {
                if self.challenged.is_some() {
                    return Err(HandshakeFault::SecondChallenge);
                }
                let challenge: Challenge = event
                    .payload
                    .and_then(|raw| serde_json::from_str(raw.get()).ok())
                    .filter(Challenge::is_usable)
                    .ok_or(HandshakeFault::BadChallenge)?;
                let is_new = challenge.capabilities.is_some();
                self.challenged = Some(Challenged {
                    is_new_generation: is_new,
                    ts: challenge.ts,
                });
                Self::connect(&challenge, is_new, offer).map(Step::Send)
            }
            Ok(Incoming::Response(response))
                if self.challenged.is_some() && response.id == Some(CONNECT_ID) =>
            {
                if response.ok {
                    let payload = response.payload.map_or("", RawValue::get);
                    return Hello::parse(payload, offer.profile)
                        .map(|hello| Step::Accepted(Box::new(hello)))
                        .map_err(|_| HandshakeFault::BadHello);
                }
                Ok(Step::Refused(Box::new(response.error.unwrap_or_else(
                    || GatewayError::from_words("the gateway refused without saying why"),
                ))))
            }
            // Other events and answers to ids that are not ours: some gateways send presence early.
            Ok(Incoming::Event(_) | Incoming::Response(_) | Incoming::Other) => Ok(Step::Wait),
            Err(FrameFault::NotJson) => Err(HandshakeFault::NotJson),
            Err(FrameFault::NotAFrame) => Err(HandshakeFault::NotAFrame),
        }
    }

    fn connect(
        challenge: &Challenge,
        is_new: bool,
        offer: &Offer<'_>,
    ) -> Result<zeroize::Zeroizing<String>, HandshakeFault> {
        let profile = offer.profile;
        // The one value from which both the sent and the signed token are taken.
        let auth = match offer.auth {
            Auth::Password(password) => AuthParams {
                password: Some(password.expose_secret()),
                ..AuthParams::default()
            },
            // In its own field the new generation says precisely what is wrong with it; the old
            // one knows only `token`, and takes a device token there.
            Auth::Device(token) if is_new => AuthParams {
                device_token: Some(token.expose_secret()),
                ..AuthParams::default()
            },
            Auth::Shared(token) | Auth::Device(token) => AuthParams {
                token: Some(token.expose_secret()),
                ..AuthParams::default()
            },
            Auth::Nothing => AuthParams::default(),
        };
        let device = offer.identity.map(|identity| {
            let text = signed_text(
                offer.signature,
                identity.id().as_ref(),
                profile,
                challenge,
                auth.signed_token(),
            );
            DeviceProof {
                id: identity.id().as_ref(),
                public_key: identity.public_key_base64url(),
                signature: identity.sign(&text),
                signed_at: challenge.ts,
                nonce: &challenge.nonce,
            }
        });
        let params = ConnectParams {
            min_protocol: MIN_PROTOCOL,
            max_protocol: MAX_PROTOCOL,
            client: ClientInfo {
                id: &profile.client_id,
                display_name: &profile.display_name,
                version: &profile.version,
                platform: &profile.platform,
                device_family: profile.device_family.as_deref(),
                mode: &profile.mode,
            },
            caps: &profile.caps,
            role: &profile.role,
            scopes: &profile.scopes,
            device,
            auth: Some(auth),
            user_agent: concat!("openclaw-adapter/", env!("CARGO_PKG_VERSION")),
        };
        frame::secret_request(CONNECT_ID, "connect", &params).map_err(|_| HandshakeFault::Encode)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::connect::tests::profile;

    struct Bench {
        identity: DeviceIdentity,
        profile: Profile,
        auth: Auth,
    }

    impl Bench {
        fn new(auth: Auth) -> Self {
            Self {
                identity: DeviceIdentity::generate(0).unwrap(),
                profile: profile(),
                auth,
            }
        }

        fn offer(&self) -> Offer<'_> {
            Offer {
                identity: Some(&self.identity),
                profile: &self.profile,
                auth: &self.auth,
                signature: SignatureVersion::V3,
            }
        }

        fn sent(&self, challenge: &Value) -> Value {
            let mut handshake = Handshake::new();
            let frame = json!({"type":"event","event":"connect.challenge","payload":challenge});
            match handshake.on_text(&frame.to_string(), &self.offer()) {
                Ok(Step::Send(text)) => serde_json::from_str(&text).unwrap(),
                other => panic!("expected a connect, got {other:?}"),
            }
        }
    }

    fn token(value: &str) -> Token {
        Token::new(value).unwrap()
    }

    fn new_challenge() -> Value {
        json!({"nonce":"n","ts":1_795_375_154_446_u64,"capabilities":["model-catalog-snapshot"]})
    }

    #[test]
    fn the_challenge_is_answered_with_its_own_time_and_nonce() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        let sent = bench.sent(&new_challenge());
        assert_eq!(sent["method"], "connect");
        let params = &sent["params"];
        assert_eq!(params["minProtocol"], 3);
        assert_eq!(params["maxProtocol"], 4);
        assert_eq!(params["device"]["signedAt"], 1_795_375_154_446_u64);
        assert_eq!(params["device"]["nonce"], "n");
        assert_eq!(params["auth"], json!({"token":"shared-token"}));
        assert_eq!(params["client"]["id"], "gateway-client");
    }

    #[test]
    fn a_device_token_takes_the_field_that_the_generation_knows() {
        let bench = Bench::new(Auth::Device(token("device-token")));
        assert_eq!(
            bench.sent(&new_challenge())["params"]["auth"],
            json!({"deviceToken":"device-token"})
        );
        assert_eq!(
            bench.sent(&json!({"nonce":"n","ts":1}))["params"]["auth"],
            json!({"token":"device-token"})
        );
    }

    #[test]
    fn without_an_identity_there_is_no_proof_of_one() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        let offer = Offer {
            identity: None,
            ..bench.offer()
        };
        let mut handshake = Handshake::new();
        let frame = json!({"type":"event","event":"connect.challenge","payload":new_challenge()});
        let Ok(Step::Send(text)) = handshake.on_text(&frame.to_string(), &offer) else {
            panic!("no connect");
        };
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(sent["params"].get("device"), None);
        assert_eq!(sent["params"]["auth"], json!({"token":"shared-token"}));
        assert_eq!(handshake.challenged().unwrap().ts, 1_795_375_154_446);
    }

    #[test]
    fn nothing_is_sent_before_the_challenge_and_nothing_twice() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        let mut handshake = Handshake::new();
        let early = json!({"type":"res","id":"0","ok":true,"payload":{"protocol":4,"server":{}}});
        assert!(matches!(
            handshake.on_text(&early.to_string(), &bench.offer()),
            Ok(Step::Wait)
        ));
        let challenge =
            json!({"type":"event","event":"connect.challenge","payload":new_challenge()})
                .to_string();
        assert!(matches!(
            handshake.on_text(&challenge, &bench.offer()),
            Ok(Step::Send(_))
        ));
        assert_eq!(
            handshake.on_text(&challenge, &bench.offer()).unwrap_err(),
            HandshakeFault::SecondChallenge
        );
    }

    #[test]
    fn a_challenge_without_nonce_or_time_is_a_fault() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        for payload in [
            json!({"ts":1}),
            json!({"nonce":" ","ts":1}),
            json!({"nonce":"","ts":1}),
            json!({"nonce":"n|backend","ts":1}),
            json!({"nonce":"n n","ts":1}),
            json!({"nonce":"ä","ts":1}),
            json!({"nonce":"n".repeat(257),"ts":1}),
            json!({"nonce":"n"}),
            json!(null),
        ] {
            let frame = json!({"type":"event","event":"connect.challenge","payload":payload});
            assert_eq!(
                Handshake::new()
                    .on_text(&frame.to_string(), &bench.offer())
                    .unwrap_err(),
                HandshakeFault::BadChallenge
            );
        }
    }

    #[test]
    fn a_frame_that_is_too_large_for_a_handshake_is_not_read() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        let text = format!("[{}0]", "0,".repeat(MAX_FRAME / 2));
        assert_eq!(
            Handshake::new().on_text(&text, &bench.offer()).unwrap_err(),
            HandshakeFault::TooLarge
        );
    }

    #[test]
    fn a_refusal_is_handed_on_whole() {
        let bench = Bench::new(Auth::Shared(token("shared-token")));
        let mut handshake = Handshake::new();
        let challenge =
            json!({"type":"event","event":"connect.challenge","payload":new_challenge()});
        handshake
            .on_text(&challenge.to_string(), &bench.offer())
            .unwrap();
        let refusal = json!({"type":"res","id":"0","ok":false,"error":{"code":"NOT_PAIRED","message":"pairing required","details":{"requestId":"r"}}});
        let Ok(Step::Refused(error)) = handshake.on_text(&refusal.to_string(), &bench.offer())
        else {
            panic!("not refused");
        };
        assert_eq!(error.detail("requestId"), Some("r"));
    }
}
