//! Facts of this host: token, identity, and perhaps a gateway's files. Everything here may
//! block on a disk; nothing is written.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use super::Lookup;
use super::facts::{Address, Credential, Found, Identity, Plain, StoreFault};
use super::openclaw_json::OpenclawJson;
use super::shape::Shape;
use crate::base::endpoint::Endpoint;
use crate::base::identity::DeviceIdentity;
use crate::config::{ConfigBuilder, TokenSource};
use crate::logic::config_error::ConfigError;
use crate::logic::credentials::Secret;
use crate::net::Dialer;
use crate::store::{DeviceToken, IdentityStore, SignatureVersion, StoreError};

/// A configuration or a list of requests is far smaller.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The facts of this host, with the secrets that the login needs.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) address: Result<Address, ConfigError>,
    /// The dialer, and the rule for plain TCP.
    pub(super) dialer: Option<Result<(Dialer, bool), ConfigError>>,
    pub(super) secret: Result<(Secret, TokenSource), ConfigError>,
    pub(super) place: String,
    pub(super) device: Result<Option<Device>, StoreFault>,
    pub(super) openclaw_json: Found,
}

/// The identity and what is stored of this gateway.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) identity: DeviceIdentity,
    pub(super) token: Option<DeviceToken>,
    pub(super) signature: Option<SignatureVersion>,
    pub(super) facts: Identity,
}

/// Looks at everything that this host holds.
pub(super) fn look(builder: &ConfigBuilder, openclaw_json: Option<&Lookup>) -> Local {
    let endpoint = builder.endpoint();
    let dialer = endpoint
        .as_ref()
        .ok()
        .map(|endpoint| builder.dialer(endpoint));
    let headers = dialer
        .as_ref()
        .and_then(|dialer| dialer.as_ref().ok())
        .map(|(dialer, _)| &dialer.headers);
    let is_forwarded = headers.is_some_and(|headers| {
        headers.keys().any(|name| {
            let name = name.as_str();
            name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
        })
    });
    let secret = builder.credentials();
    let store = builder.build_store();
    let place =
        store
            .as_ref()
            .map_or_else(ToString::to_string, |store| match store.identity_file() {
                Some(path) => path.display().to_string(),
                None => store.location(),
            });
    let device = match (&store, &endpoint) {
        (Ok(store), Ok(endpoint)) => device(&**store, endpoint, &builder.profile().role),
        (Ok(store), Err(_)) => without_gateway(&**store),
        (Err(error), _) => Err(StoreFault {
            what: error.to_string(),
            fix: error.fix().unwrap_or_default(),
        }),
    };
    let found = openclaw_json.map_or(Found::NotAsked, |lookup| {
        find(lookup, secret.as_ref().ok().map(|(secret, _)| secret))
    });
    Local {
        address: endpoint.map(|endpoint| address(builder, &endpoint, is_forwarded)),
        dialer,
        secret,
        place,
        device,
        openclaw_json: found,
    }
}

fn address(builder: &ConfigBuilder, endpoint: &Endpoint, is_forwarded: bool) -> Address {
    let plain = match (
        endpoint.check_plaintext(false),
        builder.check_plaintext(endpoint),
    ) {
        (Ok(()), _) => Plain::Fine,
        (Err(_), Ok(())) => Plain::Overruled,
        (Err(_), Err(_)) => Plain::Refused,
    };
    Address {
        text: endpoint.to_string(),
        host: endpoint.host().to_owned(),
        port: endpoint.port(),
        is_tls: endpoint.is_tls(),
        class: endpoint.address_class(),
        is_literal: endpoint.host().parse::<std::net::IpAddr>().is_ok(),
        plain,
        is_forwarded,
    }
}

fn device(
    store: &dyn IdentityStore,
    endpoint: &Endpoint,
    role: &str,
) -> Result<Option<Device>, StoreFault> {
    let Some(mut device) = without_gateway(store)? else {
        return Ok(None);
    };
    let memo = store
        .gateway(&endpoint.key(), device.identity.id())
        .map_err(|error| fault(&error))?;
    device.signature = memo.signature();
    device.token = memo.token(role).cloned();
    device.facts.token_scopes = device.token.as_ref().map(|token| token.scopes().to_vec());
    Ok(Some(device))
}

fn without_gateway(store: &dyn IdentityStore) -> Result<Option<Device>, StoreFault> {
    let file = store.identity_file();
    let Some(identity) = store.load().map_err(|error| fault(&error))? else {
        return match file.as_deref().and_then(cannot_make) {
            Some(error) => Err(fault(&error)),
            None => Ok(None),
        };
    };
    let facts = Identity {
        device: identity.id().clone(),
        created_at_ms: identity.created_at_ms(),
        mode: file.as_deref().and_then(mode),
        place: file.map_or_else(|| store.location(), |path| path.display().to_string()),
        token_scopes: None,
    };
    Ok(Some(Device {
        identity,
        token: None,
        signature: None,
        facts,
    }))
}

