//! The decisions of a client's life: what an attempt's end, or a connection's end, leads to.
//!
//! No I/O, no clock, no random source of its own. The supervisor carries out what is decided here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::identity::DeviceId;
use crate::base::sanitize::{quoted, word};
use crate::base::secret::Token;
use crate::logic::credentials::{AfterRefusal, Credentials, Secret, Used};
use crate::logic::error::{CloseInfo, Error, TransportError, TransportErrorKind};
use crate::logic::handshake::Auth;
use crate::logic::pairing::{PairingPolicy, PairingRequired, PairingWait, WaitStep, covers};
use crate::logic::refusal::{FixHints, Refusal, RefusalKind, UpgradeRefusal};
use crate::logic::retry::{Retry, RetryPolicy};
use crate::logic::state::StopReason;
use crate::protocol::connect::Profile;
use crate::protocol::{GatewayError, Hello};
use crate::store::{DeviceToken, SignatureVersion};

/// A connection has to last this long before the back-off starts over.
pub(crate) const STABLE: Duration = Duration::from_secs(30);
/// The wait when the gateway says that it limits this address, but not for how long. 2026.9.6
/// leaves the time out when a device identity was sent; its lockout lasts five minutes.
const RATE_LIMITED: Duration = Duration::from_secs(60);
/// The shortest wait for a gateway that says it is starting, whatever it says: one that says "at once"
/// would be asked without a pause. The reference client has the same limit.
const UNAVAILABLE_LEAST: Duration = Duration::from_millis(100);

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Let in.
    Accepted(Box<Hello>),
    /// The gateway answered `connect` with an error.
    Refused {
        error: Box<GatewayError>,
        /// Whether the challenge was one of the 2026.9 generation.
        new_generation: bool,
    },
    /// HTTP said no.
    UpgradeRefused(UpgradeRefusal),
    /// Closed before an answer.
    Closed(CloseInfo),
    /// TCP, TLS, the upgrade or the time limit.
    Failed(TransportError),
}

/// How a connection that was good came to its end.
#[derive(Debug)]
pub(crate) enum Loss {
    /// `shutdown` was announced, or close 1012.
    Restart(TransportError),
    /// Close 4001: removed, rotated, revoked, or the shared token changed.
    SessionEnded(TransportError),
    /// Anything else.
    Broken(TransportError),
}

impl Loss {
    /// Reads a close after hello-ok.
    pub(crate) fn of_close(close: &CloseInfo, announced_restart: bool) -> Self {
        let error = TransportError::closed(close);
        match close.code {
            1012 => Self::Restart(error),
            4001 => Self::SessionEnded(error),
            _ if announced_restart => Self::Restart(error),
            _ => Self::Broken(error),
        }
    }

    pub(crate) const fn error(&self) -> &TransportError {
        match self {
            Self::Restart(error) | Self::SessionEnded(error) | Self::Broken(error) => error,
        }
    }
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Next {
    /// The connection is good.
    Ready(Arc<Hello>),
    /// Try again at once, with something changed.
    Again,
    /// Read the token's file again; then [`Lifecycle::token_read`] with this refusal, and what follows
    /// if the file holds the same token.
    ReadToken {
        refusal: Arc<Refusal>,
        otherwise: AfterRefusal,
    },
    /// Wait, then try again.
    BackOff { delay: Duration, cause: Arc<Error> },
    /// Wait for the operator, and ask again after `delay`.
    Await {
        pairing: Arc<PairingRequired>,
        since: Instant,
        delay: Duration,
        announce: bool,
    },
    /// Nothing more to try.
    Stop(StopReason),
}

/// What has to be written down, in this order, before the next step.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// The gateway takes only this signature.
    RememberSignature(SignatureVersion),
    /// Keep this device token.
    StoreToken(DeviceToken),
    /// This device token is void.
    ForgetToken(DeviceToken),
    /// The device token had to serve: the configured token is stale. Told once.
    WarnStaleSecret,
}

/// What of the configuration the decisions depend on.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) profile: Arc<Profile>,
    pub(crate) pairing: PairingPolicy,
    pub(crate) retry: RetryPolicy,
    /// Whether this device's token may go to this endpoint when the shared one is refused.
    pub(crate) may_fall_back: bool,
    /// Where the configured token or password comes from, for advice.
    pub(crate) token_origin: String,
    /// Whether the token can be read again.
    pub(crate) token_is_file: bool,
}

