//! Every step of creating an identity and of replacing tokens: killed there, and failing there.

use std::cell::RefCell;
use std::io;
use std::process::Command;
use std::rc::Rc;

use super::*;
use crate::store::step::{Step, with_hook};

const CHILD: &str = "store::file::tests::crash::child_that_dies_at_a_step";
const STATE: &str = "STORE_TEST_STATE";
const WORK: &str = "STORE_TEST_WORK";
const STEP: &str = "STORE_TEST_STEP";

/// What a child or a failing run does.
fn work(name: &str, store: &FileStore) -> Result<(), StoreError> {
    let identity = store.load_or_create(&mut make)?;
    match name {
        "create" => Ok(()),
        "replace" => store.put_token(&key(), identity.id(), &token("new")),
        "remove" => store
            .remove_token(&key(), identity.id(), "operator", token("old").token())
            .map(drop),
        other => panic!("{other}"),
    }
}

/// The steps that `name` takes in a directory prepared by `prepare`.
fn steps_of(name: &str, prepare: impl Fn(&FileStore)) -> Vec<Step> {
    let (_dir, store) = bed();
    prepare(&store);
    let steps = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&steps);
    let hook = move |step| {
        seen.borrow_mut().push(step);
        Ok(())
    };
    with_hook(hook, || work(name, &store)).unwrap();
    steps.take()
}

fn nothing(_: &FileStore) {}

fn with_old_token(store: &FileStore) {
    let identity = store.load_or_create(&mut make).unwrap();
    store
        .put_token(&key(), identity.id(), &token("old"))
        .unwrap();
}

/// Only does something as the child of another test, which kills it at a step.
#[test]
fn child_that_dies_at_a_step() {
    let (Ok(state), Ok(name), Ok(step)) = (
        std::env::var(STATE),
        std::env::var(WORK),
        std::env::var(STEP),
    ) else {
        return;
    };
    let mut left: usize = step.parse().unwrap();
    let hook = move |_| {
        if left == 0 {
            // No destructor and no buffer gets its turn, as with kill -9.
            std::process::abort();
        }
        left -= 1;
        Ok(())
    };
    with_hook(hook, || work(&name, &FileStore::new(state))).unwrap();
}

/// Runs `name` in a child that dies in front of its step number `step`.
fn killed_at(store: &FileStore, name: &str, step: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .env(STATE, store.state_dir())
        .env(WORK, name)
        .env(STEP, step.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(6),
        "step {step}"
    );
}

fn assert_private(store: &FileStore) {
    let inner = store.state_dir().join("identity");
    for path in [store.state_dir(), &inner] {
        assert!(!path.exists() || mode(path) == 0o700, "{}", path.display());
    }
    if inner.exists() {
        for name in names(&inner) {
            assert_eq!(mode(&inner.join(&name)) & 0o077, 0, "{name}");
        }
    }
}

#[test]
fn a_kill_at_any_step_of_the_first_start_leaves_no_identity_or_one() {
    let steps = steps_of("create", nothing);
    for wanted in [
        Step::CreateDir,
        Step::Lock,
        Step::Write,
        Step::Publish,
        Step::SyncDir,
    ] {
        assert!(steps.contains(&wanted), "{wanted:?} in {steps:?}");
    }
    for step in 0..steps.len() {
        let (_dir, store) = bed();
        killed_at(&store, "create", step);
        assert_private(&store);
        let left = store.load().unwrap();
        let published = steps[..step].contains(&Step::Publish);
        assert_eq!(left.is_some(), published, "killed before {:?}", steps[step]);
        let next = store.load_or_create(&mut make).unwrap();
        assert!(left.is_none_or(|left| left.id() == next.id()));
        assert_eq!(
            names(&store.state_dir().join("identity")),
            [".lock", "device.json"]
        );
    }
}

#[test]
fn a_kill_at_any_step_of_a_change_leaves_the_old_tokens_or_the_new() {
    for (name, after) in [("replace", Some("new")), ("remove", None)] {
        let steps = steps_of(name, with_old_token);
        assert!(steps.contains(&Step::Replace), "{steps:?}");
        for step in 0..steps.len() {
            let (_dir, store) = bed();
            with_old_token(&store);
            let id = store.load().unwrap().unwrap().id().clone();
            killed_at(&store, name, step);
            assert_private(&store);
            assert_eq!(store.load().unwrap().unwrap().id(), &id);
            let replaced = steps[..step].contains(&Step::Replace);
            let expected = if replaced { after } else { Some("old") }.map(token);
            let memo = store.gateway(&key(), &id).unwrap();
            assert_eq!(
                memo.token("operator"),
                expected.as_ref(),
                "before {:?}",
                steps[step]
            );
            store.put_token(&key(), &id, &token("next")).unwrap();
            let inner = store.state_dir().join("identity");
            assert_eq!(names(&inner), [".lock", "device.json", "tokens.json"]);
        }
    }
}

