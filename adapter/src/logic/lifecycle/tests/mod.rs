//! The transition table, row by row, on the frames of both generations.

use serde_json::{Value, json};

use super::*;
use crate::base::identity::DeviceIdentity;
use crate::logic::pairing::PairingReason;
use crate::protocol::connect::tests::profile;

mod chance;

const NEW: bool = true;
const OLD: bool = false;

struct Fixture {
    lifecycle: Lifecycle,
    device: DeviceId,
    now: Instant,
}

#[derive(Clone, Copy, Default)]
struct Setup {
    pairing: PairingPolicy,
    token_is_file: bool,
    no_fallback: bool,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Setup::default())
    }

    fn with(setup: Setup) -> Self {
        let now = Instant::now();
        let rules = Rules {
            profile: Arc::new(profile()),
            pairing: setup.pairing,
            retry: RetryPolicy::default(),
            may_fall_back: !setup.no_fallback,
            token_origin: "OPENCLAW_GATEWAY_TOKEN".into(),
            token_is_file: setup.token_is_file,
        };
        let device = DeviceIdentity::generate(0).unwrap().id().clone();
        let secret = Secret::Token(token("shared-token"));
        Self {
            lifecycle: Lifecycle::new(rules, secret, now, 7),
            device,
            now,
        }
    }

    /// Holds a device token as if it came from the store.
    fn holding(mut self, scopes: &[&str]) -> Self {
        self.lifecycle.remember(
            None,
            Some(DeviceToken::new(
                token("device-token"),
                "operator",
                scopes.iter().map(|scope| (*scope).into()).collect(),
                1,
            )),
        );
        self
    }

    fn ended(&mut self, outcome: Outcome) -> Next {
        self.lifecycle.begin();
        self.lifecycle
            .attempt_ended(self.now, 0, &self.device, outcome)
    }

    fn refused(&mut self, new_generation: bool, error: Value) -> Next {
        self.ended(Outcome::Refused {
            error: serde_json::from_value(error).unwrap(),
            new_generation,
        })
    }

    fn accepted(&mut self, device_token: Option<&str>) -> Next {
        let hello = Hello::parse(
            &json!({"protocol":4,"server":{"version":"v","connId":"c"},
                "auth":{"role":"operator","scopes":["operator.read","operator.write"],"deviceToken":device_token}})
            .to_string(),
            &profile(),
        )
        .unwrap();
        self.ended(Outcome::Accepted(Box::new(hello)))
    }

    fn lost(&mut self, lived: u64, code: u16) -> Next {
        self.now += Duration::from_secs(lived);
        let close = CloseInfo {
            code,
            reason: String::new(),
        };
        self.lifecycle
            .connection_lost(Duration::from_secs(lived), Loss::of_close(&close, false))
    }

    /// Reads the token's file after a refusal of the shared token.
    fn refused_and_read(&mut self, file: &str) -> Next {
        let Next::ReadToken { refusal, otherwise } = self.refused(NEW, token_mismatch()) else {
            panic!("the file is not read");
        };
        self.lifecycle
            .token_read(Some(token(file)), refusal, otherwise)
    }

    fn offers_device_token(&mut self) -> bool {
        matches!(self.lifecycle.begin().0, Auth::Device(_))
    }
}

fn token(value: &str) -> Token {
    Token::new(value).unwrap()
}

fn token_mismatch() -> Value {
    json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (provide gateway auth token)",
        "details":{"code":"AUTH_TOKEN_MISMATCH","canRetryWithDeviceToken":true}})
}

fn old_token_mismatch() -> Value {
    json!({"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (provide gateway auth token)"})
}

fn device_token_mismatch() -> Value {
    json!({"code":"INVALID_REQUEST","message":"unauthorized: device token mismatch (rotate/reissue device token)",
        "details":{"code":"AUTH_DEVICE_TOKEN_MISMATCH"}})
}

fn pairing(id: &str) -> Value {
    json!({"code":"NOT_PAIRED","message":"pairing required: device is not approved yet",
        "details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":id}})
}

fn stop_kind(next: &Next) -> &'static str {
    match next {
        Next::Stop(reason) => reason.kind(),
        other => panic!("expected a stop, got {other:?}"),
    }
}

fn delay(next: &Next) -> Duration {
    match next {
        Next::BackOff { delay, .. } | Next::Await { delay, .. } => *delay,
        other => panic!("expected a wait, got {other:?}"),
    }
}