fn fault(error: &StoreError) -> StoreFault {
    StoreFault {
        what: error.to_string(),
        fix: error.fix(),
    }
}

/// Returns the reason why a first connection could not create the identity's `file`, from permissions alone.
#[cfg(unix)]
fn cannot_make(file: &Path) -> Option<StoreError> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    use rustix::io::Errno;

    let inner = file.parent()?;
    let nearest = inner.ancestors().find(|path| path.exists())?;
    let error = accessat(
        CWD,
        nearest,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .err()?;
    if !matches!(error, Errno::ACCESS | Errno::PERM | Errno::ROFS) {
        return None;
    }
    // As the store names it: a file `identity/device.json` in the state directory.
    let state = match inner.parent() {
        Some(state) if inner.ends_with("identity") => state,
        _ => inner,
    };
    Some(if nearest.starts_with(state) {
        StoreError::io(nearest, error.into())
    } else {
        StoreError::io(state, error.into()).absent()
    })
}

/// Elsewhere only the attempt would show it.
#[cfg(not(unix))]
fn cannot_make(_: &Path) -> Option<StoreError> {
    None
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(fs::metadata(path).ok()?.mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

/// The first configuration that is there.
fn find(lookup: &Lookup, ours: Option<&Secret>) -> Found {
    let is_named = lookup.is_named;
    for path in &lookup.paths {
        return match read(path) {
            Ok(text) => Found::Read {
                path: path.clone(),
                content: OpenclawJson::read(&text, ours),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => continue,
            Err(error) => Found::Unreadable {
                path: path.clone(),
                why: error.to_string(),
                is_named,
            },
        };
    }
    Found::Nowhere
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Returns the time of `request`, from the list of requests that a gateway of the 2026.2 generation keeps
/// beside its configuration.
pub(super) fn requested_at(openclaw_json: &Path, request: &str) -> Option<u64> {
    let path = openclaw_json.parent()?.join("devices/pending.json");
    let pending: Value = serde_json::from_str(&read(&path).ok()?).ok()?;
    pending.get(request)?.get("ts")?.as_u64()
}

impl Credential {
    /// Describes a secret without showing it.
    pub(super) fn of(secret: &Secret, source: &TokenSource) -> Self {
        let (Secret::Token(value) | Secret::Password(value)) = secret;
        let is_password = matches!(secret, Secret::Password(_));
        let mut shape = Shape::of(value);
        if is_password {
            shape.hash = None;
        }
        Self {
            origin: source.origin.clone(),
            is_password,
            shape,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::secret::Token;

    #[test]
    fn a_hash_is_shown_only_of_what_it_does_not_give_away() {
        let long = Token::new("0123456789abcdef").unwrap();
        let shape = Shape::of(&long);
        assert_eq!(
            (shape.length, shape.hash.as_deref()),
            (16, Some("9f9f5111"))
        );
        assert_eq!(Shape::of(&Token::new("short").unwrap()).hash, None);
        let source = TokenSource {
            origin: "OPENCLAW_GATEWAY_PASSWORD".to_owned(),
            file: None,
        };
        let shown = Credential::of(&Secret::Password(long), &source);
        assert_eq!(shown.shape.hash, None);
        assert!(shown.is_password);
    }

    #[test]
    fn the_first_file_that_is_there_is_the_one() {
        let dir = tempfile::tempdir().unwrap();
        let (absent, there) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&there, "{}").unwrap();
        let find = |paths: &[&PathBuf], is_named| {
            let paths = paths.iter().map(|path| (*path).clone()).collect();
            find(&Lookup { paths, is_named }, None)
        };
        assert!(matches!(find(&[&absent], false), Found::Nowhere));
        assert!(matches!(
            find(&[&absent], true),
            Found::Unreadable { is_named: true, .. }
        ));
        let Found::Read { path, .. } = find(&[&absent, &there], false) else {
            panic!("not found");
        };
        assert_eq!(path, there);
        // A directory of that name is there, but is no file.
        assert!(matches!(
            find(&[&dir.path().to_owned()], false),
            Found::Unreadable {
                is_named: false,
                ..
            }
        ));
    }

    #[test]
    fn the_age_of_a_request_is_read_from_the_gateways_own_list() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("openclaw.json");
        assert_eq!(requested_at(&config, "r-1"), None);
        fs::create_dir(dir.path().join("devices")).unwrap();
        fs::write(
            dir.path().join("devices/pending.json"),
            r#"{"r-1":{"requestId":"r-1","ts":1795375154446}}"#,
        )
        .unwrap();
        assert_eq!(requested_at(&config, "r-1"), Some(1_795_375_154_446));
        assert_eq!(requested_at(&config, "r-2"), None);
    }
}
