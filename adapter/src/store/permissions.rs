//! Who else may read a file or directory, and whether it is one.
//!
//! The owner is not compared: what is closed to group and others can only be read by its owner
//! (or by root, who is not kept out by anything).

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::path::Path;

use super::{StoreError, StoreErrorKind};

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// Refuses what is not a regular file that only its owner may use. `metadata` is of the path
/// itself, not of what a link points to.
pub(super) fn check_file(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    check_type(path, metadata, metadata.is_file())?;
    check_mode(path, metadata, FILE_MODE)
}

/// Refuses what is not a directory that only its owner may use.
pub(super) fn check_dir(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    check_type(path, metadata, metadata.is_dir())?;
    check_mode(path, metadata, DIR_MODE)
}

fn check_type(path: &Path, metadata: &Metadata, expected: bool) -> Result<(), StoreError> {
    if metadata.is_symlink() {
        Err(StoreError::new(StoreErrorKind::Symlink, path.to_owned()))
    } else if expected {
        Ok(())
    } else {
        Err(StoreError::new(StoreErrorKind::WrongType, path.to_owned()))
    }
}

#[cfg(unix)]
mod system {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    use super::{DIR_MODE, DirBuilder, FILE_MODE, Metadata, OpenOptions, Path, StoreError};

    pub(in super::super) fn check_mode(
        path: &Path,
        metadata: &Metadata,
        wanted: u32,
    ) -> Result<(), StoreError> {
        let mode = metadata.mode() & 0o7777;
        let others = mode & 0o077;
        if others == 0 {
            Ok(())
        } else {
            Err(StoreError::loose_mode(path, mode, wanted))
        }
    }

    pub(in super::super) fn private_dir() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.mode(DIR_MODE);
        builder
    }

    pub(in super::super) fn private_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(FILE_MODE);
        options
    }

    /// Whether both are the same file, so that it was not exchanged between a look at its path and
    /// opening it.
    pub(in super::super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
        one.dev() == other.dev() && one.ino() == other.ino()
    }
}

/// Elsewhere the access rights of the user's own directories have to do.
#[cfg(not(unix))]
mod system {
    use super::{DirBuilder, Metadata, OpenOptions, Path, StoreError};

    pub(in super::super) fn check_mode(
        _path: &Path,
        _metadata: &Metadata,
        _wanted: u32,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    pub(in super::super) fn private_dir() -> DirBuilder {
        DirBuilder::new()
    }

    pub(in super::super) fn private_file() -> OpenOptions {
        OpenOptions::new()
    }

    pub(in super::super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
        one.len() == other.len()
    }
}

use system::check_mode;
pub(super) use system::{private_dir, private_file, same_file};
