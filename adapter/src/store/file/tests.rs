use std::error::Error as _;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::base::endpoint::Endpoint;
use crate::store::conformance;

mod chance;
mod crash;

const REAL: &str = include_str!("../../../tests/fixtures/identity/openclaw-2026.2.9-device.json");

fn make() -> Result<DeviceIdentity, IdentityError> {
    DeviceIdentity::generate(1)
}

fn never() -> Result<DeviceIdentity, IdentityError> {
    panic!("an identity was made although there is one")
}

/// A directory that holds the state directory, and a store in it.
fn bed() -> (TempDir, FileStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::new(dir.path().join("state"));
    (dir, store)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key() -> GatewayKey {
    Endpoint::parse("ws://gateway:18789").unwrap().key()
}

fn token(value: &str) -> DeviceToken {
    DeviceToken::new(
        Token::new(value).unwrap(),
        "operator",
        vec!["operator.read".to_owned()],
        7,
    )
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| name(entry.unwrap()))
        .collect();
    names.sort();
    names
}

/// What the store says of an identity file it cannot use, after checking that nothing touched it.
fn refused(store: &FileStore) -> StoreError {
    let path = store.identity_path();
    let before = fs::read(&path).ok();
    let error = store.load_or_create(&mut never).unwrap_err();
    assert_eq!(store.load().unwrap_err().kind(), error.kind());
    assert_eq!(fs::read(&path).ok(), before);
    assert!(error.path().is_some(), "{error}");
    assert!(!error.fix().is_empty());
    error
}

#[test]
fn it_conforms() {
    let root = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    conformance::check(&|| {
        let name = next
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            .to_string();
        Box::new(FileStore::new(root.path().join(name)))
    })
    .unwrap();
}

#[test]
fn a_new_store_touches_nothing_until_an_identity_is_made() {
    let (dir, store) = bed();
    assert!(store.load().unwrap().is_none());
    assert!(
        store
            .gateway(&key(), make().unwrap().id())
            .unwrap()
            .is_empty()
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn what_it_makes_is_private_and_in_the_format_of_openclaw() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    store.put_token(&key(), made.id(), &token("t")).unwrap();
    let inner = store.state_dir().join("identity");
    assert_eq!(mode(store.state_dir()), 0o700);
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(names(&inner), [".lock", "device.json", "tokens.json"]);
    for name in names(&inner) {
        assert_eq!(mode(&inner.join(name)), 0o600);
    }
    assert_eq!(
        fs::read_to_string(store.identity_path()).unwrap(),
        *made.to_json()
    );
}

#[test]
fn directories_above_the_state_directory_are_made_too() {
    let (dir, _) = bed();
    let store = FileStore::new(dir.path().join("a/b/c"));
    store.load_or_create(&mut make).unwrap();
    assert_eq!(mode(&dir.path().join("a")), 0o700);
}

#[test]
fn an_identity_of_openclaw_itself_can_be_moved_in_and_out() {
    let (_dir, store) = bed();
    let id = store.import(REAL).unwrap();
    assert_eq!(store.load_or_create(&mut never).unwrap().id(), &id);
    assert_eq!(*store.export().unwrap().unwrap(), REAL);
    assert_eq!(store.import(REAL).unwrap(), id);
}

#[test]
fn an_import_never_replaces_another_identity() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    let error = store.import(REAL).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    let path = store.identity_path();
    assert_eq!(error.path(), Some(&*path));
    assert!(
        error
            .fix()
            .contains(&format!("mv {0} {0}.old", path.display())),
        "{}",
        error.fix()
    );
    assert_eq!(store.load().unwrap().unwrap().id(), made.id());
}

#[test]
fn loose_modes_are_refused_with_the_command_to_run() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    store.put_token(&key(), made.id(), &token("t")).unwrap();
    let inner = store.state_dir().join("identity");
    for (path, right, wrong) in [
        (store.identity_path(), 0o600, [0o640, 0o604, 0o622]),
        (inner.clone(), 0o700, [0o750, 0o701, 0o2770]),
        (store.state_dir().to_owned(), 0o700, [0o755, 0o770, 0o777]),
    ] {
        for wrong in wrong {
            chmod(&path, wrong);
            let error = refused(&store);
            assert_eq!(error.kind(), StoreErrorKind::LooseMode);
            assert_eq!(error.path(), Some(&*path));
            assert_eq!(error.fix(), format!("chmod {right:o} {}", path.display()));
            assert_eq!(mode(&path), wrong, "it was changed without being asked");
        }
        chmod(&path, right);
        store.load().unwrap().unwrap();
    }
    for name in ["tokens.json", ".lock"] {
        chmod(&inner.join(name), 0o644);
        let error = store.put_token(&key(), made.id(), &token("u")).unwrap_err();
        assert_eq!(
            error.fix(),
            format!("chmod 600 {}", inner.join(name).display())
        );
        chmod(&inner.join(name), 0o600);
    }
    assert_eq!(
        store.gateway(&key(), made.id()).unwrap().token("operator"),
        Some(&token("t"))
    );
}

