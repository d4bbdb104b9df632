//! Every call to the system by which an identity is made or a token is replaced: the process is killed in
//! front of it, and the call fails. `strace` does both; where it is missing, or not allowed, the test says so.
//! (The store's own tests do the same between its steps, without `strace`.)

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openclaw_adapter::store::StoreErrorKind;
use openclaw_adapter::{
    DeviceId, DeviceIdentity, DeviceToken, Endpoint, FileStore, GatewayKey, IdentityStore as _,
    StoreError, Token,
};

/// What changes a disk, and the lock. Calls that a system does not have are not traced.
const CALLS: &str = "?mkdir,?mkdirat,?open,openat,flock,write,fsync,?rename,?renameat,?renameat2,?link,?linkat,?unlink,?unlinkat";
const SIGKILL: i32 = 9;

fn gateway() -> GatewayKey {
    Endpoint::parse("ws://gateway:18789").unwrap().key()
}

fn create(store: &FileStore) -> Result<DeviceIdentity, StoreError> {
    store.load_or_create(&mut || DeviceIdentity::generate(1))
}

fn put(store: &FileStore, device: &DeviceId, value: &str) -> Result<(), StoreError> {
    let token = DeviceToken::new(Token::new(value).unwrap(), "operator", Vec::new(), 1);
    store.put_token(&gateway(), device, &token)
}

fn held(store: &FileStore, device: &DeviceId) -> Option<String> {
    let memo = store.gateway(&gateway(), device).unwrap();
    memo.token("operator")
        .map(|token| token.token().expose_secret().to_owned())
}

/// A call to the system: its name, and the how manieth of this name it is in the process.
type Point = (String, usize);

/// A state directory, and the child's work in it.
struct Bed {
    dir: tempfile::TempDir,
    store: FileStore,
    old: Option<DeviceId>,
}

impl Bed {
    fn new(with_identity: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path().join("state"));
        let old = with_identity.then(|| {
            let identity = create(&store).unwrap();
            put(&store, identity.id(), "old").unwrap();
            identity.id().clone()
        });
        Self { dir, store, old }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("calls")
    }

    /// The child under `strace`, with this done to it.
    fn run(&self, inject: Option<String>) -> Option<Output> {
        let mut command = Command::new("strace");
        command.arg("-o").arg(self.log());
        command.args(["-e", &format!("trace={CALLS}")]);
        if let Some(inject) = inject {
            command.args(["-e", &format!("inject={inject}")]);
        }
        command
            .arg(env!("CARGO_BIN_EXE_store-child"))
            .arg(self.store.state_dir())
            .output()
            .ok()
    }

    /// The calls of the work itself, without those of the start of a process.
    fn points(with_identity: bool) -> Option<Vec<Point>> {
        let bed = Self::new(with_identity);
        let output = bed.run(None)?;
        let log = fs::read_to_string(bed.log()).ok()?;
        if !output.status.success() || log.is_empty() {
            return None;
        }
        let mut seen = BTreeMap::<&str, usize>::new();
        let mut points = Vec::new();
        let state = bed.store.state_dir().to_str().unwrap();
        for line in log.lines() {
            let Some((name, arguments)) = line.split_once('(') else {
                continue;
            };
            let number = seen.entry(name).or_default();
            *number += 1;
            if !points.is_empty() || arguments.contains(state) {
                points.push((name.to_owned(), *number));
            }
        }
        assert!(!points.is_empty(), "the work is done elsewhere: {log}");
        Some(points)
    }

    /// The old state or the new one, for nobody but its owner, and good for the next process.
    fn assert_whole(&self, what: &str) {
        let state = self.store.state_dir();
        for path in files(state) {
            let mode = fs::symlink_metadata(&path).unwrap().mode();
            assert_eq!(mode & 0o077, 0, "{what}: {} {mode:o}", path.display());
        }
        let left = self.store.load().unwrap();
        let next = create(&self.store).unwrap();
        if let Some(left) = &left {
            assert_eq!(left.id(), next.id(), "{what}");
        }
        if let Some(old) = &self.old {
            assert_eq!(next.id(), old, "{what}: another identity");
            let held = held(&self.store, old).expect(what);
            assert!(held == "old" || held == "new", "{what}: {held}");
        }
        put(&self.store, next.id(), "next").unwrap();
        assert_eq!(held(&self.store, next.id()).as_deref(), Some("next"));
        assert_eq!(
            files(&state.join("identity")).len(),
            4,
            "{what}: something is left behind"
        );
    }
}

/// What is there, with the directory itself.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if dir.exists() {
        found.push(dir.to_owned());
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_kill_at_any_system_call_leaves_the_old_state_or_the_new() {
    let mut kills = 0;
    for with_identity in [false, true] {
        let Some(points) = Bed::points(with_identity) else {
            println!("not tried: there is no strace here that may trace");
            return;
        };
        for (call, number) in points {
            let bed = Bed::new(with_identity);
            let what = format!("killed at {call} number {number}");
            let output = bed
                .run(Some(format!("{call}:signal=KILL:when={number}")))
                .unwrap();
            assert_eq!(output.status.signal(), Some(SIGKILL), "{what}: {output:?}");
            bed.assert_whole(&what);
            kills += 1;
        }
    }
    println!("{kills} kills");
    assert!(kills > 20, "only {kills}");
}

#[test]
fn a_failure_of_any_system_call_is_a_typed_error_and_loses_nothing() {
    let errors = [
        ("ENOSPC", StoreErrorKind::DiskFull),
        ("EROFS", StoreErrorKind::ReadOnly),
        ("EACCES", StoreErrorKind::PermissionDenied),
        ("EIO", StoreErrorKind::Io),
    ];
    let (mut failures, mut refused) = (0, 0);
    for with_identity in [false, true] {
        let Some(points) = Bed::points(with_identity) else {
            println!("not tried: there is no strace here that may trace");
            return;
        };
        for (call, number) in points {
            for (errno, kind) in errors {
                let bed = Bed::new(with_identity);
                let what = format!("{errno} at {call} number {number}");
                let output = bed
                    .run(Some(format!("{call}:error={errno}:when={number}")))
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                // It works without the lock, and without a call for which there is another.
                let typed = output.status.success() || said.trim() == format!("{kind:?}");
                assert!(typed, "{what}: {output:?}");
                refused += usize::from(!output.status.success());
                bed.assert_whole(&what);
                failures += 1;
            }
        }
    }
    println!("{failures} failures, {refused} of them refused");
    assert!(refused > 40, "only {refused} of {failures}");
}
