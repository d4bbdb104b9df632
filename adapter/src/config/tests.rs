//! What a configuration accepts, and what it says otherwise.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;

use super::env::*;
use super::*;
use crate::base::identity::DeviceIdentity;
use crate::store::{DeviceToken, MemoryStore};

fn from(vars: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    let vars: HashMap<_, _> = vars.iter().map(|(k, v)| (*k, OsString::from(v))).collect();
    ConfigBuilder::from_vars(|name| vars.get(name).cloned())?
        .store(MemoryStore::new())
        .build()
}

#[test]
fn a_token_is_all_that_is_needed() {
    let config = from(&[(TOKEN, " 0123456789abcdef\n")]).unwrap();
    assert_eq!(config.endpoint.port(), 18789);
    assert!(
        config
            .secret
            .is_token(&Token::new("0123456789abcdef").unwrap())
    );
    assert_eq!(config.profile.display_name, "backend-adapter");
    assert_eq!(config.profile.platform, "backend");
}

#[test]
fn no_token_names_the_variable() {
    let error = from(&[]).unwrap_err();
    assert!(matches!(error, ConfigError::NoToken));
    assert!(error.to_string().contains(TOKEN));
}

#[test]
fn values_that_other_programs_leave_behind_are_no_tokens() {
    for junk in ["", "  ", "undefined", "null", "__OPENCLAW_REDACTED__"] {
        let error = from(&[(TOKEN, junk)]).unwrap_err();
        assert!(error.to_string().starts_with(TOKEN), "{junk:?}: {error}");
    }
}

#[test]
fn a_blank_variable_does_not_hide_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "from-the-file-0123").unwrap();
    let path = file.path().to_str().unwrap();
    let config = from(&[(TOKEN, ""), (TOKEN_FILE, path)]).unwrap();
    assert!(
        config
            .secret
            .is_token(&Token::new("from-the-file-0123").unwrap())
    );
    assert!(config.source.origin.contains(path));
}

#[test]
fn two_credentials_are_one_too_many() {
    let error = from(&[(TOKEN, "0123456789abcdef"), (PASSWORD, "correct horse")]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(TOKEN) && text.contains(PASSWORD), "{text}");
    assert!(!text.contains("horse"));
}

#[test]
fn plain_text_to_the_internet_needs_a_word() {
    let vars = [(TOKEN, "0123456789abcdef"), (URL, "ws://example.com:18789")];
    assert!(matches!(from(&vars), Err(ConfigError::Url(_))));
    assert!(from(&[vars[0], vars[1], (ALLOW_INSECURE, "1")]).is_ok());
    assert!(matches!(
        from(&[vars[0], (ALLOW_INSECURE, "maybe")]),
        Err(ConfigError::Flag { .. })
    ));
}