#[test]
fn a_file_only_its_owner_may_read_is_fine_without_write_permission() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    chmod(&store.identity_path(), 0o400);
    assert_eq!(store.load_or_create(&mut never).unwrap().id(), made.id());
}

#[test]
fn links_are_not_followed() {
    let (dir, store) = bed();
    let other = FileStore::new(dir.path().join("other"));
    other.load_or_create(&mut make).unwrap();
    store.dir.create().unwrap();
    symlink(other.identity_path(), store.identity_path()).unwrap();
    let error = refused(&store);
    assert_eq!(error.kind(), StoreErrorKind::Symlink);
    assert_eq!(error.path(), Some(&*store.identity_path()));

    fs::remove_file(store.identity_path()).unwrap();
    symlink("nowhere", store.identity_path()).unwrap();
    assert_eq!(refused(&store).kind(), StoreErrorKind::Symlink);

    fs::remove_dir_all(store.state_dir()).unwrap();
    fs::create_dir(store.state_dir()).unwrap();
    chmod(store.state_dir(), 0o700);
    symlink(
        dir.path().join("other/identity"),
        store.state_dir().join("identity"),
    )
    .unwrap();
    assert_eq!(refused(&store).kind(), StoreErrorKind::Symlink);
}

#[test]
fn a_link_in_place_of_the_lock_or_the_tokens_is_not_followed() {
    for name in [".lock", "tokens.json"] {
        let (dir, store) = bed();
        let made = store.load_or_create(&mut make).unwrap();
        let link = store.state_dir().join("identity").join(name);
        let _ = fs::remove_file(&link);
        let target = dir.path().join("target");
        symlink(&target, &link).unwrap();
        let error = store.put_token(&key(), made.id(), &token("t")).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Symlink, "{name}");
        assert!(!target.exists());
    }
}

#[test]
fn the_state_directory_itself_may_be_a_link() {
    let (dir, store) = bed();
    let target = dir.path().join("disk");
    fs::create_dir(&target).unwrap();
    chmod(&target, 0o700);
    symlink(&target, store.state_dir()).unwrap();
    store.load_or_create(&mut make).unwrap();
    assert!(target.join("identity/device.json").exists());
}

#[test]
fn a_link_to_a_volume_that_is_not_mounted_is_not_a_first_start() {
    let (dir, store) = bed();
    symlink(dir.path().join("not-mounted"), store.state_dir()).unwrap();
    assert_eq!(refused(&store).kind(), StoreErrorKind::Missing);
}

#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let (_dir, store) = bed();
    store.dir.create().unwrap();
    fs::create_dir(store.identity_path()).unwrap();
    assert_eq!(refused(&store).kind(), StoreErrorKind::WrongType);

    // Opening a pipe would wait for a writer for ever.
    fs::remove_dir(store.identity_path()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(store.identity_path())
        .status()
        .unwrap();
    assert!(made.success());
    let error = store.load_or_create(&mut never).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::WrongType);
}

#[test]
fn a_file_where_a_directory_should_be_is_refused() {
    let (_dir, store) = bed();
    fs::write(store.state_dir(), "x").unwrap();
    assert_eq!(refused(&store).kind(), StoreErrorKind::WrongType);
    assert_eq!(fs::read_to_string(store.state_dir()).unwrap(), "x");
}

#[test]
fn a_file_that_cannot_be_an_identity_is_refused_and_kept() {
    let (_dir, store) = bed();
    store.load_or_create(&mut make).unwrap();
    let foreign = DeviceIdentity::generate(2).unwrap();
    let mixed = REAL.replace("91b58c3b1864", foreign.id().short());
    let cases: [(&[u8], StoreErrorKind); 7] = [
        (b"", StoreErrorKind::Damaged),
        (b"\0\0\0\0\0\0\0\0", StoreErrorKind::Damaged),
        (&REAL.as_bytes()[..200], StoreErrorKind::Damaged),
        (b"\xff\xfe{", StoreErrorKind::Damaged),
        (br#"{"version": 2}"#, StoreErrorKind::ForeignVersion),
        (mixed.as_bytes(), StoreErrorKind::Mismatch),
        (&vec![b' '; LIMIT + 1], StoreErrorKind::TooLarge),
    ];
    for (content, kind) in cases {
        fs::write(store.identity_path(), content).unwrap();
        let error = refused(&store);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.path(), Some(&*store.identity_path()));
        assert!(error.to_string().contains("device.json"), "{error}");
    }
}

