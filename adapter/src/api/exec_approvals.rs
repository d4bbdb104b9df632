//! `exec.approval.*`: commands of agents that need an approval. All need the scope
//! `operator.approvals`.

use serde_json::{Map, Value};

use super::events::EventPayload;
use super::wire::{answer, params, string_enum};
use crate::client::Client;
use crate::client::call::TypedCall;

/// Commands of agents that need an approval; from [`Client::exec_approvals`].
///
/// Each method makes the call with what is needed; the types of this module have the rest, for
/// [`Client::call`].
///
/// ```
/// # use openclaw_adapter::{Client, Config, MemoryStore, Token};
/// # use openclaw_mock_gateway::{MockGateway, RunScript};
/// use openclaw_adapter::api::exec_approvals::{Decision, Requested};
/// use openclaw_adapter::{EventFilter, EventItem, EventPayload};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # gateway.script_runs(|_| RunScript::text("Done.").approved_command("rm -r old", ""));
/// # let config = Config::builder()
/// #     .url(gateway.local_url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new())
/// #     .scopes(["operator.admin", "operator.approvals"])
/// #     .capabilities(["approvals"])
/// #     .build()?;
/// # let client = Client::connect(config).await?;
/// let mut events = client.events_where(EventFilter::named([Requested::NAME]));
/// # let mut run = client.agent().run("chores", "Tidy up").await?;
/// // The capability `approvals` is what brings the event on 2026.9.6.
/// while let Some(item) = events.next().await {
///     let EventItem::Event(event) = item else { continue };
///     let Some(requested) = event.parse::<Requested>() else { continue };
///     let requested = requested?;
///     println!("may it run `{}`?", requested.request.command);
///     client.exec_approvals().resolve(requested.id, Decision::AllowOnce).await?;
/// #   break;
/// }
/// # assert_eq!(run.outcome().await.answer(), Some("Done."));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ExecApprovals<'a> {
    client: &'a Client,
}

impl<'a> ExecApprovals<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists the commands that wait to be allowed (2026.9.6).
    #[doc(alias = "exec.approval.list")]
    pub fn list(&self) -> TypedCall<'a, List> {
        self.client.call(List::new())
    }

    /// Tells of a command that waits to be allowed (2026.9.6).
    #[doc(alias = "exec.approval.get")]
    pub fn get(&self, id: impl Into<String>) -> TypedCall<'a, Get> {
        self.client.call(Get::new(id))
    }

    /// Allows or denies a command.
    #[doc(alias = "exec.approval.resolve")]
    pub fn resolve(&self, id: impl Into<String>, decision: Decision) -> TypedCall<'a, Resolve> {
        self.client.call(Resolve::new(id, decision))
    }
}

params! {
    /// Asks which commands wait to be allowed (2026.9.6).
    ///
    /// 2026.2.9 cannot list them: requests from before the subscription are unknown there.
    List: "exec.approval.list", Reads, since 4 => Vec<Requested> {}
}

params! {
    /// Asks about a command that waits to be allowed (2026.9.6).
    Get: "exec.approval.get", Reads, since 4 => Approval {
        needs {
            /// The id of the approval.
            id: String;
        }
    }
}

answer! {
    /// Answer to [`Get`]: a command that waits to be allowed.
    Approval {
        has {
            /// The id of the approval.
            id: String,
        }
        may_have {
            /// The command.
            command_text: String,
            /// The beginning of a long command.
            command_preview: String,
            /// Host that it would run on.
            host: String,
            /// The node that it would run on.
            node_id: String,
            /// The agent that asks.
            agent_id: String,
            /// Expiry time, after which it is denied, in milliseconds of the gateway's clock.
            expires_at_ms: u64,
        }
        lists {
            /// The answers that can be given.
            allowed_decisions: Decision,
        }
    }
}

params! {
    /// Allows or denies a command.
    ///
    /// The same decision once more is well on 2026.9.6, and another one is refused with the reason
    /// `APPROVAL_ALREADY_RESOLVED`; on 2026.2.9 the id is unknown after the first.
    Resolve: "exec.approval.resolve", Idempotent => Resolved {
        needs {
            /// The id of the approval.
            id: String;
            /// The decision.
            decision: Decision;
        }
        may_have {
            /// After how many days an `allow-always` ends (2026.9.6).
            grant_expires_in_days: u32, since 4;
        }
    }
}

answer! {
    /// Answer to [`Resolve`].
    Resolved {
        may_have {
            /// Always true.
            ok: bool,
        }
    }
}

string_enum! {
    /// Decision about a command.
    Decision {
        /// It may run this time.
        AllowOnce = "allow-once",
        /// It may run from now on. Gateways do not offer it for every command.
        AllowAlways = "allow-always",
        /// It may not run.
        Deny = "deny",
    }
}

answer! {
    /// A command that waits to be allowed: an entry of [`List`]'s answer, and the event
    /// `exec.approval.requested`.
    ///
    /// 2026.9.6 sends the event to connections with the capability `approvals` or `exec-approvals`
    /// alone, and of those to administrators and to the device that asked; 2026.2.9 sends it to all
    /// with the scope.
    Requested {
        has {
            /// The id of the approval.
            id: String,
            /// The command.
            request: Request,
        }
        may_have {
            /// `exec` (2026.9.6).
            approval_kind: String,
            /// Time of the request, in milliseconds of the gateway's clock.
            created_at_ms: u64,
            /// Expiry time, after which it is denied.
            expires_at_ms: u64,
        }
    }
}

impl EventPayload for Requested {
    const NAME: &'static str = "exec.approval.requested";
}

answer! {
    /// The command, and its origin.
    Request {
        has {
            /// The command.
            command: String,
        }
        may_have {
            /// The folder that it runs in.
            cwd: String,
            /// Host: `gateway`, `node`, `sandbox`.
            host: String,
            /// The node that it runs on (2026.9.6).
            node_id: String,
            /// Policy on commands: `allowlist` and so on.
            security: String,
            /// Policy on approvals: `always`, `on-miss`.
            ask: String,
            /// The agent that asks.
            agent_id: String,
            /// The program that the command starts, where the gateway has found it.
            resolved_path: String,
            /// The session that asks.
            session_key: String,
            /// The run that asks (2026.9.6).
            run_id: String,
            /// The call of the tool that asks (2026.9.6).
            tool_call_id: String,
            /// Warning for the person who decides (2026.9.6).
            warning_text: String,
            /// The gateway's analysis of the command (2026.9.6).
            command_analysis: Map<String, Value>,
        }
        lists {
            /// The answers that can be given (2026.9.6).
            allowed_decisions: Decision,
            /// The answers that cannot be given (2026.9.6).
            unavailable_decisions: Decision,
        }
    }
}

answer! {
    /// Event `exec.approval.resolved`: a command was allowed or denied.
    ///
    /// At its expiry, 2026.9.6 sends `deny` without an author, and 2026.2.9 sends nothing.
    Decided {
        has {
            /// The id of the approval.
            id: String,
            /// The decision.
            decision: Decision,
        }
        may_have {
            /// The name that the client gave itself that decided; absent if the time was over.
            resolved_by: String,
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
            /// The command (2026.9.6).
            request: Request,
        }
    }
}

impl EventPayload for Decided {
    const NAME: &'static str = "exec.approval.resolved";
}
