//! The parameter schemas of the methods about sessions, per edition.
//!
//! Where a value may be several things, any is taken: what a gateway says then was not measured.

use crate::edition::Edition;
use crate::wire::schema::{NON_EMPTY, Rule, TEXT, int, opt, req};

const LABEL_OLD: Rule = Rule::Text { min: 1, max: 64 };
const LABEL_NEW: Rule = Rule::Text { min: 1, max: 512 };

const LIST_OLD: Rule = Rule::Object(&[
    opt("limit", int(1)),
    opt("activeMinutes", int(1)),
    opt("includeGlobal", Rule::Bool),
    opt("includeUnknown", Rule::Bool),
    opt("includeDerivedTitles", Rule::Bool),
    opt("includeLastMessage", Rule::Bool),
    opt("label", LABEL_OLD),
    opt("spawnedBy", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("search", TEXT),
]);

const LIST_NEW: Rule = Rule::Object(&[
    opt("limit", int(1)),
    opt("offset", int(0)),
    opt("activeMinutes", int(1)),
    opt("requireLastInteraction", Rule::Bool),
    opt("sortBy", Rule::OneOf(&["updatedAt", "lastInteractionAt"])),
    opt("includeGlobal", Rule::Bool),
    opt("includeUnknown", Rule::Bool),
    opt("configuredAgentsOnly", Rule::Bool),
    opt("includeDerivedTitles", Rule::Bool),
    opt("includeLastMessage", Rule::Bool),
    opt("label", LABEL_NEW),
    opt("boardFace", Rule::OneOf(&["chat", "dashboard"])),
    opt("creatorId", NON_EMPTY),
    opt("ownerId", NON_EMPTY),
    opt("ownerFirst", Rule::Bool),
    opt("involvingMe", Rule::Bool),
    opt("involvingProfileId", NON_EMPTY),
    opt("includePeople", Rule::Bool),
    opt("spawnedBy", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("search", TEXT),
    opt("archived", Rule::Any),
]);

const PREVIEW: Rule = Rule::Object(&[
    req("keys", Rule::List(&NON_EMPTY)),
    opt("limit", int(1)),
    opt("maxChars", int(20)),
]);

const RESOLVE_OLD: Rule = Rule::Object(&[
    opt("key", NON_EMPTY),
    opt("sessionId", NON_EMPTY),
    opt("label", LABEL_OLD),
    opt("agentId", NON_EMPTY),
    opt("spawnedBy", NON_EMPTY),
    opt("includeGlobal", Rule::Bool),
    opt("includeUnknown", Rule::Bool),
]);

const RESOLVE_NEW: Rule = Rule::Object(&[
    opt("key", NON_EMPTY),
    opt("sessionId", NON_EMPTY),
    opt("label", LABEL_NEW),
    opt("shortId", NON_EMPTY),
    opt("slugHint", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("spawnedBy", NON_EMPTY),
    opt("includeGlobal", Rule::Bool),
    opt("includeUnknown", Rule::Bool),
    opt("allowMissing", Rule::Bool),
]);

const DESCRIBE: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("includeDerivedTitles", Rule::Bool),
    opt("includeLastMessage", Rule::Bool),
]);

const CREATE: Rule = Rule::Object(&[
    opt("key", NON_EMPTY),
    opt("idempotencyKey", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("label", LABEL_NEW),
    opt("displayName", Rule::Text { min: 1, max: 500 }),
    opt("category", LABEL_NEW),
    opt("model", NON_EMPTY),
    opt("contextWindow", NON_EMPTY),
    opt("thinkingLevel", NON_EMPTY),
    opt("fastMode", Rule::Any),
    opt("permissionMode", Rule::OneOf(PERMISSION_MODES)),
    opt("toolOverrides", Rule::Any),
    opt("incognito", Rule::Bool),
    opt(
        "visibility",
        Rule::OneOf(&["shared", "read-only", "suggest", "draft"]),
    ),
    opt("catalogId", NON_EMPTY),
    opt("parentSessionKey", NON_EMPTY),
    opt("spawnDepth", int(1)),
    opt("fork", Rule::Bool),
    opt("forkFrom", Rule::Const("last-completed")),
    opt("emitCommandHooks", Rule::Bool),
    opt("succeedsParent", Rule::Bool),
    opt("task", TEXT),
    opt("message", TEXT),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("projectId", NON_EMPTY),
    opt("projectGitUrl", Rule::Text { min: 1, max: 2048 }),
    opt("worktree", Rule::Bool),
    opt("worktreeBaseRef", NON_EMPTY),
    opt("worktreeName", TEXT),
    opt("execNode", NON_EMPTY),
    opt("cwd", NON_EMPTY),
]);

const PERMISSION_MODES: &[&str] = &["read-only", "guarded", "workspace", "full"];

const SEND: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    req("message", TEXT),
    opt("thinking", TEXT),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("timeoutMs", int(0)),
    opt("idempotencyKey", NON_EMPTY),
]);

