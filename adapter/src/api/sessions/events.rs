//! Subscriptions to sessions, and their events.

use serde_json::{Map, Value};

use super::list::{Archived, List, SessionList};
use super::message::Message;
use super::row::Session;
use crate::api::events::EventPayload;
use crate::api::wire::{answer, params, string_enum};
use crate::protocol::method::{Effect, Method};

/// Asks for the events of all sessions from now on, until the connection ends (2026.9.6). There is
/// no way to end it sooner.
///
/// [`Sessions::watch`](super::Sessions::watch) makes it again on each new connection.
#[doc(alias = "sessions.subscribe")]
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Subscribe {
    #[serde(flatten)]
    list: Option<List>,
}

impl Subscribe {
    /// Asks for the events alone.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: None }
    }

    /// Asks for the events, and for a list that leaves no gap between itself and them. The events
    /// are those of all sessions, whatever the list is about.
    ///
    /// A list with nothing set is asked for as one without archived ones, which is what
    /// it would be: gateways take no parameters at all as not asking for a list.
    #[must_use]
    pub fn with_list(list: List) -> Self {
        let list = if list == List::new() {
            list.archived(Archived::Hide)
        } else {
            list
        };
        Self { list: Some(list) }
    }
}

impl Method for Subscribe {
    const NAME: &'static str = "sessions.subscribe";
    const EFFECT: Effect = Effect::Idempotent;
    const SINCE_PROTOCOL: u32 = 4;
    type Answer = Subscribed;
}

answer! {
    /// Answer to [`Subscribe`].
    Subscribed {
        may_have {
            /// True if the events will come.
            subscribed: bool,
            /// The list, if it was asked for.
            list: SessionList,
        }
    }
}

params! {
    /// Asks for the messages of one session from now on, until the connection ends (2026.9.6).
    ///
    /// [`Sessions::watch_messages`](super::Sessions::watch_messages) makes it again on each new
    /// connection.
    SubscribeMessages: "sessions.messages.subscribe", Idempotent, since 4 => MessagesSubscribed {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// The agent of a key that does not name one.
            agent_id: String;
            /// Also the approvals that the session waits for. Needs `operator.approvals` and a
            /// paired device.
            include_approvals: bool;
        }
    }
}

params! {
    /// Asks for no more messages of a session (2026.9.6).
    UnsubscribeMessages: "sessions.messages.unsubscribe", Idempotent, since 4 => MessagesSubscribed {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// The agent of a key that does not name one.
            agent_id: String;
        }
    }
}

answer! {
    /// Answer to [`SubscribeMessages`] and [`UnsubscribeMessages`].
    MessagesSubscribed {
        has {
            /// The canonical key of the session: its events carry this one.
            key: String,
        }
        may_have {
            /// True if its messages will come.
            subscribed: bool,
        }
    }
}

answer! {
    /// Event `sessions.changed` (2026.9.6): a session has changed, or the list of them.
    ///
    /// The fields of the row stand in the event once more, outside of `session`; they are in
    /// `other`.
    Changed {
        may_have {
            /// The key of the session. Without it the list has changed, and a client that has one asks
            /// again.
            session_key: String,
            /// The agent of the session.
            agent_id: String,
            /// Cause of the change, if it was not a run.
            reason: ChangeReason,
            /// Phase of a run of it.
            phase: ChangePhase,
            /// The run.
            run_id: String,
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
            /// The session as it is now; absent if it was deleted.
            session: Session,
            /// The id of its conversation.
            session_id: String,
        }
    }
}

impl EventPayload for Changed {
    const NAME: &'static str = "sessions.changed";
}

string_enum! {
    /// Cause of a session's change.
    ChangeReason {
        /// It was made.
        Create = "create",
        /// A message was sent to it.
        Send = "send",
        /// Others take part in it now.
        Participants = "participants",
        /// Its settings were changed.
        Patch = "patch",
        /// It was reset.
        Reset = "reset",
        /// It was deleted.
        Delete = "delete",
        /// It has another title.
        ChatTitle = "chat.title",
        /// A run of its agent began.
        AgentRunStarted = "agent.run.started",
        /// Pending messages have been processed.
        AgentInputSettled = "agent.input.settled",
        /// A cron job is bound to it, or no more.
        CronBinding = "cron-binding",
        /// The gateway has read its cron jobs.
        CronBindingsLoaded = "cron-bindings-loaded",
        /// The groups that sessions are shown in are others.
        Groups = "groups",
    }
}

string_enum! {
    /// Phase of a session's run.
    ChangePhase {
        /// It began.
        Start = "start",
        /// It has its model, or has given it back.
        Model = "model",
        /// It wrote a message.
        Message = "message",
        /// It ended.
        End = "end",
        /// It failed.
        Error = "error",
    }
}

answer! {
    /// Event `session.message` (2026.9.6): a message was written to a transcript.
    MessageWritten {
        has {
            /// The key of the session.
            session_key: String,
            /// The message.
            message: Message,
        }
        may_have {
            /// The agent of the session.
            agent_id: String,
            /// The id of the message.
            message_id: String,
            /// Its number within the session, from 1.
            message_seq: u64,
            /// True if the owner of the session wrote it.
            sender_is_owner: bool,
            /// The session as it is now.
            session: Session,
        }
    }
}

impl EventPayload for MessageWritten {
    const NAME: &'static str = "session.message";
}

answer! {
    /// Event `session.tool` (2026.9.6): a run called a tool. Only subscribers of all sessions get
    /// it.
    ToolUsed {
        has {
            /// The run.
            run_id: String,
            /// Data of the tool's event: `phase`, `name`, `toolCallId` and more.
            data: Map<String, Value>,
        }
        may_have {
            /// The key of the session.
            session_key: String,
            /// The agent of the session.
            agent_id: String,
            /// `tool`.
            stream: String,
            /// The number within the run.
            seq: u64,
            /// Time, in milliseconds of the gateway's clock.
            ts: u64,
            /// The session as it is now.
            session: Session,
        }
    }
}

impl EventPayload for ToolUsed {
    const NAME: &'static str = "session.tool";
}
