//! The parameter schemas of approvals.

use crate::edition::Edition;
use crate::wire::schema::{NON_EMPTY, Rule, TEXTS, int, opt, req};

const REQUEST_OLD: Rule = Rule::Object(&[
    opt("id", NON_EMPTY),
    req("command", NON_EMPTY),
    opt("cwd", Rule::Any),
    opt("host", Rule::Any),
    opt("security", Rule::Any),
    opt("ask", Rule::Any),
    opt("agentId", Rule::Any),
    opt("resolvedPath", Rule::Any),
    opt("sessionKey", Rule::Any),
    opt("timeoutMs", int(1)),
]);
const REQUEST_NEW: Rule = Rule::Object(&[
    opt("id", NON_EMPTY),
    opt("command", NON_EMPTY),
    opt("commandArgv", TEXTS),
    opt("systemRunPlan", Rule::Any),
    opt("env", Rule::Map(&Rule::Any)),
    opt("cwd", Rule::Any),
    opt("nodeId", Rule::Any),
    opt("host", Rule::Any),
    opt("security", Rule::Any),
    opt("ask", Rule::Any),
    opt("warningText", Rule::Any),
    opt("scope", Rule::Any),
    opt(
        "unavailableDecisions",
        Rule::List(&Rule::OneOf(&["allow-always"])),
    ),
    opt("commandSpans", Rule::List(&Rule::Any)),
    opt("agentId", Rule::Any),
    opt("resolvedPath", Rule::Any),
    opt("sessionKey", Rule::Any),
    opt("sessionId", Rule::Any),
    opt("runId", Rule::Any),
    opt("toolCallId", Rule::Any),
    opt("turnSourceChannel", Rule::Any),
    opt("turnSourceTo", Rule::Any),
    opt("turnSourceAccountId", Rule::Any),
    opt("turnSourceThreadId", Rule::Any),
    opt("approvalReviewerDeviceIds", Rule::List(&NON_EMPTY)),
    opt("requireDeliveryRoute", Rule::Bool),
    opt("suppressDelivery", Rule::Bool),
    opt("deliverToApprovalClientsOnly", Rule::Bool),
    opt("timeoutMs", int(1)),
    opt("twoPhase", Rule::Bool),
]);
const RESOLVE_OLD: Rule = Rule::Object(&[req("id", NON_EMPTY), req("decision", NON_EMPTY)]);
const RESOLVE_NEW: Rule = Rule::Object(&[
    req("id", NON_EMPTY),
    req("decision", NON_EMPTY),
    opt("reviewer", Rule::Any),
    opt("grantExpiresInDays", Rule::Int { min: 1, max: 3650 }),
]);
const GET: Rule = Rule::Object(&[req("id", NON_EMPTY)]);

pub(super) fn params(edition: Edition, method: &str) -> Option<&'static Rule> {
    let old = matches!(edition, Edition::V2026_2_9);
    Some(match method {
        "exec.approval.request" if old => &REQUEST_OLD,
        "exec.approval.request" => &REQUEST_NEW,
        "exec.approval.resolve" if old => &RESOLVE_OLD,
        "exec.approval.resolve" => &RESOLVE_NEW,
        "exec.approval.get" => &GET,
        _ => return None,
    })
}
