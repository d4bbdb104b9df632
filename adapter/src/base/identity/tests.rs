use proptest::prelude::*;

use super::*;

/// Written by the CLI of OpenClaw 2026.2.9 with a key that is used nowhere.
const REAL: &str = include_str!("../../../tests/fixtures/identity/openclaw-2026.2.9-device.json");

#[test]
fn a_file_of_the_real_cli_is_read_and_written_back_byte_by_byte() {
    let identity = DeviceIdentity::from_json(REAL).unwrap();
    assert!(REAL.contains(identity.id().as_str()));
    assert_eq!(identity.created_at_ms(), 1_795_381_632_757);
    assert_eq!(*identity.to_json(), REAL);
}

#[test]
fn key_id_and_signature_are_those_of_rfc_8032() {
    // RFC 8032, 7.1, test 2: one byte, which is the letter r.
    let seed = [
        0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e,
        0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8,
        0xa6, 0xfb,
    ];
    let identity = DeviceIdentity::from_seed(&seed, 1);
    assert_eq!(
        identity.public_key_base64url(),
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"
    );
    assert_eq!(
        identity.sign("r"),
        "kqAJqfDUyrhyDoILX2QlQKKye1QWUD-Ps3YiI-vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA"
    );
}

#[test]
fn the_same_key_signs_a_text_the_same_way_always() {
    let identity = DeviceIdentity::from_json(REAL).unwrap();
    let payload = "v2|id|gateway-client|backend|operator|operator.read|1|token|nonce";
    assert_eq!(identity.sign(payload), identity.clone().sign(payload));
    assert_ne!(identity.sign(payload), identity.sign("v3|"));
}

#[test]
fn debug_shows_the_id_and_no_key() {
    let identity = DeviceIdentity::from_json(REAL).unwrap();
    let shown = format!("{identity:?}");
    assert!(shown.contains(identity.id().as_str()));
    assert!(!shown.contains("MC4C") && !shown.contains("key"), "{shown}");
    assert_eq!(identity.id().short(), "91b58c3b1864");
}

#[test]
fn every_new_identity_is_another() {
    let first = DeviceIdentity::generate(1).unwrap();
    let second = DeviceIdentity::generate(1).unwrap();
    assert_ne!(first.id(), second.id());
}

#[test]
fn the_creation_time_may_be_missing() {
    let text = REAL.replace(",\n  \"createdAtMs\": 1795381632757", "");
    assert_ne!(text, REAL);
    assert_eq!(DeviceIdentity::from_json(&text).unwrap().created_at_ms(), 0);
}

#[test]
fn unknown_fields_windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let text = REAL.replace(
        "\"version\": 1,",
        "\"version\": 1, \"label\": {\"a\": [1]},",
    );
    assert!(DeviceIdentity::from_json(&text).is_ok());
    assert!(DeviceIdentity::from_json(&format!("\u{feff}{}", text.replace('\n', "\r\n"))).is_ok());
    assert!(DeviceIdentity::from_json(&text.replace("\\n", "\\r\\n")).is_ok());
}

#[test]
fn a_private_key_that_carries_its_public_key_is_read_too() {
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    let identity = DeviceIdentity::generate(5).unwrap();
    let long = identity
        .key
        .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF);
    let text = identity.to_json();
    let start = text.find("-----BEGIN PRIVATE").unwrap();
    let end = text.find("\",\n  \"createdAtMs").unwrap();
    let mut other = text.to_string();
    other.replace_range(start..end, &long.unwrap().replace('\n', "\\n"));
    assert_ne!(other, *text);
    assert_eq!(
        DeviceIdentity::from_json(&other).unwrap().id(),
        identity.id()
    );
}

