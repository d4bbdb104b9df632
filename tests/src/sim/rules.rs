//! When the next attempt may and has to come, written down a second time from `docs/architecture.md`
//! and `docs/guides/pair.md`, so that the adapter is held to its pages and not to itself.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// A connection has to last this long before the back-off starts over.
const STABLE: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Timers count in milliseconds, and round up.
const ROUNDING: Duration = Duration::from_millis(2);

/// What a connect logged in with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Used {
    /// The shared token.
    Secret,
    /// The device's own.
    Device,
}

/// How an attempt, or a connection, came to its end, as the wire showed it.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The backend gave another token meanwhile, so that the attempt was given up.
    GivenUp,
    /// The network, a time limit, or a gateway that made no sense.
    NoVerdict,
    /// The answer to the upgrade was no upgrade.
    Http {
        /// Its status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// Closed before an answer.
    Closed {
        /// The code of the close frame.
        code: u16,
    },
    /// The gateway refused the connect.
    Refused {
        /// Its error.
        error: Value,
        /// What was offered.
        used: Used,
        /// Whether the gateway is of the 2026.9 generation.
        is_new: bool,
        /// Whether the store holds a device token that could serve.
        has_device_token: bool,
    },
    /// The connection was good.
    Lived {
        /// From hello-ok to its end.
        lived: Duration,
        /// The code of the close frame, if one came.
        code: Option<u16>,
    },
}

/// What may come next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Permit {
    /// Nothing, until the backend says a word.
    Never,
    /// An attempt, not before the first and not after the second.
    Between(Instant, Instant),
}

/// What a word of the backend does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// `retry_now`.
    Retry,
    /// `set_token`.
    Token,
}

#[derive(Debug)]
enum Kind {
    Pairing,
    Starting,
    RateLimited,
    Signature,
    Credentials,
    DeviceToken,
    Scope,
    Final,
}

/// The memory of the rules.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that happened, in any mixture"
)]
#[derive(Debug)]
pub(super) struct Rules {
    /// How long an approval is waited for.
    pairing_limit: Option<Duration>,
    /// Failures since the back-off started over: at least, and at most where the wire does not tell.
    failures: (u32, u32),
    waiting_since: Option<Instant>,
    asked: u32,
    rate_limited: u32,
    secret_refused: bool,
    device_refused: bool,
    other_signature: bool,
    session_ended: bool,
    /// The last verdict said that the device token is void.
    void: bool,
    permit: Permit,
}

impl Rules {
    /// From the start of a client on, which dials at once.
    #[must_use]
    pub(super) fn new(now: Instant, pairing_limit: Option<Duration>) -> Self {
        Self {
            pairing_limit,
            failures: (0, 0),
            waiting_since: None,
            asked: 0,
            rate_limited: 0,
            secret_refused: false,
            device_refused: false,
            other_signature: false,
            session_ended: false,
            void: false,
            permit: Permit::Between(now, now + ROUNDING),
        }
    }

    /// What may come next.
    #[must_use]
    pub(super) const fn permit(&self) -> Permit {
        self.permit
    }

    /// Whether the last verdict allows to forget the device token.
    #[must_use]
    pub(super) const fn may_forget(&self) -> bool {
        self.void
    }

    /// Let in.
    pub(super) const fn accepted(&mut self) {
        self.waiting_since = None;
        self.asked = 0;
        self.rate_limited = 0;
        self.secret_refused = false;
        self.device_refused = false;
        self.other_signature = false;
        self.void = false;
    }

    /// The backend spoke. `idle`: no attempt was going on and there was no connection.
    pub(super) fn word(&mut self, now: Instant, word: Word, idle: bool) {
        self.secret_refused = false;
        self.device_refused = false;
        match word {
            Word::Retry => self.asked = 0,
            Word::Token => self.rate_limited = 0,
        }
        if idle {
            self.permit = Permit::Between(now, now + ROUNDING);
        }
    }

    /// The clock has jumped to `now`: what fell due meanwhile is due now.
    pub(super) fn leapt(&mut self, now: Instant) {
        if let Permit::Between(_, latest) = &mut self.permit {
            *latest = (*latest).max(now + ROUNDING);
        }
    }

    /// An attempt or a connection has ended.
    pub(super) fn ended(&mut self, now: Instant, end: &End) {
        self.void = false;
        self.permit = match self.verdict(now, end) {
            None => Permit::Never,
            Some((least, most)) => {
                let earliest = (now + least).checked_sub(ROUNDING).unwrap_or(now);
                Permit::Between(earliest, now + most + ROUNDING)
            }
        };
    }

