//! Exec approvals: who asks, who is asked, what was decided.

pub(crate) mod calls;
pub(crate) mod view;

use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use calls::answer;

use crate::engine::Engine;
use crate::engine::state::State;
use crate::model::approvals::{Approval, Asked, Asker, End, Waiter};
use crate::model::connection::{Live, Session};

/// Who says one of these in `connect.caps` is asked (measured on 2026.9.6).
const CAPS: [&str; 2] = ["approvals", "exec-approvals"];

fn is_asked(engine: &Engine, approval: &Approval, session: &Session, live: &Live) -> bool {
    let can = |cap: &String| CAPS.contains(&cap.as_str());
    !engine.facts().routes_approvals
        || (live.caps.iter().any(can) && approval.is_visible(engine.facts(), session.id, live))
}

/// Asks everybody who can decide, as a tool does.
pub(crate) fn ask(
    engine: &Engine,
    state: &mut State,
    id: Option<String>,
    params: &Value,
    from: Asker,
    timeout_ms: u64,
) -> Asked {
    let request = view::request(params, engine.facts().routes_approvals);
    ask_for(engine, state, id, request, from, timeout_ms, true)
}

fn ask_for(
    engine: &Engine,
    state: &mut State,
    id: Option<String>,
    request: Value,
    from: Asker,
    timeout_ms: u64,
    needs_route: bool,
) -> Asked {
    let now = engine.clock.now_ms();
    state.approvals.prune();
    let approval = Approval {
        id: id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        request,
        created_at: now,
        expires_at: now.saturating_add(timeout_ms),
        asker: from,
        waiters: Vec::new(),
        end: None,
    };
    let routes = engine.facts().routes_approvals;
    let payload = view::requested(&approval, routes);
    // Whoever asks is not asked back, where the edition looks.
    let sent = engine.broadcast_to(
        state,
        "exec.approval.requested",
        &payload,
        |session, live| {
            is_asked(engine, &approval, session, live)
                && !(routes && session.id == approval.asker.connection)
        },
    );
    let asked = Asked {
        id: approval.id.clone(),
        created_at: approval.created_at,
        expires_at: approval.expires_at,
        has_route: !routes || sent > 0,
    };
    state.approvals.all.push_back(approval);
    if needs_route && !asked.has_route {
        let end = End {
            decision: None,
            at: now,
            reason: "no-route",
            by: None,
            resolver: json!({"kind": "system"}),
        };
        settle(engine, state, &asked.id, end);
    }
    engine.touched();
    asked
}

/// Gives a run the decision as soon as there is one.
pub(crate) fn wait_for(state: &mut State, id: &str) -> oneshot::Receiver<Option<String>> {
    let (sender, receiver) = oneshot::channel();
    if let Some(approval) = state.approvals.get_mut(id) {
        match &approval.end {
            None => approval.waiters.push(Waiter::Run(sender)),
            Some(end) => drop(sender.send(end.decision.clone())),
        }
    }
    receiver
}

/// Ends an approval that nobody decided on.
pub(crate) fn expire(engine: &Engine, state: &mut State, id: &str, reason: &'static str) {
    if state
        .approvals
        .get(id)
        .is_none_or(|known| known.end.is_some())
    {
        return;
    }
    let end = End {
        decision: None,
        at: engine.clock.now_ms(),
        reason,
        by: None,
        resolver: json!({"kind": "system"}),
    };
    settle(engine, state, id, end.clone());
    // Measured: 2026.9.6 tells of it as of a refusal, 2026.2.9 tells nobody.
    if engine.facts().routes_approvals {
        tell(engine, state, id, &end);
    }
}

/// Notes the end, and answers those who wait for it.
fn settle(engine: &Engine, state: &mut State, id: &str, end: End) {
    let Some(approval) = state.approvals.get_mut(id) else {
        return;
    };
    let waiters = std::mem::take(&mut approval.waiters);
    let decision = end.decision.clone();
    approval.end = Some(end);
    let (short, long) = (view::decision(approval), view::with_reason(approval));
    for waiter in waiters {
        match waiter {
            Waiter::Call {
                connection,
                request_id,
                says_why,
            } => {
                let payload = if says_why { &long } else { &short };
                engine.reply_later(state, connection, &request_id, &Ok(payload.clone()));
            }
            // A run that was aborted does not wait any more.
            Waiter::Run(sender) => drop(sender.send(decision.clone())),
        }
    }
    if !engine.facts().routes_approvals {
        // 2026.2.9 knows only what is pending.
        state.approvals.all.retain(|approval| approval.id != id);
    }
    engine.touched();
}

/// Tells everybody who was asked.
fn tell(engine: &Engine, state: &mut State, id: &str, end: &End) {
    let Some(found) = state.approvals.all.iter().position(|known| known.id == id) else {
        return;
    };
    let Some(approval) = state.approvals.all.remove(found) else {
        return;
    };
    let payload = view::resolved(&approval, end, engine.facts().routes_approvals);
    engine.broadcast_to(
        state,
        "exec.approval.resolved",
        &payload,
        |session, live| is_asked(engine, &approval, session, live),
    );
    state.approvals.all.insert(found, approval);
}