const ABORT: Rule = Rule::Object(&[
    opt("key", NON_EMPTY),
    opt("runId", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("clearQueued", Rule::Bool),
]);

const PATCH_OLD: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("label", Rule::Any),
    opt("thinkingLevel", Rule::Any),
    opt("verboseLevel", Rule::Any),
    opt("reasoningLevel", Rule::Any),
    opt("responseUsage", Rule::Any),
    opt("elevatedLevel", Rule::Any),
    opt("execHost", Rule::Any),
    opt("execSecurity", Rule::Any),
    opt("execAsk", Rule::Any),
    opt("execNode", Rule::Any),
    opt("model", Rule::Any),
    opt("spawnedBy", Rule::Any),
    opt("sendPolicy", Rule::Any),
    opt("groupActivation", Rule::Any),
]);

const PATCH_NEW: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("expectedSessionId", NON_EMPTY),
    opt("expectedLifecycleRevision", NON_EMPTY),
    opt("expectedPermissionMode", Rule::Any),
    opt("expectedToolOverrides", Rule::Any),
    opt("expectedMarkedUnreadAt", Rule::Any),
    opt("label", Rule::Any),
    opt("icon", Rule::Any),
    opt("color", Rule::Any),
    opt("category", Rule::Any),
    opt("boardFace", Rule::Any),
    opt("statusNote", Rule::Any),
    opt("attention", Rule::Any),
    opt("ttlMinutes", Rule::Int { min: 1, max: 120 }),
    opt("archived", Rule::Bool),
    opt("pinned", Rule::Bool),
    opt("unread", Rule::Bool),
    opt("contextWindow", Rule::Any),
    opt("thinkingLevel", Rule::Any),
    opt("fastMode", Rule::Any),
    opt("toolOverrides", Rule::Any),
    opt("verboseLevel", Rule::Any),
    opt("traceLevel", Rule::Any),
    opt("reasoningLevel", Rule::Any),
    opt("responseUsage", Rule::Any),
    opt("elevatedLevel", Rule::Any),
    opt("execHost", Rule::Any),
    opt("execSecurity", Rule::Any),
    opt("execAsk", Rule::Any),
    opt("execNode", Rule::Any),
    opt("permissionMode", Rule::Any),
    opt("model", Rule::Any),
    opt("completionOwnerSessionKey", Rule::Any),
    opt("inheritedToolPolicyVersion", Rule::Any),
    opt("inheritedToolAllow", Rule::Any),
    opt("inheritedToolDeny", Rule::Any),
    opt("sendPolicy", Rule::Any),
    opt("groupActivation", Rule::Any),
]);

const RESET_OLD: Rule = Rule::Object(&[req("key", NON_EMPTY)]);
const RESET_NEW: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("reason", Rule::OneOf(&["new", "reset"])),
]);

const DELETE_OLD: Rule =
    Rule::Object(&[req("key", NON_EMPTY), opt("deleteTranscript", Rule::Bool)]);
const DELETE_NEW: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("deleteTranscript", Rule::Bool),
    opt("expectedSessionId", NON_EMPTY),
    opt("expectedLifecycleRevision", NON_EMPTY),
    opt("expectedSessionUpdatedAt", Rule::Any),
    opt("emitLifecycleHooks", Rule::Bool),
    opt("archivedOnly", Rule::Bool),
]);

const COMPACT_OLD: Rule = Rule::Object(&[req("key", NON_EMPTY), opt("maxLines", int(1))]);
const COMPACT_NEW: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("maxLines", int(1)),
]);

const MESSAGES_SUBSCRIBE: Rule = Rule::Object(&[
    req("key", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("includeApprovals", Rule::Bool),
]);
const MESSAGES_UNSUBSCRIBE: Rule =
    Rule::Object(&[req("key", NON_EMPTY), opt("agentId", NON_EMPTY)]);

/// The schema of the parameters of a method about sessions.
pub(super) fn session_params(edition: Edition, method: &str) -> Option<&'static Rule> {
    let old = matches!(edition, Edition::V2026_2_9);
    Some(match method {
        "sessions.list" if old => &LIST_OLD,
        "sessions.list" | "sessions.subscribe" => &LIST_NEW,
        "sessions.preview" => &PREVIEW,
        "sessions.resolve" if old => &RESOLVE_OLD,
        "sessions.resolve" => &RESOLVE_NEW,
        "sessions.describe" => &DESCRIBE,
        "sessions.create" => &CREATE,
        "sessions.send" => &SEND,
        "sessions.abort" => &ABORT,
        "sessions.patch" if old => &PATCH_OLD,
        "sessions.patch" => &PATCH_NEW,
        "sessions.reset" if old => &RESET_OLD,
        "sessions.reset" => &RESET_NEW,
        "sessions.delete" if old => &DELETE_OLD,
        "sessions.delete" => &DELETE_NEW,
        "sessions.compact" if old => &COMPACT_OLD,
        "sessions.compact" => &COMPACT_NEW,
        "sessions.messages.subscribe" => &MESSAGES_SUBSCRIBE,
        "sessions.messages.unsubscribe" => &MESSAGES_UNSUBSCRIBE,
        _ => return None,
    })
}
