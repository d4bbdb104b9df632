//! Counting failed logins, as the new generation does.
//!
//! Measured on 2026.9.6: ten failures in a minute lock an address out for five minutes, per kind of
//! credential; a client on loopback is never locked out but answered later each time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// The kind of credential that a failure counts against.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    SharedSecret,
    DeviceToken,
}

const MAX_ATTEMPTS: usize = 10;
const WINDOW_MS: u64 = 60_000;
const LOCKOUT_MS: u64 = 300_000;
const LOOPBACK_HISTORY: usize = 6;
const LOOPBACK_BASE_MS: u64 = 250;
const LOOPBACK_MAX_MS: u64 = 5_000;
const MAX_ENTRIES: usize = 10_000;

#[derive(Debug, Default)]
struct Entry {
    failures: Vec<u64>,
    locked_until: Option<u64>,
}

impl Entry {
    fn refresh(&mut self, now: u64) {
        if self.locked_until.is_some_and(|until| now >= until) {
            self.locked_until = None;
            self.failures.clear();
        }
        self.failures
            .retain(|at| at.saturating_add(WINDOW_MS) > now);
    }
}

#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    entries: HashMap<(Kind, IpAddr), Entry>,
}

impl RateLimiter {
    /// Returns how long this address has to wait; `None` when it may try.
    pub(crate) fn locked_for(&mut self, kind: Kind, ip: IpAddr, now: u64) -> Option<u64> {
        if ip.is_loopback() {
            return None;
        }
        let entry = self.entries.get_mut(&(kind, ip))?;
        entry.refresh(now);
        entry.locked_until.map(|until| until.saturating_sub(now))
    }

    /// Counts a failure and says how much later a loopback client gets its answer.
    pub(crate) fn failed(&mut self, kind: Kind, ip: IpAddr, now: u64) -> Duration {
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&(kind, ip)) {
            self.make_room(now);
        }
        let entry = self.entries.entry((kind, ip)).or_default();
        entry.refresh(now);
        if entry.locked_until.is_some() {
            return Duration::ZERO;
        }
        entry.failures.push(now);
        if ip.is_loopback() {
            let extra = entry.failures.len().saturating_sub(LOOPBACK_HISTORY);
            entry.failures.drain(..extra);
            let doublings = u32::try_from(entry.failures.len() - 1).unwrap_or(30);
            return Duration::from_millis((LOOPBACK_BASE_MS << doublings).min(LOOPBACK_MAX_MS));
        }
        if entry.failures.len() >= MAX_ATTEMPTS {
            entry.locked_until = Some(now.saturating_add(LOCKOUT_MS));
        }
        Duration::ZERO
    }

    pub(crate) fn succeeded(&mut self, kind: Kind, ip: IpAddr) {
        self.entries.remove(&(kind, ip));
    }

    fn make_room(&mut self, now: u64) {
        self.entries.retain(|_, entry| {
            entry.refresh(now);
            entry.locked_until.is_some() || !entry.failures.is_empty()
        });
        if self.entries.len() >= MAX_ENTRIES {
            let unlocked = self
                .entries
                .iter()
                .find(|(_, entry)| entry.locked_until.is_none());
            if let Some(key) = unlocked
                .or_else(|| self.entries.iter().next())
                .map(|(key, _)| *key)
            {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_tenth_failure_in_a_minute_locks_for_five_minutes() {
        let mut limiter = RateLimiter::default();
        for at in 0..9 {
            limiter.failed(Kind::SharedSecret, REMOTE, at);
        }
        assert_eq!(limiter.locked_for(Kind::SharedSecret, REMOTE, 9), None);
        limiter.failed(Kind::SharedSecret, REMOTE, 10);
        assert_eq!(
            limiter.locked_for(Kind::SharedSecret, REMOTE, 10),
            Some(300_000)
        );
        assert_eq!(limiter.locked_for(Kind::DeviceToken, REMOTE, 10), None);
        assert_eq!(
            limiter.locked_for(Kind::SharedSecret, REMOTE, 300_010),
            None
        );
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        let mut limiter = RateLimiter::default();
        for _ in 0..9 {
            limiter.failed(Kind::SharedSecret, REMOTE, 0);
        }
        limiter.failed(Kind::SharedSecret, REMOTE, 60_000);
        assert_eq!(limiter.locked_for(Kind::SharedSecret, REMOTE, 60_000), None);
    }

    #[test]
    fn loopback_is_only_answered_later() {
        let mut limiter = RateLimiter::default();
        let delays: Vec<u64> = (0..8)
            .map(|at| crate::model::clock::millis(limiter.failed(Kind::SharedSecret, LOCAL, at)))
            .collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
        assert_eq!(limiter.locked_for(Kind::SharedSecret, LOCAL, 9), None);
    }
}
