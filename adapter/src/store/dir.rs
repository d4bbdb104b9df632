//! The state directory: private, locked for changes, its files replaced as a whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::permissions::{self, same_file};
use super::step::{self, Step};
use super::{StoreError, StoreErrorKind};

/// How long others may hold the lock: each does so for a few writes, never for a network. But there may be
/// many, and a disk that is busy takes its time to sync.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_POLL: Duration = Duration::from_millis(5);
const LOCK_NAME: &str = ".lock";
const TEMP_PREFIX: &str = ".new-";
/// How often a file may be exchanged between the look at it and opening it.
const READ_ATTEMPTS: usize = 32;

/// `<state dir>/identity`.
#[derive(Debug)]
pub(super) struct PrivateDir {
    state: PathBuf,
    inner: PathBuf,
}

/// Held while something is changed; let go when dropped, also by a kill.
#[derive(Debug)]
pub(super) struct DirLock {
    /// `None` where the file system has no locks.
    file: Option<File>,
}

/// How a create-only write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// The file is there now.
    Ours,
    /// There was one already, and it is untouched.
    Theirs,
}

impl PrivateDir {
    pub(super) fn new(state: impl Into<PathBuf>) -> Self {
        let state = state.into();
        // A later change of the working directory must not move the identity.
        let state = std::path::absolute(&state).unwrap_or(state);
        Self {
            inner: state.join("identity"),
            state,
        }
    }

    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.inner.join(name)
    }

    /// Whether the directory is there; an error if it is, but open to others or something else.
    /// The state directory may be a link (an administrator's choice of the disk), what is in it
    /// may not.
    pub(super) fn exists(&self) -> Result<bool, StoreError> {
        let state = found(&self.state, fs::metadata(&self.state));
        let Some(state) = state.map_err(StoreError::of_state_dir)? else {
            // A link into nothing is a volume that is not mounted, not a first start.
            return match fs::symlink_metadata(&self.state) {
                Ok(seen) if seen.is_symlink() => {
                    Err(StoreError::new(StoreErrorKind::Missing, self.state.clone()))
                }
                // Another process may have made it between the two looks.
                _ => Ok(false),
            };
        };
        permissions::check_dir(&self.state, &state).map_err(StoreError::of_state_dir)?;
        let Some(inner) = found(&self.inner, fs::symlink_metadata(&self.inner))? else {
            return Ok(false);
        };
        permissions::check_dir(&self.inner, &inner)?;
        Ok(true)
    }

    /// Makes the directory if it is not there.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        if self.exists()? {
            return Ok(());
        }
        for (path, recursive) in [(&self.state, true), (&self.inner, false)] {
            let made = step::before(Step::CreateDir)
                .and_then(|()| permissions::private_dir().recursive(recursive).create(path));
            match made {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(StoreError::io(path, error).absent());
                }
                _ => {}
            }
            if let Some(parent) = path.parent() {
                // The parent may not be readable for us; then its own writer has to care.
                let _ = sync_dir(parent);
            }
        }
        if self.exists()? {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::Missing, self.inner.clone()))
        }
    }

    /// The content of a file, if it is there.
    pub(super) fn read(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        if !self.exists()? {
            return Ok(None);
        }
        let path = self.path(name);
        for _ in 0..READ_ATTEMPTS {
            let seen = step::before(Step::Read).and_then(|()| fs::symlink_metadata(&path));
            let Some(seen) = found(&path, seen)? else {
                return Ok(None);
            };
            permissions::check_file(&path, &seen)?;
            let too_large = || StoreError::new(StoreErrorKind::TooLarge, path.clone());
            let size = usize::try_from(seen.len()).map_err(|_| too_large())?;
            if size > limit {
                return Err(too_large());
            }
            // Opened only now, so that a pipe in its place does not hold us.
            let Some(file) = found(&path, File::open(&path))? else {
                continue;
            };
            let opened = file
                .metadata()
                .map_err(|error| StoreError::io(&path, error))?;
            if !same_file(&seen, &opened) {
                continue;
            }
            // Room for one byte more shows growth, and spares a copy of secrets by reallocation.
            let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
            let most = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
            file.take(most)
                .read_to_end(&mut content)
                .map_err(|error| StoreError::io(&path, error))?;
            if content.len() == size {
                return Ok(Some(content));
            }
        }
        let error = StoreError::new(StoreErrorKind::Io, path);
        Err(error.with_detail("it changes all the time"))
    }

    /// Waits for the lock, a bounded time. Without it nothing here is unsafe: a new file is
    /// published only where there is none, a replaced one is replaced as a whole. What the lock
    /// adds is that no change made between a read and a write is lost.
    pub(super) fn lock(&self) -> Result<DirLock, StoreError> {
        self.lock_for(LOCK_PATIENCE)
    }

    pub(super) fn lock_for(&self, patience: Duration) -> Result<DirLock, StoreError> {
        let path = self.path(LOCK_NAME);
        if let Some(seen) = found(&path, fs::symlink_metadata(&path))? {
            permissions::check_file(&path, &seen)?;
        }
        let file = step::before(Step::OpenLock)
            .and_then(|()| {
                permissions::private_file()
                    .read(true)
                    .append(true)
                    .create(true)
                    .open(&path)
            })
            .map_err(|error| StoreError::io(&path, error))?;
        let deadline = Instant::now() + patience;
        // One step, however often the lock has to be tried.
        let mut first = step::before(Step::Lock).map_err(TryLockError::Error);
        loop {
            match std::mem::replace(&mut first, Ok(())).and_then(|()| file.try_lock()) {
                Ok(()) => return Ok(DirLock { file: Some(file) }),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(StoreError::new(StoreErrorKind::Busy, path));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                // Some network file systems have none; the codes for that are many.
                Err(TryLockError::Error(_)) => return Ok(DirLock { file: None }),
            }
        }
    }

    /// Writes a file that is not there yet. A reader sees nothing or all of it.
    pub(super) fn publish(
        &self,
        name: &str,
        content: &[u8],
        lock: &DirLock,
    ) -> Result<Published, StoreError> {
        let path = self.path(name);
        let temp = self.written(content, lock)?;
        let (error, temp) = match step::before(Step::Publish) {
            Ok(()) => match temp.persist_noclobber(&path) {
                Ok(_) => {
                    self.sync()?;
                    return Ok(Published::Ours);
                }
                Err(refused) => (refused.error, refused.file),
            },
            Err(error) => (error, temp),
        };
        if fs::symlink_metadata(&path).is_ok() {
            return Ok(Published::Theirs);
        }
        // Neither a rename that does not replace nor a hard link: FAT and some FUSE file systems.
        // Under the lock a plain rename is as good, as nobody else can have put a file there.
        let no_such_call = matches!(
            error.kind(),
            ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied
        );
        if !no_such_call {
            return Err(StoreError::io(&path, error));
        }
        if lock.file.is_none() {
            return Err(StoreError::io(&path, error)
                .with_detail("its file system can neither lock nor create a file as a whole"));
        }
        step::before(Step::Replace)
            .and_then(|()| temp.persist(&path).map_err(|refused| refused.error))
            .map_err(|error| StoreError::io(&path, error))?;
        self.sync()?;
        Ok(Published::Ours)
    }

    /// Writes a file in place of the one that may be there. A reader sees the old or the new one.
    pub(super) fn replace(
        &self,
        name: &str,
        content: &[u8],
        lock: &DirLock,
    ) -> Result<(), StoreError> {
        let path = self.path(name);
        let temp = self.written(content, lock)?;
        step::before(Step::Replace)
            .and_then(|()| temp.persist(&path).map_err(|refused| refused.error))
            .map_err(|error| StoreError::io(&path, error))?;
        self.sync()
    }

    /// A complete temporary file on the disk, beside its later place.
    fn written(&self, content: &[u8], lock: &DirLock) -> Result<NamedTempFile, StoreError> {
        if lock.file.is_some() {
            self.remove_leftovers();
        }
        let mut temp = step::before(Step::CreateTemp)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix(TEMP_PREFIX)
                    .rand_bytes(12)
                    .tempfile_in(&self.inner)
            })
            .map_err(|error| StoreError::io(&self.inner, error))?;
        step::before(Step::Write)
            .and_then(|()| temp.write_all(content))
            .and_then(|()| step::before(Step::SyncFile))
            .and_then(|()| temp.as_file().sync_all())
            .map_err(|error| StoreError::io(&self.inner, error))?;
        Ok(temp)
    }

    /// Removes what killed writers left. Only under the lock, where no writer is at work.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.inner).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
                // It does no harm there, and the next writer tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        step::before(Step::SyncDir)
            .and_then(|()| sync_dir(&self.inner))
            .and_then(|()| step::before(Step::Done))
            .map_err(|error| StoreError::io(&self.inner, error))
    }
}

/// Makes a new name in a directory survive a power cut.
fn sync_dir(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // Some file systems have no such call; then there is nothing more to be done.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Tells "not there" from other failures.
fn found<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path, error)),
    }
}
