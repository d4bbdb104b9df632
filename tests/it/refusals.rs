//! Every refusal that was recorded from real gateways of both generations, played to a client: each
//! one has a typed reason and one next action.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use openclaw_adapter::{Client, Config, ConnectionState, Error, MemoryStore, RetryPolicy, Token};
use openclaw_tests::peer::wire;
use serde_json::{Value, json};

/// The request id that stands in for the recordings' placeholders.
const REQUEST_ID: &str = "6a43983e-02b8-4a20-ae96-ec54b6656358";

struct Refusal {
    error: Value,
    code: u16,
    reason: String,
    is_new: bool,
}

/// All distinct refusals of `connect`, by edition and words.
fn recorded() -> BTreeMap<String, Refusal> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut refusals = BTreeMap::new();
    for edition in ["2026.2.9", "2026.9.6"] {
        for file in ["cases", "more"] {
            let path = fixtures.join(format!("{file}-{edition}.json"));
            let text = std::fs::read_to_string(&path)
                .unwrap()
                .replace("<uuid0>", REQUEST_ID);
            collect(
                &serde_json::from_str(&text).unwrap(),
                edition,
                &mut refusals,
            );
        }
    }
    refusals
}

fn collect(value: &Value, edition: &str, refusals: &mut BTreeMap<String, Refusal>) {
    match value {
        Value::Array(items) => {
            for pair in items.windows(2) {
                let (frame, close) = (&pair[0], &pair[1]);
                if frame["type"] == "res" && frame["ok"] == false && close["close"].is_u64() {
                    let error = &frame["error"];
                    let key = format!(
                        "{edition} {} {}",
                        error["details"]["code"], error["message"]
                    );
                    refusals.entry(key).or_insert_with(|| Refusal {
                        error: error.clone(),
                        code: u16::try_from(close["close"].as_u64().unwrap()).unwrap(),
                        reason: close["reason"].as_str().unwrap_or_default().to_owned(),
                        is_new: edition == "2026.9.6",
                    });
                }
            }
            for item in items {
                collect(item, edition, refusals);
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                collect(field, edition, refusals);
            }
        }
        _ => {}
    }
}

/// What the wire notes say that a refusal means, found without the adapter's own tables: by the
/// code where there is one, else by what the message speaks of.
fn expected(error: &Value) -> &'static str {
    let message = error["message"].as_str().unwrap();
    let speaks_of = |words: &str| message.contains(words);
    match error["details"]["code"].as_str() {
        Some("AUTH_TOKEN_MISMATCH") => "token_mismatch",
        Some("AUTH_TOKEN_MISSING") => "token_missing",
        Some("AUTH_DEVICE_TOKEN_MISMATCH") => "device_token_mismatch",
        Some("AUTH_SCOPE_MISMATCH") => "scope_mismatch",
        Some("AUTH_RATE_LIMITED") => "rate_limited",
        Some("AUTH_BOOTSTRAP_TOKEN_INVALID") => "unauthorized",
        Some("AUTH_PASSWORD_MISMATCH") => "password_mismatch",
        Some("AUTH_PASSWORD_MISSING") => "password_missing",
        Some("PAIRING_REQUIRED") => "pairing_required",
        Some("PROTOCOL_MISMATCH") => "protocol_mismatch",
        Some("DEVICE_IDENTITY_REQUIRED" | "CONTROL_UI_DEVICE_IDENTITY_REQUIRED") => {
            "device_identity_required"
        }
        Some("CONTROL_UI_ORIGIN_NOT_ALLOWED") => "origin_not_allowed",
        Some("DEVICE_AUTH_SIGNATURE_INVALID") => "signature_invalid",
        Some("DEVICE_AUTH_SIGNATURE_EXPIRED") => "signature_expired",
        Some("DEVICE_AUTH_NONCE_REQUIRED" | "DEVICE_AUTH_NONCE_MISMATCH") => "nonce_mismatch",
        Some("DEVICE_AUTH_DEVICE_ID_MISMATCH") => "device_id_mismatch",
        Some("DEVICE_AUTH_PUBLIC_KEY_INVALID") => "public_key_invalid",
        Some(other) => panic!("a code that the wire notes do not explain: {other}"),
        None if speaks_of("connect params") || speaks_of("must be connect") => "invalid_params",
        None if speaks_of("pairing required") => "pairing_required",
        None if speaks_of("identity required") || speaks_of("requires device identity") => {
            "device_identity_required"
        }
        None if speaks_of("gateway token mismatch") => "token_mismatch",
        None if speaks_of("gateway token missing") => "token_missing",
        None if speaks_of("gateway password mismatch") => "password_mismatch",
        None if speaks_of("gateway password missing") => "password_missing",
        None if speaks_of("signature invalid") => "signature_invalid",
        None if speaks_of("signature expired") => "signature_expired",
        None if speaks_of("nonce") => "nonce_mismatch",
        None if speaks_of("identity mismatch") => "device_id_mismatch",
        None if speaks_of("public key invalid") => "public_key_invalid",
        None if speaks_of("protocol mismatch") => "protocol_mismatch",
        None if speaks_of("invalid role") => "invalid_role",
        None if speaks_of("origin not allowed") => "origin_not_allowed",
        None if error["code"] == "UNAVAILABLE" => "unavailable",
        None => panic!("a message that the wire notes do not explain: {message}"),
    }
}

