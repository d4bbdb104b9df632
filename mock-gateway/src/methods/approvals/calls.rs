//! `exec.approval.*` and `approval.*`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::approvals::{ask_for, settle, tell, view};
use crate::model::approvals::{Approval, Asker, End, Waiter};
use crate::model::connection::Live;
use crate::wire::{ErrorShape, Reply};

/// Read in the code of both editions.
pub(crate) const TIMEOUT_OLD_MS: u64 = 120_000;
pub(crate) const TIMEOUT_NEW_MS: u64 = 1_800_000;
const HISTORY_PAGE: usize = 50;
const DECISIONS: [&str; 3] = ["allow-once", "allow-always", "deny"];

/// Who calls.
struct Caller<'a> {
    connection: u64,
    live: &'a Live,
}

/// The answer of a method that is about approvals.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    live: &Live,
    call: &Request,
) -> Option<Answer> {
    let caller = Caller { connection, live };
    let id = call.params["id"].as_str().unwrap_or_default();
    Some(match call.method.as_str() {
        "exec.approval.request" => request(engine, state, &caller, call),
        "exec.approval.waitDecision" => wait(engine, state, &caller, call, id.trim()),
        "exec.approval.list" => {
            let pending = state.approvals.pending();
            let visible =
                pending.filter(|known| known.is_visible(engine.facts(), connection, live));
            Ok(visible.map(|known| view::requested(known, true)).collect()).into()
        }
        "exec.approval.get" => found(engine, state, &caller, id).map(view::pending).into(),
        "exec.approval.resolve" => resolve(engine, state, &caller, call, id).into(),
        "approval.get" => exact(engine, state, &caller, id)
            .map(|known| json!({"approval": view::snapshot(known)}))
            .into(),
        "approval.resolve" => apply(engine, state, &caller, call, id).into(),
        "approval.history" => history(engine, state, &caller, call).into(),
        _ => return None,
    })
}

fn invalid(message: &str) -> ErrorShape {
    ErrorShape::invalid(message)
}

fn refused(message: &str, reason: &str) -> ErrorShape {
    invalid(message).with_details(Some(json!({"reason": reason})))
}

fn request(engine: &Engine, state: &mut State, caller: &Caller<'_>, call: &Request) -> Answer {
    let params = &call.params;
    let is_new = engine.facts().routes_approvals;
    if params["command"]
        .as_str()
        .is_none_or(|command| command.trim().is_empty())
    {
        return Err(invalid("command is required")).into();
    }
    let id = params["id"]
        .as_str()
        .map(str::trim)
        .filter(|id| !id.is_empty());
    if id.is_some_and(|id| state.approvals.get(id).is_some()) {
        return Err(invalid("approval id already pending")).into();
    }
    if state.approvals.is_full() {
        return Err(ErrorShape::new(
            "UNAVAILABLE",
            "approval request unavailable",
        ))
        .into();
    }
    let usual = if is_new {
        TIMEOUT_NEW_MS
    } else {
        TIMEOUT_OLD_MS
    };
    let timeout = params["timeoutMs"].as_u64().unwrap_or(usual);
    let from = Asker {
        connection: caller.connection,
        device_id: caller.live.device_id.clone(),
    };
    let kept = view::request(params, is_new);
    let id = id.map(str::to_owned);
    let needs_route = params["requireDeliveryRoute"] != false;
    let asked = ask_for(engine, state, id, kept, from, timeout, needs_route);
    let Some(approval) = state.approvals.get_mut(&asked.id) else {
        return Answer::default();
    };
    if approval.end.is_some() {
        return Ok(view::decision(approval)).into();
    }
    approval.waiters.push(Waiter::Call {
        connection: caller.connection,
        request_id: call.id.clone(),
        says_why: false,
    });
    let route = if asked.has_route {
        "approval-client"
    } else {
        "none"
    };
    let accepted = is_new && params["twoPhase"] == true;
    let reply = accepted.then(|| {
        Ok(json!({
            "status": "accepted", "id": asked.id, "deliveryRoute": route,
            "createdAtMs": asked.created_at, "expiresAtMs": asked.expires_at,
        }))
    });
    let expiry = AfterAnswer::ExpireApproval(asked.id, Duration::from_millis(timeout));
    Answer {
        reply,
        after: vec![expiry],
    }
}

fn wait(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    call: &Request,
    id: &str,
) -> Answer {
    if id.is_empty() {
        return Err(invalid("id is required")).into();
    }
    let known = state.approvals.get_mut(id);
    let visible =
        |known: &&mut Approval| known.is_visible(engine.facts(), caller.connection, caller.live);
    let Some(approval) = known.filter(visible) else {
        return Err(invalid("approval expired or not found")).into();
    };
    if approval.end.is_some() {
        return Ok(view::with_reason(approval)).into();
    }
    approval.waiters.push(Waiter::Call {
        connection: caller.connection,
        request_id: call.id.clone(),
        says_why: true,
    });
    Answer::default()
}

fn not_found() -> ErrorShape {
    invalid("unknown or expired approval id").with_details(Some(json!({
        "reason": "APPROVAL_NOT_FOUND",
        "remediation": "Re-request the action; pending approvals are cleared after expiry or restart.",
    })))
}

/// The one that waits and has this id, or the only one whose id begins like this.
fn found<'s>(
    engine: &Engine,
    state: &'s State,
    caller: &Caller<'_>,
    id: &str,
) -> Result<&'s Approval, ErrorShape> {
    let visible =
        |known: &&Approval| known.is_visible(engine.facts(), caller.connection, caller.live);
    let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<&'s Approval> {
        let all = state.approvals.pending();
        all.filter(|known| wanted(&known.id))
            .filter(visible)
            .collect()
    };
    if let [only] = of(&|own| own == id)[..] {
        return Ok(only);
    }
    match of(&|own| !id.is_empty() && own.starts_with(id))[..] {
        [only] => Ok(only),
        [] => Err(not_found()),
        _ => Err(invalid("ambiguous approval id prefix; use the full id")),
    }
}

