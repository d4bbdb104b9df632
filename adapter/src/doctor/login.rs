//! The handshake as a backend makes it, by the same decisions, and only as far as it has to go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::facts::{Challenge, Login, LoginEnd, Never, Step};
use super::local::Device;
use crate::base::identity::DeviceId;
use crate::config::TokenSource;
use crate::driver::clock::{now, now_ms};
use crate::logic::credentials::{Secret, Used};
use crate::logic::error::{Error, TransportError, TransportErrorKind};
use crate::logic::handshake::{Auth, Handshake, Offer};
use crate::logic::lifecycle::{Lifecycle, Next, Outcome, Rules};
use crate::logic::pairing::PairingPolicy;
use crate::logic::refusal::{FixHints, Refusal, RefusalKind};
use crate::logic::retry::RetryPolicy;
use crate::logic::state::StopReason;
use crate::net::{self, Dialer, Socket};
use crate::protocol::connect::Profile;

/// The number of attempts at a gateway that is starting. Real ones take up to two seconds.
const STARTING: u32 = 8;

/// The inputs of a login.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) profile: &'a Arc<Profile>,
    pub(super) device: Option<&'a Device>,
    pub(super) secret: Option<(&'a Secret, &'a TokenSource)>,
    pub(super) may_fall_back: bool,
    pub(super) deadline: Instant,
}

/// The result of the handshakes.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) challenge: Step<Challenge, String>,
    pub(super) login: Step<Login, Never>,
    /// The open connection, where the gateway let us in.
    pub(super) socket: Option<Socket>,
}

/// The step after an attempt.
enum Then {
    /// Once more, as a backend would.
    Again,
    /// Once more after a while; what to say if there is no time for it.
    Later(Duration, String),
    End(LoginEnd),
}

impl Candidate<'_> {
    /// Shakes hands on `first`, and on further sockets where a backend would try again at once.
    pub(super) async fn log_in(&self, first: Socket) -> Tried {
        let mut tried = Tried {
            challenge: Step::NotReached,
            login: Step::NotReached,
            socket: None,
        };
        let mut waiting = Some(first);
        let mut decider = self
            .secret
            .map(|(secret, source)| self.decider(secret, source));
        let mut starting = 0;
        loop {
            let dialled = match waiting.take() {
                Some(socket) => Ok(Ok(socket)),
                None => timeout_at(self.deadline, self.dialer.dial()).await,
            };
            let (outcome, socket) = match dialled {
                Err(_) => {
                    tried.login = Step::Late;
                    return tried;
                }
                Ok(Err(error)) => (error.into(), None),
                Ok(Ok(mut socket)) => {
                    let (signature, auth) = match &mut decider {
                        Some(decider) => decider.begin(),
                        None => (crate::store::SignatureVersion::V2, Auth::Nothing),
                    };
                    let offer = Offer {
                        identity: self.device.map(|device| &device.identity),
                        profile: self.profile,
                        auth: &auth,
                        signature,
                    };
                    let shaken = shake(&mut socket, &offer, &mut tried.challenge);
                    match timeout_at(self.deadline, shaken).await {
                        Err(_) if tried.challenge.done().is_none() => {
                            tried.challenge = Step::Late;
                            return tried;
                        }
                        Err(_) => {
                            tried.login = Step::Late;
                            return tried;
                        }
                        // Without a token only the challenge can be read.
                        Ok(None) => {
                            socket.close(GOODBYE).await;
                            return tried;
                        }
                        Ok(Some(outcome)) => (outcome, Some(socket)),
                    }
                }
            };
            if tried.challenge.done().is_none() {
                tried.challenge = Step::Failed(before_challenge(&outcome));
                return tried;
            }
            let Some(decider) = &mut decider else {
                return tried;
            };
            match decider.decide(outcome) {
                Then::Again => {}
                Then::Later(delay, _)
                    if starting < STARTING && Instant::now() + delay < self.deadline =>
                {
                    starting += 1;
                    sleep(delay).await;
                }
                Then::Later(_, what) => {
                    let fix = RefusalKind::Unavailable.fix(&FixHints {
                        origin: "",
                        is_password: false,
                    });
                    let kind = RefusalKind::Unavailable;
                    tried.login = self.ended(LoginEnd::NotNow { kind, what, fix });
                    return tried;
                }
                Then::End(end) => {
                    if matches!(end, LoginEnd::Accepted { .. }) {
                        tried.socket = socket;
                    }
                    tried.login = self.ended(end);
                    return tried;
                }
            }
        }
    }

    fn ended(&self, end: LoginEnd) -> Step<Login, Never> {
        Step::Done(Login {
            with_device: self.device.is_some(),
            end,
        })
    }

    fn decider(&self, secret: &Secret, source: &TokenSource) -> Decider {
        let Some(device) = self.device else {
            return Decider::WithoutDevice {
                secret: secret.clone(),
                origin: source.origin.clone(),
            };
        };
        let rules = Rules {
            profile: Arc::clone(self.profile),
            pairing: PairingPolicy::FailFast,
            retry: RetryPolicy::default(),
            may_fall_back: self.may_fall_back,
            token_origin: source.origin.clone(),
            // It was read a moment ago.
            token_is_file: false,
        };
        let mut lifecycle = Lifecycle::new(rules, secret.clone(), now(), fastrand::u64(..));
        lifecycle.remember(device.signature, device.token.clone());
        Decider::AsABackend(Box::new(lifecycle), device.identity.id().clone())
    }
}

