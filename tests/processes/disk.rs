//! The store on disks that are really full, really read-only, or somebody else's. A full and a read-only
//! one need a file system of their own, and so the right to mount one: where it is missing, the test says so.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openclaw_adapter::doctor::{self, Check, Issue};
use openclaw_adapter::store::StoreErrorKind;
use openclaw_adapter::{
    Config, DeviceIdentity, DeviceToken, Endpoint, FileStore, GatewayKey, IdentityStore as _,
    StoreError, Token,
};

const DUTY: &str = "OPENCLAW_TEST_DISK_DUTY";
const DIR: &str = "OPENCLAW_TEST_DISK_DIR";
const CHILD: &str = "disk::child_process";
/// Nobody's, on every Linux.
const NOBODY: u32 = 65_534;

fn gateway() -> GatewayKey {
    Endpoint::parse("ws://gateway:18789").unwrap().key()
}

fn put(store: &FileStore, value: &str) -> Result<(), StoreError> {
    let device = store.load()?.unwrap();
    let token = DeviceToken::new(Token::new(value).unwrap(), "operator", Vec::new(), 1);
    store.put_token(&gateway(), device.id(), &token)
}

fn held(store: &FileStore) -> Option<String> {
    let device = store.load().unwrap().unwrap();
    let memo = store.gateway(&gateway(), device.id()).unwrap();
    memo.token("operator")
        .map(|token| token.token().expose_secret().to_owned())
}

fn create(store: &FileStore) -> Result<DeviceIdentity, StoreError> {
    store.load_or_create(&mut || DeviceIdentity::generate(1))
}

#[track_caller]
fn assert_refused<T>(result: Result<T, StoreError>, kind: StoreErrorKind) {
    let Err(error) = result else {
        panic!("it was not refused");
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.path().is_some() && !error.fix().is_empty());
}

/// Fills the file system to the last byte.
fn fill(path: &Path) {
    let mut size = 1 << 20;
    let mut file = fs::File::create(path).unwrap();
    while size > 0 {
        match std::io::Write::write(&mut file, &vec![b'x'; size]) {
            Ok(0) | Err(_) => size /= 2,
            Ok(_) => {}
        }
    }
}

/// Does nothing in an ordinary run; in a child it is the whole process.
#[test]
fn child_process() {
    let (Ok(duty), Ok(dir)) = (std::env::var(DUTY), std::env::var(DIR)) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let store = FileStore::new(dir.join("state"));
    match &*duty {
        "full" => on_a_full_disk(&dir, &store),
        "read-only" => on_a_read_only_disk(&dir, &store),
        "closed" => {
            assert_refused(create(&store), StoreErrorKind::PermissionDenied);
            assert_refused(store.load(), StoreErrorKind::PermissionDenied);
        }
        "no-write" => {
            assert_refused(put(&store, "new"), StoreErrorKind::PermissionDenied);
            assert_eq!(held(&store).as_deref(), Some("old"));
        }
        "no-place" => {
            assert_refused(create(&store), StoreErrorKind::PermissionDenied);
            let said = examined(&store);
            let fix = format!("install -d -m 700 -o USER {}", store.state_dir().display());
            assert!(said.contains(&fix), "{said}");
        }
        other => panic!("no such duty: {other}"),
    }
    println!("\nthe child has done its duty");
}

