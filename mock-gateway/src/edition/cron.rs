//! The parameter schemas of jobs.

use crate::edition::Edition;
use crate::wire::schema::{NON_EMPTY, Rule, int, opt, req};

const ADD: Rule = Rule::OpenObject(&[
    req("name", NON_EMPTY),
    req(
        "schedule",
        Rule::OpenObject(&[req("kind", Rule::OneOf(&["at", "every", "cron"]))]),
    ),
    req("sessionTarget", NON_EMPTY),
    opt("wakeMode", Rule::OneOf(&["next-heartbeat", "now"])),
    req(
        "payload",
        Rule::OpenObject(&[req("kind", Rule::OneOf(&["systemEvent", "agentTurn"]))]),
    ),
    opt("enabled", Rule::Bool),
    opt("deleteAfterRun", Rule::Bool),
]);
const UPDATE: Rule = Rule::OpenObject(&[req("patch", Rule::OpenObject(&[]))]);
const RUN: Rule = Rule::OpenObject(&[opt("mode", Rule::OneOf(&["due", "force"]))]);
const RUNS: Rule = Rule::OpenObject(&[opt("limit", int(1)), opt("offset", int(0))]);
const ID: Rule = Rule::Object(&[req("id", NON_EMPTY)]);

pub(super) fn params(edition: Edition, method: &str) -> Option<&'static Rule> {
    let old = matches!(edition, Edition::V2026_2_9);
    Some(match method {
        "cron.add" => &ADD,
        "cron.update" => &UPDATE,
        "cron.run" => &RUN,
        "cron.runs" => &RUNS,
        "cron.get" if !old => &ID,
        _ => return None,
    })
}
