//! Whatever a gateway answers, and in whatever order: it is never asked without a pause for long.

use proptest::prelude::*;

use super::*;

/// How often it may be asked at once, one after the other: the other signature, the other credential,
/// another token in the file, and each of them once more after a change.
const AT_ONCE: usize = 6;

const DETAILS: [&str; 14] = [
    "AUTH_TOKEN_MISMATCH",
    "AUTH_TOKEN_MISSING",
    "AUTH_PASSWORD_MISMATCH",
    "AUTH_DEVICE_TOKEN_MISMATCH",
    "AUTH_SCOPE_MISMATCH",
    "AUTH_RATE_LIMITED",
    "AUTH_UNAUTHORIZED",
    "PAIRING_REQUIRED",
    "DEVICE_AUTH_SIGNATURE_INVALID",
    "DEVICE_AUTH_SIGNATURE_EXPIRED",
    "PROTOCOL_MISMATCH",
    "GATEWAY_STARTING",
    "SOMETHING_NEW",
    "",
];

fn outcome() -> impl Strategy<Value = (Value, u16, u8)> {
    let error = (
        prop::sample::select(DETAILS.to_vec()),
        prop::sample::select(vec!["INVALID_REQUEST", "UNAVAILABLE", "NOT_PAIRED", ""]),
        prop::option::of(-1.0..1e12_f64),
        prop::option::of("[a-z]{1,3}"),
    )
        .prop_map(|(detail, code, after, request)| {
            json!({"code":code,"message":"no","retryAfterMs":after,
                "details":{"code":detail,"requestId":request}})
        });
    let status = prop_oneof![1000..1016_u16, 4000..4004_u16, 300..600_u16];
    (error, status, 0..9_u8)
}

fn happen(life: &mut Fixture, (error, status, which): (Value, u16, u8)) -> Next {
    match which {
        0..=4 => life.refused(which % 2 == 0, error),
        5 => life.ended(Outcome::Closed(CloseInfo {
            code: status,
            reason: "unauthorized: gateway token mismatch".to_owned(),
        })),
        6 => life.ended(Outcome::UpgradeRefused(UpgradeRefusal {
            status,
            message: String::new(),
            location: None,
            retry_after: None,
            answered_by: None,
        })),
        7 => life.accepted(Some("device-token")),
        _ => {
            let close = CloseInfo {
                code: status,
                reason: String::new(),
            };
            let loss = Loss::of_close(&close, false);
            life.lifecycle.connection_lost(Duration::ZERO, loss)
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_answers_makes_a_client_ask_without_a_pause(
        outcomes in prop::collection::vec(outcome(), 1..200),
        token_is_file: bool,
        tokens in prop::collection::vec("[a-c]", 0..3),
    ) {
        let setup = Setup { token_is_file, ..Setup::default() };
        let mut life = Fixture::with(setup).holding(&["operator.write"]);
        let mut tokens = tokens.into_iter();
        let mut at_once = 0;
        for outcome in outcomes {
            let mut next = happen(&mut life, outcome);
            if let Next::ReadToken { refusal, otherwise } = next {
                let token = tokens.next().map(|text| token(&format!("file-token-{text}")));
                next = life.lifecycle.token_read(token, refusal, otherwise);
            }
            let pause = match next {
                Next::BackOff { delay, .. } | Next::Await { delay, .. } => delay,
                // Whoever is let in, or told to stop, does not ask again by itself.
                Next::Ready(_) | Next::Stop(_) => Duration::MAX,
                Next::Again | Next::ReadToken { .. } => Duration::ZERO,
            };
            if pause == Duration::ZERO {
                at_once += 1;
                prop_assert!(at_once <= AT_ONCE, "asked {at_once} times at once");
            } else {
                prop_assert!(pause >= Duration::from_millis(100), "only {pause:?}");
                prop_assert!(pause == Duration::MAX || pause <= Duration::from_secs(110_000));
                at_once = 0;
            }
            life.lifecycle.take_follow_ups();
            life.now += pause.min(Duration::from_secs(1));
        }
    }
}
