//! The points at which tests stop the store or make the system fail.

use std::io;

/// What the store is about to ask the file system for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    CreateDir,
    Read,
    OpenLock,
    Lock,
    CreateTemp,
    Write,
    SyncFile,
    Publish,
    Replace,
    SyncDir,
    Done,
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests make it fail")]
pub(super) const fn before(_step: Step) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
type Hook = Box<dyn FnMut(Step) -> io::Result<()>>;

#[cfg(test)]
thread_local! {
    static HOOK: std::cell::RefCell<Option<Hook>> = const { std::cell::RefCell::new(None) };
}

#[cfg(test)]
pub(super) fn before(step: Step) -> io::Result<()> {
    HOOK.with_borrow_mut(|hook| hook.as_mut().map_or(Ok(()), |hook| hook(step)))
}

/// Runs `work` with `hook` in front of each step of this thread.
#[cfg(test)]
pub(super) fn with_hook<T>(
    hook: impl FnMut(Step) -> io::Result<()> + 'static,
    work: impl FnOnce() -> T,
) -> T {
    HOOK.with_borrow_mut(|slot| *slot = Some(Box::new(hook)));
    let result = work();
    HOOK.with_borrow_mut(|slot| *slot = None);
    result
}
