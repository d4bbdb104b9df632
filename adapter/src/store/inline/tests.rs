use std::fs;
use std::os::unix::fs::symlink;

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::base::endpoint::Endpoint;
use crate::store::{FileStore, conformance};

const REAL: &str = include_str!("../../../tests/fixtures/identity/openclaw-2026.2.9-device.json");

fn key() -> GatewayKey {
    Endpoint::parse("ws://gateway:18789").unwrap().key()
}

fn token(value: &str, at: u64) -> DeviceToken {
    DeviceToken::new(Token::new(value).unwrap(), "operator", vec![], at)
}

fn id(store: &InlineStore) -> DeviceId {
    store.load().unwrap().unwrap().id().clone()
}

#[test]
fn it_conforms_with_and_without_a_directory() {
    conformance::check(&|| Box::new(InlineStore::new(REAL).unwrap())).unwrap();
    let root = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    conformance::check(&|| {
        let name = next
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            .to_string();
        Box::new(
            InlineStore::new(REAL)
                .unwrap()
                .with_dir(root.path().join(name)),
        )
    })
    .unwrap();
}

#[test]
fn the_identity_is_given_as_json_or_as_base64_of_it() {
    let expected = DeviceIdentity::from_json(REAL).unwrap();
    let standard = STANDARD.encode(REAL);
    let lines: Vec<_> = standard
        .as_bytes()
        .chunks(76)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let folded = lines.join("\n");
    for text in [
        REAL,
        &format!("  {REAL}\n"),
        &REAL.replace('\n', ""),
        &standard,
        &folded,
        &URL_SAFE_NO_PAD.encode(REAL),
    ] {
        assert_eq!(&id(&InlineStore::new(text).unwrap()), expected.id());
    }
}

#[test]
fn what_is_not_an_identity_is_refused_without_showing_it() {
    for text in [
        "",
        "canary",
        "{\"version\": 1, canary",
        "canary!",
        &STANDARD.encode("canary"),
    ] {
        let error = InlineStore::new(text).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged, "{text}");
        assert!(error.path().is_none() && error.fix().contains("base64"));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let error = InlineStore::new(&REAL.replace("\"version\": 1", "\"version\": 3")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ForeignVersion);
}

#[test]
fn with_a_directory_tokens_outlive_the_process_and_the_identity_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = InlineStore::new(REAL).unwrap().with_dir(&state);
    store
        .put_token(&key(), &id(&store), &token("t", 1))
        .unwrap();
    let again = InlineStore::new(REAL).unwrap().with_dir(&state);
    let memo = again.gateway(&key(), &id(&again)).unwrap();
    assert_eq!(memo.token("operator"), Some(&token("t", 1)));
    assert!(!state.join("identity/device.json").exists());
}

#[test]
fn it_leaves_the_tokens_of_an_identity_in_the_directory_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = FileStore::new(dir.path().join("state"));
    let other = file
        .load_or_create(&mut || DeviceIdentity::generate(1))
        .unwrap();
    file.put_token(&key(), other.id(), &token("other", 1))
        .unwrap();
    let store = InlineStore::new(REAL).unwrap().with_dir(file.state_dir());
    store
        .put_token(&key(), &id(&store), &token("mine", 1))
        .unwrap();
    let memo = file.gateway(&key(), other.id()).unwrap();
    assert_eq!(memo.token("operator"), Some(&token("other", 1)));
}

#[test]
fn a_directory_that_cannot_be_written_leaves_tokens_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    let store = InlineStore::new(REAL).unwrap().with_dir(link);
    store
        .put_token(&key(), &id(&store), &token("t", 1))
        .unwrap();
    store
        .put_signature(&key(), &id(&store), SignatureVersion::V2)
        .unwrap();
    let memo = store.gateway(&key(), &id(&store)).unwrap();
    assert_eq!(memo.token("operator"), Some(&token("t", 1)));
    assert_eq!(memo.signature(), Some(SignatureVersion::V2));
    assert!(
        store
            .remove_token(&key(), &id(&store), "operator", token("t", 1).token())
            .unwrap()
    );
    assert!(
        store
            .gateway(&key(), &id(&store))
            .unwrap()
            .token("operator")
            .is_none()
    );
}

#[test]
fn a_void_token_in_a_file_that_cannot_be_written_is_not_given_again() {
    use crate::store::step::{Step, with_hook};
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let writer = InlineStore::new(REAL).unwrap().with_dir(&state);
    writer
        .put_token(&key(), &id(&writer), &token("void", 1))
        .unwrap();

    let store = InlineStore::new(REAL).unwrap().with_dir(&state);
    let device = id(&store);
    let read_only = |step| match step {
        Step::OpenLock => Err(std::io::ErrorKind::ReadOnlyFilesystem.into()),
        _ => Ok(()),
    };
    with_hook(read_only, || {
        let void = token("void", 1);
        assert_eq!(
            store.gateway(&key(), &device).unwrap().token("operator"),
            Some(&void)
        );
        assert!(
            store
                .remove_token(&key(), &device, "operator", void.token())
                .unwrap()
        );
        assert!(
            store
                .gateway(&key(), &device)
                .unwrap()
                .token("operator")
                .is_none()
        );
        assert!(
            !store
                .remove_token(&key(), &device, "operator", void.token())
                .unwrap()
        );
        store.put_token(&key(), &device, &token("next", 2)).unwrap();
        let memo = store.gateway(&key(), &device).unwrap();
        assert_eq!(memo.token("operator"), Some(&token("next", 2)));
    });
    assert!(
        fs::read_to_string(state.join("identity/tokens.json"))
            .unwrap()
            .contains("void")
    );
}

#[test]
fn a_newer_token_of_another_process_counts() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = InlineStore::new(REAL).unwrap().with_dir(&state);
    store
        .put_token(&key(), &id(&store), &token("old", 1))
        .unwrap();
    let other = InlineStore::new(REAL).unwrap().with_dir(&state);
    other
        .put_token(&key(), &id(&other), &token("new", 2))
        .unwrap();
    let memo = store.gateway(&key(), &id(&store)).unwrap();
    assert_eq!(memo.token("operator"), Some(&token("new", 2)));
}

#[test]
fn a_loose_directory_is_still_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let store = InlineStore::new(REAL).unwrap().with_dir(dir.path());
    let error = store
        .put_token(&key(), &id(&store), &token("t", 1))
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::LooseMode);
}