#[derive(Debug)]
pub(crate) struct Lifecycle {
    rules: Rules,
    credentials: Credentials,
    /// Where the token or password in hand comes from.
    origin: String,
    used: Used,
    signature: SignatureVersion,
    other_signature_tried: bool,
    warned_stale: bool,
    retry: Retry,
    wait: PairingWait,
    attempt: u32,
    rate_limited: u32,
    /// The gateway has ended a session since the last connection that was good for a while.
    session_ended: bool,
    rng: fastrand::Rng,
    follow_ups: Vec<FollowUp>,
}

impl Lifecycle {
    pub(crate) fn new(rules: Rules, secret: Secret, now: Instant, seed: u64) -> Self {
        let credentials = Credentials::new(
            secret,
            rules.profile.role.clone(),
            rules.profile.scopes.clone(),
            rules.may_fall_back,
        );
        let retry = Retry::new(rules.retry.clone(), now);
        Self {
            origin: rules.token_origin.clone(),
            rules,
            credentials,
            used: Used::Secret,
            signature: SignatureVersion::V3,
            other_signature_tried: false,
            warned_stale: false,
            retry,
            wait: PairingWait::default(),
            attempt: 0,
            rate_limited: 0,
            session_ended: false,
            rng: fastrand::Rng::with_seed(seed),
            follow_ups: Vec::new(),
        }
    }

    /// What the store knows of this gateway, read before each attempt: another process that shares
    /// the identity may have been given a newer token.
    pub(crate) fn remember(
        &mut self,
        signature: Option<SignatureVersion>,
        device: Option<DeviceToken>,
    ) {
        if let Some(signature) = signature
            && !self.other_signature_tried
        {
            self.signature = signature;
        }
        self.credentials.set_device(device);
    }

    /// A new attempt: its number, and what it offers.
    pub(crate) fn begin(&mut self) -> (Auth, SignatureVersion) {
        let (used, auth) = self.credentials.choose();
        self.used = used;
        (auth, self.signature)
    }

    /// What the attempt that began last offers.
    pub(crate) const fn used(&self) -> Used {
        self.used
    }

    /// Counts the attempt that starts now, from 1 since the last connection.
    pub(crate) const fn count_attempt(&mut self) -> u32 {
        self.attempt = self.attempt.saturating_add(1);
        self.attempt
    }

    /// What to write down; empty after the call.
    pub(crate) fn take_follow_ups(&mut self) -> Vec<FollowUp> {
        std::mem::take(&mut self.follow_ups)
    }

    pub(crate) const fn is_waiting_for_approval(&self) -> bool {
        self.wait.since().is_some()
    }

    /// How many attempts were made since the last connection.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Decides after an attempt of this device.
    pub(crate) fn attempt_ended(
        &mut self,
        now: Instant,
        now_ms: u64,
        device: &DeviceId,
        outcome: Outcome,
    ) -> Next {
        match outcome {
            Outcome::Accepted(hello) => self.accepted(*hello, now_ms),
            Outcome::Refused {
                error,
                new_generation,
            } => self.refused(now, device, *error, new_generation),
            Outcome::UpgradeRefused(refusal) if refusal.is_transient() => {
                let hint = refusal.retry_after;
                self.back_off(Error::UpgradeRefused(Arc::new(refusal)), hint)
            }
            Outcome::UpgradeRefused(refusal) => {
                Next::Stop(StopReason::UpgradeRefused(Arc::new(refusal)))
            }
            Outcome::Closed(close) => self.closed_early(now, device, &close),
            Outcome::Failed(error) => self.back_off(Error::Transport(error), None),
        }
    }

    fn accepted(&mut self, hello: Hello, now_ms: u64) -> Next {
        self.credentials.accepted(self.used);
        self.wait.reset();
        self.attempt = 0;
        self.rate_limited = 0;
        self.signature_passed();
        if self.used == Used::Secret {
            self.warned_stale = false;
        } else if !std::mem::replace(&mut self.warned_stale, true) {
            self.follow_ups.push(FollowUp::WarnStaleSecret);
        }
        // A token for a role that was not asked for is of no use, and would be kept for good.
        if let Some(token) = &hello.device_token
            && hello.role == self.rules.profile.role
        {
            let token = DeviceToken::new(
                token.clone(),
                hello.role.clone(),
                self.token_scopes(&hello),
                now_ms,
            );
            let is_known = self.credentials.device().is_some_and(|held| {
                held.token() == token.token() && held.scopes() == token.scopes()
            });
            if !is_known {
                self.credentials.set_device(Some(token.clone()));
                self.follow_ups.push(FollowUp::StoreToken(token));
            }
        }
        Next::Ready(Arc::new(hello))
    }