#[test]
fn headers_of_the_upgrade_and_values_with_line_breaks_are_refused() {
    let with = |name: &str, value: &str| {
        Config::builder()
            .token(Token::new("0123456789abcdef").unwrap())
            .store(MemoryStore::new())
            .header(name, value)
            .build()
    };
    assert!(with("X-Forwarded-For", "203.0.113.9").is_ok());
    for (name, value) in [
        ("Host", "x"),
        ("Sec-WebSocket-Key", "x"),
        ("Origin", "x"),
        ("a b", "x"),
        ("x-y", "a\r\nb: c"),
    ] {
        let error = with(name, value).unwrap_err();
        assert!(
            matches!(error, ConfigError::Header { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn no_secret_shows_in_debug() {
    let config = from(&[(TOKEN, "canary-0123456789")]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[cfg(feature = "tls")]
#[test]
fn a_pin_without_tls_is_refused() {
    let pin = "00".repeat(32);
    assert!(matches!(
        from(&[(TOKEN, "0123456789abcdef"), (FINGERPRINT, &pin)]),
        Err(ConfigError::PinWithoutTls)
    ));
}

#[test]
fn an_inline_identity_keeps_its_tokens_where_a_directory_is_named() {
    let identity = DeviceIdentity::generate(1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let json = identity.to_json();
    let vars = |name: &'static str| match name {
        DEVICE_IDENTITY => Some(OsString::from(json.as_str())),
        STATE_DIR => Some(dir.path().join("state").into_os_string()),
        _ => None,
    };
    let store = || {
        ConfigBuilder::from_vars(vars)
            .unwrap()
            .build_store()
            .unwrap()
    };
    let gateway = Endpoint::parse(DEFAULT_URL).unwrap().key();
    let token = DeviceToken::new(
        Token::new("device-token-0123").unwrap(),
        "operator",
        Vec::new(),
        1,
    );
    store().put_token(&gateway, identity.id(), &token).unwrap();
    let memo = store().gateway(&gateway, identity.id()).unwrap();
    assert_eq!(memo.token("operator"), Some(&token));
}

#[test]
fn scopes_and_name_come_from_the_environment_and_the_builder_goes_before() {
    let token = (TOKEN, "0123456789abcdef");
    for (text, scopes) in [
        ("operator.read", &["operator.read"][..]),
        (
            " operator.read,operator.admin ",
            &["operator.read", "operator.admin"],
        ),
        (
            "operator.read\toperator.talk.secrets\n",
            &["operator.read", "operator.talk.secrets"],
        ),
        // As if it were not there.
        ("", &["operator.read", "operator.write"]),
        (" ", &["operator.read", "operator.write"]),
    ] {
        let config = from(&[token, (SCOPES, text)]).unwrap();
        assert_eq!(config.profile.scopes, scopes, "{text:?}");
    }
    for (text, name) in [(" billing ", "billing"), (" ", "backend-adapter")] {
        let config = from(&[token, (DISPLAY_NAME, text)]).unwrap();
        assert_eq!(config.profile.display_name, name);
    }
    let vars = |name: &'static str| match name {
        SCOPES => Some("operator.admin".into()),
        DISPLAY_NAME => Some("from-the-environment".into()),
        TOKEN => Some("0123456789abcdef".into()),
        _ => None,
    };
    let config = ConfigBuilder::from_vars(vars)
        .unwrap()
        .store(MemoryStore::new())
        .display_name("billing")
        .scopes(["operator.read"])
        .build()
        .unwrap();
    assert_eq!(config.profile.scopes, ["operator.read"]);
    assert_eq!(config.profile.display_name, "billing");
}

#[test]
fn what_is_no_list_of_scopes_is_refused_and_not_repeated() {
    for text in [
        ",",
        "[\"operator.read\"]",
        "operator.read;operator.write",
        "'operator.read'",
    ] {
        let error = from(&[(TOKEN, "0123456789abcdef"), (SCOPES, text)]).unwrap_err();
        assert!(matches!(error, ConfigError::Scopes { .. }), "{text:?}");
        let said = error.to_string();
        assert!(
            said.contains(SCOPES) && !said.contains("operator"),
            "{said}"
        );
        assert!(
            error
                .fix()
                .unwrap()
                .contains("operator.read,operator.write")
        );
    }
}

#[test]
fn stored_scopes_are_those_of_the_token_for_this_gateway_and_role_unless_some_were_set() {
    let store = MemoryStore::new();
    let identity = store
        .load_or_create(&mut || DeviceIdentity::generate(1))
        .unwrap();
    let gateway = Endpoint::parse(DEFAULT_URL).unwrap().key();
    let token = DeviceToken::new(
        Token::new("device-token-0123").unwrap(),
        "operator",
        vec!["operator.read".to_owned()],
        1,
    );
    store.put_token(&gateway, identity.id(), &token).unwrap();
    let builder = || Config::builder().store(store.clone());
    let asked = |builder: ConfigBuilder| builder.stored_scopes().profile().scopes;
    let usual = ["operator.read", "operator.write"];
    assert_eq!(asked(builder()), ["operator.read"]);
    assert_eq!(asked(builder().scopes(usual)), usual);
    assert_eq!(asked(builder().url("ws://127.0.0.1:18790")), usual);
    assert_eq!(asked(builder().role("node")), usual);
    assert_eq!(asked(builder().url("no address")), usual);
    assert_eq!(asked(Config::builder().store(MemoryStore::new())), usual);
    assert_eq!(
        builder().profile().scopes,
        usual,
        "only where it is asked for"
    );
}
