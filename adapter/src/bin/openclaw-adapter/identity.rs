//! `openclaw-adapter identity`: the device identity, without a gateway.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openclaw_adapter::{ConfigBuilder, ConfigError, DeviceIdentity, FileStore, StoreError};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::Identity;
use crate::exit::Exit;
use crate::output::Output;

/// An identity is a small file; anything larger is another one.
const MAX_FILE: u64 = 64 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    device_id: String,
    public_key: String,
    created_at_ms: u64,
    location: String,
}

#[derive(Serialize)]
struct Place {
    path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    device_id: String,
    path: String,
}

pub(crate) fn run(builder: &ConfigBuilder, command: &Identity, output: Output) -> io::Result<Exit> {
    match command {
        Identity::Show => match load(builder) {
            Ok((identity, location)) => show(&identity, location, output),
            Err(failure) => failure.report(output),
        },
        Identity::Create => match create(builder) {
            Ok((identity, location)) => show(&identity, location, output),
            Err(failure) => failure.report(output),
        },
        Identity::Path => match file_store(builder) {
            Ok(store) => {
                let path = store.identity_path().display().to_string();
                output.print(&Place { path: path.clone() }, || path)?;
                Ok(Exit::Done)
            }
            Err(failure) => failure.report(output),
        },
        Identity::Export => match load(builder) {
            Ok((identity, _)) => {
                use io::Write as _;
                let text = identity.to_json();
                io::stdout().lock().write_all(text.as_bytes())?;
                Ok(Exit::Done)
            }
            Err(failure) => failure.report(output),
        },
        Identity::Import { file } => match import(builder, file) {
            Ok(imported) => {
                output.print(&imported, || {
                    format!("device {} is now in {}", imported.device_id, imported.path)
                })?;
                Ok(Exit::Done)
            }
            Err(failure) => failure.report(output),
        },
    }
}

fn show(identity: &DeviceIdentity, location: String, output: Output) -> io::Result<Exit> {
    let shown = Shown {
        device_id: identity.id().to_string(),
        public_key: identity.public_key_base64url(),
        created_at_ms: identity.created_at_ms(),
        location,
    };
    output.print(&shown, || {
        format!(
            "device id   {}\npublic key  {}\nkept in     {}",
            shown.device_id, shown.public_key, shown.location
        )
    })?;
    Ok(Exit::Done)
}

enum Failure {
    Config(ConfigError),
    Store(StoreError),
    Absent(String),
    Input(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn report(self, output: Output) -> io::Result<Exit> {
        match self {
            Self::Config(error) => {
                output.config(&error)?;
                Ok(Exit::of_config(&error))
            }
            Self::Store(error) => {
                output.stopped("identity", &error.to_string(), &error.fix())?;
                Ok(Exit::Identity)
            }
            Self::Absent(location) => {
                output.stopped(
                    "identity",
                    &format!("there is no device identity in {location} yet"),
                    "It is made at the first connect, or by `openclaw-adapter identity create`; or take one over with `openclaw-adapter identity import FILE`.",
                )?;
                Ok(Exit::Identity)
            }
            Self::Input(message) => {
                output.stopped("config", &message, "")?;
                Ok(Exit::Usage)
            }
        }
    }
}

fn load(builder: &ConfigBuilder) -> Result<(DeviceIdentity, String), Failure> {
    let store = builder.build_store()?;
    let location = store.location();
    match store.load()? {
        Some(identity) => Ok((identity, location)),
        None => Err(Failure::Absent(location)),
    }
}

/// The stored identity; if there is none, a new one.
fn create(builder: &ConfigBuilder) -> Result<(DeviceIdentity, String), Failure> {
    let store = builder.build_store()?;
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    let identity = store.load_or_create(&mut || DeviceIdentity::generate(now_ms))?;
    Ok((identity, store.location()))
}

fn file_store(builder: &ConfigBuilder) -> Result<FileStore, Failure> {
    Ok(FileStore::new(builder.state_directory()?))
}

fn import(builder: &ConfigBuilder, file: &Path) -> Result<Imported, Failure> {
    let text = read(file)
        .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", file.display())))?;
    let store = file_store(builder)?;
    let device_id = store.import(&text)?;
    Ok(Imported {
        device_id: device_id.to_string(),
        path: store.identity_path().display().to_string(),
    })
}

fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        io::stdin()
            .lock()
            .take(MAX_FILE)
            .read_to_string(&mut text)?;
    } else {
        fs::File::open(file)?
            .take(MAX_FILE)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}
