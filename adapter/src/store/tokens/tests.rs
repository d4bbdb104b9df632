use proptest::prelude::*;

use super::*;
use crate::base::endpoint::Endpoint;
use crate::base::identity::DeviceIdentity;

fn bed() -> (tempfile::TempDir, PrivateDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = PrivateDir::new(temp.path().join("state"));
    dir.create().unwrap();
    (temp, dir)
}

fn key(name: &str) -> GatewayKey {
    Endpoint::parse(&format!("ws://{name}:18789"))
        .unwrap()
        .key()
}

fn device() -> DeviceId {
    DeviceIdentity::generate(1).unwrap().id().clone()
}

fn refused(content: &[u8]) -> StoreErrorKind {
    parse(content).err().expect("it was taken").kind
}

fn put(dir: &PrivateDir, gateway: &GatewayKey, device: &DeviceId, token: &DeviceToken) {
    let lock = dir.lock().unwrap();
    change(dir, &lock, gateway, device, |memo| memo.put(token.clone())).unwrap();
}

#[test]
fn the_file_looks_as_documented() {
    let (_temp, dir) = bed();
    let device = device();
    let token = Token::new("t0k\"en").unwrap();
    put(
        &dir,
        &key("gw"),
        &device,
        &DeviceToken::new(token, "operator", vec!["a".into()], 5),
    );
    let lock = dir.lock().unwrap();
    let set = |memo: &mut GatewayMemo| memo.set_signature(SignatureVersion::V2);
    change(&dir, &lock, &key("gw"), &device, set).unwrap();
    let text = std::fs::read_to_string(dir.path(NAME)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({"version": 1, "gateways": {"ws://gw:18789": {device.as_str(): {
        "signature": "v2",
        "tokens": {"operator": {"token": "t0k\"en", "scopes": ["a"], "updatedAtMs": 5}},
    }}}});
    assert_eq!(json, expected);
    assert!(text.ends_with("}\n"));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_stays() {
    let (_temp, dir) = bed();
    for (content, kind) in [
        ("", StoreErrorKind::Damaged),
        ("{\"version\": 1", StoreErrorKind::Damaged),
        (
            "{\"version\": 1, \"gateways\": [4242]}",
            StoreErrorKind::Damaged,
        ),
        ("{\"version\": 1}", StoreErrorKind::Damaged),
        ("{\"gateways\": {}}", StoreErrorKind::ForeignVersion),
        (
            "{\"version\": 4, \"gateways\": {}}",
            StoreErrorKind::ForeignVersion,
        ),
    ] {
        assert_eq!(refused(content.as_bytes()), kind, "{content}");
        let path = dir.path(NAME);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let lock = dir.lock().unwrap();
        let error = change(&dir, &lock, &key("gw"), &device(), |_| ()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(&*path)));
        assert!(!format!("{error:?} {error}").contains("4242"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_token_that_cannot_be_one_makes_the_file_damaged() {
    let file = |token: &str| {
        format!(
            r#"{{"version":1,"gateways":{{"g":{{"d":{{"tokens":{{"r":{{"token":{token}}}}}}}}}}}}}"#
        )
    };
    assert!(parse(file("\"x\"").as_bytes()).is_ok());
    for token in ["\"\"", "\"a\\nb\"", "42", "null", "\"undefined\""] {
        assert_eq!(
            refused(file(token).as_bytes()),
            StoreErrorKind::Damaged,
            "{token}"
        );
    }
}

#[test]
fn more_than_fits_is_refused_and_the_old_content_stays() {
    let (_temp, dir) = bed();
    let device = device();
    let small = DeviceToken::new(Token::new("x").unwrap(), "operator", vec![], 1);
    put(&dir, &key("gw"), &device, &small);
    let scopes = vec!["s".repeat(LIMIT)];
    let large = DeviceToken::new(Token::new("y").unwrap(), "operator", scopes, 2);
    let lock = dir.lock().unwrap();
    let error = change(&dir, &lock, &key("gw"), &device, |memo| memo.put(large)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(
        load(&dir, &key("gw"), &device).unwrap().token("operator"),
        Some(&small)
    );
}

fn memos() -> impl Strategy<Value = GatewayMemo> {
    let token = (
        "[!-~]{1,40}",
        "\\PC{0,8}",
        prop::collection::vec("\\PC{0,8}", 0..3),
        any::<u64>(),
    );
    let signature = prop::option::of(prop::bool::ANY);
    (prop::collection::vec(token, 0..4), signature).prop_map(|(tokens, signature)| {
        let mut memo = GatewayMemo::default();
        for (value, role, scopes, at) in tokens {
            if let Ok(token) = Token::new(value) {
                memo.put(DeviceToken::new(token, role, scopes, at));
            }
        }
        if let Some(v3) = signature {
            memo.set_signature(if v3 {
                SignatureVersion::V3
            } else {
                SignatureVersion::V2
            });
        }
        memo
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again(first in memos(), second in memos()) {
        let mut document = Document::default();
        let (one, other) = (device(), device());
        document.set(&key("gw"), &one, &first);
        document.set(&key("gw"), &other, &second);
        let text = serde_json::to_vec_pretty(&document).unwrap();
        let read = parse(&text).map_err(|refused| refused.detail).unwrap();
        prop_assert_eq!(read.memo(&key("gw"), &one), first);
        prop_assert_eq!(read.memo(&key("gw"), &other), second);
        prop_assert!(read.memo(&key("other"), &one).is_empty());
    }

    #[test]
    fn no_content_makes_the_reader_panic(content: Vec<u8>, text in "[{}\\[\\]\":,0-9a-z ]{0,80}") {
        let _ = parse(&content);
        let _ = parse(text.as_bytes());
        let _ = parse(format!("{{\"version\":1,\"gateways\":{text}}}").as_bytes());
    }
}
