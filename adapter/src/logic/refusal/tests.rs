use serde_json::json;

use super::*;

const TOKEN: FixHints<'_> = FixHints {
    origin: "OPENCLAW_GATEWAY_TOKEN",
    is_password: false,
};
const PASSWORD: FixHints<'_> = FixHints {
    origin: "OPENCLAW_GATEWAY_PASSWORD",
    is_password: true,
};

fn error(value: serde_json::Value) -> GatewayError {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_details_win_over_the_words() {
    let kind = RefusalKind::of(&error(json!({
        "code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch",
        "details":{"code":"AUTH_DEVICE_TOKEN_MISMATCH"}
    })));
    assert_eq!(kind, RefusalKind::DeviceTokenMismatch);
}

#[test]
fn an_unknown_detail_code_falls_back_to_the_words() {
    let kind = RefusalKind::of(&error(json!({
        "code":"INVALID_REQUEST","message":"device signature expired","details":{"code":"SOMETHING_NEW"}
    })));
    assert_eq!(kind, RefusalKind::SignatureExpired);
}

#[test]
fn a_retryable_refusal_of_an_unknown_kind_is_waited_for() {
    let kind = RefusalKind::of(&error(json!({
        "code":"SOMETHING_NEW","message":"later, please","retryable":true
    })));
    assert_eq!(kind, RefusalKind::Unavailable);
}

#[test]
fn a_cut_close_reason_is_still_understood() {
    assert_eq!(
        RefusalKind::from_words(
            "pairing required: device is asking for a higher role than currently approved (requestId: 6a43983e-0"
        ),
        Some(RefusalKind::PairingRequired)
    );
    assert_eq!(RefusalKind::from_words("slow consumer"), None);
}

#[test]
fn every_kind_has_a_word_and_an_advice_of_its_own_sentence() {
    for kind in [
        RefusalKind::TokenMismatch,
        RefusalKind::TokenMissing,
        RefusalKind::PasswordMismatch,
        RefusalKind::ScopeMismatch,
        RefusalKind::RateLimited,
        RefusalKind::SignatureInvalid,
        RefusalKind::ProtocolMismatch,
        RefusalKind::Other,
    ] {
        let fix = kind.fix(&TOKEN);
        assert!(fix.ends_with('.'), "{kind:?}: {fix}");
        assert!(!kind.as_str().contains(' '));
    }
}

#[test]
fn the_token_advice_says_where_the_token_lives_and_that_an_edit_needs_a_restart() {
    let fix = RefusalKind::TokenMismatch.fix(&TOKEN);
    for needle in [
        "gateway.auth.token",
        "openclaw.json",
        "OPENCLAW_GATEWAY_TOKEN",
        "restart the gateway",
    ] {
        assert!(fix.contains(needle), "{needle} is not in: {fix}");
    }
}

#[test]
fn a_credential_for_the_other_mode_is_to_go_and_the_right_one_is_named() {
    for kind in [RefusalKind::TokenMismatch, RefusalKind::TokenMissing] {
        assert_eq!(
            kind.fix(&PASSWORD),
            "The gateway is in token mode: unset OPENCLAW_GATEWAY_PASSWORD, and set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token of its openclaw.json."
        );
        assert!(!kind.fix(&TOKEN).contains("unset"));
    }
    for kind in [RefusalKind::PasswordMismatch, RefusalKind::PasswordMissing] {
        assert_eq!(
            kind.fix(&TOKEN),
            "The gateway is in password mode: unset OPENCLAW_GATEWAY_TOKEN, and set OPENCLAW_GATEWAY_PASSWORD to gateway.auth.password of its openclaw.json."
        );
        assert_eq!(
            kind.fix(&PASSWORD),
            "Set OPENCLAW_GATEWAY_PASSWORD to gateway.auth.password of the gateway's openclaw.json."
        );
        let file = FixHints {
            origin: "/run/secrets/token",
            ..TOKEN
        };
        let fix = kind.fix(&file);
        assert!(
            fix.contains("instead of /run/secrets/token") && !fix.contains("unset"),
            "{fix}"
        );
    }
}

#[test]
fn where_a_password_was_refused_no_token_is_to_be_copied_into_it() {
    for kind in [RefusalKind::DeviceTokenMismatch, RefusalKind::ScopeMismatch] {
        let fix = kind.fix(&PASSWORD);
        assert!(
            fix.contains("set OPENCLAW_GATEWAY_PASSWORD to gateway.auth.password"),
            "{fix}"
        );
        assert!(!fix.contains("shared token"), "{fix}");
    }
}
