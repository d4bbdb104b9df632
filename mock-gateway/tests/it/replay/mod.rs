//! Every recording of a real gateway's runs and sessions against the mock: what its clients sent is sent,
//! what it answered is compared.

mod compare;
mod lanes;
mod model;
mod play;
mod recording;

use std::collections::BTreeSet;
use std::time::Duration;

use openclaw_mock_gateway::Edition;

use crate::runs::{NEW, OLD};

/// A recording that is replayed.
#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    /// Paths at which the mock may differ; one that ends in `.+` may only have more members.
    asides: &'static [&'static str],
    /// Lanes in which the mock may say more than was recorded.
    more: &'static [&'static str],
    /// Lanes that are not compared.
    skips: &'static [&'static str],
    /// Phases of runs whose events are left out.
    unseen: &'static [&'static str],
    /// How long the gateway takes to start.
    startup: Duration,
    /// The beginnings of the ids of runs and pairing requests, and of the keys of sessions whose changes are
    /// told, that are not of this recording's making.
    foreign: &'static [&'static str],
}

impl Entry {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            asides: &[],
            more: &[],
            skips: &[],
            unseen: &[],
            startup: Duration::ZERO,
            foreign: &[],
        }
    }
}

/// Recordings that are not replayed, and why.
const NOT_REPLAYED: [(Edition, &str, &str); 8] = [
    (NEW, "19-oversize", TOO_LARGE),
    (OLD, "19-oversize", TOO_LARGE),
    (NEW, "33-slow-consumer", CUT),
    (OLD, "33-slow-consumer", CUT),
    (NEW, "36-tool-events-verbose", ONLY_OLD),
    (OLD, "37-chat-send-queue-modes", ONLY_NEW),
    (OLD, "38-history-cursor-sessions-create", ONLY_NEW),
    (OLD, "39-agent-to-and-create-idempotent", ONLY_NEW),
];
const TOO_LARGE: &str = "its frames of 25 MiB were cut when they were recorded; `limits` and `live` send frames that are too large";
const CUT: &str =
    "the flood in the middle was cut out by hand; `limits` and `live` test slow consumers";
const ONLY_OLD: &str = "recorded on 2026.2.9 only";
const ONLY_NEW: &str = "recorded on 2026.9.6 only";

/// What `health`, `status` and the like show of a host, of its configuration, and of what was there before.
const OF_THE_MACHINE: &[&str] = &[
    "payload.eventLoop",
    "payload.queuedSystemEvents",
    "2b35ba6a3ccb\".payload.heartbeat.agents",
    "aa3b497dd296\".payload.heartbeat.agents",
    "payload.sessions.byAgent",
    "payload.sessions.count",
    "payload.sessions.paths",
    "payload.sessions.recent",
    "payload.tasks.failures",
    "payload.tasks.terminal",
    "payload.tasks.byRuntime.cli",
    "payload.tasks.byStatus.cancelled",
    "payload.tasks.byStatus.failed",
    "payload.tasks.byStatus.succeeded",
    "6df1892d8ae6\".payload.agents",
    "payload.0.host",
    "payload.0.ip",
    "payload.0.platform",
    "payload.0.text",
    "payload.1.deviceId",
    "payload.1.instanceId",
    "payload.1.platform",
    "payload.paired.0.deviceId",
    "payload.paired.0.platform",
    "payload.paired.0.publicKey",
    "payload.deviceId",
    "payload.publicKey",
    "payload.daily",
    "payload.aggregates",
    "payload.cacheStatus",
    "payload.creatorOptions",
    "e65daa4c7fab\".payload.sessions",
    "04bec29a682e\".payload.sessions",
    "payload.groups",
    "payload.cursor",
    "payload.lines",
    "payload.size",
    "payload.truncated",
    "payload.config",
    "payload.parsed",
    "payload.raw",
    "payload.hash",
    "payload.resolved",
    "payload.runtimeConfig",
    "payload.sourceConfig",
    "payload.appliedConfigHash",
    "payload.configRevisionHash",
    "payload.cpuModel",
    "payload.disks",
    "payload.hostname",
    "payload.machineName",
    "payload.loadAverage",
    "payload.nodeVersion",
    "payload.osLabel",
    "payload.port",
    "payload.release",
    "payload.nextCursor",
    "e012ca63d844\".payload.tasks",
];