/// What a client makes of a refusal: its kind, and the advice.
async fn played(refusal: &Refusal) -> (String, String) {
    let (wire, mut peer) = wire();
    let config = Config::builder()
        .url("ws://127.0.0.1:1")
        .token(Token::new("shared-token-0123").unwrap())
        .store(MemoryStore::new())
        .retry(RetryPolicy::default().with_initial(Duration::from_secs(3600)))
        .connector(wire)
        .build()
        .unwrap();
    let client = Client::start(config);
    let mut state = client.state();
    let gateway = async {
        // Twice at the most: a signature is tried in both of its forms.
        loop {
            let mut link = peer.accept().await;
            let mut challenge = json!({"nonce":"n","ts":1});
            if refusal.is_new {
                challenge["capabilities"] = json!(["model-catalog-snapshot"]);
            }
            link.event("connect.challenge", challenge).await;
            let request = link.request().await;
            link.refuse(&request, refusal.error.clone()).await;
            link.close(refusal.code, &refusal.reason).await;
        }
    };
    let settled = async {
        let found = state.wait_for(|state| !matches!(state, ConnectionState::Connecting { .. }));
        found.await.unwrap().clone()
    };
    let settled = tokio::select! {
        state = settled => state,
        () = gateway => unreachable!(),
    };
    match settled {
        ConnectionState::AwaitingApproval { pairing, .. } => {
            ("pairing_required".to_owned(), pairing.approve_command())
        }
        ConnectionState::Stopped { reason, .. } => (reason.kind().to_owned(), reason.fix()),
        ConnectionState::BackingOff { cause, .. } => match &*cause {
            Error::Refused(refusal) => (refusal.kind.as_str().to_owned(), refusal.fix.clone()),
            Error::Transport(error) => ("unavailable".to_owned(), error.to_string()),
            other => panic!("another cause: {other}"),
        },
        other => panic!("another state: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_recorded_refusal_has_its_reason_and_one_next_action() {
    let refusals = recorded();
    assert!(
        refusals.len() > 60,
        "only {} refusals found",
        refusals.len()
    );
    for (name, refusal) in &refusals {
        let (kind, fix) = played(refusal).await;
        assert_eq!(kind, expected(&refusal.error), "{name}");
        assert!(!fix.is_empty() && !fix.contains('\n'), "{name}: {fix}");
        let has_id = refusal.error["details"]["requestId"] == REQUEST_ID;
        if kind == "pairing_required" && has_id {
            assert_eq!(
                fix,
                format!("openclaw devices approve {REQUEST_ID}"),
                "{name}"
            );
        }
    }
}
