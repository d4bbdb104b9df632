//! Making sessions, and what is done to them.

use serde_json::{Map, Value};

use crate::api::agent::Attachment;
use crate::api::wire::{answer, params, string_enum};

/// Several files, as one token for the macros.
type Attachments = Vec<Attachment>;

params! {
    /// Makes a session, or adopts the one that has this key already (2026.9.6).
    Create: "sessions.create", Changes, since 4 => Created {
        may_have {
            /// The key; the gateway makes one up without it.
            key: String;
            /// The same again with the same key makes no second session. Needs a device identity;
            /// with other parameters it is refused.
            idempotency_key: String;
            /// The agent.
            agent_id: String;
            /// A label that no other session has.
            label: String;
            /// The name to show.
            display_name: String;
            /// The model, as `provider/model`.
            model: String;
            /// Level of thinking.
            thinking_level: String;
            /// Permission mode: `read-only`, `guarded`, `workspace`, `full`.
            permission_mode: String;
            /// The session that it is made from.
            parent_session_key: String;
            /// Takes over the transcript of the session that it is made from.
            fork: bool;
            /// A first message: the answer names the run that it starts.
            message: String;
            /// The files that go with the first message.
            attachments: Attachments;
            /// A task for the agent.
            task: String;
            /// The folder that the agent works in.
            cwd: String;
            /// Time limit of a run, in milliseconds.
            timeout_ms: u64;
        }
    }
}

answer! {
    /// Answer to [`Create`].
    Created {
        has {
            /// The key of the session.
            key: String,
        }
        may_have {
            /// Always true.
            ok: bool,
            /// The id of the conversation.
            session_id: String,
            /// The gateway's own record of the session.
            entry: Map<String, Value>,
            /// The model that it will use.
            resolved: ResolvedModel,
            /// True if the first message started a run.
            run_started: bool,
            /// The run that it started.
            run_id: String,
            /// `started`, if it started one.
            status: String,
        }
    }
}

answer! {
    /// The model that a session uses.
    ResolvedModel {
        may_have {
            /// The provider of the model.
            model_provider: String,
            /// The model.
            model: String,
        }
    }
}

params! {
    /// Sends a message to a session that exists, and so starts a run (2026.9.6).
    ///
    /// It does what `chat.send` does, which both generations have.
    SendMessage: "sessions.send", Changes, since 4 => Sent {
        needs {
            /// The key of the session.
            key: String;
            /// The message.
            message: String;
        }
        may_have {
            /// The id of the run; the gateway makes one up without it. Whoever sets it can ask what
            /// became of the run also when the answer was lost.
            idempotency_key: String;
            /// The agent of a key that does not name one.
            agent_id: String;
            /// Level of thinking.
            thinking: String;
            /// The files that go with the message.
            attachments: Attachments;
            /// Time limit of the run, in milliseconds.
            timeout_ms: u64;
        }
    }
}

answer! {
    /// Answer to [`Send`].
    Sent {
        has {
            /// The run.
            run_id: String,
        }
        may_have {
            /// `started`; another value if the same key was sent before.
            status: String,
        }
    }
}

params! {
    /// Aborts what a session is doing (2026.9.6); one of `key` and `run_id` says which.
    ///
    /// Without `operator.admin` it stops only what the same device has started.
    Abort: "sessions.abort", Idempotent, since 4 => Aborted {
        may_have {
            /// The key of the session.
            key: String;
            /// The run.
            run_id: String;
            /// The agent of a key that does not name one.
            agent_id: String;
            /// Also forgets what waits for its turn.
            clear_queued: bool;
        }
    }
}

answer! {
    /// Answer to [`Abort`].
    Aborted {
        has {
            /// Result of the abort.
            status: AbortStatus,
        }
        may_have {
            /// Always true.
            ok: bool,
            /// The run that was stopped.
            aborted_run_id: String,
        }
    }
}

string_enum! {
    /// Result of an abort.
    AbortStatus {
        /// It did.
        Aborted = "aborted",
        /// Nothing was running.
        NoActiveRun = "no-active-run",
    }
}

params! {
    /// Resets a session: its transcript is archived. Needs `operator.admin`.
    Reset: "sessions.reset", Changes => ResetDone {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// The agent of a key that does not name one (2026.9.6).
            agent_id: String, since 4;
            /// Does it only if the session still has this conversation id (2026.9.6).
            expected_session_id: String, since 4;
        }
    }
}

answer! {
    /// Answer to [`Reset`].
    ResetDone {
        has {
            /// The key of the session.
            key: String,
        }
        may_have {
            /// Always true.
            ok: bool,
            /// The gateway's own record of the session. Its `sessionId` is another one on 2026.2.9
            /// and the same on 2026.9.6, where `lifecycleRevision` is another one.
            entry: Map<String, Value>,
            /// The model that it will use (2026.9.6).
            resolved: ResolvedModel,
        }
    }
}

params! {
    /// Deletes a session; the main one cannot be. Needs `operator.admin`.
    #[expect(clippy::struct_field_names, reason = "the name on the wire")]
    Delete: "sessions.delete", Idempotent => Deleted {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// True to delete its transcript, too.
            delete_transcript: bool;
            /// The agent of a key that does not name one (2026.9.6).
            agent_id: String, since 4;
            /// Does it only if the session still has this conversation id (2026.9.6).
            expected_session_id: String, since 4;
            /// Does it only if the session is archived (2026.9.6).
            archived_only: bool, since 4;
        }
    }
}

answer! {
    /// Answer to [`Delete`].
    Deleted {
        has {
            /// The key of the session.
            key: String,
        }
        may_have {
            /// Always true.
            ok: bool,
            /// True if there was one.
            deleted: bool,
        }
        lists {
            /// The files on the gateway's host that its transcript was moved to.
            archived: String,
        }
    }
}

params! {
    /// Shortens the transcript of a session. Needs `operator.admin`.
    Compact: "sessions.compact", Changes => Compacted {
        needs {
            /// The key of the session.
            key: String;
        }
        may_have {
            /// Keeps so many lines of it and drops the rest; without it, 2026.9.6 has the model
            /// summarise.
            max_lines: u32;
            /// The agent of a key that does not name one (2026.9.6).
            agent_id: String, since 4;
        }
    }
}

answer! {
    /// Answer to [`Compact`].
    Compacted {
        has {
            /// The key of the session.
            key: String,
        }
        may_have {
            /// True on success.
            ok: bool,
            /// True if anything was shortened.
            compacted: bool,
            /// Reason for not shortening.
            reason: String,
            /// Number of lines left.
            kept: u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_go_with_a_message_as_they_do_with_a_turn() {
        let file = Attachment::new("text/plain", "a.txt", b"hi");
        let sent =
            json!({"type":"file","mimeType":"text/plain","fileName":"a.txt","content":"aGk="});
        assert_eq!(
            json!(SendMessage::new("k", "m").attachments(vec![file.clone()])),
            json!({"key":"k","message":"m","attachments":[sent]})
        );
        assert_eq!(
            json!(Create::new().message("m").attachments(vec![file])),
            json!({"message":"m","attachments":[sent]})
        );
    }
}