    /// The scopes of the token in a hello. 2026.9.6 tells those of the connection, which may be
    /// fewer than the token's: a token that we know already keeps the scopes it came with.
    fn token_scopes(&self, hello: &Hello) -> Vec<String> {
        match self.credentials.device() {
            Some(held)
                if Some(held.token()) == hello.device_token.as_ref()
                    && covers(held.scopes(), &hello.scopes) =>
            {
                held.scopes().to_vec()
            }
            _ => hello.scopes.clone(),
        }
    }

    fn refused(
        &mut self,
        now: Instant,
        device: &DeviceId,
        error: GatewayError,
        new_generation: bool,
    ) -> Next {
        let kind = RefusalKind::of(&error);
        match (kind, self.used) {
            (RefusalKind::PairingRequired, _) => self.pairing_required(now, device, &error),
            (RefusalKind::Unavailable, _) => {
                let hint = error.retry_after();
                let said = format!("{}: {}", word(&error.code), quoted(&error.message));
                let cause = TransportError::new(TransportErrorKind::Unavailable, said);
                match hint {
                    // The gateway knows when it will be up; its word is better than our guess.
                    Some(hint) => {
                        let hint = hint.max(UNAVAILABLE_LEAST);
                        Next::BackOff {
                            delay: hint + hint.mul_f64(0.2 * self.rng.f64()),
                            cause: Arc::new(Error::Transport(cause)),
                        }
                    }
                    None => self.back_off(Error::Transport(cause), None),
                }
            }
            (RefusalKind::RateLimited, _) => self.rate_limited(error),
            (RefusalKind::SignatureInvalid, _) if !self.other_signature_tried => {
                self.other_signature_tried = true;
                self.signature = match self.signature {
                    SignatureVersion::V3 => SignatureVersion::V2,
                    SignatureVersion::V2 => SignatureVersion::V3,
                };
                Next::Again
            }
            (RefusalKind::DeviceTokenMismatch | RefusalKind::TokenMismatch, Used::Device) => {
                // 2026.2.9 has one text for a void token and for one too narrow; ours is only
                // offered when it covers what is asked, so here it is void.
                let is_void = kind == RefusalKind::DeviceTokenMismatch || !new_generation;
                let (next, dropped) = self.credentials.device_refused(is_void);
                self.follow_ups.extend(dropped.map(FollowUp::ForgetToken));
                self.credential_refused(next, kind, error)
            }
            (RefusalKind::ScopeMismatch, Used::Device) => {
                let (next, _) = self.credentials.device_refused(false);
                self.credential_refused(next, kind, error)
            }
            (kind, Used::Secret) if kind.is_credentials() => {
                let next = self.credentials.secret_refused();
                self.credential_refused(next, kind, error)
            }
            _ => self.stop(kind, error),
        }
    }

    fn credential_refused(
        &mut self,
        next: AfterRefusal,
        kind: RefusalKind,
        error: GatewayError,
    ) -> Next {
        let refusal = Arc::new(self.refusal(kind, error));
        if self.rules.token_is_file && self.used == Used::Secret {
            // The file may hold another token by now; that comes before any second choice.
            return Next::ReadToken {
                refusal,
                otherwise: next,
            };
        }
        after_refusal(next, refusal)
    }

    /// Decides after [`Next::ReadToken`]; `token` is `None` if the file could not be read.
    pub(crate) fn token_read(
        &mut self,
        token: Option<Token>,
        refusal: Arc<Refusal>,
        otherwise: AfterRefusal,
    ) -> Next {
        if let Some(token) = token
            && !self.credentials.secret().is_token(&token)
        {
            self.origin.clone_from(&self.rules.token_origin);
            self.credentials.replace_secret(Secret::Token(token));
            return Next::Again;
        }
        after_refusal(otherwise, refusal)
    }

    fn rate_limited(&mut self, error: GatewayError) -> Next {
        self.rate_limited = self.rate_limited.saturating_add(1);
        let hint = error
            .retry_after()
            .unwrap_or_else(|| (RATE_LIMITED * self.rate_limited).min(Duration::from_secs(300)));
        let refusal = self.refusal(RefusalKind::RateLimited, error);
        self.back_off(Error::Refused(Arc::new(refusal)), Some(hint))
    }

