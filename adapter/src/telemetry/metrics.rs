//! What the feature `metrics` counts, by the `metrics` facade; nothing without it.
//!
//! Names and units are part of the public contract; they are listed in `docs/guides/operate.md`.

use std::time::Duration;

use crate::logic::state::ConnectionState;
#[cfg(feature = "metrics")]
use crate::logic::state::StopReason;

#[cfg(feature = "metrics")]
mod names {
    pub(super) const ATTEMPTS: &str = "openclaw_client_connect_attempts_total";
    pub(super) const CONNECTIONS: &str = "openclaw_client_connections_total";
    pub(super) const READY: &str = "openclaw_client_ready";
    pub(super) const STATES: &str = "openclaw_client_states";
    pub(super) const CALLS: &str = "openclaw_client_call_duration_seconds";
    pub(super) const EVENTS: &str = "openclaw_client_events_total";
    pub(super) const MISSING: &str = "openclaw_client_events_missing_total";
}

/// Describes every metric to the recorder that is installed. Describing twice does no harm.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    {
        use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
        describe_counter!(names::ATTEMPTS, Unit::Count, "Attempts to connect");
        describe_counter!(
            names::CONNECTIONS,
            Unit::Count,
            "Connections that reached hello-ok"
        );
        describe_gauge!(
            names::READY,
            Unit::Count,
            "Clients of this process that are connected"
        );
        describe_gauge!(
            names::STATES,
            Unit::Count,
            "Clients of this process, by state"
        );
        describe_histogram!(
            names::CALLS,
            Unit::Seconds,
            "From asking to the last answer, by rpc_method and outcome"
        );
        describe_counter!(names::EVENTS, Unit::Count, "Events from gateways");
        describe_counter!(
            names::MISSING,
            Unit::Count,
            "Events that a gateway dropped because this process was not read fast enough"
        );
    }
}

pub(crate) fn attempt() {
    #[cfg(feature = "metrics")]
    metrics::counter!(names::ATTEMPTS).increment(1);
}

/// A connection that counts as ready until this is dropped.
#[derive(Debug)]
pub(crate) struct Ready(());

impl Ready {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        {
            metrics::counter!(names::CONNECTIONS).increment(1);
            metrics::gauge!(names::READY).increment(1.0);
        }
        Self(())
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        metrics::gauge!(names::READY).decrement(1.0);
    }
}

/// A client goes from one state to another; `None` before the first.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unused_variables, reason = "nothing is counted")
)]
pub(crate) fn state(from: Option<&ConnectionState>, to: &ConnectionState) {
    #[cfg(feature = "metrics")]
    {
        if let Some(from) = from.and_then(word) {
            metrics::gauge!(names::STATES, "state" => from).decrement(1.0);
        }
        if let Some(to) = word(to) {
            metrics::gauge!(names::STATES, "state" => to).increment(1.0);
        }
    }
}

/// What the state is called; `None` for a client that was closed, which is none any more.
#[cfg(feature = "metrics")]
const fn word(state: &ConnectionState) -> Option<&'static str> {
    Some(match state {
        ConnectionState::Connecting { .. } => "connecting",
        ConnectionState::AwaitingApproval { .. } => "awaiting_approval",
        ConnectionState::BackingOff { .. } => "backing_off",
        ConnectionState::Ready { .. } => "ready",
        ConnectionState::Stopped {
            reason: StopReason::Closed,
        } => return None,
        ConnectionState::Stopped { .. } => "stopped",
    })
}

#[cfg_attr(
    not(feature = "metrics"),
    expect(unused_variables, reason = "nothing is counted")
)]
pub(crate) fn call(method: &str, outcome: &'static str, took: Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(names::CALLS, "rpc_method" => method.to_owned(), "outcome" => outcome)
        .record(took.as_secs_f64());
}

pub(crate) fn event() {
    #[cfg(feature = "metrics")]
    metrics::counter!(names::EVENTS).increment(1);
}

#[cfg_attr(
    not(feature = "metrics"),
    expect(unused_variables, reason = "nothing is counted")
)]
pub(crate) fn missing(events: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!(names::MISSING).increment(events);
}
