//! What can go wrong in a store, with what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::identity::IdentityError;

/// A store that cannot be used, where, and what to do.
///
/// `Display` says what is wrong and never shows what is in a file; the cause, if there is one, is
/// its `source`.
///
/// ```
/// use openclaw_adapter::InlineStore;
/// use openclaw_adapter::store::StoreErrorKind;
///
/// let error = InlineStore::new("not an identity").unwrap_err();
/// assert_eq!(error.kind(), StoreErrorKind::Damaged);
/// eprintln!("{error}. What to do: {}", error.fix());
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    path: Option<PathBuf>,
    detail: Option<String>,
    /// The mode a file or directory must have, for `LooseMode`.
    wanted_mode: u32,
    source: Option<Box<dyn Error + Send + Sync>>,
    place: Place,
}

/// What the path is, where that changes the advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A file or directory that is there.
    Entry,
    /// A directory that is to be made.
    Absent,
    /// The state directory itself, which somebody named.
    StateDir,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No state directory was named, and the user's data directory is not known.
    HomeUnknown,
    /// The directory, or the one it should be made in, is not there.
    Missing,
    /// The system refused to let this process read or write.
    PermissionDenied,
    /// The file system is read-only.
    ReadOnly,
    /// The disk or the quota is full.
    DiskFull,
    /// Other users may read or write the file or directory.
    LooseMode,
    /// A symbolic link stands where the file or directory should be.
    Symlink,
    /// Not a regular file, or not a directory.
    WrongType,
    /// Larger than such a file can be.
    TooLarge,
    /// The content cannot be read as what it should be.
    Damaged,
    /// The content is of a version that is not known here.
    ForeignVersion,
    /// An identity whose key, public key and id do not belong together.
    Mismatch,
    /// The identity in the directory is another one than the caller uses, or is gone.
    IdentityChanged,
    /// There is another identity already.
    AlreadyExists,
    /// Another process holds the lock for too long.
    Busy,
    /// A new identity could not be made.
    Identity,
    /// Any other failure of the system.
    Io,
    /// A failure of a store that is not one of this crate's.
    Other,
}

impl StoreError {
    /// An error for a store implemented elsewhere. `message` is shown to people and must hold no
    /// secret.
    #[must_use]
    pub fn other(message: impl Into<String>, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = Some(message.into());
        Self {
            detail,
            source,
            ..Self::new(StoreErrorKind::Other, None)
        }
    }

    pub(crate) fn new(kind: StoreErrorKind, path: impl Into<Option<PathBuf>>) -> Self {
        Self {
            kind,
            path: path.into(),
            detail: None,
            wanted_mode: 0,
            source: None,
            place: Place::Entry,
        }
    }

