//! What must hold between a backend and a gateway, written once.
//!
//! A scenario sees the adapter only as its program `openclaw-adapter` (arguments, environment, JSON
//! lines, exit code) and the gateway only through [`Gateway`]. The same functions run on real
//! gateways (the `real-gateway` binary) and on the mock (the integration tests), so neither can
//! hold something the other does not.

mod backend;
mod changes;
mod first_contact;
mod gateway;
mod measure;
mod places;
mod program;
mod restarts;
mod run;
mod runs;
mod secrets;
mod stage;
mod tokens;
mod transcript;

use std::time::Duration;

pub use backend::{Backend, Credential, Launch};
pub use gateway::{Gateway, Paired, Pending, Place, Refused, Release, Reply, Side};
pub use program::adapter_program;
pub use run::{Outcome, Report, run};
pub use runs::RUNS;
pub use secrets::Secrets;
pub use stage::Stage;
pub use transcript::Line;

/// How long a state may take to come where nothing but the programs themselves is waited for.
///
/// Generous on purpose: two gateways and a CLI of theirs share two cores in the suite.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How long an adapter may take to be back once the gateway listens again, back-off included.
pub(crate) const BACK_AGAIN: Duration = Duration::from_secs(90);

/// How a scenario treats the gateway it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Leaves the gateway running and its token alone, so that others may use it meanwhile.
    Gentle,
    /// As gentle, but takes minutes: it runs beside the others.
    Slow,
    /// Stops the gateway, changes its token or anything else its other clients would notice, or
    /// counts what the gateway sees of all of them.
    Rough,
}

/// One thing that must hold.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Short name, for `--only`.
    pub name: &'static str,
    /// What is done, as the compatibility table says it.
    pub row: &'static str,
    /// What has to come of it.
    pub shows: &'static str,
    /// How it treats the gateway.
    pub manner: Manner,
    /// The longest it may take; over that it has failed.
    pub limit: Duration,
    /// `Err` with the reason where the gateway cannot show this at all.
    pub applies: fn(&dyn Gateway) -> Result<(), &'static str>,
    /// Runs it; the text says what was found.
    pub run: for<'a> fn(&'a Stage) -> Reply<'a, String>,
}

/// A file in the workspace of every agent, for a tool to read: its name and what is in it.
pub const FILE: (&str, &str) = ("hello.txt", "What the file says.\n");

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[expect(clippy::unnecessary_wraps, reason = "the type of `Scenario::applies`")]
fn everywhere(_: &dyn Gateway) -> Result<(), &'static str> {
    Ok(())
}

/// All scenarios, in the order of the compatibility table.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "first-start",
        row: "first start of a remote backend",
        shows: "awaiting approval with the request that `openclaw devices list` shows",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(first_contact::first_start(stage)),
    },
    Scenario {
        name: "approval",
        row: "the operator approves",
        shows: "ready without touching the backend, within 3 s; the device token is stored",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(first_contact::approval(stage)),
    },
    Scenario {
        name: "nobody-approves",
        row: "nobody approves for over 5 minutes",
        shows: "still approvable; a new request id is announced once",
        manner: Manner::Slow,
        limit: minutes(10),
        applies: everywhere,
        run: |stage| Box::pin(first_contact::nobody_approves(stage)),
    },
    Scenario {
        name: "rejected",
        row: "the operator rejects",
        shows: "a new request, announced once, approvable",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(first_contact::rejected(stage)),
    },
    Scenario {
        name: "backend-restart",
        row: "the backend restarts",
        shows: "ready without approval, same device id",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(restarts::backend(stage)),
    },
    Scenario {
        name: "two-connections",
        row: "two connections with one identity",
        shows: "both live",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(restarts::two_connections(stage)),
    },
    Scenario {
        name: "gateway-sigterm",
        row: "the gateway is stopped with SIGTERM and started again",
        shows: "ready again by itself; no request lost silently",
        manner: Manner::Rough,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(restarts::gateway_stopped(stage)),
    },
    Scenario {
        name: "gateway-sigkill",
        row: "the gateway is killed with SIGKILL and started again",
        shows: "ready again by itself",
        manner: Manner::Rough,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(restarts::gateway_killed(stage)),
    },
    Scenario {
        name: "gateway-starting",
        row: "connecting while the gateway is still starting",
        shows: "waits by the server's hint, then ready",
        manner: Manner::Rough,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(restarts::gateway_starting(stage)),
    },
    Scenario {
        name: "wrong-token-new-device",
        row: "wrong token, a device never approved",
        shows: "stopped, kind token_mismatch, exit 11, at most two attempts, a fix that helps",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(tokens::wrong_for_a_new_device(stage)),
    },
    Scenario {
        name: "wrong-token-approved-device",
        row: "wrong token, an approved device",
        shows: "ready by its device token, one warning that the variable is stale",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(tokens::wrong_for_an_approved_device(stage)),
    },
    Scenario {
        name: "token-file",
        row: "the token file is rewritten with the right token while stopped for a wrong one",
        shows: "ready by itself",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(tokens::file_rewritten(stage)),
    },
    Scenario {
        name: "no-token",
        row: "no token",
        shows: "refused before dialling, exit 2, saying which variable to set",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(tokens::none(stage)),
    },
    Scenario {
        name: "shared-token-changes",
        row: "the shared token changes while connected",
        shows: "ready by its device token, with a warning that the variable is stale",
        manner: Manner::Rough,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(tokens::changed_while_connected(stage)),
    },
    Scenario {
        name: "device-removed",
        row: "the device is removed while connected",
        shows: "awaiting approval again, approving works",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: |gateway| {
            if gateway.can_remove() {
                Ok(())
            } else {
                Err("this version has no way to remove a device: no `openclaw devices remove`")
            }
        },
        run: |stage| Box::pin(changes::removed(stage)),
    },
    Scenario {
        name: "token-rotated-revoked",
        row: "its token is rotated, then revoked, while connected",
        shows: "recovers by itself, or asks for approval",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(changes::rotated_then_revoked(stage)),
    },
    Scenario {
        name: "more-scopes",
        row: "more scopes are asked than approved",
        shows: "awaiting approval, asked and approved scopes named",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(changes::more_scopes(stage)),
    },
    Scenario {
        name: "state-deleted",
        row: "the state directory is deleted",
        shows: "a new identity, a new request",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(first_contact::state_deleted(stage)),
    },
    Scenario {
        name: "own-loopback",
        row: "from the gateway's own loopback",
        shows: "ready at once, no approval",
        manner: Manner::Gentle,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(places::own_loopback(stage)),
    },
    Scenario {
        name: "signature-version",
        row: "a v3-only or v2-only world",
        shows: "ready, whichever device signature the gateway reads",
        manner: Manner::Rough,
        limit: minutes(4),
        applies: everywhere,
        run: |stage| Box::pin(places::signature_version(stage)),
    },
    Scenario {
        name: "approval-latency",
        row: "20 approvals, from the CLI's \"Approved\" to ready",
        shows: "the worst within 3 s",
        manner: Manner::Gentle,
        limit: minutes(10),
        applies: everywhere,
        run: |stage| Box::pin(measure::approval_latency(stage)),
    },
];
