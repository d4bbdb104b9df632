//! What every [`IdentityStore`] must do, as one check that any implementation can be run through.
//!
//! ```
//! use openclaw_adapter::MemoryStore;
//! use openclaw_adapter::store::conformance;
//!
//! conformance::check(&|| Box::new(MemoryStore::new())).unwrap();
//! ```

use std::sync::{Arc, Barrier};
use std::thread;

use super::{DeviceToken, IdentityStore, SignatureVersion, StoreError};
use crate::base::endpoint::{Endpoint, GatewayKey};
use crate::base::identity::{DeviceId, DeviceIdentity};
use crate::base::secret::Token;

/// A rule that a store did not keep.
#[derive(Debug, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Violation {
    rule: &'static str,
    found: String,
}

impl Violation {
    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

type Checked = Result<(), Violation>;

/// Runs every rule on stores made by `fresh`. Each call of it has to give a new store that knows
/// no gateway; it may hold an identity already, as one that is given inline does.
///
/// # Errors
///
/// The first [`Violation`].
pub fn check(fresh: &dyn Fn() -> Box<dyn IdentityStore>) -> Checked {
    identity_is_made_once(&*fresh())?;
    a_failed_creation_leaves_nothing(&*fresh())?;
    racing_threads_get_one_identity(fresh().into())?;
    tokens_are_kept_by_gateway_and_role(&*fresh())?;
    only_the_named_token_is_removed(&*fresh())?;
    another_device_finds_nothing(&*fresh())?;
    the_signature_is_remembered(&*fresh())?;
    racing_writers_lose_nothing(&fresh().into())?;
    no_secret_shows(&*fresh())
}

fn rule(rule: &'static str, kept: bool, found: impl FnOnce() -> String) -> Checked {
    if kept {
        Ok(())
    } else {
        Err(Violation {
            rule,
            found: found(),
        })
    }
}

fn works<T>(rule: &'static str, result: Result<T, StoreError>) -> Result<T, Violation> {
    result.map_err(|error| Violation {
        rule,
        found: error.to_string(),
    })
}

fn new_identity() -> Result<DeviceIdentity, crate::IdentityError> {
    DeviceIdentity::generate(1)
}

fn own_id(store: &dyn IdentityStore) -> Result<DeviceId, Violation> {
    let identity = store.load_or_create(&mut new_identity);
    Ok(works("an identity is made where there is none", identity)?
        .id()
        .clone())
}

fn foreign_id() -> Result<DeviceId, Violation> {
    let identity = new_identity().map_err(|error| StoreError::identity(None, error));
    Ok(works("an identity can be made", identity)?.id().clone())
}

fn gateway(name: &str) -> Result<GatewayKey, Violation> {
    Endpoint::parse(&format!("ws://{name}:18789"))
        .map(|endpoint| endpoint.key())
        .map_err(|error| Violation {
            rule: "an address can be made",
            found: error.to_string(),
        })
}

fn token(role: &str, value: &str) -> Result<DeviceToken, Violation> {
    let scopes = vec!["operator.read".to_owned(), "operator.write".to_owned()];
    Token::new(value)
        .map(|token| DeviceToken::new(token, role, scopes, 1_700_000_000_000))
        .map_err(|error| Violation {
            rule: "a token can be made",
            found: error.to_string(),
        })
}

fn identity_is_made_once(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "an identity is made once and then always returned";
    let before = works(RULE, store.load())?;
    let mut made = 0;
    let mut create = || {
        made += 1;
        new_identity()
    };
    let first = works(RULE, store.load_or_create(&mut create))?;
    let second = works(RULE, store.load_or_create(&mut create))?;
    let loaded = works(RULE, store.load())?;
    rule(RULE, made == i32::from(before.is_none()), || {
        format!("made {made} times")
    })?;
    rule(
        RULE,
        before.is_none_or(|before| before.id() == first.id()),
        || "replaced".to_owned(),
    )?;
    rule(RULE, first.id() == second.id(), || {
        format!("{} and {}", first.id(), second.id())
    })?;
    rule(
        RULE,
        loaded.is_some_and(|loaded| loaded.to_json() == first.to_json()),
        || "load gives another one".to_owned(),
    )
}

fn a_failed_creation_leaves_nothing(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "a failed creation leaves nothing";
    if works(RULE, store.load())?.is_some() {
        return Ok(());
    }
    let failed = store.load_or_create(&mut || Err(crate::IdentityError::Randomness));
    rule(RULE, failed.is_err(), || {
        "the failure was not returned".to_owned()
    })?;
    let loaded = works(RULE, store.load())?;
    rule(RULE, loaded.is_none(), || "there is an identity".to_owned())
}

/// Runs `work` on eight threads that start together.
fn race<T: Send + 'static>(
    work: impl Fn(usize) -> Result<T, Violation> + Send + Sync + 'static,
) -> Result<Vec<T>, Violation> {
    const THREADS: usize = 8;
    let work = Arc::new(work);
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let (work, start) = (Arc::clone(&work), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                work(index)
            })
        })
        .collect();
    let ended = |thread: thread::JoinHandle<_>| {
        thread.join().unwrap_or_else(|_| {
            Err(Violation {
                rule: "no method panics",
                found: "a panic".to_owned(),
            })
        })
    };
    threads.into_iter().map(ended).collect()
}

fn racing_threads_get_one_identity(store: Arc<dyn IdentityStore>) -> Checked {
    const RULE: &str = "threads that find nothing end with one identity";
    let ids = race(move |_| own_id(&*store))?;
    rule(RULE, ids.windows(2).all(|pair| pair[0] == pair[1]), || {
        format!("{ids:?}")
    })
}

