//! Exec approvals: who asks, who is asked, what was decided.

mod calls;
mod shown;

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use calls::{TIMEOUT_NEW_MS, TIMEOUT_OLD_MS, answer};

use crate::run::answer_later;
use crate::state::{Inner, Live, Session, State};

/// Decided approvals that are remembered.
const MAX_DECIDED: usize = 1000;
/// More than this do not wait at one time.
const MAX_PENDING: usize = 5000;
/// Who says one of these in `connect.caps` is asked (measured on 2026.9.6).
const CAPS: [&str; 2] = ["approvals", "exec-approvals"];

/// Who asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker {
    pub(crate) connection: u64,
    pub(crate) device_id: Option<String>,
}

/// Who waits for a decision.
#[derive(Debug)]
enum Waiter {
    /// A call; its answer says why it ended, or not.
    Call {
        connection: u64,
        request_id: Value,
        says_why: bool,
    },
    /// A run, whose tool wants it.
    Run(oneshot::Sender<Option<String>>),
}

/// How an approval ended.
#[derive(Clone, Debug)]
struct End {
    /// `None` if nobody decided.
    decision: Option<String>,
    at: u64,
    reason: &'static str,
    by: Option<String>,
    resolver: Value,
}

#[derive(Debug)]
struct Approval {
    id: String,
    request: Value,
    created_at: u64,
    expires_at: u64,
    asker: Asker,
    waiters: Vec<Waiter>,
    end: Option<End>,
}

impl Approval {
    /// Measured on 2026.9.6: admins see all of them, others those of their own device, or of their own
    /// connection if it has none. 2026.2.9 shows them to all who have the scope.
    fn is_visible(&self, inner: &Inner, connection: u64, live: &Live) -> bool {
        if !inner.facts().routes_approvals || live.is_admin() {
            return true;
        }
        match &self.asker.device_id {
            Some(device_id) => live.device_id.as_ref() == Some(device_id),
            None => self.asker.connection == connection,
        }
    }
}

/// An approval that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) created_at: u64,
    pub(crate) expires_at: u64,
    /// Whether anybody can decide; otherwise it is over already, if a route was needed.
    pub(crate) has_route: bool,
}

/// All approvals of a gateway process, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    all: VecDeque<Approval>,
}

impl Approvals {
    /// A new process knows none.
    pub(crate) fn boot(&mut self) {
        self.all.clear();
    }

    fn get(&self, id: &str) -> Option<&Approval> {
        self.all.iter().find(|approval| approval.id == id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Approval> {
        self.all.iter_mut().find(|approval| approval.id == id)
    }

    fn pending(&self) -> impl Iterator<Item = &Approval> {
        self.all.iter().filter(|approval| approval.end.is_none())
    }

    fn is_full(&self) -> bool {
        self.pending().count() >= MAX_PENDING
    }

    fn prune(&mut self) {
        let decided = self.all.iter().filter(|approval| approval.end.is_some());
        let mut over = decided.count().saturating_sub(MAX_DECIDED);
        self.all.retain(|approval| {
            let goes = over > 0 && approval.end.is_some();
            over -= usize::from(goes);
            !goes
        });
    }
}

fn is_asked(inner: &Inner, approval: &Approval, session: &Session, live: &Live) -> bool {
    let can = |cap: &String| CAPS.contains(&cap.as_str());
    !inner.facts().routes_approvals
        || (live.caps.iter().any(can) && approval.is_visible(inner, session.id, live))
}

/// Asks everybody who can decide, as a tool does.
pub(crate) fn ask(
    inner: &Inner,
    state: &mut State,
    id: Option<String>,
    params: &Value,
    from: Asker,
    timeout_ms: u64,
) -> Asked {
    let request = shown::request(params, inner.facts().routes_approvals);
    ask_for(inner, state, id, request, from, timeout_ms, true)
}

fn ask_for(
    inner: &Inner,
    state: &mut State,
    id: Option<String>,
    request: Value,
    from: Asker,
    timeout_ms: u64,
    needs_route: bool,
) -> Asked {
    let now = inner.clock.now_ms();
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
    let routes = inner.facts().routes_approvals;
    let payload = shown::requested(&approval, routes);
    // Whoever asks is not asked back, where the edition looks.
    let sent = inner.broadcast_to(
        state,
        "exec.approval.requested",
        &payload,
        |session, live| {
            is_asked(inner, &approval, session, live)
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
        settle(inner, state, &asked.id, end);
    }
    inner.touched();
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
pub(crate) fn expire(inner: &Inner, state: &mut State, id: &str, reason: &'static str) {
    if state
        .approvals
        .get(id)
        .is_none_or(|known| known.end.is_some())
    {
        return;
    }
    let end = End {
        decision: None,
        at: inner.clock.now_ms(),
        reason,
        by: None,
        resolver: json!({"kind": "system"}),
    };
    settle(inner, state, id, end.clone());
    // Measured: 2026.9.6 tells of it as of a refusal, 2026.2.9 tells nobody.
    if inner.facts().routes_approvals {
        tell(inner, state, id, &end);
    }
}

/// Notes the end, and answers those who wait for it.
fn settle(inner: &Inner, state: &mut State, id: &str, end: End) {
    let Some(approval) = state.approvals.get_mut(id) else {
        return;
    };
    let waiters = std::mem::take(&mut approval.waiters);
    let decision = end.decision.clone();
    approval.end = Some(end);
    let (short, long) = (shown::decision(approval), shown::with_reason(approval));
    for waiter in waiters {
        match waiter {
            Waiter::Call {
                connection,
                request_id,
                says_why,
            } => {
                let payload = if says_why { &long } else { &short };
                answer_later(inner, state, connection, &request_id, &Ok(payload.clone()));
            }
            // A run that was aborted does not wait any more.
            Waiter::Run(sender) => drop(sender.send(decision.clone())),
        }
    }
    if !inner.facts().routes_approvals {
        // 2026.2.9 knows only what is pending.
        state.approvals.all.retain(|approval| approval.id != id);
    }
    inner.touched();
}

/// Tells everybody who was asked.
fn tell(inner: &Inner, state: &mut State, id: &str, end: &End) {
    let Some(found) = state.approvals.all.iter().position(|known| known.id == id) else {
        return;
    };
    let Some(approval) = state.approvals.all.remove(found) else {
        return;
    };
    let payload = shown::resolved(&approval, end, inner.facts().routes_approvals);
    inner.broadcast_to(
        state,
        "exec.approval.resolved",
        &payload,
        |session, live| is_asked(inner, &approval, session, live),
    );
    state.approvals.all.insert(found, approval);
}
