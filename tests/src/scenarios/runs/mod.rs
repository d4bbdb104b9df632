//! What must hold of calls, events and runs, over connections and gateways that break.
//!
//! Here the backend is a [`Client`](openclaw_adapter::Client) in this process, on a road that a
//! scenario can cut. It dials from the gateway's own host, where nobody has to approve it.

mod aborts;
mod cuts;
mod events;
mod failures;
mod follow;
mod keys;
mod laps;
mod limits;
mod repeats;
mod stage;
mod stops;
mod streams;
mod subscriptions;
mod tools;

use super::{Manner, Scenario, everywhere, minutes};

/// All of them, in the order of the compatibility table. They need a gateway with a model.
pub const RUNS: &[Scenario] = &[
    Scenario {
        name: "streams",
        row: "100 streamed runs one after another, and 100 by 10 at a time",
        shows: "every text exactly as the model sent it",
        manner: Manner::Gentle,
        limit: minutes(12),
        applies: everywhere,
        run: |stage| Box::pin(streams::streams(stage)),
    },
    Scenario {
        name: "cuts",
        row: "the connection is cut at 30 random moments of runs",
        shows: "outcome and full text all the same; the model asked once per run",
        manner: Manner::Gentle,
        limit: minutes(10),
        applies: everywhere,
        run: |stage| Box::pin(cuts::cuts(stage)),
    },
    Scenario {
        name: "repeats",
        row: "a model that says a paragraph twice",
        shows: "2026.9.6 shows it once and keeps both; 2026.2.9 shows both",
        manner: Manner::Gentle,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(repeats::repeats(stage)),
    },
    Scenario {
        name: "run-sigterm",
        row: "the gateway is stopped with SIGTERM during a run",
        shows: "2026.9.6: drained to its end; 2026.2.9: Lost, never asked twice",
        manner: Manner::Rough,
        limit: minutes(8),
        applies: everywhere,
        run: |stage| Box::pin(stops::stopped(stage)),
    },
    Scenario {
        name: "run-sigkill",
        row: "the gateway is killed during a run",
        shows: "an honest outcome within a bound; never two answers for one key",
        manner: Manner::Rough,
        limit: minutes(12),
        applies: everywhere,
        run: |stage| Box::pin(stops::killed(stage)),
    },
    Scenario {
        name: "same-key",
        row: "the same key from two processes",
        shows: "one run; both get its outcome",
        manner: Manner::Gentle,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(keys::shared(stage)),
    },
    Scenario {
        name: "failing-models",
        row: "the model answers 500 or 429, drops mid-stream, says nothing",
        shows: "failed with the reason, in both generations",
        manner: Manner::Slow,
        limit: minutes(12),
        applies: everywhere,
        run: |stage| Box::pin(failures::failing_models(stage)),
    },
    Scenario {
        name: "aborts",
        row: "abort during a run, and after a reconnect",
        shows: "as the generation allows; one outcome",
        manner: Manner::Gentle,
        limit: minutes(8),
        applies: everywhere,
        run: |stage| Box::pin(aborts::aborts(stage)),
    },
    Scenario {
        name: "tool-events",
        row: "a tool call with the capability `tool-events`",
        shows: "start, update and result seen by the run",
        manner: Manner::Gentle,
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(tools::tool_events(stage)),
    },
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
        limit: minutes(6),
        applies: everywhere,
        run: |stage| Box::pin(events::sleeping_consumer(stage)),
    },
    Scenario {
        name: "subscription-restarts",
        row: "a subscription over 20 restarts of the gateway",
        shows: "after each: Resync, snapshot, live; no session missing at the end",
        manner: Manner::Rough,
        limit: minutes(20),
        applies: everywhere,
        run: |stage| Box::pin(subscriptions::over_restarts(stage)),
    },
];
