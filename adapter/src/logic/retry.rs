//! How long to wait between two attempts. No clock and no random source of its own.
//!
//! The growing interval comes from the `backoff` crate, which is kept behind this file: no type of
//! it is part of the public API (see `docs/decisions.md`).

use std::time::{Duration, Instant};

use backoff::backoff::Backoff as _;

/// How the delays between attempts grow.
///
/// Each delay is the interval with jitter, never above the maximum: with the defaults 0.25 to
/// 0.75 s, then 0.5 to 1.5 s, and so on up to 15 to 30 s. The interval starts over only after a
/// connection has been good for 30 s, so a gateway that accepts and drops is not hammered.
///
/// ```
/// use std::time::Duration;
/// use openclaw_adapter::RetryPolicy;
///
/// let patient = RetryPolicy::default().with_max(Duration::from_secs(120));
/// assert_eq!(patient.max(), Duration::from_secs(120));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(30),
            multiplier: 2.0,
            jitter: 0.5,
        }
    }
}

impl RetryPolicy {
    /// The first interval; at least 10 ms.
    #[must_use]
    pub fn with_initial(mut self, initial: Duration) -> Self {
        self.initial = initial.max(Duration::from_millis(10));
        self
    }

    /// The longest delay, jitter included; never below the first interval.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// What each interval is multiplied with to get the next; between 1 and 10.
    #[must_use]
    pub fn with_multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = if multiplier.is_finite() {
            multiplier.clamp(1.0, 10.0)
        } else {
            2.0
        };
        self
    }

    /// The part of the interval by which a delay may be shorter or longer; between 0 and 1.
    ///
    /// With 0 every client of a restarted gateway comes back in the same instant.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter.is_finite() {
            jitter.clamp(0.0, 1.0)
        } else {
            0.5
        };
        self
    }

    /// The first interval.
    #[must_use]
    pub const fn initial(&self) -> Duration {
        self.initial
    }

    /// The longest delay.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max.max(self.initial)
    }
}

/// The delays of one client.
pub(crate) struct Retry {
    policy: RetryPolicy,
    interval: backoff::exponential::ExponentialBackoff<StoppedClock>,
}

/// `backoff` wants a clock for a limit on the total time that we do not use.
struct StoppedClock(Instant);

impl backoff::Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

impl Retry {
    pub(crate) fn new(policy: RetryPolicy, now: Instant) -> Self {
        let interval = backoff::exponential::ExponentialBackoff {
            current_interval: policy.initial,
            initial_interval: policy.initial,
            // Jitter is applied below, from a seeded source and before the clamp.
            randomization_factor: 0.0,
            multiplier: policy.multiplier,
            max_interval: policy.max(),
            start_time: now,
            max_elapsed_time: None,
            clock: StoppedClock(now),
        };
        Self { policy, interval }
    }

    /// The delay before the next attempt; at least what the server asked for.
    pub(crate) fn next(
        &mut self,
        rng: &mut fastrand::Rng,
        server_hint: Option<Duration>,
    ) -> Duration {
        let max = self.policy.max();
        // `None` only past a limit on the total time, and there is none.
        let interval = self.interval.next_backoff().unwrap_or(max);
        let factor = 1.0 + self.policy.jitter * (2.0 * rng.f64() - 1.0);
        let delay = interval.mul_f64(factor).min(max);
        match server_hint {
            // Everybody was given the same hint: come later than it, but not all at once.
            Some(hint) => delay.max(hint + hint.mul_f64(0.1 * rng.f64())),
            None => delay,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.interval.reset();
    }
}

impl std::fmt::Debug for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut retry = Retry::new(RetryPolicy::default().with_jitter(0.0), Instant::now());
        let mut rng = fastrand::Rng::with_seed(1);
        let delays: Vec<_> = (0..9)
            .map(|_| retry.next(&mut rng, None).as_millis())
            .collect();
        assert_eq!(
            delays,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        retry.reset();
        assert_eq!(retry.next(&mut rng, None).as_millis(), 500);
    }

    #[test]
    fn two_clients_with_different_seeds_do_not_come_back_together() {
        let delay = |seed| {
            let mut retry = Retry::new(RetryPolicy::default(), Instant::now());
            retry.next(&mut fastrand::Rng::with_seed(seed), None)
        };
        assert_ne!(delay(1), delay(2));
    }

    proptest! {
        #[test]
        fn a_delay_stays_between_the_hint_and_the_maximum(
            seed: u64,
            initial in 1_u64..5_000,
            max in 1_u64..100_000,
            multiplier in 0.0_f64..20.0,
            jitter in -1.0_f64..3.0,
            hint in proptest::option::of(0_u64..400_000),
            tries in 1_usize..40,
        ) {
            let policy = RetryPolicy::default()
                .with_initial(Duration::from_millis(initial))
                .with_max(Duration::from_millis(max))
                .with_multiplier(multiplier)
                .with_jitter(jitter);
            let most = policy.max();
            let mut retry = Retry::new(policy, Instant::now());
            let mut rng = fastrand::Rng::with_seed(seed);
            let hint = hint.map(Duration::from_millis);
            for _ in 0..tries {
                let delay = retry.next(&mut rng, hint);
                match hint {
                    Some(hint) => {
                        prop_assert!(delay >= hint);
                        prop_assert!(delay <= most.max(hint.mul_f64(1.1)));
                    }
                    None => prop_assert!(delay <= most),
                }
            }
        }
    }
}