const ENOUGH: &[&str] = &["operator.read", "operator.write"];

#[test]
fn a_failed_dial_backs_off() {
    let mut life = Fixture::new();
    let failed = || Outcome::Failed(TransportError::new(TransportErrorKind::Connect, "refused"));
    assert!(delay(&life.ended(failed())) <= Duration::from_millis(750));
    assert!(delay(&life.ended(failed())) >= Duration::from_millis(500));
}

#[test]
fn a_transient_upgrade_refusal_waits_as_long_as_it_says() {
    let mut life = Fixture::new();
    let refusal = |status, retry_after| {
        Outcome::UpgradeRefused(UpgradeRefusal {
            status,
            message: String::new(),
            location: None,
            retry_after,
            answered_by: None,
        })
    };
    let hint = Duration::from_secs(7);
    for status in [429, 502, 503, 504] {
        assert!(
            delay(&life.ended(refusal(status, Some(hint)))) >= hint,
            "{status}"
        );
    }
    for status in [200, 301, 401, 403, 404] {
        assert_eq!(
            stop_kind(&life.ended(refusal(status, None))),
            "upgrade_refused",
            "{status}"
        );
    }
}

#[test]
fn a_starting_gateway_is_waited_for_as_long_as_it_says() {
    let mut life = Fixture::new();
    let next = life.refused(
        NEW,
        json!({"code":"UNAVAILABLE","message":"gateway starting; retry shortly","retryable":true,
            "retryAfterMs":500,"details":{"reason":"startup-sidecars"}}),
    );
    let waits = delay(&next);
    assert!(waits >= Duration::from_millis(500) && waits <= Duration::from_millis(600));
}

#[test]
fn a_starting_gateway_that_says_at_once_is_not_asked_without_a_pause() {
    let mut life = Fixture::new();
    for ms in [json!(0), json!(0.001), json!(1)] {
        let next = life.refused(
            NEW,
            json!({"code":"UNAVAILABLE","message":"gateway starting","retryAfterMs":ms}),
        );
        assert!(delay(&next) >= Duration::from_millis(100), "{ms}");
    }
}

#[test]
fn a_token_for_another_role_is_not_kept() {
    let mut life = Fixture::new();
    let hello =
        json!({"protocol":4,"server":{},"auth":{"role":"node","scopes":[],"deviceToken":"d-0123"}});
    let hello = Hello::parse(&hello.to_string(), &profile()).unwrap();
    assert!(matches!(
        life.ended(Outcome::Accepted(Box::new(hello))),
        Next::Ready(_)
    ));
    assert!(life.lifecycle.take_follow_ups().is_empty());
}

#[test]
fn a_rate_limit_is_waited_for_with_or_without_a_time() {
    let mut life = Fixture::new();
    let limited = |ms: Option<u32>| {
        json!({"code":"INVALID_REQUEST","message":"unauthorized: too many failed authentication attempts (retry later)",
            "retryAfterMs":ms,"details":{"code":"AUTH_RATE_LIMITED"}})
    };
    assert!(delay(&life.refused(NEW, limited(Some(299_981)))) >= Duration::from_millis(299_981));
    assert!(delay(&life.refused(NEW, limited(None))) >= Duration::from_secs(60));
}

#[test]
fn pairing_is_awaited_and_announced_once_per_request() {
    let mut life = Fixture::new();
    let announced = |next: &Next| match next {
        Next::Await {
            announce, pairing, ..
        } => {
            assert_eq!(pairing.reason, PairingReason::NotPaired);
            *announce
        }
        other => panic!("{other:?}"),
    };
    assert!(announced(&life.refused(NEW, pairing("a"))));
    assert!(!announced(&life.refused(NEW, pairing("a"))));
    assert!(announced(&life.refused(NEW, pairing("b"))));
    assert!(matches!(life.accepted(Some("fresh-token")), Next::Ready(_)));
    assert!(announced(&life.refused(NEW, pairing("b"))));
}

#[test]
fn pairing_stops_when_the_policy_says_so() {
    let mut life = Fixture::with(Setup {
        pairing: PairingPolicy::FailFast,
        ..Setup::default()
    });
    assert_eq!(
        stop_kind(&life.refused(NEW, pairing("a"))),
        "pairing_not_approved"
    );
}