fn tokens_are_kept_by_gateway_and_role(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "tokens are kept by gateway and role, the last one counts";
    let device = own_id(store)?;
    let (here, there) = (gateway("here")?, gateway("there")?);
    let empty = works(RULE, store.gateway(&here, &device))?;
    rule(RULE, empty.is_empty(), || {
        "a new store knows a gateway".to_owned()
    })?;
    for (key, role, value) in [
        (&here, "operator", "old"),
        (&here, "operator", "new"),
        (&here, "node", "node"),
        (&there, "operator", "there"),
    ] {
        works(RULE, store.put_token(key, &device, &token(role, value)?))?;
    }
    for (key, role, value) in [
        (&here, "operator", "new"),
        (&here, "node", "node"),
        (&there, "operator", "there"),
    ] {
        let memo = works(RULE, store.gateway(key, &device))?;
        rule(RULE, memo.token(role) == Some(&token(role, value)?), || {
            format!("{key} {role}")
        })?;
    }
    let memo = works(RULE, store.gateway(&there, &device))?;
    rule(RULE, memo.token("node").is_none(), || {
        "a role went to another gateway".to_owned()
    })
}

fn only_the_named_token_is_removed(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "a token is removed only if it is still the stored one";
    let device = own_id(store)?;
    let key = gateway("here")?;
    let (old, new) = (token("operator", "old")?, token("operator", "new")?);
    let remove = |token: &DeviceToken| {
        works(
            RULE,
            store.remove_token(&key, &device, "operator", token.token()),
        )
    };
    rule(RULE, !remove(&old)?, || {
        "removed one that never was".to_owned()
    })?;
    works(RULE, store.put_token(&key, &device, &new))?;
    works(RULE, store.put_token(&key, &device, &token("node", "new")?))?;
    rule(RULE, !remove(&old)?, || {
        "said it removed an older one".to_owned()
    })?;
    let memo = works(RULE, store.gateway(&key, &device))?;
    rule(RULE, memo.token("operator") == Some(&new), || {
        "removed a newer one".to_owned()
    })?;
    rule(RULE, remove(&new)?, || "did not remove it".to_owned())?;
    rule(RULE, !remove(&new)?, || "removed it twice".to_owned())?;
    let memo = works(RULE, store.gateway(&key, &device))?;
    rule(RULE, memo.token("operator").is_none(), || {
        "it is still there".to_owned()
    })?;
    rule(RULE, memo.token("node").is_some(), || {
        "removed another role".to_owned()
    })
}

fn another_device_finds_nothing(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "what one device knows is not given to another";
    let device = own_id(store)?;
    let key = gateway("here")?;
    works(
        RULE,
        store.put_token(&key, &device, &token("operator", "mine")?),
    )?;
    works(
        RULE,
        store.put_signature(&key, &device, SignatureVersion::V2),
    )?;
    let other = works(RULE, store.gateway(&key, &foreign_id()?))?;
    rule(RULE, other.is_empty(), || "it was".to_owned())
}

fn the_signature_is_remembered(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "the accepted signature is remembered per gateway beside the tokens";
    let device = own_id(store)?;
    let (here, there) = (gateway("here")?, gateway("there")?);
    works(
        RULE,
        store.put_token(&here, &device, &token("operator", "t")?),
    )?;
    for version in [SignatureVersion::V3, SignatureVersion::V2] {
        works(RULE, store.put_signature(&here, &device, version))?;
        let memo = works(RULE, store.gateway(&here, &device))?;
        rule(RULE, memo.signature() == Some(version), || {
            format!("{:?}", memo.signature())
        })?;
        rule(RULE, memo.token("operator").is_some(), || {
            "the token was lost".to_owned()
        })?;
    }
    let memo = works(RULE, store.gateway(&there, &device))?;
    rule(RULE, memo.is_empty(), || {
        "another gateway got it too".to_owned()
    })
}

fn racing_writers_lose_nothing(store: &Arc<dyn IdentityStore>) -> Checked {
    const RULE: &str = "threads that write at once lose nothing of each other's";
    let device = own_id(&**store)?;
    let written = {
        let (store, device) = (Arc::clone(store), device.clone());
        race(move |index| {
            let key = gateway(&format!("gateway-{}", index % 4))?;
            let token = token(&format!("role-{index}"), &format!("token-{index}"))?;
            works(RULE, store.put_token(&key, &device, &token))?;
            Ok((key, token))
        })?
    };
    for (key, token) in written {
        let memo = works(RULE, store.gateway(&key, &device))?;
        rule(RULE, memo.token(token.role()) == Some(&token), || {
            format!("{key} {}", token.role())
        })?;
    }
    Ok(())
}

fn no_secret_shows(store: &dyn IdentityStore) -> Checked {
    const RULE: &str = "neither Debug nor the location shows a secret";
    let device = own_id(store)?;
    works(
        RULE,
        store.put_token(&gateway("here")?, &device, &token("operator", "c4n4ry")?),
    )?;
    let shown = format!("{store:?} {store:#?} {}", store.location());
    rule(RULE, !shown.contains("c4n4ry"), || "a token".to_owned())?;
    rule(RULE, !shown.contains("PRIVATE KEY"), || {
        "the private key".to_owned()
    })?;
    rule(RULE, !store.location().is_empty(), || {
        "there is no location".to_owned()
    })
}