/// One test for each recording; in braces what is particular to it.
macro_rules! replayed {
    ($edition:ident $table:ident $module:ident {
        $($(#[$attribute:meta])* $test:ident $name:literal $({ $($field:ident: $value:expr),* $(,)? })?)*
    }) => {
        const $table: &[&str] = &[$($name),*];

        mod $module {
            use super::play::replay;
            #[allow(clippy::wildcard_imports, reason = "what is particular to recordings")]
            use super::*;

            $(
                $(#[$attribute])*
                #[tokio::test(start_paused = true)]
                async fn $test() {
                    #[allow(unused_mut, reason = "most have nothing particular")]
                    let mut entry = Entry::new($name);
                    $($(entry.$field = $value;)*)?
                    replay($edition, &entry).await;
                }
            )*
        }
    };
}

replayed! {
    NEW OF_THE_NEW the_mock_answers_as_2026_9_6_did_in {
        recording_00_hello "00-hello"
        recording_01_agent_simple "01-agent-simple"
        recording_02_chat_send_simple "02-chat-send-simple"
        recording_03_agent_tool "03-agent-tool"
        recording_04_chat_tool "04-chat-tool"
        // A key that was used answers the message that is there, which a script does not know.
        recording_05_agent_idempotent "05-agent-idempotent" {
            asides: &[".text", ".terminalReply.text"],
        }
        recording_06_chat_idempotent "06-chat-idempotent"
        recording_07_agent_wait "07-agent-wait"
        recording_08_agent_abort "08-agent-abort"
        // How far the model was when it was aborted.
        recording_09_chat_abort "09-chat-abort" {
            asides: &[".content.0.text"],
        }
        // The administrator left before all was told.
        recording_09b_abort_after_reconnect "09b-abort-after-reconnect" {
            asides: &[".unread"],
            more: &["run ", "task "],
        }
        // How long it waits for the next attempt.
        recording_10_agent_error_500 "10-agent-error-500" {
            asides: &[".data.message"],
        }
        // The session is that of an earlier recording.
        recording_11_agent_error_429 "11-agent-error-429" {
            asides: &["payload.messages", ".totalMessages", ".unread"],
        }
        // How long it waits for the next attempt, and what the provider said.
        recording_12_chat_error_500 "12-chat-error-500" {
            asides: &[".data.message", ".fallbackStepFromFailureDetail"],
            foreign: &["11-agent"],
        }
        // The session is that of an earlier recording.
        recording_13_chat_error_429 "13-chat-error-429" {
            asides: &[
                "payload.messages", ".totalMessages", ".unread", ".fallbackStepFromFailureDetail",
            ],
        }
        // How far the model was while nobody listened.
        recording_14_reconnect_agent "14-reconnect-agent" {
            asides: &[".inFlightRun.text"],
        }
        // How far the model was while nobody listened, and the sessions of earlier recordings.
        recording_15_reconnect_chat "15-reconnect-chat" {
            asides: &[
                ".inFlightRun.text", ".list.count", ".list.hasMore", ".list.nextOffset",
                ".list.sessions", ".list.totalCount",
            ],
        }
        // Who talks was known before the session was told.
        recording_16_seq_two_connections "16-seq-two-connections" {
            asides: &[".participants", ".expandedParticipants", ".participantCount"],
        }
        // Sessions of earlier recordings, the configuration and the host of the recorder.
        recording_17_missing_scopes "17-missing-scopes" {
            asides: &[
                ".modelRuntime", ".eventLoop", ".sessions.count", ".sessions.recent", ".count",
                ".hasMore", ".nextOffset", "payload.sessions", ".totalCount", "payload.models",
                "payload.config", ".hash", ".parsed", ".raw", ".resolved", ".runtimeConfig",
                ".sourceConfig", ".appliedConfigHash", ".configRevisionHash",
            ],
        }
        // Sessions of earlier recordings; two answers under one id come in any order.
        recording_18_invalid "18-invalid" {
            asides: &[".modelRuntime", ".eventLoop", ".sessions.count", ".sessions.recent"],
            skips: &["answer \"dup-id-1\""],
        }
        // The gateway of the recording knew models by name; the mock's runs are played whatever they are to be
        // played with.
        recording_18b_unknown_method_admin "18b-unknown-method-admin" {
            skips: &[
                "run adminmodel-1795374472", "task adminmodel-1795374472",
                "answer \"186e1a03-652c-4fbf-ad21-f546c00de0d9\"",
            ],
        }
        // Sessions of earlier recordings, the workspace of the recorder, and a model that began early.
        recording_20_sessions "20-sessions" {
            asides: &[
                ".count", ".hasMore", ".nextOffset", "payload.sessions", "list.sessions",
                ".totalCount", ".activeModel", ".activeModelProvider", ".sessionDiffBaseline",
                ".skillsSnapshot", ".systemPromptReport",
            ],
        }
        // What the machine, its configuration and earlier recordings left there.
        recording_21_health_status_models "21-health-status-models" { asides: OF_THE_MACHINE }
        recording_22_ticks "22-ticks"
        // Two more jobs of the gateway's own, and a session of another recording.
        recording_23_cron "23-cron" {
            asides: &["payload.jobs", "payload.deliveryPreviews", "payload.limit"],
            foreign: &["agent:main:main"],
        }
        recording_24_exec_approval_rpc "24-exec-approval-rpc"
        recording_25_two_runs_one_session "25-two-runs-one-session"
        recording_26_run_timeout "26-run-timeout"
        // One event has a key in the letters of its client.
        recording_27_session_key_defaults "27-session-key-defaults" {
            asides: &[".sessionKey"],
        }
        recording_28_session_scoped_events_cap "28-session-scoped-events-cap"
        // What the gateway says of itself.
        recording_29_inject_and_commands "29-inject-and-commands" {
            asides: &[
                ".message.content.0.text", ".message.content.0", ".excludeFromContext",
                ".message.__openclaw", ".text", ".terminalReply.text", ".sessionInfo.totalTokens",
            ],
        }
        // A model that thinks shows its text later; a tool that there is not fails before the gateway has a row;
        // pauses are shorter here, and turns without an answer count among the messages.
        recording_30_thinking_silent_empty "30-thinking-silent-empty" {
            asides: &[
                "st-unknowntool-1795375623 agent.payload.+", "agent.payload.data.message",
                ".messageCount", ".unwindowedMessageCount",
            ],
            skips: &["run st-reasoning"],
        }
        recording_31_attachments "31-attachments"
        // Tasks are remembered over a restart; jobs are bound after one.
        recording_32_shutdown_drain_restart "32-shutdown-drain-restart" {
            startup: Duration::from_millis(7400),
            skips: &["task ", "sessions.changed  cron"],
            asides: &[".messageCount", ".unwindowedMessageCount", ".terminalPresentation"],
        }
        // Its first tool fails so soon that the gateway has no row of the session yet.
        recording_34_exec_approval_run "34-exec-approval-run" {
            asides: &["exap-6010-1795376037 agent.payload.+"],
            foreign: &["chat-abort-"],
        }
        // As after every restart. The old turn of `agent` shows until its key comes again; that runs begin was
        // not told to whom came so early.
        recording_35_crash_restart "35-crash-restart" {
            startup: Duration::from_millis(7400),
            skips: &["task ", "sessions.changed  cron"],
            unseen: &["start"],
            asides: &[
                "\"e9844ed0-a2a4-4285-be77-a8203d12b619\"", ".unread", ".messages.1.content",
                ".messageCount", ".unwindowedMessageCount",
            ],
        }
        // How far the model was when it was interrupted, and whether the next run began by then.
        recording_37_chat_send_queue_modes "37-chat-send-queue-modes" {
            asides: &[
                ".text", ".unread", ".messages.2.idempotencyKey",
                "\"d6ada049-458b-45ad-a24c-ea19f53e3829\"",
            ],
        }
        // `tasks.list` is not played.
        recording_38_history_cursor_sessions_create "38-history-cursor-sessions-create" {
            asides: &["\"f80ec8cd-9873-42d9-b2e2-b18f9a2f2c94\""],
        }
        recording_39_agent_to_and_create_idempotent "39-agent-to-and-create-idempotent"
    }
}

replayed! {
    OLD OF_THE_OLD the_mock_answers_as_2026_2_9_did_in {
        recording_00_hello "00-hello"
        recording_01_agent_simple "01-agent-simple"
        recording_02_chat_send_simple "02-chat-send-simple"
        recording_03_agent_tool "03-agent-tool"
        recording_04_chat_tool "04-chat-tool"
        recording_05_agent_idempotent "05-agent-idempotent"
        recording_06_chat_idempotent "06-chat-idempotent"
        recording_07_agent_wait "07-agent-wait"
        recording_08_agent_abort "08-agent-abort"
        recording_09_chat_abort "09-chat-abort"
        recording_09b_abort_after_reconnect "09b-abort-after-reconnect"
        // Runs of earlier recordings go on.
        recording_10_agent_error_500 "10-agent-error-500" {
            foreign: &["abre-device", "chat-abort", "run-abort"],
        }
        // A run of an earlier recording goes on.
        recording_11_agent_error_429 "11-agent-error-429" {
            foreign: &["12-chat"],
        }
        // The session is that of an earlier recording.
        recording_12_chat_error_500 "12-chat-error-500" {
            asides: &["payload.messages"],
        }
        // The session is that of an earlier recording.
        recording_13_chat_error_429 "13-chat-error-429" {
            asides: &["payload.messages"],
        }
        // A run of an earlier recording goes on.
        recording_14_reconnect_agent "14-reconnect-agent" {
            foreign: &["13-chat"],
        }
        recording_15_reconnect_chat "15-reconnect-chat"
        recording_16_seq_two_connections "16-seq-two-connections"
        // Sessions of earlier recordings, and the model of the recorder.
        recording_17_missing_scopes "17-missing-scopes" {
            asides: &[
                ".sessions.count", ".sessions.recent", ".sessions.defaults.model", ".count", ".path",
                "payload.sessions",
            ],
        }
        // Sessions of earlier recordings; two answers under one id come in any order.
        recording_18_invalid "18-invalid" {
            asides: &[".sessions.count", ".sessions.recent"],
            skips: &["answer \"dup-id-1\""],
        }
        recording_18b_unknown_method_admin "18b-unknown-method-admin"
        // Sessions of earlier recordings, of two agents.
        recording_20_sessions "20-sessions" {
            asides: &[".count", ".path", "payload.sessions"],
        }
        // What the machine, its configuration and earlier recordings left there.
        recording_21_health_status_models "21-health-status-models" { asides: OF_THE_MACHINE }
        recording_22_ticks "22-ticks"
        recording_23_cron "23-cron"
        recording_24_exec_approval_rpc "24-exec-approval-rpc"
        recording_25_two_runs_one_session "25-two-runs-one-session"
        recording_26_run_timeout "26-run-timeout"
        recording_27_session_key_defaults "27-session-key-defaults"
        recording_28_session_scoped_events_cap "28-session-scoped-events-cap"
        // What the gateway says of itself.
        recording_29_inject_and_commands "29-inject-and-commands" {
            asides: &[".message.content.0.text", ".text", "payload.messages"],
        }
        // A stream that was cut says nothing of tokens.
        recording_30_thinking_silent_empty "30-thinking-silent-empty" {
            asides: &[".agentMeta.usage"],
        }
        recording_31_attachments "31-attachments"
        recording_32_shutdown_drain_restart "32-shutdown-drain-restart"
        // The gateway's own client for tools was let in.
        recording_34_exec_approval_run "34-exec-approval-run" { foreign: &["2b6d5c2f"] }
        recording_35_crash_restart "35-crash-restart"
        // The skills of the recorder.
        recording_36_tool_events_verbose "36-tool-events-verbose" {
            asides: &[".skillsSnapshot"],
        }
    }
}

/// What the recordings of both editions are called, by number.
const ALL: [&str; 40] = [
    "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
    "32", "33", "34", "35", "36", "37", "38", "39",
];

#[test]
fn every_recording_is_replayed_or_named_with_the_reason_why_not() {
    for (edition, table) in [(NEW, OF_THE_NEW), (OLD, OF_THE_OLD)] {
        let folder = recording::folder(edition);
        let files = std::fs::read_dir(&folder).expect("the recordings");
        let files: BTreeSet<String> = files
            .map(|file| file.expect("a file").file_name())
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".jsonl")?.to_owned()))
            .collect();
        let replayed: BTreeSet<String> = table.iter().map(|name| (*name).to_owned()).collect();
        let named: BTreeSet<String> = NOT_REPLAYED
            .iter()
            .filter(|(of, ..)| *of == edition)
            .map(|(_, name, reason)| {
                assert!(!reason.is_empty(), "{edition} {name}");
                (*name).to_owned()
            })
            .collect();
        assert_eq!(replayed.intersection(&named).next(), None, "{edition}");
        let accounted: BTreeSet<String> = replayed.union(&named).cloned().collect();
        let forgotten: Vec<&String> = files.difference(&accounted).collect();
        assert!(forgotten.is_empty(), "{edition}: {forgotten:?}");
        for number in ALL {
            let found = accounted.iter().any(|name| name.starts_with(number));
            assert!(found, "{edition}: recording {number}");
        }
    }
}
