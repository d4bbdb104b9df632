//! The state directory, as a gateway of the old generation leaves it for a person to read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::model::pairing::store::Stored;
use crate::model::secret::{AuthMode, Secret};

/// Stands in templates where a token belongs.
const TEMPLATE_TOKEN: &str = "REPLACE_WITH_GENERATED_TOKEN";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// A file or directory could not be read or written.
    #[error("cannot use {}", path.display())]
    #[non_exhaustive]
    Io {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The configuration says something that a gateway refuses.
    #[error("{}: Config invalid: {what}", path.display())]
    #[non_exhaustive]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// The place in it, and what to do about it.
        what: String,
    },
}

/// What opening a state directory found or made.
#[derive(Debug)]
#[non_exhaustive]
pub struct FirstBoot {
    /// The directory was empty: configuration and token were made just now.
    pub created: bool,
    /// The configuration file.
    pub config_path: PathBuf,
    token: Secret,
}

impl FirstBoot {
    /// The gateway's token, for the banner of a first start.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.expose()
    }
}

/// A state directory with `openclaw.json`, `devices/pending.json` and `devices/paired.json`.
///
/// ```
/// use openclaw_mock_gateway::StateDir;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("gateway");
/// let state = StateDir::new(path);
/// let first = state.boot(false)?; // makes the token
/// let config = state.config()?;
/// assert_eq!(config["gateway"]["auth"]["token"], first.token());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Names a state directory; nothing is read or written yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Does what the first start of a gateway does in an empty directory: makes `openclaw.json` with a
    /// random token and sets `gateway.remote.token` to the same; with `anthropic` it also adds the
    /// `anthropic` auth profile. The files of the devices are there from the start, empty. A configuration that is there already is checked and kept.
    ///
    /// # Errors
    ///
    /// [`StateDirError::Io`] when the directory cannot be used, [`StateDirError::Config`] when the
    /// configuration is one that a gateway refuses.
    pub fn boot(&self, anthropic: bool) -> Result<FirstBoot, StateDirError> {
        let config_path = self.config_path();
        let created = !config_path.exists();
        if created {
            fs::create_dir_all(&self.root).map_err(|source| Self::io(&self.root, source))?;
            let token = Secret::random();
            let mut config = json!({"gateway": {
                "mode": "local",
                "auth": {"mode": "token", "token": token.expose()},
                "remote": {"token": token.expose()},
            }});
            if anthropic {
                config["auth"] = json!({"profiles": {
                    "anthropic": {"provider": "anthropic", "mode": "api_key"},
                }});
            }
            self.write(&config_path, &config)?;
        }
        let auth = self.auth()?;
        for name in ["pending.json", "paired.json"] {
            let path = self.devices(name);
            if !path.exists() {
                self.write(&path, &json!({}))?;
            }
        }
        Ok(FirstBoot {
            created,
            config_path,
            token: auth.secret().clone(),
        })
    }

    /// Returns where the configuration is.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root.join("openclaw.json")
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn devices(&self, name: &str) -> PathBuf {
        self.root.join("devices").join(name)
    }

    fn io(path: &Path, source: io::Error) -> StateDirError {
        StateDirError::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn invalid(&self, what: impl Into<String>) -> StateDirError {
        StateDirError::Config {
            path: self.config_path(),
            what: what.into(),
        }
    }

    /// The checked configuration.
    ///
    /// # Errors
    ///
    /// [`StateDirError::Io`] when it cannot be read, [`StateDirError::Config`] when it is one that a
    /// gateway refuses.
    pub fn config(&self) -> Result<Value, StateDirError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(|source| Self::io(&path, source))?;
        let config: Value = serde_json::from_str(&text)
            .map_err(|error| self.invalid(format!("not JSON ({error})")))?;
        if !config.is_object() {
            return Err(self.invalid("must be an object"));
        }
        for place in ["/gateway", "/gateway/auth", "/gateway/remote", "/auth"] {
            if config
                .pointer(place)
                .is_some_and(|value| !value.is_object())
            {
                return Err(self.invalid(format!("{}: must be an object", dotted(place))));
            }
        }
        if let Some(profiles) = config.pointer("/auth/profiles") {
            self.check_profiles(profiles)?;
        }
        Ok(config)
    }

    fn check_profiles(&self, profiles: &Value) -> Result<(), StateDirError> {
        let Some(profiles) = profiles.as_object() else {
            return Err(self.invalid("auth.profiles (must be an object of profiles)"));
        };
        for (name, profile) in profiles {
            let text = |field: &str| {
                profile
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let known_mode = ["api_key", "oauth", "token", "aws-sdk"].contains(&text("mode"));
            if text("provider").is_empty() || !known_mode {
                return Err(self.invalid(format!(
                    "auth.profiles ({name} must be like {{\"provider\": \"anthropic\", \"mode\": \"api_key\"}})"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn auth(&self) -> Result<AuthMode, StateDirError> {
        let config = self.config()?;
        let text = |pointer: &str| {
            config
                .pointer(pointer)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        };
        for place in ["/gateway/auth/token", "/gateway/remote/token"] {
            if text(place) == Some(TEMPLATE_TOKEN) {
                return Err(self.invalid(format!(
                    "{} is still {TEMPLATE_TOKEN}; put a real token there, or delete openclaw.json and \
                     start again to have one made",
                    dotted(place)
                )));
            }
        }
        let password = text("/gateway/auth/password");
        match (text("/gateway/auth/mode"), password) {
            (Some("password") | None, Some(password)) => {
                Ok(AuthMode::Password(Secret::new(password)))
            }
            (Some("password"), None) => Err(self.invalid("gateway.auth.password is missing")),
            (Some("token") | None, _) => match text("/gateway/auth/token") {
                Some(token) => Ok(AuthMode::Token(Secret::new(token))),
                None => Err(self.invalid("gateway.auth.token is missing")),
            },
            (Some(mode), _) => {
                Err(self.invalid(format!("gateway.auth.mode: no such mode: {mode}")))
            }
        }
    }

    /// Returns whether the configuration asks the gateway to follow edits while it runs.
    #[must_use]
    pub fn wants_reload(&self) -> bool {
        self.config().is_ok_and(|config| {
            let mode = config
                .pointer("/gateway/reload/mode")
                .and_then(Value::as_str);
            mode.is_some_and(|mode| mode != "off")
        })
    }

    /// Writes a file that only its owner may read, all of it or nothing.
    fn write(&self, path: &Path, value: &Value) -> Result<(), StateDirError> {
        let parent = path.parent().unwrap_or(&self.root);
        let write = || -> io::Result<()> {
            fs::create_dir_all(parent)?;
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            let mut text = serde_json::to_string_pretty(value)?;
            text.push('\n');
            file.write_all(text.as_bytes())?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| Self::io(path, source))
    }

    fn read(path: &Path) -> Value {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Where the gateway keeps what outlives a restart.
#[derive(Debug)]
pub(crate) enum Disk {
    /// In this process; stands for the configuration file.
    Memory(AuthMode),
    Directory(StateDir),
}

impl Disk {
    /// The devices on disk, if they are not those in `known`.
    pub(crate) fn read_devices(&self, known: &Stored) -> Option<Stored> {
        let Self::Directory(dir) = self else {
            return None;
        };
        let pending = StateDir::read(&dir.devices("pending.json"));
        let paired = StateDir::read(&dir.devices("paired.json"));
        let mut stored = Stored::from_files(&pending, &paired);
        // The files are ordered by key; the order of arrival decides between equal times.
        let place = |id: &str| {
            known
                .pending
                .iter()
                .position(|request| request.request_id == id)
        };
        stored
            .pending
            .sort_by_key(|request| place(&request.request_id).unwrap_or(usize::MAX));
        (stored != *known).then_some(stored)
    }

    pub(crate) fn write_devices(&self, stored: &Stored) {
        let Self::Directory(dir) = self else { return };
        let files = [
            ("pending.json", stored.pending_file()),
            ("paired.json", stored.paired_file()),
        ];
        for (name, value) in files {
            if let Err(error) = dir.write(&dir.devices(name), &value) {
                tracing::warn!(%error, "devices not written");
            }
        }
    }

    pub(crate) fn read_secret(&self) -> Option<Secret> {
        match self {
            Self::Memory(auth) => Some(auth.secret().clone()),
            Self::Directory(dir) => dir.auth().ok().map(|auth| auth.secret().clone()),
        }
    }

    /// Edits the configuration the way a person would.
    pub(crate) fn write_secret(&mut self, secret: Secret) -> Result<(), StateDirError> {
        match self {
            Self::Memory(auth) => *auth = auth.with(secret),
            Self::Directory(dir) => {
                let mut config = dir.config()?;
                let field = dir.auth()?.name();
                config["gateway"]["auth"][field] = secret.expose().into();
                if let Some(remote) = config.pointer_mut("/gateway/remote/token") {
                    *remote = secret.expose().into();
                }
                dir.write(&dir.config_path(), &config)?;
            }
        }
        Ok(())
    }

    pub(crate) fn config(&self) -> Value {
        match self {
            Self::Memory(auth) => json!({"gateway": {
                "mode": "local", "auth": {"mode": auth.name(), auth.name(): auth.secret().expose()},
            }}),
            Self::Directory(dir) => dir.config().unwrap_or_else(|_| Value::Object(Map::new())),
        }
    }

    /// The path that clients are shown.
    pub(crate) fn shown_path(&self) -> String {
        match self {
            Self::Memory(_) => "/var/lib/openclaw".to_owned(),
            Self::Directory(dir) => dir.root.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_token_and_later_ones_keep_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path().join("state"));
        let first = dir.boot(true).expect("made");
        assert!(first.created);
        assert_eq!(first.token().len(), 48);
        let config = dir.config().expect("readable");
        assert_eq!(
            config["gateway"]["auth"]["token"],
            config["gateway"]["remote"]["token"]
        );
        assert_eq!(config["auth"]["profiles"]["anthropic"]["mode"], "api_key");
        let again = dir.boot(false).expect("kept");
        assert!(!again.created);
        assert_eq!(again.token(), first.token());
        assert!(!format!("{again:?}").contains(first.token()));
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        dir.boot(false).expect("made");
        Disk::Directory(dir.clone()).write_devices(&Stored::default());
        for path in [
            dir.config_path(),
            dir.devices("pending.json"),
            dir.devices("paired.json"),
        ] {
            let mode = fs::metadata(&path).expect("written").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_broken_configuration_is_refused_with_its_place() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let refused = |text: &str| {
            fs::write(dir.config_path(), text).expect("written");
            dir.boot(false).expect_err("refused").to_string()
        };
        assert!(refused("{").contains("Config invalid: not JSON"));
        let profiles = r#"{"gateway":{"auth":{"token":"t"}},"auth":{"profiles":{"anthropic":{"apiKey":"x"}}}}"#;
        assert!(refused(profiles).contains("Config invalid: auth.profiles"));
        let template = r#"{"gateway":{"auth":{"token":"REPLACE_WITH_GENERATED_TOKEN"}}}"#;
        assert!(refused(template).contains("delete openclaw.json"));
        assert!(refused("{}").contains("gateway.auth.token is missing"));
    }
}