    #[cfg(unix)]
    pub(crate) fn loose_mode(path: &Path, mode: u32, wanted_mode: u32) -> Self {
        let detail = Some(format!("mode {mode:04o}"));
        Self {
            detail,
            wanted_mode,
            ..Self::new(StoreErrorKind::LooseMode, path.to_owned())
        }
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The path is a directory that could not be made.
    pub(crate) fn absent(mut self) -> Self {
        self.place = Place::Absent;
        self
    }

    /// The path is the state directory itself.
    pub(crate) fn of_state_dir(mut self) -> Self {
        self.place = Place::StateDir;
        self
    }

    /// Sorts a failure of the system on `path`.
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => StoreErrorKind::Missing,
            Io::PermissionDenied => StoreErrorKind::PermissionDenied,
            Io::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            Io::StorageFull | Io::QuotaExceeded => StoreErrorKind::DiskFull,
            Io::NotADirectory | Io::IsADirectory => StoreErrorKind::WrongType,
            _ => StoreErrorKind::Io,
        };
        Self {
            source: Some(Box::new(error)),
            ..Self::new(kind, path.to_owned())
        }
    }

    /// Sorts an identity that cannot be used, or could not be made.
    pub(crate) fn identity(path: Option<&Path>, error: IdentityError) -> Self {
        let kind = match error {
            IdentityError::Version { .. } => StoreErrorKind::ForeignVersion,
            IdentityError::KeysDiffer | IdentityError::IdDiffers { .. } => StoreErrorKind::Mismatch,
            IdentityError::Randomness => StoreErrorKind::Identity,
            _ => StoreErrorKind::Damaged,
        };
        Self {
            source: Some(Box::new(error)),
            ..Self::new(kind, path.map(Path::to_owned))
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The file or directory it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What a person can do about it, with the command where there is one.
    #[must_use]
    pub fn fix(&self) -> String {
        let path = self.path.as_deref().map_or_else(String::new, shell_quoted);
        match self.kind {
            StoreErrorKind::HomeUnknown => {
                "set OPENCLAW_ADAPTER_STATE_DIR to a directory that outlives restarts".to_owned()
            }
            StoreErrorKind::Missing => format!(
                "check that the volume of {path} is mounted, or set OPENCLAW_ADAPTER_STATE_DIR to \
                 a directory that this process may create"
            ),
            StoreErrorKind::PermissionDenied if self.place == Place::Absent => format!(
                "make {path} for the user this process runs as (install -d -m 700 -o USER \
                 {path}), or set OPENCLAW_ADAPTER_STATE_DIR to a directory that it may use"
            ),
            StoreErrorKind::PermissionDenied => format!(
                "give {path} to the user this process runs as (chown -R USER {path}), or set \
                 OPENCLAW_ADAPTER_STATE_DIR to a directory that it may use"
            ),
            StoreErrorKind::ReadOnly if self.place == Place::Absent => format!(
                "mount a writable volume at {path}, set OPENCLAW_ADAPTER_STATE_DIR to a writable \
                 directory, or give the identity in OPENCLAW_ADAPTER_DEVICE_IDENTITY"
            ),
            StoreErrorKind::ReadOnly => format!(
                "mount {path} writable, set OPENCLAW_ADAPTER_STATE_DIR to a writable directory, \
                 or give the identity in OPENCLAW_ADAPTER_DEVICE_IDENTITY"
            ),
            StoreErrorKind::DiskFull => format!("free some space on the file system of {path}"),
            StoreErrorKind::LooseMode => format!("chmod {:o} {path}", self.wanted_mode),
            StoreErrorKind::Symlink => format!(
                "put the file or directory itself at {path}; a link is not followed. To use \
                 another place set OPENCLAW_ADAPTER_STATE_DIR"
            ),
            StoreErrorKind::WrongType if self.place == Place::StateDir => {
                "set OPENCLAW_ADAPTER_STATE_DIR (or --state-dir) to a directory".to_owned()
            }
            StoreErrorKind::WrongType => format!("move away what is at {path}"),
            StoreErrorKind::TooLarge | StoreErrorKind::Damaged | StoreErrorKind::Mismatch
                if self.path.is_none() =>
            {
                "give the whole content of an identity/device.json, or the base64 of it".to_owned()
            }
            StoreErrorKind::TooLarge | StoreErrorKind::Damaged | StoreErrorKind::Mismatch => {
                format!(
                    "restore {path} from a backup. To go on without it, mv {path} {}; {}",
                    self.path.as_deref().map_or_else(String::new, moved_away),
                    self.price_of_losing_it()
                )
            }
            StoreErrorKind::ForeignVersion => {
                "use the version of this program (or of OpenClaw) that wrote it, or restore an \
                 older copy"
                    .to_owned()
            }
            StoreErrorKind::IdentityChanged => {
                "restart this process, so that it uses the identity that is there now".to_owned()
            }
            StoreErrorKind::AlreadyExists => format!(
                "to replace it, first mv {path} {}",
                self.path.as_deref().map_or_else(String::new, moved_away)
            ),
            StoreErrorKind::Busy => format!("end the process that holds {path}: fuser -v {path}"),
            StoreErrorKind::Identity => {
                "see what the system says about its random numbers".to_owned()
            }
            StoreErrorKind::Io => format!("check the file system of {path}"),
            StoreErrorKind::Other => "see the documentation of the store in use".to_owned(),
        }
    }

    fn price_of_losing_it(&self) -> &'static str {
        let name = self.path.as_deref().and_then(Path::file_name);
        if name.is_some_and(|name| name == "tokens.json") {
            "the gateway then gives a new device token for the shared one"
        } else {
            "the operator then has to approve this backend again"
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.path.as_deref().map_or_else(
            || "the device identity".to_owned(),
            |path| path.display().to_string(),
        );
        match self.kind {
            StoreErrorKind::HomeUnknown => {
                f.write_str("there is no home directory to keep the device identity in")
            }
            StoreErrorKind::Missing => write!(f, "{at} is not there"),
            StoreErrorKind::PermissionDenied if self.place == Place::Absent => {
                write!(f, "{at} may not be made by this process")
            }
            StoreErrorKind::PermissionDenied => write!(f, "{at} may not be used by this process"),
            StoreErrorKind::ReadOnly if self.place == Place::Absent => {
                write!(f, "{at} would be on a read-only file system")
            }
            StoreErrorKind::ReadOnly => write!(f, "{at} is on a read-only file system"),
            StoreErrorKind::DiskFull => write!(f, "{at} could not be written: the disk is full"),
            StoreErrorKind::LooseMode => write!(f, "{at} is open to other users"),
            StoreErrorKind::Symlink => write!(f, "{at} is a symbolic link"),
            StoreErrorKind::WrongType if self.place == Place::StateDir => {
                write!(f, "the state directory {at} is not a directory")
            }
            StoreErrorKind::WrongType => write!(f, "{at} is not of the type it should be"),
            StoreErrorKind::TooLarge => write!(f, "{at} is too large for what it should hold"),
            StoreErrorKind::Damaged => write!(f, "{at} is damaged"),
            StoreErrorKind::ForeignVersion => write!(f, "{at} is of a version not known here"),
            StoreErrorKind::Mismatch => {
                write!(
                    f,
                    "{at} was put together from parts of different identities"
                )
            }
            StoreErrorKind::IdentityChanged => {
                write!(f, "{at} no longer holds the identity that is in use")
            }
            StoreErrorKind::AlreadyExists => write!(f, "{at} holds another identity already"),
            StoreErrorKind::Busy => write!(f, "{at} is locked by another process"),
            StoreErrorKind::Identity => f.write_str("no new device identity could be made"),
            StoreErrorKind::Io => write!(f, "{at} could not be used"),
            StoreErrorKind::Other => f.write_str("the identity store failed"),
        }?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A path as it can be pasted into a shell.
fn shell_quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+:@%,".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn moved_away(path: &Path) -> String {
    let mut other = path.as_os_str().to_owned();
    other.push(".old");
    shell_quoted(Path::new(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: StoreErrorKind, path: &str) -> StoreError {
        StoreError::new(kind, PathBuf::from(path))
    }

    #[cfg(unix)]
    #[test]
    fn the_fix_for_a_loose_mode_is_the_command() {
        let path = Path::new("/var/lib/x/identity/device.json");
        let error = StoreError::loose_mode(path, 0o644, 0o600);
        assert_eq!(error.fix(), "chmod 600 /var/lib/x/identity/device.json");
        let said = "/var/lib/x/identity/device.json is open to other users (mode 0644)";
        assert_eq!(error.to_string(), said);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_in_a_command_is_quoted_where_a_shell_needs_it() {
        let fix = |path: &str| StoreError::loose_mode(Path::new(path), 0o755, 0o700).fix();
        assert_eq!(fix("/var/lib/x"), "chmod 700 /var/lib/x");
        assert_eq!(fix("/a b/c"), "chmod 700 '/a b/c'");
        assert_eq!(fix("/it's;rm"), r"chmod 700 '/it'\''s;rm'");
    }

    #[test]
    fn a_directory_that_is_to_be_made_is_not_given_away_but_made() {
        let fix = |kind| error(kind, "/srv/x").absent().fix();
        let denied = fix(StoreErrorKind::PermissionDenied);
        assert!(
            denied.contains("install -d -m 700 -o USER /srv/x"),
            "{denied}"
        );
        assert!(!denied.contains("chown"), "{denied}");
        let read_only = fix(StoreErrorKind::ReadOnly);
        assert!(
            read_only.contains("a writable volume at /srv/x"),
            "{read_only}"
        );
    }

    #[test]
    fn what_is_named_as_the_state_directory_is_not_to_be_moved_away() {
        let named = error(StoreErrorKind::WrongType, "/etc/passwd").of_state_dir();
        let fix = "set OPENCLAW_ADAPTER_STATE_DIR (or --state-dir) to a directory";
        assert_eq!(named.fix(), fix);
        let said = "the state directory /etc/passwd is not a directory";
        assert_eq!(named.to_string(), said);
        let inside = error(StoreErrorKind::WrongType, "/state/identity").fix();
        assert_eq!(inside, "move away what is at /state/identity");
    }

    #[test]
    fn moving_a_file_away_says_what_it_costs() {
        let fix = |path: &str| error(StoreErrorKind::Damaged, path).fix();
        assert!(
            fix("/s/device.json").contains("mv /s/device.json /s/device.json.old; the operator")
        );
        assert!(fix("/s/tokens.json").contains("new device token"));
    }

    #[test]
    fn display_names_the_path_and_does_not_repeat_its_source() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let text = source.to_string();
        let error = StoreError::io(Path::new("/s/identity"), source);
        assert_eq!(error.kind(), StoreErrorKind::DiskFull);
        assert_eq!(error.path(), Some(Path::new("/s/identity")));
        assert!(error.to_string().contains("/s/identity"));
        assert!(!error.to_string().contains(&text));
        assert_eq!(error.source().unwrap().to_string(), text);
    }

    #[test]
    fn every_system_failure_with_a_remedy_has_its_kind() {
        use io::ErrorKind as Io;
        for (io, kind) in [
            (Io::NotFound, StoreErrorKind::Missing),
            (Io::PermissionDenied, StoreErrorKind::PermissionDenied),
            (Io::ReadOnlyFilesystem, StoreErrorKind::ReadOnly),
            (Io::QuotaExceeded, StoreErrorKind::DiskFull),
            (Io::NotADirectory, StoreErrorKind::WrongType),
            (Io::Other, StoreErrorKind::Io),
        ] {
            assert_eq!(StoreError::io(Path::new("/x"), io.into()).kind(), kind);
        }
    }

    #[test]
    fn an_inline_identity_has_a_fix_without_a_path() {
        let error = StoreError::identity(None, IdentityError::PrivateKey);
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
        assert!(error.fix().contains("base64"), "{}", error.fix());
    }
}