/// What the doctor says of a directory in which no identity can be made; it does not try.
fn examined(store: &FileStore) -> String {
    let builder = Config::builder()
        .url("ws://127.0.0.1:1")
        .store(FileStore::new(store.state_dir()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(doctor::examine(&builder, &doctor::Options::new()));
    let finding = report.finding(Check::Identity).unwrap();
    assert_eq!(finding.issue, Some(Issue::Identity), "{}", finding.message);
    assert!(!store.state_dir().exists());
    finding.fix.clone().unwrap()
}

fn on_a_full_disk(dir: &Path, store: &FileStore) {
    let filler = dir.join("filler");
    fill(&filler);
    assert_refused(create(store), StoreErrorKind::DiskFull);
    assert!(store.load().unwrap().is_none(), "half an identity is left");
    fs::remove_file(&filler).unwrap();
    let identity = create(store).unwrap();
    put(store, "old").unwrap();
    fill(&filler);
    for _ in 0..20 {
        assert_refused(put(store, "new"), StoreErrorKind::DiskFull);
        assert_eq!(held(store).as_deref(), Some("old"));
        assert_eq!(create(store).unwrap().id(), identity.id());
    }
    fs::remove_file(&filler).unwrap();
    put(store, "new").unwrap();
    assert_eq!(held(store).as_deref(), Some("new"));
    let names = fs::read_dir(dir.join("state/identity")).unwrap().count();
    assert_eq!(names, 3, "what failed has left something behind");
}

fn on_a_read_only_disk(dir: &Path, store: &FileStore) {
    let identity = create(store).unwrap();
    put(store, "old").unwrap();
    let remount = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(dir)
        .status();
    assert!(remount.unwrap().success());
    assert_refused(put(store, "new"), StoreErrorKind::ReadOnly);
    assert_eq!(held(store).as_deref(), Some("old"));
    assert_eq!(create(store).unwrap().id(), identity.id());
    let other = FileStore::new(dir.join("other"));
    assert_refused(create(&other), StoreErrorKind::ReadOnly);
    let said = examined(&other);
    assert!(said.contains("mount a writable volume"), "{said}");
}

fn child(mut command: Command, duty: &str, dir: &Path) -> Output {
    command
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(DUTY, duty)
        .env(DIR, dir)
        .output()
        .unwrap()
}

#[track_caller]
fn assert_done(duty: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("has done its duty"),
        "{duty}: {said}{complaints}"
    );
}

/// A command that runs its further arguments with a small file system of their own at `dir`.
fn mounted(dir: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        .arg("mount -t tmpfs -o size=64k,mode=0700 tmpfs \"$0\"; exec \"$@\"")
        .arg(dir);
    command
}

#[test]
fn a_full_and_a_read_only_disk_are_typed_errors_and_lose_nothing() {
    for duty in ["full", "read-only"] {
        let dir = tempfile::tempdir().unwrap();
        let probe = mounted(dir.path()).arg("true").output();
        if !probe.is_ok_and(|output| output.status.success()) {
            println!("not tried: no file system can be mounted here");
            return;
        }
        let mut command = mounted(dir.path());
        command.arg(std::env::current_exe().unwrap());
        assert_done(duty, &child(command, duty, dir.path()));
    }
}

#[test]
fn a_directory_of_somebody_else_is_a_typed_error() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let make = |name: &str| {
        let dir = root.path().join(name);
        fs::DirBuilder::new().mode(0o755).create(&dir).unwrap();
        dir
    };
    let (closed, no_write, no_place) = (make("closed"), make("no-write"), make("no-place"));
    for dir in [&closed, &no_write] {
        let store = FileStore::new(dir.join("state"));
        create(&store).unwrap();
        put(&store, "old").unwrap();
    }
    let state = no_write.join("state");
    for name in [".lock", "device.json", "tokens.json"] {
        let path = state.join("identity").join(name);
        if chown(path, Some(NOBODY), Some(NOBODY)).is_err() {
            println!("not tried: only root can give files away");
            return;
        }
    }
    for dir in [&state, &state.join("identity")] {
        chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o500)).unwrap();
    }
    // Where the target directory is closed to others, they run a copy.
    let program = root.path().join("program");
    // Copied by another process: a child that a test beside this one starts could inherit the open copy, which
    // then cannot be run ("Text file busy").
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    for (duty, dir) in [
        ("closed", &closed),
        ("no-write", &no_write),
        ("no-place", &no_place),
    ] {
        let mut command = Command::new(&program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        assert_done(duty, &child(command, duty, dir));
    }
}
