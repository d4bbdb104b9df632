//! Calls of tools.

use serde_json::{Value, json};

use crate::methods::run::dialect::result::WORKSPACE;
use crate::model::script::Tool;

/// A tool that is at work.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) tool: Tool,
    pub(crate) started_at: u64,
    /// What became of its approval, if it does not work.
    pub(crate) verdict: Option<Verdict>,
}

/// What became of the approval of a tool that does not work as its script says.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It is asked for; the run goes on without.
    Pending {
        id: String,
        expires_at: u64,
    },
    Denied,
}

/// The part of an id that people are shown.
pub(crate) fn slug(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

impl Verdict {
    /// Returns what the gateway shows beside the text.
    pub(crate) fn details(&self, call: &Call) -> Value {
        match self {
            Self::Pending { id, expires_at } => json!({
                "status": "approval-pending", "approvalId": id, "approvalSlug": slug(id),
                "expiresAtMs": expires_at, "host": "gateway", "command": call.tool.command(),
                "cwd": WORKSPACE,
            }),
            Self::Denied => json!({
                "status": "failed", "exitCode": null, "durationMs": 0,
                "aggregated": call.tool.result, "timedOut": false, "cwd": WORKSPACE,
            }),
        }
    }
}
