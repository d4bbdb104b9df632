//! What must hold of calls, events and runs, over connections and gateways that break.
//!
//! Here the backend is a [`Client`](openclaw_adapter::Client) in this process, on a road that a
//! scenario can cut. It dials from the gateway's own host, where nobody has to approve it.

mod events;
mod limits;
mod stage;
mod subscriptions;

use super::{Manner, Scenario, everywhere, minutes};

/// All of them, in the order of the compatibility table. They need a gateway with a model.
pub const RUNS: &[Scenario] = &[
    Scenario {
        name: "read-only",
        row: "a client with `operator.read` only calls `chat.send`",
        shows: "refused by name of the missing scope; the breaker holds back the repeats",
        manner: Manner::Gentle,
        limit: minutes(2),
        applies: everywhere,
        run: |stage| Box::pin(limits::read_only(stage)),
    },
    Scenario {
        name: "max-payload",
        row: "a call larger than `maxPayload`",
        shows: "TooLarge before sending; the connection stays",
        manner: Manner::Gentle,
        limit: minutes(2),
        applies: everywhere,
        run: |stage| Box::pin(limits::max_payload(stage)),
    },
    Scenario {
        name: "sleeping-consumer",
        row: "100,000 events to a consumer that sleeps",
        shows: "it gets Lagged; other consumers and calls are not slowed",
        manner: Manner::Gentle,
        limit: minutes(3),
        applies: everywhere,
        run: |stage| Box::pin(events::sleeping_consumer(stage)),
    },
    Scenario {
        name: "subscription-restarts",
        row: "a subscription over 20 restarts of the gateway",
        shows: "after each: Resync, snapshot, live; no session missing at the end",
        manner: Manner::Rough,
        limit: minutes(10),
        applies: everywhere,
        run: |stage| Box::pin(subscriptions::over_restarts(stage)),
    },
];