#[test]
fn an_old_gateway_gets_the_other_signature_once_and_it_is_remembered_when_it_passes() {
    let mut life = Fixture::new();
    assert_eq!(life.lifecycle.begin().1, SignatureVersion::V3);
    let invalid = || json!({"code":"INVALID_REQUEST","message":"device signature invalid"});
    assert!(matches!(life.refused(OLD, invalid()), Next::Again));
    assert_eq!(life.lifecycle.begin().1, SignatureVersion::V2);
    assert!(life.lifecycle.take_follow_ups().is_empty());
    life.refused(OLD, pairing("a"));
    assert!(matches!(
        life.lifecycle.take_follow_ups()[..],
        [FollowUp::RememberSignature(SignatureVersion::V2)]
    ));

    let mut life = Fixture::new();
    life.refused(OLD, invalid());
    assert_eq!(
        stop_kind(&life.refused(OLD, invalid())),
        "signature_invalid"
    );
}

#[test]
fn a_wrong_token_without_a_device_token_stops_at_once() {
    let mut life = Fixture::new();
    let next = life.refused(NEW, token_mismatch());
    assert_eq!(stop_kind(&next), "token_mismatch");
    let Next::Stop(reason) = next else { panic!() };
    assert!(reason.fix().contains("OPENCLAW_GATEWAY_TOKEN"));
}

#[test]
fn a_stale_token_of_an_approved_device_is_bridged_by_its_own_token() {
    for (generation, refusal) in [(NEW, token_mismatch()), (OLD, old_token_mismatch())] {
        let mut life = Fixture::new().holding(ENOUGH);
        assert!(matches!(life.refused(generation, refusal), Next::Again));
        assert!(life.offers_device_token());
        assert!(matches!(
            life.accepted(Some("device-token")),
            Next::Ready(_)
        ));
        let warned = |life: &mut Fixture| {
            let follow_ups = life.lifecycle.take_follow_ups();
            follow_ups
                .iter()
                .any(|follow_up| matches!(follow_up, FollowUp::WarnStaleSecret))
        };
        assert!(warned(&mut life));
        life.lost(100, 1012);
        assert!(life.offers_device_token());
        life.accepted(Some("device-token"));
        assert!(!warned(&mut life), "told twice");
    }
}

#[test]
fn the_device_token_stays_home_when_it_is_told_to() {
    let mut life = Fixture::with(Setup {
        no_fallback: true,
        ..Setup::default()
    })
    .holding(ENOUGH);
    assert_eq!(
        stop_kind(&life.refused(NEW, token_mismatch())),
        "token_mismatch"
    );
}

#[test]
fn a_void_device_token_is_forgotten_and_only_then() {
    let forgets = |life: &mut Fixture| {
        let follow_ups = life.lifecycle.take_follow_ups();
        follow_ups
            .iter()
            .any(|follow_up| matches!(follow_up, FollowUp::ForgetToken(_)))
    };
    let mut life = Fixture::new().holding(ENOUGH);
    life.refused(NEW, token_mismatch());
    assert!(!forgets(&mut life));
    assert_eq!(
        stop_kind(&life.refused(NEW, device_token_mismatch())),
        "device_token_mismatch"
    );
    assert!(forgets(&mut life));

    // A harmless close, a starting gateway, a pairing request, a scope mismatch: all keep it.
    let mut life = Fixture::new().holding(ENOUGH);
    life.ended(Outcome::Closed(CloseInfo {
        code: 1013,
        reason: "gateway starting".into(),
    }));
    life.refused(NEW, pairing("a"));
    life.refused(NEW, token_mismatch());
    life.refused(
        NEW,
        json!({"code":"INVALID_REQUEST","message":"x","details":{"code":"AUTH_SCOPE_MISMATCH"}}),
    );
    assert!(!forgets(&mut life));
    assert!(life.lifecycle.credentials.device().is_some());
}

#[test]
fn a_new_device_token_is_stored_and_a_known_one_is_not_written_again() {
    let mut life = Fixture::new().holding(ENOUGH);
    life.accepted(Some("device-token"));
    assert!(life.lifecycle.take_follow_ups().is_empty());
    life.accepted(Some("another-token"));
    let follow_ups = life.lifecycle.take_follow_ups();
    let [FollowUp::StoreToken(stored)] = &follow_ups[..] else {
        panic!("{follow_ups:?}");
    };
    assert_eq!(stored.token().expose_secret(), "another-token");
    assert_eq!(stored.scopes(), ENOUGH);
}

