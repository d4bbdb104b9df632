//! Holds back calls that the gateway has refused for a reason that repeating cannot heal, so that no
//! loop of ours floods a gateway. No I/O, no clock.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::protocol::GatewayError;

/// How long the first refusal holds; each further one twice as long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// More methods than this are not remembered: their names come from the caller.
const MOST: usize = 256;

/// Methods whose scope depends on the parameters (measured on 2026.9.6): one refusal says nothing of
/// a call with others, so that only the same call once more is held back.
const DEPENDS_ON_PARAMETERS: &[&str] = &[
    "agent",
    "channels.pairing.approve",
    "environments.list",
    "fs.listDir",
    "sessions.create",
    "sessions.delete",
    "sessions.patch",
    "talk.config",
];

/// What is held back together.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    method: Arc<str>,
    parameters: Option<u64>,
}

#[derive(Debug)]
struct Held {
    error: Arc<GatewayError>,
    wait: Duration,
    until: Instant,
}

/// A call that is held back.
#[derive(Debug)]
pub(crate) struct HeldBack {
    pub(crate) error: Arc<GatewayError>,
    pub(crate) retry_in: Duration,
}

/// What a client has been refused for good, as long as the connection grants what it grants.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    held: HashMap<Key, Held>,
    hasher: RandomState,
}

impl Breaker {
    pub(crate) fn key(&self, method: &Arc<str>, parameters: &str) -> Key {
        let depends = DEPENDS_ON_PARAMETERS.contains(&&**method);
        Key {
            method: Arc::clone(method),
            parameters: depends.then(|| self.hasher.hash_one(parameters)),
        }
    }

    /// Whether the call may go out. When its time is over, one goes out to see.
    pub(crate) fn check(&self, now: Instant, key: &Key) -> Result<(), HeldBack> {
        match self.held.get(key) {
            Some(held) if now < held.until => Err(HeldBack {
                error: Arc::clone(&held.error),
                retry_in: held.until - now,
            }),
            _ => Ok(()),
        }
    }

    /// The gateway has answered.
    pub(crate) fn answered(&mut self, now: Instant, key: &Key, error: Option<&Arc<GatewayError>>) {
        let Some(error) = error.filter(|error| cannot_heal(error)) else {
            self.held.remove(key);
            return;
        };
        let wait = self
            .held
            .get(key)
            .map_or(FIRST, |held| (held.wait * 2).min(LONGEST));
        if self.held.len() >= MOST && !self.held.contains_key(key) {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.until);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.held.remove(&oldest);
            }
        }
        let held = Held {
            error: Arc::clone(error),
            wait,
            until: now + wait,
        };
        self.held.insert(key.clone(), held);
    }

    /// A new connection may grant more.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

/// A missing scope stays missing on this connection, and a method does not appear. Gateways tell
/// those without `operator.admin` of an unknown method that this scope is missing.
fn cannot_heal(error: &GatewayError) -> bool {
    error.missing_scope().is_some() || error.message.starts_with("unknown method")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> Arc<GatewayError> {
        Arc::new(GatewayError::from_words(message))
    }

    fn key(breaker: &Breaker, method: &str, parameters: &str) -> Key {
        breaker.key(&method.into(), parameters)
    }

    #[test]
    fn a_missing_scope_holds_the_method_longer_and_longer() {
        let mut breaker = Breaker::default();
        let status = key(&breaker, "status", "{}");
        let missing = error("missing scope: operator.read");
        let mut now = Instant::now();
        let mut waits = Vec::new();
        let mut before = now;
        for _ in 0..8 {
            assert!(breaker.check(now, &status).is_ok());
            breaker.answered(now, &status, Some(&missing));
            let held = breaker.check(now, &status).unwrap_err();
            assert_eq!(held.error.missing_scope(), Some("operator.read"));
            waits.push(held.retry_in.as_secs());
            before = now;
            now += held.retry_in;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        // Other parameters are the same method; other methods are not.
        assert!(
            breaker
                .check(before, &key(&breaker, "status", "[]"))
                .is_err()
        );
        assert!(
            breaker
                .check(before, &key(&breaker, "health", "{}"))
                .is_ok()
        );
        breaker.answered(now, &status, None);
        assert!(breaker.is_empty());
    }

    #[test]
    fn a_method_whose_scope_depends_on_its_parameters_is_held_only_for_the_same() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let admin = key(&breaker, "sessions.patch", r#"{"sendPolicy":"deny"}"#);
        breaker.answered(now, &admin, Some(&error("missing scope: operator.admin")));
        assert!(breaker.check(now, &admin).is_err());
        let simple = key(&breaker, "sessions.patch", r#"{"label":"a"}"#);
        assert!(breaker.check(now, &simple).is_ok());
    }

    #[test]
    fn what_may_heal_is_not_held() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let status = key(&breaker, "status", "{}");
        for message in ["gateway starting; retry shortly", "invalid status params"] {
            breaker.answered(now, &status, Some(&error(message)));
            assert!(breaker.check(now, &status).is_ok());
        }
        breaker.answered(now, &status, Some(&error("unknown method: status")));
        assert!(breaker.check(now, &status).is_err());
        breaker.clear();
        assert!(breaker.check(now, &status).is_ok());
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let unknown = error("unknown method: x");
        for n in 0..1000 {
            let key = key(&breaker, &format!("m{n}"), "{}");
            breaker.answered(now, &key, Some(&unknown));
        }
        assert_eq!(breaker.len(), MOST);
    }
}