    /// The shortest and the longest pause; `None` for the end of trying.
    fn verdict(&mut self, now: Instant, end: &End) -> Option<(Duration, Duration)> {
        const AT_ONCE: Option<(Duration, Duration)> = Some((Duration::ZERO, Duration::ZERO));
        match end {
            End::GivenUp => AT_ONCE,
            End::Http {
                status: 408 | 425 | 429 | 500..=599,
                retry_after,
            } => Some(self.back_off(retry_after.map(Duration::from_secs))),
            End::Http { .. } | End::Closed { code: 1002 } => None,
            End::NoVerdict | End::Closed { .. } => Some(self.back_off(None)),
            End::Lived { lived, code } => {
                if *lived >= STABLE {
                    self.failures = (0, 0);
                    self.session_ended = false;
                }
                if *code != Some(4001) {
                    return Some(self.back_off(None));
                }
                let (least, most) = self.back_off(None);
                if std::mem::replace(&mut self.session_ended, true) {
                    return Some((least, most));
                }
                // The close frame may have arrived behind a write that failed, unread: then this
                // was a broken connection.
                self.failures.0 = self.failures.0.saturating_sub(1);
                Some((Duration::ZERO, most))
            }
            End::Refused {
                error,
                used,
                is_new,
                has_device_token,
            } => match kind(error) {
                Kind::Pairing => self.pairing(now),
                Kind::Starting => Some(match retry_after(error) {
                    Some(hint) => (hint, hint.mul_f64(1.2)),
                    None => self.back_off(None),
                }),
                Kind::RateLimited => {
                    self.rate_limited += 1;
                    let own =
                        Duration::from_secs(60 * u64::from(self.rate_limited)).min(LONGEST * 10);
                    let hint = retry_after(error).unwrap_or(own);
                    Some(self.back_off(Some(hint)))
                }
                Kind::Signature if !std::mem::replace(&mut self.other_signature, true) => AT_ONCE,
                kind @ (Kind::DeviceToken | Kind::Credentials) if *used == Used::Device => {
                    // The old generation has one word for both.
                    self.void = matches!(kind, Kind::DeviceToken) || !is_new;
                    self.device_refused = true;
                    if self.secret_refused { None } else { AT_ONCE }
                }
                Kind::Scope if *used == Used::Device => {
                    self.device_refused = true;
                    if self.secret_refused { None } else { AT_ONCE }
                }
                Kind::DeviceToken | Kind::Credentials => {
                    self.secret_refused = true;
                    if self.device_refused || !has_device_token {
                        None
                    } else {
                        AT_ONCE
                    }
                }
                Kind::Signature | Kind::Scope | Kind::Final => None,
            },
        }
    }

    fn pairing(&mut self, now: Instant) -> Option<(Duration, Duration)> {
        self.other_signature = false;
        self.failures = (0, 0);
        let since = *self.waiting_since.get_or_insert(now);
        let waited = now - since;
        if self.pairing_limit.is_some_and(|limit| waited >= limit) {
            self.waiting_since = None;
            self.asked = 0;
            return None;
        }
        self.asked += 1;
        let (least, most) = match (self.asked, waited.as_secs()) {
            (1, _) => (300, 400),
            (_, 0..600) => (1_500, 2_000),
            _ => (11_250, 15_000),
        };
        let left = self
            .pairing_limit
            .map_or(Duration::MAX, |limit| limit.saturating_sub(waited));
        let ms = |ms| Duration::from_millis(ms).min(left);
        Some((ms(least), ms(most)))
    }

    fn back_off(&mut self, hint: Option<Duration>) -> (Duration, Duration) {
        let interval = |failures: u32| (FIRST * 2_u32.pow(failures.min(10))).min(LONGEST);
        let least = interval(self.failures.0).mul_f64(0.5);
        let most = interval(self.failures.1).mul_f64(1.5).min(LONGEST);
        self.failures.0 += 1;
        self.failures.1 += 1;
        match hint {
            Some(hint) => (least.max(hint), most.max(hint.mul_f64(1.1))),
            None => (least, most),
        }
    }
}

fn retry_after(error: &Value) -> Option<Duration> {
    error["retryAfterMs"].as_u64().map(Duration::from_millis)
}

/// Reads an error as the recordings of both generations have it.
fn kind(error: &Value) -> Kind {
    match error["details"]["code"].as_str() {
        Some("PAIRING_REQUIRED") => return Kind::Pairing,
        Some("AUTH_RATE_LIMITED") => return Kind::RateLimited,
        Some("DEVICE_AUTH_SIGNATURE_INVALID") => return Kind::Signature,
        Some("AUTH_DEVICE_TOKEN_MISMATCH") => return Kind::DeviceToken,
        Some("AUTH_SCOPE_MISMATCH") => return Kind::Scope,
        Some("AUTH_TOKEN_MISMATCH" | "AUTH_TOKEN_MISSING") => return Kind::Credentials,
        Some(_) => return Kind::Final,
        None => {}
    }
    let message = error["message"].as_str().unwrap_or_default();
    let begins = |words: &str| message.starts_with(words);
    if error["code"] == "UNAVAILABLE" {
        Kind::Starting
    } else if begins("pairing required") {
        Kind::Pairing
    } else if begins("device signature invalid") {
        Kind::Signature
    } else if begins("unauthorized: device token mismatch") {
        Kind::DeviceToken
    } else if begins("unauthorized: gateway token") {
        Kind::Credentials
    } else {
        Kind::Final
    }
}