#[test]
fn a_file_is_read_before_anything_else_is_tried() {
    let mut life = Fixture::with(Setup {
        token_is_file: true,
        ..Setup::default()
    })
    .holding(ENOUGH);
    assert!(matches!(life.refused_and_read("new-token"), Next::Again));
    assert!(!life.offers_device_token());
    // The same token again: now the device token, then the end.
    assert!(matches!(life.refused_and_read("new-token"), Next::Again));
    assert!(life.offers_device_token());
    assert_eq!(
        stop_kind(&life.refused(NEW, device_token_mismatch())),
        "device_token_mismatch"
    );
}

#[test]
fn terminal_refusals_stop_with_their_own_kind() {
    for (error, kind) in [
        (
            json!({"code":"INVALID_REQUEST","message":"protocol mismatch","details":{"expectedProtocol":3}}),
            "protocol_mismatch",
        ),
        (
            json!({"code":"INVALID_REQUEST","message":"device identity mismatch"}),
            "device_id_mismatch",
        ),
        (
            json!({"code":"INVALID_REQUEST","message":"device signature expired"}),
            "signature_expired",
        ),
        (
            json!({"code":"INVALID_REQUEST","message":"invalid role"}),
            "invalid_role",
        ),
        (
            json!({"code":"INVALID_REQUEST","message":"invalid connect params: at /client/id: must be equal to constant"}),
            "invalid_params",
        ),
        (
            json!({"code":"INVALID_REQUEST","message":"origin not allowed (open the Control UI …)"}),
            "origin_not_allowed",
        ),
        (json!({"code":"SURPRISE","message":"no"}), "refused"),
    ] {
        let mut life = Fixture::new();
        assert_eq!(stop_kind(&life.refused(OLD, error)), kind);
    }
}

#[test]
fn a_close_without_an_answer_is_read_by_code_and_words() {
    let closed = |code, reason: &str| {
        Fixture::new().ended(Outcome::Closed(CloseInfo {
            code,
            reason: reason.into(),
        }))
    };
    for (code, reason) in [
        (1000, ""),
        (1006, ""),
        (1008, "slow consumer"),
        (1009, ""),
        (1011, "x"),
        (1012, "service restart"),
        (1013, "gateway starting"),
        (4001, "gateway auth changed"),
    ] {
        assert!(
            matches!(closed(code, reason), Next::BackOff { .. }),
            "{code} {reason}"
        );
    }
    assert_eq!(
        stop_kind(&closed(1002, "protocol mismatch")),
        "protocol_mismatch"
    );
    assert_eq!(
        stop_kind(&closed(1008, "unauthorized: gateway token mismatch (pro")),
        "token_mismatch"
    );
    assert!(matches!(
        closed(1008, "pairing required: device is not app"),
        Next::Await { .. }
    ));
}

#[test]
fn a_session_that_the_gateway_ends_is_taken_up_at_once_but_not_for_ever() {
    let mut life = Fixture::new();
    life.accepted(None);
    assert!(matches!(life.lost(100, 4001), Next::Again));
    life.accepted(None);
    assert!(matches!(life.lost(1, 4001), Next::BackOff { .. }));
    life.accepted(None);
    assert!(matches!(life.lost(31, 4001), Next::Again));
}

#[test]
fn a_gateway_that_ends_every_session_is_not_asked_twice_after_each_pause() {
    let mut life = Fixture::new();
    life.accepted(None);
    assert!(matches!(life.lost(1, 4001), Next::Again));
    for _ in 0..10 {
        life.now += Duration::from_secs(40);
        life.accepted(None);
        assert!(matches!(life.lost(1, 4001), Next::BackOff { .. }));
    }
}

#[test]
fn the_back_off_starts_over_only_after_a_good_while() {
    let mut life = Fixture::new();
    for _ in 0..6 {
        life.accepted(None);
        life.lost(1, 1006);
    }
    life.accepted(None);
    assert!(
        delay(&life.lost(1, 1006)) > Duration::from_secs(8),
        "a flapping gateway is not hammered"
    );
    life.accepted(None);
    assert!(delay(&life.lost(30, 1006)) <= Duration::from_millis(750));
}

#[test]
fn another_token_starts_over() {
    let mut life = Fixture::new();
    life.refused(NEW, token_mismatch());
    assert!(life.lifecycle.is_new_token(&token("right-token")));
    life.lifecycle
        .set_secret(Secret::Token(token("right-token")), "elsewhere".into());
    assert!(!life.lifecycle.is_new_token(&token("right-token")));
    assert!(matches!(life.accepted(None), Next::Ready(_)));
}