fn resolve(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    call: &Request,
    id: &str,
) -> Reply {
    let decision = call.params["decision"].as_str().unwrap_or_default();
    if !DECISIONS.contains(&decision) {
        return Err(invalid("invalid decision"));
    }
    let by = caller.live.shown_name().to_owned();
    let is_new = engine.facts().routes_approvals;
    if !is_new {
        if state.approvals.get(id).is_none() {
            return Err(invalid("unknown approval id"));
        }
        decide(engine, state, id, decision, by, Value::Null);
        return Ok(json!({"ok": true}));
    }
    let (id, allows) = match found(engine, state, caller, id) {
        Ok(known) => (known.id.clone(), allows(known, decision)),
        Err(error) => return repeated(engine, state, caller, id, decision).unwrap_or(Err(error)),
    };
    if !allows {
        let reason = "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE";
        return Err(refused(
            "allow-always is unavailable for this command",
            reason,
        ));
    }
    let resolver = json!({"kind": "runtime", "id": by});
    decide(engine, state, &id, decision, by, resolver);
    Ok(json!({"ok": true}))
}

fn allows(approval: &Approval, decision: &str) -> bool {
    let allowed = approval.request["allowedDecisions"].as_array();
    decision == "deny" || allowed.is_some_and(|allowed| allowed.iter().any(|own| own == decision))
}

/// Returns what is said of a decision that was made before.
fn repeated(
    engine: &Engine,
    state: &State,
    caller: &Caller<'_>,
    id: &str,
    decision: &str,
) -> Option<Reply> {
    let known = state.approvals.get(id)?;
    if !known.is_visible(engine.facts(), caller.connection, caller.live) {
        return None;
    }
    let decided = known.end.as_ref()?.decision.as_deref()?;
    Some(if decided == decision {
        Ok(json!({"ok": true}))
    } else {
        Err(refused(
            "approval already resolved",
            "APPROVAL_ALREADY_RESOLVED",
        ))
    })
}

fn decide(
    engine: &Engine,
    state: &mut State,
    id: &str,
    decision: &str,
    by: String,
    resolver: Value,
) {
    let end = End {
        decision: Some(decision.to_owned()),
        at: engine.clock.now_ms(),
        reason: "user",
        by: Some(by),
        resolver,
    };
    // 2026.2.9 forgets what is settled.
    if !engine.facts().routes_approvals {
        tell(engine, state, id, &end);
        return settle(engine, state, id, end);
    }
    settle(engine, state, id, end.clone());
    tell(engine, state, id, &end);
}

fn exact<'s>(
    engine: &Engine,
    state: &'s State,
    caller: &Caller<'_>,
    id: &str,
) -> Result<&'s Approval, ErrorShape> {
    let known = state.approvals.get(id);
    known
        .filter(|known| known.is_visible(engine.facts(), caller.connection, caller.live))
        .ok_or_else(|| refused("approval not found", "APPROVAL_NOT_FOUND"))
}

/// Read in the code of 2026.9.6: what it does not understand it takes for a refusal.
fn apply(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    call: &Request,
    id: &str,
) -> Reply {
    let known = exact(engine, state, caller, id)?;
    let applied = known.end.is_none();
    if applied {
        let decision = call.params["decision"].as_str().unwrap_or_default();
        let understood = call.params["kind"] == "exec"
            && DECISIONS.contains(&decision)
            && allows(known, decision);
        let decision = if understood { decision } else { "deny" };
        let live = caller.live;
        let resolver = match &live.device_id {
            Some(device_id) => json!({"kind": "device", "id": device_id}),
            None => json!({"kind": "runtime", "id": live.client_id}),
        };
        let by = live.shown_name().to_owned();
        decide(engine, state, id, decision, by, resolver);
    }
    let known = exact(engine, state, caller, id)?;
    Ok(json!({"applied": applied, "approval": view::snapshot(known)}))
}

fn history(engine: &Engine, state: &State, caller: &Caller<'_>, call: &Request) -> Reply {
    let limit = call.params["limit"].as_u64().map(usize::try_from);
    let limit = limit.and_then(Result::ok).unwrap_or(HISTORY_PAGE).max(1);
    let mut ended: Vec<(u64, &Approval)> = state
        .approvals
        .all
        .iter()
        .filter(|known| known.is_visible(engine.facts(), caller.connection, caller.live))
        .filter_map(|known| Some((known.end.as_ref()?.at, known)))
        .collect();
    // Of those of one moment the later one comes first as well.
    ended.reverse();
    ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let from = match call.params["cursor"].as_str() {
        None => 0,
        Some(cursor) => {
            let last = view::read_cursor(cursor);
            let last = ended
                .iter()
                .position(|(_, known)| Some(&known.id) == last.as_ref());
            1 + last.ok_or_else(|| invalid("invalid approval.history cursor"))?
        }
    };
    let page: Vec<&Approval> = ended
        .iter()
        .skip(from)
        .take(limit)
        .map(|(_, known)| *known)
        .collect();
    let items: Vec<Value> = page.iter().map(|known| view::snapshot(known)).collect();
    let mut answer = json!({"items": items});
    if let Some(last) = page.last().filter(|_| ended.len() > from + page.len()) {
        answer["nextCursor"] = view::cursor(last).into();
    }
    Ok(answer)
}
