//! Exit codes: a contract with scripts.

use std::process::ExitCode;

use openclaw_adapter::{ConfigError, ConnectionState, Error, RefusalKind, StopReason};

/// An exit code of the contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Usage = 2,
    NotApproved = 10,
    Credentials = 11,
    Refused = 12,
    Unreachable = 13,
    Identity = 14,
    CallRefused = 15,
    ConnectionLost = 16,
    /// Ended by SIGINT before it was done.
    Interrupted = 130,
    /// Ended by SIGTERM before it was done.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    pub(crate) fn of_config(error: &ConfigError) -> Self {
        match error {
            ConfigError::Store(_) | ConfigError::InlineIdentity(_) => Self::Identity,
            _ => Self::Usage,
        }
    }

    pub(crate) fn of_kind(kind: RefusalKind) -> Self {
        match kind {
            kind if kind.is_credentials() => Self::Credentials,
            RefusalKind::PairingRequired => Self::NotApproved,
            RefusalKind::Unavailable | RefusalKind::RateLimited => Self::Unreachable,
            _ => Self::Refused,
        }
    }

    pub(crate) fn of_stop(reason: &StopReason) -> Self {
        match reason {
            StopReason::Closed => Self::Done,
            StopReason::Refused(refusal) => Self::of_kind(refusal.kind),
            StopReason::PairingNotApproved(_) => Self::NotApproved,
            StopReason::Identity(_) => Self::Identity,
            _ => Self::Refused,
        }
    }

    /// The time is over: what stood in the way.
    pub(crate) fn of_state(state: &ConnectionState) -> Self {
        match state {
            ConnectionState::Ready { .. } => Self::Done,
            ConnectionState::AwaitingApproval { .. } => Self::NotApproved,
            ConnectionState::Stopped { reason, .. } => Self::of_stop(reason),
            _ => Self::Unreachable,
        }
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::Config(error) => Self::of_config(error),
            Error::Identity(_) => Self::Identity,
            Error::PairingRequired(_) => Self::NotApproved,
            Error::Refused(refusal) => Self::of_kind(refusal.kind),
            Error::UpgradeRefused(_) => Self::Refused,
            Error::Transport(_) => Self::Unreachable,
            Error::Disconnected { .. } | Error::Timeout { .. } | Error::Closed => {
                Self::ConnectionLost
            }
            _ => Self::CallRefused,
        }
    }
}