    /// The gateway has verified the signature: one that was a second try is worth remembering.
    fn signature_passed(&mut self) {
        if std::mem::take(&mut self.other_signature_tried) {
            self.follow_ups
                .push(FollowUp::RememberSignature(self.signature));
        }
    }

    fn pairing_required(&mut self, now: Instant, device: &DeviceId, error: &GatewayError) -> Next {
        self.signature_passed();
        let pairing = PairingRequired::from_error(
            error,
            device,
            &self.rules.profile,
            self.credentials.device(),
        );
        // Being asked to wait is not a failure: the connection works.
        self.retry.reset();
        let pairing = Arc::new(pairing);
        let step = self.wait.next(now, self.rules.pairing, &mut self.rng);
        match step {
            WaitStep::GiveUp => {
                self.wait.reset();
                Next::Stop(StopReason::PairingNotApproved(pairing))
            }
            WaitStep::Ask(delay) => Next::Await {
                announce: self.wait.announce(pairing.request_id.as_deref()),
                since: self.wait.since().unwrap_or(now),
                pairing,
                delay,
            },
        }
    }

    /// Closed without an answer to `connect`. The error frame comes before the close on every
    /// recorded refusal, so this is a gateway on its way up or down, or a broken one.
    fn closed_early(&mut self, now: Instant, device: &DeviceId, close: &CloseInfo) -> Next {
        let said = GatewayError::from_words(&close.reason);
        match close.code {
            1002 => self.stop(RefusalKind::ProtocolMismatch, said),
            1008 if RefusalKind::from_words(&close.reason)
                .is_some_and(|kind| kind != RefusalKind::Unavailable) =>
            {
                self.refused(now, device, said, false)
            }
            _ => self.back_off(Error::Transport(TransportError::closed(close)), None),
        }
    }

    /// A good connection has ended.
    pub(crate) fn connection_lost(&mut self, lived: Duration, loss: Loss) -> Next {
        if lived >= STABLE {
            self.retry.reset();
            self.session_ended = false;
        }
        match loss {
            Loss::SessionEnded(error) => {
                // One reconnect tells which it was: removed, rotated, revoked, or another shared
                // token. A gateway that ends every session gets the back-off like any other.
                if std::mem::replace(&mut self.session_ended, true) {
                    self.back_off(Error::Transport(error), None)
                } else {
                    Next::Again
                }
            }
            Loss::Restart(error) | Loss::Broken(error) => {
                self.back_off(Error::Transport(error), None)
            }
        }
    }

    /// Another token or password, and where it comes from.
    pub(crate) fn set_secret(&mut self, secret: Secret, origin: String) {
        self.rate_limited = 0;
        self.origin = origin;
        self.credentials.replace_secret(secret);
    }

    /// Whether `token` is another one than the one in hand.
    pub(crate) fn is_new_token(&self, token: &Token) -> bool {
        !self.credentials.secret().is_token(token)
    }

    /// Somebody asked for an attempt now.
    pub(crate) fn hurry(&mut self) {
        self.credentials.try_all_again();
        self.wait.hurry();
    }

    fn back_off(&mut self, cause: Error, hint: Option<Duration>) -> Next {
        Next::BackOff {
            delay: self.retry.next(&mut self.rng, hint),
            cause: Arc::new(cause),
        }
    }

    fn stop(&self, kind: RefusalKind, error: GatewayError) -> Next {
        Next::Stop(StopReason::Refused(Arc::new(self.refusal(kind, error))))
    }

    /// What an advice about the token or password in hand has to name.
    pub(crate) fn hints(&self) -> FixHints<'_> {
        FixHints {
            origin: &self.origin,
            is_password: self.credentials.secret().is_password(),
        }
    }

    fn refusal(&self, kind: RefusalKind, error: GatewayError) -> Refusal {
        Refusal {
            kind,
            fix: kind.fix(&self.hints()),
            error,
        }
    }
}

fn after_refusal(next: AfterRefusal, refusal: Arc<Refusal>) -> Next {
    match next {
        AfterRefusal::TryOther => Next::Again,
        AfterRefusal::GiveUp => Next::Stop(StopReason::Refused(refusal)),
    }
}

#[cfg(test)]
mod tests;
