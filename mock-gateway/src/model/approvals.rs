//! The approvals that a gateway process knows.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::edition::Facts;
use crate::model::connection::Live;

/// Decided approvals that are remembered.
const MAX_DECIDED: usize = 1000;
/// More than this do not wait at one time.
const MAX_PENDING: usize = 5000;

/// Who asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker {
    pub(crate) connection: u64,
    pub(crate) device_id: Option<String>,
}

/// Who waits for a decision.
#[derive(Debug)]
pub(crate) enum Waiter {
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
pub(crate) struct End {
    /// `None` if nobody decided.
    pub(crate) decision: Option<String>,
    pub(crate) at: u64,
    pub(crate) reason: &'static str,
    pub(crate) by: Option<String>,
    pub(crate) resolver: Value,
}

#[derive(Debug)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) request: Value,
    pub(crate) created_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) asker: Asker,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) end: Option<End>,
}

impl Approval {
    /// Measured on 2026.9.6: admins see all of them, others those of their own device, or of their own
    /// connection if it has none. 2026.2.9 shows them to all who have the scope.
    pub(crate) fn is_visible(&self, facts: &Facts, connection: u64, live: &Live) -> bool {
        if !facts.routes_approvals || live.is_admin() {
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
    pub(crate) all: VecDeque<Approval>,
}

impl Approvals {
    /// A new process knows none.
    pub(crate) fn boot(&mut self) {
        self.all.clear();
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Approval> {
        self.all.iter().find(|approval| approval.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Approval> {
        self.all.iter_mut().find(|approval| approval.id == id)
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &Approval> {
        self.all.iter().filter(|approval| approval.end.is_none())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending().count() >= MAX_PENDING
    }

    pub(crate) fn prune(&mut self) {
        let decided = self.all.iter().filter(|approval| approval.end.is_some());
        let mut over = decided.count().saturating_sub(MAX_DECIDED);
        self.all.retain(|approval| {
            let goes = over > 0 && approval.end.is_some();
            over -= usize::from(goes);
            !goes
        });
    }
}