/// Makes the step number `at` fail with `kind`, and gives what the store said.
fn failing_at(
    store: &FileStore,
    name: &str,
    at: usize,
    kind: io::ErrorKind,
) -> Result<(), StoreError> {
    let mut left = at;
    let hook = move |_| {
        let fails = left == 0;
        left = left.wrapping_sub(1);
        if fails { Err(kind.into()) } else { Ok(()) }
    };
    with_hook(hook, || work(name, store))
}

#[test]
fn a_failure_at_any_step_is_a_typed_error_and_loses_nothing() {
    let cases = [
        (io::ErrorKind::StorageFull, StoreErrorKind::DiskFull),
        (io::ErrorKind::QuotaExceeded, StoreErrorKind::DiskFull),
        (io::ErrorKind::ReadOnlyFilesystem, StoreErrorKind::ReadOnly),
        (
            io::ErrorKind::PermissionDenied,
            StoreErrorKind::PermissionDenied,
        ),
        (io::ErrorKind::Other, StoreErrorKind::Io),
    ];
    for (name, prepare) in [
        ("create", nothing as fn(&FileStore)),
        ("replace", with_old_token),
        ("remove", with_old_token),
    ] {
        let steps = steps_of(name, prepare);
        for (at, step) in steps.iter().enumerate() {
            // Each step fails for want of space, and for one of the other reasons in turn.
            for (io, kind) in [cases[0], cases[1 + at % (cases.len() - 1)]] {
                let (_dir, store) = bed();
                prepare(&store);
                let before = store.load().unwrap();
                match failing_at(&store, name, at, io) {
                    Err(error) => {
                        assert_eq!(error.kind(), kind, "{name} {step:?}");
                        assert!(error.path().is_some() && !error.fix().is_empty());
                    }
                    // Without locks, and without a call that does not replace, it still works.
                    Ok(()) => assert!(
                        *step == Step::Lock
                            || (*step == Step::Publish && io == io::ErrorKind::PermissionDenied),
                        "{name} {step:?} {io}"
                    ),
                }
                assert_private(&store);
                let after = store.load_or_create(&mut make).unwrap();
                assert!(before.is_none_or(|before| before.id() == after.id()));
                store.put_token(&key(), after.id(), &token("next")).unwrap();
            }
        }
    }
}

/// Runs `work` on a file system that has no locks.
fn without_locks<T>(work: impl FnOnce() -> T) -> T {
    let hook = |step| match step {
        Step::Lock => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(()),
    };
    with_hook(hook, work)
}

#[test]
fn without_locks_two_starts_end_with_one_identity() {
    let (_dir, store) = bed();
    let other = FileStore::new(store.state_dir());
    // The other process comes first just between our look and our write.
    let mut theirs = None;
    let ours = without_locks(|| {
        store.load_or_create(&mut || {
            theirs = Some(other.load_or_create(&mut make).unwrap());
            make()
        })
    });
    assert_eq!(ours.unwrap().id(), theirs.unwrap().id());
    assert_eq!(
        names(&store.state_dir().join("identity")),
        [".lock", "device.json"]
    );
}

#[test]
fn without_locks_tokens_are_still_replaced_as_a_whole() {
    let (_dir, store) = bed();
    without_locks(|| {
        with_old_token(&store);
        work("replace", &store).unwrap();
    });
    let id = store.load().unwrap().unwrap().id().clone();
    assert_eq!(
        store.gateway(&key(), &id).unwrap().token("operator"),
        Some(&token("new"))
    );
}

#[test]
fn a_file_system_with_neither_locks_nor_create_only_names_is_refused() {
    let (_dir, store) = bed();
    let hook = |step| match step {
        Step::Lock | Step::Publish => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(()),
    };
    let error = with_hook(hook, || store.load_or_create(&mut make)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Io);
    assert!(error.to_string().contains("neither lock"), "{error}");
    assert!(store.load().unwrap().is_none());
}

#[test]
fn with_a_lock_a_plain_rename_is_enough_for_the_first_identity() {
    let (_dir, store) = bed();
    let hook = |step| match step {
        Step::Publish => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(()),
    };
    let made = with_hook(hook, || store.load_or_create(&mut make)).unwrap();
    assert_eq!(store.load().unwrap().unwrap().id(), made.id());
}
