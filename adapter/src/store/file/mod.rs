//! A store in files of a directory.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::dir::{PrivateDir, Published};
use super::inline::read_inline;
use super::{
    DeviceToken, GatewayMemo, IdentityStore, SignatureVersion, StoreError, StoreErrorKind, tokens,
};
use crate::base::endpoint::GatewayKey;
use crate::base::identity::{DeviceId, DeviceIdentity, IdentityError};
use crate::base::secret::Token;

const NAME: &str = "device.json";
/// A real one has about 420 bytes.
const LIMIT: usize = 16 * 1024;

/// Keeps the identity in `<state dir>/identity/device.json`, in OpenClaw's own format, and the
/// gateways' tokens beside it in `tokens.json`.
///
/// Directories have mode 0700 and files 0600; looser ones are refused. An identity is made only
/// where there is none, and a file that cannot be used is never replaced. Several processes may
/// share a directory, and a kill at any moment leaves the old state or the new one. On a file
/// system without locks two processes that learn a token in the same moment may keep only one of
/// the two tokens; the identity is safe there too.
///
/// ```
/// use openclaw_adapter::FileStore;
/// use openclaw_adapter::store::IdentityStore as _;
/// use openclaw_adapter::DeviceIdentity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let state_dir = dir.path().join("openclaw");
/// let store = FileStore::new(&state_dir);
/// assert!(store.load()?.is_none(), "looking makes nothing");
///
/// let made = store.load_or_create(&mut || DeviceIdentity::generate(1_795_000_000_000))?;
/// let found = FileStore::new(&state_dir).load()?.expect("it was kept");
/// assert_eq!(found.id(), made.id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileStore {
    dir: PrivateDir,
    /// Spares the threads of one process the wait for the lock of the directory, and holds where
    /// the file system has none.
    change: Mutex<()>,
}

impl FileStore {
    /// A store in `state_dir`, which is made when something is stored there first. Nothing is
    /// read or written yet.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: PrivateDir::new(state_dir),
            change: Mutex::new(()),
        }
    }

    /// `openclaw-adapter` in the user's data directory: on Linux `$XDG_DATA_HOME` or
    /// `~/.local/share`.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::HomeUnknown`]. There is no other place to fall back to: one that is
    /// cleared at a restart would ask for approval each time.
    pub fn default_dir() -> Result<PathBuf, StoreError> {
        dirs::data_dir()
            .filter(|path| path.is_absolute())
            .map(|path| path.join("openclaw-adapter"))
            .ok_or_else(|| StoreError::new(StoreErrorKind::HomeUnknown, None))
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.dir.state()
    }

    /// Where the identity is.
    #[must_use]
    pub fn identity_path(&self) -> PathBuf {
        self.dir.path(NAME)
    }

    /// Stores an identity that is given as the text of a `device.json`, or the base64 of it.
    /// Nothing changes if it is the stored one already.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::AlreadyExists`] if another one is stored; it stays. Otherwise as
    /// [`IdentityStore::load_or_create`], or the text is not an identity.
    pub fn import(&self, text: &str) -> Result<DeviceId, StoreError> {
        let given = read_inline(text)?;
        let stored = self.load_or_create(&mut || Ok(given.clone()))?;
        if stored.id() == given.id() {
            Ok(given.id().clone())
        } else {
            let detail = format!("{} instead of {}", stored.id().short(), given.id().short());
            let path = self.identity_path();
            Err(StoreError::new(StoreErrorKind::AlreadyExists, path).with_detail(detail))
        }
    }

    /// The stored identity as the text of a `device.json`, with the private key.
    ///
    /// # Errors
    ///
    /// As [`IdentityStore::load`].
    pub fn export(&self) -> Result<Option<Zeroizing<String>>, StoreError> {
        Ok(self.load()?.map(|identity| identity.to_json()))
    }

    /// Tokens belong to the identity beside them. Where that one is gone (a deleted directory) or
    /// another (a volume that was mounted over the first directory), this process must not leave
    /// its own there.
    fn check_identity(&self, device: &DeviceId) -> Result<(), StoreError> {
        let detail = match self.load()? {
            Some(stored) if stored.id() == device => return Ok(()),
            Some(stored) => format!("it now holds {}", stored.id().short()),
            None => "it is gone".to_owned(),
        };
        let path = self.identity_path();
        Err(StoreError::new(StoreErrorKind::IdentityChanged, path).with_detail(detail))
    }

    fn change<T>(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        change: impl FnOnce(&mut GatewayMemo) -> T,
    ) -> Result<T, StoreError> {
        let _turn = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_identity(device)?;
        let lock = self.dir.lock()?;
        tokens::change(&self.dir, &lock, gateway, device, change)
    }
}

impl IdentityStore for FileStore {
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError> {
        // Without the lock first: a directory that is mounted read-only has its identity already.
        if let Some(identity) = self.load()? {
            return Ok(identity);
        }
        let _turn = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.dir.create()?;
        let lock = self.dir.lock()?;
        if let Some(identity) = self.load()? {
            return Ok(identity);
        }
        let path = self.identity_path();
        let identity = create().map_err(|error| StoreError::identity(Some(&path), error))?;
        // The way out is the same for a file of ours and one that was put there in spite of the
        // lock (where there are none): what is on the disk counts.
        let _: Published = self
            .dir
            .publish(NAME, identity.to_json().as_bytes(), &lock)?;
        self.load()?.ok_or_else(|| {
            StoreError::new(StoreErrorKind::IdentityChanged, path)
                .with_detail("it was removed at once")
        })
    }

    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
        let Some(content) = self.dir.read(NAME, LIMIT)? else {
            return Ok(None);
        };
        let path = self.identity_path();
        let text = str::from_utf8(&content).map_err(|_| {
            StoreError::new(StoreErrorKind::Damaged, path.clone()).with_detail("not UTF-8")
        })?;
        DeviceIdentity::from_json(text)
            .map(Some)
            .map_err(|error| StoreError::identity(Some(&path), error))
    }

    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
        tokens::load(&self.dir, gateway, device)
    }

    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        self.change(gateway, device, |memo| memo.put(token.clone()))
    }

    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError> {
        self.change(gateway, device, |memo| memo.remove(role, token))
    }

    fn put_signature(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        version: SignatureVersion,
    ) -> Result<(), StoreError> {
        self.change(gateway, device, |memo| memo.set_signature(version))
    }

    fn location(&self) -> String {
        self.dir.state().display().to_string()
    }

    fn identity_file(&self) -> Option<PathBuf> {
        Some(self.identity_path())
    }
}

#[cfg(test)]
mod tests;