#[test]
fn another_version_is_an_error_that_names_it() {
    let version = |text: &str| match DeviceIdentity::from_json(text) {
        Err(IdentityError::Version { found }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        version(&REAL.replace("\"version\": 1", "\"version\": 2")),
        "2"
    );
    assert_eq!(version(r#"{"version": 7}"#), "7");
    assert_eq!(version("{}"), "none");
    assert_eq!(version(r#"{"version": "canary"}"#), "none");
}

#[test]
fn keys_and_ids_from_two_files_are_an_error() {
    let other = DeviceIdentity::generate(1).unwrap();
    let mine = DeviceIdentity::from_json(REAL).unwrap();
    let text = REAL.replace(mine.id().as_str(), other.id().as_str());
    assert_eq!(
        DeviceIdentity::from_json(&text).unwrap_err(),
        IdentityError::IdDiffers {
            stated: other.id().short().to_owned(),
            derived: mine.id().clone()
        }
    );
    let line = |text: &str| {
        text.lines()
            .find(|line| line.contains("publicKeyPem"))
            .map(str::to_owned)
    };
    let text = REAL.replace(&line(REAL).unwrap(), &line(&other.to_json()).unwrap());
    assert_eq!(
        DeviceIdentity::from_json(&text).unwrap_err(),
        IdentityError::KeysDiffer
    );
}

#[test]
fn keys_that_are_no_ed25519_keys_are_an_error() {
    let text = REAL.replace("MC4CAQAwBQYDK2VwBCIEI", "MC4CAQAwBQYDK2VuBCIEI");
    assert_eq!(
        DeviceIdentity::from_json(&text).unwrap_err(),
        IdentityError::PrivateKey
    );
    let text = REAL.replace("MCowBQYDK2VwAyEA", "MCowBQYDK2VuAyEA");
    assert_eq!(
        DeviceIdentity::from_json(&text).unwrap_err(),
        IdentityError::PublicKey
    );
    for odd in ["42", "null", "\"\"", "\"\\u0041\"", "[]", "\"\u{e4}\""] {
        let start = REAL.find("\"-----BEGIN PRIVATE").unwrap();
        let end = REAL.find(",\n  \"createdAtMs").unwrap();
        let mut text = REAL.to_owned();
        text.replace_range(start..end, odd);
        assert_eq!(
            DeviceIdentity::from_json(&text).unwrap_err(),
            IdentityError::PrivateKey
        );
    }
}

#[test]
fn a_cut_file_is_an_error_at_every_length() {
    // The last two characters are the brace that ends it and the newline, which may be missing.
    for end in 0..REAL.len() - 1 {
        assert!(DeviceIdentity::from_json(&REAL[..end]).is_err(), "{end}");
    }
    assert_eq!(
        DeviceIdentity::from_json("{\n  \"version\": 1,\n  \"dev").unwrap_err(),
        IdentityError::Damaged { line: 3, column: 6 }
    );
}

#[test]
fn a_device_id_is_64_lower_case_hex_digits() {
    let id = "0123456789abcdef".repeat(4);
    assert_eq!(DeviceId::parse(&id).unwrap().to_string(), id);
    for text in [
        "",
        "abc",
        &id.to_uppercase(),
        &id[1..],
        &format!("{id}0"),
        &id.replace('a', "g"),
    ] {
        assert_eq!(
            DeviceId::parse(text),
            Err(IdentityError::NotADeviceId),
            "{text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_identity_survives_the_file(seed: [u8; 32], created_at_ms: u64) {
        let identity = DeviceIdentity::from_seed(&seed, created_at_ms);
        let read = DeviceIdentity::from_json(&identity.to_json()).unwrap();
        prop_assert_eq!(read.id(), identity.id());
        prop_assert_eq!(read.created_at_ms(), created_at_ms);
        prop_assert_eq!(read.sign("x"), identity.sign("x"));
        prop_assert_eq!(read.to_json(), identity.to_json());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        prop_assert!(DeviceIdentity::from_json(&text).is_err());
    }

    #[test]
    fn one_changed_byte_is_an_error_or_the_same_key(at in 0..REAL.len(), byte in 32_u8..127) {
        let mut bytes = REAL.as_bytes().to_vec();
        bytes[at] = byte;
        let text = String::from_utf8(bytes).unwrap();
        match DeviceIdentity::from_json(&text) {
            Ok(read) => {
                let real = DeviceIdentity::from_json(REAL).unwrap();
                prop_assert_eq!(read.id(), real.id());
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains("IHLZzDptXoF1nHtB"), "{}", shown);
            }
        }
    }
}