#[test]
fn an_error_never_shows_what_is_in_the_file() {
    let (_dir, store) = bed();
    store.load_or_create(&mut make).unwrap();
    for content in [
        r#"{"version": 1, "deviceId": 4242424242}"#.to_owned(),
        r#"{"version": "424242 4242"}"#.to_owned(),
        REAL.replace("IHLZzDpt", "4242424242"),
        REAL.replace(
            "createdAtMs\": 1",
            "createdAtMs\": \"4242424242\", \"x\": 1",
        ),
    ] {
        fs::write(store.identity_path(), content).unwrap();
        let error = refused(&store);
        let mut shown = format!("{error} {error:?} {}", error.fix());
        let mut source = error.source();
        while let Some(inner) = source {
            write!(shown, " {inner} {inner:?}").unwrap();
            source = inner.source();
        }
        assert!(!shown.contains("424242"), "{shown}");
    }
}

#[test]
fn a_state_directory_that_is_lost_gives_no_place_for_tokens() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    fs::remove_dir_all(store.state_dir()).unwrap();
    let error = store.put_token(&key(), made.id(), &token("t")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::IdentityChanged);
    assert!(!store.state_dir().exists());
    let again = store.load_or_create(&mut make).unwrap();
    assert_ne!(again.id(), made.id());
}

#[test]
fn a_volume_that_is_mounted_late_keeps_its_identity_and_its_tokens() {
    let (dir, store) = bed();
    let volume = FileStore::new(dir.path().join("volume"));
    let old = volume.load_or_create(&mut make).unwrap();
    volume.put_token(&key(), old.id(), &token("old")).unwrap();

    let early = store.load_or_create(&mut make).unwrap();
    fs::rename(store.state_dir(), dir.path().join("hidden")).unwrap();
    fs::rename(volume.state_dir(), store.state_dir()).unwrap();

    let error = store
        .put_token(&key(), early.id(), &token("early"))
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::IdentityChanged);
    assert!(error.to_string().contains(old.id().short()), "{error}");
    assert_eq!(store.load_or_create(&mut never).unwrap().id(), old.id());
    assert_eq!(
        store.gateway(&key(), old.id()).unwrap().token("operator"),
        Some(&token("old"))
    );
    assert!(store.gateway(&key(), early.id()).unwrap().is_empty());
}

#[test]
fn a_directory_that_appears_after_a_failure_is_used() {
    let (dir, _) = bed();
    let late = dir.path().join("late");
    symlink(&late, dir.path().join("mount")).unwrap();
    let store = FileStore::new(dir.path().join("mount"));
    let error = store.load_or_create(&mut never).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Missing);
    fs::create_dir(&late).unwrap();
    chmod(&late, 0o700);
    store.load_or_create(&mut make).unwrap();
}

#[test]
fn an_identity_that_is_put_back_finds_its_tokens_again() {
    let (_dir, store) = bed();
    let first = store.load_or_create(&mut make).unwrap();
    store
        .put_token(&key(), first.id(), &token("first"))
        .unwrap();
    let first_text = store.export().unwrap().unwrap();
    fs::remove_file(store.identity_path()).unwrap();
    let second = store.load_or_create(&mut make).unwrap();
    store
        .put_token(&key(), second.id(), &token("second"))
        .unwrap();
    fs::remove_file(store.identity_path()).unwrap();
    store.import(&first_text).unwrap();
    let memo = store.gateway(&key(), first.id()).unwrap();
    assert_eq!(memo.token("operator"), Some(&token("first")));
}

#[test]
fn a_hanging_process_that_holds_the_lock_is_not_waited_for_for_ever() {
    let (_dir, store) = bed();
    store.load_or_create(&mut make).unwrap();
    let _held = store.dir.lock().unwrap();
    let error = store
        .dir
        .lock_for(std::time::Duration::from_millis(50))
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Busy);
    assert!(error.fix().contains(".lock"));
}

#[test]
fn what_killed_writers_left_is_removed_by_the_next_one() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    let inner = store.state_dir().join("identity");
    fs::write(inner.join(".new-abc"), "half").unwrap();
    fs::write(inner.join("notes"), "mine").unwrap();
    store.put_token(&key(), made.id(), &token("t")).unwrap();
    assert_eq!(
        names(&inner),
        [".lock", "device.json", "notes", "tokens.json"]
    );
}

#[test]
fn a_change_that_changes_nothing_does_not_write() {
    let (_dir, store) = bed();
    let made = store.load_or_create(&mut make).unwrap();
    store.put_token(&key(), made.id(), &token("t")).unwrap();
    let path = store.state_dir().join("identity/tokens.json");
    let before = fs::metadata(&path).unwrap().ino();
    store.put_token(&key(), made.id(), &token("t")).unwrap();
    assert!(
        !store
            .remove_token(&key(), made.id(), "node", token("t").token())
            .unwrap()
    );
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
}

#[test]
fn a_relative_directory_stays_where_it_was() {
    let store = FileStore::new("some/state");
    assert!(store.identity_path().is_absolute());
    assert!(
        store
            .identity_path()
            .ends_with("some/state/identity/device.json")
    );
}

#[test]
fn the_default_directory_is_in_the_users_data_directory() {
    let dir = FileStore::default_dir().unwrap();
    assert!(dir.is_absolute() && dir.ends_with("openclaw-adapter"));
}