const GOODBYE: Duration = Duration::from_millis(500);

/// Decides the step after an attempt.
enum Decider {
    /// With an identity: what a client decides.
    AsABackend(Box<Lifecycle>, DeviceId),
    /// Without: one attempt that shows whether the token is right.
    WithoutDevice { secret: Secret, origin: String },
}

impl Decider {
    fn begin(&mut self) -> (crate::store::SignatureVersion, Auth) {
        match self {
            Self::AsABackend(lifecycle, _) => {
                let (auth, signature) = lifecycle.begin();
                (signature, auth)
            }
            Self::WithoutDevice { secret, .. } => {
                let auth = match secret {
                    Secret::Token(token) => Auth::Shared(token.clone()),
                    Secret::Password(password) => Auth::Password(password.clone()),
                };
                (crate::store::SignatureVersion::V2, auth)
            }
        }
    }

    fn decide(&mut self, outcome: Outcome) -> Then {
        match self {
            Self::AsABackend(lifecycle, device) => {
                let used = lifecycle.used();
                let next = lifecycle.attempt_ended(now(), now_ms(), device, outcome);
                // What a client would write down stays unwritten.
                drop(lifecycle.take_follow_ups());
                follow(next, used)
            }
            Self::WithoutDevice { secret, origin } => without_device(outcome, secret, origin),
        }
    }
}

fn follow(next: Next, used: Used) -> Then {
    Then::End(match next {
        Next::Ready(hello) => LoginEnd::Accepted { hello, used },
        Next::Again | Next::ReadToken { .. } => return Then::Again,
        Next::Await { pairing, .. } | Next::Stop(StopReason::PairingNotApproved(pairing)) => {
            LoginEnd::Pairing(pairing)
        }
        Next::Stop(StopReason::Refused(refusal)) => LoginEnd::Refused(refusal),
        Next::Stop(StopReason::UpgradeRefused(refusal)) => LoginEnd::UpgradeRefused(refusal),
        Next::Stop(reason) => LoginEnd::Failed(reason.to_string()),
        Next::BackOff { delay, cause } => match &*cause {
            Error::Transport(error) if error.kind() == TransportErrorKind::Unavailable => {
                return Then::Later(delay, error.to_string());
            }
            Error::Refused(refusal) => LoginEnd::NotNow {
                kind: refusal.kind,
                what: refusal.to_string(),
                fix: refusal.fix.clone(),
            },
            Error::UpgradeRefused(refusal) => LoginEnd::UpgradeRefused(Arc::clone(refusal)),
            other => LoginEnd::Failed(other.to_string()),
        },
    })
}

fn without_device(outcome: Outcome, secret: &Secret, origin: &str) -> Then {
    Then::End(match outcome {
        Outcome::Accepted(hello) => LoginEnd::Accepted {
            hello: Arc::from(hello),
            used: Used::Secret,
        },
        Outcome::Refused { error, .. } => {
            let kind = RefusalKind::of(&error);
            let fix = kind.fix(&FixHints {
                origin,
                is_password: secret.is_password(),
            });
            match kind {
                RefusalKind::Unavailable => {
                    let delay = error.retry_after().unwrap_or(Duration::from_secs(1));
                    return Then::Later(delay, error.to_string());
                }
                RefusalKind::RateLimited => LoginEnd::NotNow {
                    kind,
                    what: error.to_string(),
                    fix,
                },
                _ => LoginEnd::Refused(Arc::new(Refusal {
                    kind,
                    fix,
                    error: *error,
                })),
            }
        }
        Outcome::UpgradeRefused(refusal) => LoginEnd::UpgradeRefused(Arc::new(refusal)),
        Outcome::Closed(close) => {
            let error = TransportError::closed(&close);
            if error.kind() == TransportErrorKind::Unavailable {
                return Then::Later(Duration::from_secs(1), error.to_string());
            }
            LoginEnd::Failed(error.to_string())
        }
        Outcome::Failed(error) => LoginEnd::Failed(error.to_string()),
    })
}

/// Explains a missing challenge.
fn before_challenge(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Closed(close) => close.to_string(),
        Outcome::Failed(error) => error.to_string(),
        Outcome::UpgradeRefused(refusal) => refusal.to_string(),
        // Neither comes before a challenge: the handshake waits for it.
        Outcome::Accepted(_) | Outcome::Refused { .. } => String::new(),
    }
}

/// Runs one handshake; `None` after the challenge when there is nothing to answer it with.
async fn shake(
    socket: &mut Socket,
    offer: &Offer<'_>,
    seen: &mut Step<Challenge, String>,
) -> Option<Outcome> {
    let mut handshake = Handshake::new();
    let connect = match net::challenge(socket, &mut handshake, offer).await {
        Ok(connect) => connect,
        Err(outcome) => return Some(outcome),
    };
    if let Some(challenged) = handshake.challenged()
        && seen.done().is_none()
    {
        *seen = Step::Done(Challenge {
            is_new_generation: challenged.is_new_generation,
            ts: challenged.ts,
            arrived_ms: now_ms(),
        });
    }
    if matches!(offer.auth, Auth::Nothing) {
        return None;
    }
    Some(net::log_in(socket, &mut handshake, offer, &connect).await)
}
