//! The parameter schemas that clients meet most, per edition.

use serde_json::{Value, json};

use crate::edition::session_schemas::session_params;
use crate::edition::{Edition, approvals, cron};
use crate::wire::ErrorShape;
use crate::wire::schema::{NON_EMPTY, Rule, TEXT, TEXTS, complaints, int, opt, req};

const CLIENT_IDS_OLD: &[&str] = &[
    "webchat-ui",
    "openclaw-control-ui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const CLIENT_IDS_NEW: &[&str] = &[
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const MODES_OLD: &[&str] = &["webchat", "cli", "ui", "backend", "node", "probe", "test"];
const MODES_NEW: &[&str] = &[
    "webchat", "cli", "ui", "backend", "node", "worker", "probe", "test",
];

const CONNECT_OLD: Rule = Rule::Object(&[
    req("minProtocol", int(1)),
    req("maxProtocol", int(1)),
    req(
        "client",
        Rule::Object(&[
            req("id", Rule::OneOf(CLIENT_IDS_OLD)),
            opt("displayName", NON_EMPTY),
            req("version", NON_EMPTY),
            req("platform", NON_EMPTY),
            opt("deviceFamily", NON_EMPTY),
            opt("modelIdentifier", NON_EMPTY),
            req("mode", Rule::OneOf(MODES_OLD)),
            opt("instanceId", NON_EMPTY),
        ]),
    ),
    opt("caps", TEXTS),
    opt("commands", TEXTS),
    opt("permissions", Rule::Map(&Rule::Bool)),
    opt("pathEnv", TEXT),
    opt("role", NON_EMPTY),
    opt("scopes", TEXTS),
    opt(
        "device",
        Rule::Object(&[
            req("id", NON_EMPTY),
            req("publicKey", NON_EMPTY),
            req("signature", NON_EMPTY),
            req("signedAt", int(0)),
            opt("nonce", NON_EMPTY),
        ]),
    ),
    opt(
        "auth",
        Rule::Object(&[opt("token", TEXT), opt("password", TEXT)]),
    ),
    opt("locale", TEXT),
    opt("userAgent", TEXT),
]);

const CONNECT_NEW: Rule = Rule::Object(&[
    req("minProtocol", int(1)),
    req("maxProtocol", int(1)),
    req(
        "client",
        Rule::Object(&[
            req("id", Rule::OneOf(CLIENT_IDS_NEW)),
            opt("displayName", NON_EMPTY),
            req("version", NON_EMPTY),
            opt("buildId", NON_EMPTY),
            req("platform", NON_EMPTY),
            opt("deviceFamily", NON_EMPTY),
            opt("modelIdentifier", NON_EMPTY),
            opt("timeZone", NON_EMPTY),
            req("mode", Rule::OneOf(MODES_NEW)),
            opt("instanceId", NON_EMPTY),
        ]),
    ),
    opt("caps", TEXTS),
    opt("commands", TEXTS),
    opt("computerUse", Rule::Any),
    opt("workerRuns", Rule::Any),
    opt("permissions", Rule::Map(&Rule::Bool)),
    opt("pathEnv", TEXT),
    opt("role", NON_EMPTY),
    opt("scopes", TEXTS),
    opt(
        "device",
        Rule::Object(&[
            req("id", NON_EMPTY),
            req("publicKey", NON_EMPTY),
            req("signature", NON_EMPTY),
            req("signedAt", int(0)),
            req("nonce", NON_EMPTY),
        ]),
    ),
    opt(
        "auth",
        Rule::Object(&[
            opt("token", TEXT),
            opt("bootstrapToken", TEXT),
            opt("deviceToken", TEXT),
            opt("password", TEXT),
            opt("approvalRuntimeToken", TEXT),
            opt("agentRuntimeIdentityToken", TEXT),
        ]),
    ),
    opt("locale", TEXT),
    opt("userAgent", TEXT),
]);

const REQUEST_OLD: Rule = Rule::Object(&[
    req("type", Rule::Const("req")),
    req("id", NON_EMPTY),
    req("method", NON_EMPTY),
    opt("params", Rule::Any),
]);

const REQUEST_NEW: Rule = Rule::Object(&[
    req("type", Rule::Const("req")),
    req("id", NON_EMPTY),
    req("method", NON_EMPTY),
    opt("params", Rule::Any),
    opt("traceparent", Rule::Text { min: 0, max: 128 }),
    opt("expectedProfileId", NON_EMPTY),
]);

const EMPTY: Rule = Rule::Object(&[]);
const REQUEST_ID: Rule = Rule::Object(&[req("requestId", NON_EMPTY)]);
const DEVICE_ID: Rule = Rule::Object(&[req("deviceId", NON_EMPTY)]);
const RENAME: Rule = Rule::Object(&[
    req("deviceId", NON_EMPTY),
    req("label", Rule::Text { min: 1, max: 64 }),
]);
const ROTATE: Rule = Rule::Object(&[
    req("deviceId", NON_EMPTY),
    req("role", NON_EMPTY),
    opt("scopes", TEXTS),
]);
const REVOKE: Rule = Rule::Object(&[req("deviceId", NON_EMPTY), req("role", NON_EMPTY)]);
const AGENT_WAIT: Rule = Rule::Object(&[req("runId", NON_EMPTY), opt("timeoutMs", int(0))]);

const LABEL_NEW: Rule = Rule::Text { min: 1, max: 512 };

/// Properties of `agent` that both editions know, without the two that differ in place.
const AGENT_OLD: Rule = Rule::Object(&[
    req("message", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("to", TEXT),
    opt("replyTo", TEXT),
    opt("sessionId", TEXT),
    opt("sessionKey", TEXT),
    opt("thinking", TEXT),
    opt("deliver", Rule::Bool),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("channel", TEXT),
    opt("replyChannel", TEXT),
    opt("accountId", TEXT),
    opt("replyAccountId", TEXT),
    opt("threadId", TEXT),
    opt("groupId", TEXT),
    opt("groupChannel", TEXT),
    opt("groupSpace", TEXT),
    opt("timeout", int(0)),
    opt("lane", TEXT),
    opt("extraSystemPrompt", TEXT),
    opt("inputProvenance", Rule::Any),
    req("idempotencyKey", NON_EMPTY),
    opt("label", NON_EMPTY),
    opt("spawnedBy", TEXT),
]);

const AGENT_NEW: Rule = Rule::Object(&[
    req("message", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("provider", TEXT),
    opt("model", TEXT),
    opt("to", TEXT),
    opt("replyTo", TEXT),
    opt("sessionId", TEXT),
    opt("sessionKey", TEXT),
    opt("thinking", TEXT),
    opt("deliver", Rule::Bool),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("channel", TEXT),
    opt("replyChannel", TEXT),
    opt("accountId", TEXT),
    opt("replyAccountId", TEXT),
    opt("threadId", TEXT),
    opt("groupId", TEXT),
    opt("groupChannel", TEXT),
    opt("groupSpace", TEXT),
    opt("timeout", int(0)),
    opt("bestEffortDeliver", Rule::Bool),
    opt("lane", TEXT),
    opt("cwd", TEXT),
    opt("extraSystemPrompt", TEXT),
    opt("bootstrapContextMode", Rule::Any),
    opt("promptMode", Rule::OneOf(&["full", "minimal", "none"])),
    opt("modelRun", Rule::Any),
    opt("inputProvenance", Rule::Any),
    opt("voiceWakeTrigger", TEXT),
    req("idempotencyKey", NON_EMPTY),
    opt("label", LABEL_NEW),
]);

const CHAT_SEND_OLD: Rule = Rule::Object(&[
    req("sessionKey", NON_EMPTY),
    req("message", TEXT),
    opt("thinking", TEXT),
    opt("deliver", Rule::Bool),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("timeoutMs", int(0)),
    req("idempotencyKey", NON_EMPTY),
]);

const CHAT_SEND_NEW: Rule = Rule::Object(&[
    req("sessionKey", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("sessionId", NON_EMPTY),
    req("message", TEXT),
    opt("thinking", TEXT),
    opt("fastMode", Rule::Any),
    opt("fastAutoOnSeconds", int(0)),
    opt(
        "queueMode",
        Rule::OneOf(&["steer", "followup", "collect", "interrupt"]),
    ),
    opt("deliver", Rule::Bool),
    opt("originatingChannel", TEXT),
    opt("originatingTo", TEXT),
    opt("originatingAccountId", TEXT),
    opt("originatingThreadId", TEXT),
    opt("replyToId", TEXT),
    opt("attachments", Rule::List(&Rule::Any)),
    opt("toolBindings", Rule::Any),
    opt("timeoutMs", int(0)),
    opt("intent", Rule::Any),
    opt("systemInputProvenance", Rule::Any),
    opt("systemProvenanceReceipt", Rule::Any),
    opt("suppressCommandInterpretation", Rule::Bool),
    opt("expectedLeafEntryId", Rule::Any),
    opt("expectedPermissionMode", Rule::Any),
    opt("expectedToolOverrides", Rule::Any),
    opt("expectedSessionRoutingContract", Rule::Any),
    req("idempotencyKey", NON_EMPTY),
]);

const HISTORY_LIMIT: Rule = Rule::Int { min: 1, max: 1000 };

const CHAT_HISTORY_OLD: Rule =
    Rule::Object(&[req("sessionKey", NON_EMPTY), opt("limit", HISTORY_LIMIT)]);

const CHAT_HISTORY_NEW: Rule = Rule::Object(&[
    req("sessionKey", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("limit", HISTORY_LIMIT),
    opt("offset", int(0)),
    opt("cursor", TEXT),
    opt("pendingBefore", Rule::Any),
    opt("inputRunIds", TEXTS),
    opt("messageId", NON_EMPTY),
    opt("sessionId", NON_EMPTY),
    opt("maxChars", int(1)),
]);

const CHAT_ABORT_OLD: Rule = Rule::Object(&[req("sessionKey", NON_EMPTY), opt("runId", NON_EMPTY)]);

const CHAT_ABORT_NEW: Rule = Rule::Object(&[
    req("sessionKey", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("runId", NON_EMPTY),
    opt("preserveSideRuns", Rule::Bool),
]);

const MODELS_LIST_NEW: Rule = Rule::Object(&[
    opt("view", NON_EMPTY),
    opt("agentId", NON_EMPTY),
    opt("includeProviderCapabilities", Rule::Bool),
    opt("preparedOnly", Rule::Bool),
    opt("refresh", Rule::Bool),
]);

const WAKE: Rule = Rule::OpenObject(&[req("mode", NON_EMPTY), req("text", NON_EMPTY)]);
const SEND_OLD: Rule = Rule::OpenObject(&[
    req("to", NON_EMPTY),
    req("message", NON_EMPTY),
    req("idempotencyKey", NON_EMPTY),
]);
const SEND_NEW: Rule = Rule::OpenObject(&[req("to", NON_EMPTY), req("idempotencyKey", NON_EMPTY)]);
const CONFIG_SET: Rule = Rule::OpenObject(&[req("raw", NON_EMPTY)]);

/// The schema of connect's parameters.
pub(crate) const fn connect_params(edition: Edition) -> &'static Rule {
    match edition {
        Edition::V2026_2_9 => &CONNECT_OLD,
        Edition::V2026_9_6 => &CONNECT_NEW,
    }
}

/// The schema of a request frame.
pub(crate) const fn request_frame(edition: Edition) -> &'static Rule {
    match edition {
        Edition::V2026_2_9 => &REQUEST_OLD,
        Edition::V2026_9_6 => &REQUEST_NEW,
    }
}

/// Returns what is wrong with a call's parameters, in the gateway's words.
pub(crate) fn params_error(
    edition: Edition,
    method: &str,
    params: &Value,
    is_admin: bool,
) -> Option<ErrorShape> {
    // Measured on 2026.9.6: methods that change a session look for it before anything else; an abort by an
    // administrator does not.
    let targets_session = method == "chat.send" || (method == "chat.abort" && !is_admin);
    if matches!(edition, Edition::V2026_9_6)
        && targets_session
        && params.get("sessionKey").is_none()
    {
        let details = json!({"code": "SESSION_MUTATION_TARGET_REQUIRED", "method": method});
        let error = ErrorShape::invalid("session mutation target is unavailable");
        return Some(error.with_details(Some(details)));
    }
    let text = complaints(
        method_params(edition, method)?,
        Some(params),
        edition.facts().dialect,
    )?;
    Some(ErrorShape::invalid(format!(
        "invalid {method} params: {text}"
    )))
}

/// The schema of a method's parameters, for the methods that have one here.
fn method_params(edition: Edition, method: &str) -> Option<&'static Rule> {
    let old = matches!(edition, Edition::V2026_2_9);
    Some(match method {
        "device.pair.list" | "agents.list" | "config.get" => &EMPTY,
        "device.pair.approve" | "device.pair.reject" => &REQUEST_ID,
        "device.pair.remove" => &DEVICE_ID,
        "device.pair.rename" => &RENAME,
        "device.token.rotate" => &ROTATE,
        "device.token.revoke" => &REVOKE,
        "agent.wait" => &AGENT_WAIT,
        "agent" if old => &AGENT_OLD,
        "agent" => &AGENT_NEW,
        "chat.send" if old => &CHAT_SEND_OLD,
        "chat.send" => &CHAT_SEND_NEW,
        "chat.history" if old => &CHAT_HISTORY_OLD,
        "chat.history" => &CHAT_HISTORY_NEW,
        "chat.abort" if old => &CHAT_ABORT_OLD,
        "chat.abort" => &CHAT_ABORT_NEW,
        "models.list" if old => &EMPTY,
        "wake" => &WAKE,
        "send" if old => &SEND_OLD,
        "send" => &SEND_NEW,
        "config.set" => &CONFIG_SET,
        "models.list" => &MODELS_LIST_NEW,
        method if method.starts_with("sessions.") => return session_params(edition, method),
        method if method.starts_with("cron.") => return cron::params(edition, method),
        _ => return approvals::params(edition, method),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(edition: Edition, rule: &Rule, value: &Value) -> String {
        complaints(rule, Some(value), edition.facts().dialect).unwrap_or_default()
    }

    fn connect(edition: Edition, value: &Value) -> String {
        said(edition, connect_params(edition), value)
    }

    #[test]
    fn the_old_edition_lists_every_violation() {
        assert_eq!(
            connect(Edition::V2026_2_9, &json!({})),
            "must have required property 'minProtocol'; must have required property 'maxProtocol'; \
             must have required property 'client'"
        );
        assert_eq!(
            said(
                Edition::V2026_2_9,
                &REQUEST_OLD,
                &json!({"type": "event", "event": "x", "payload": 1})
            ),
            "must have required property 'id'; must have required property 'method'; at root: unexpected \
             property 'event'; at root: unexpected property 'payload'; at /type: must be equal to constant"
        );
        assert_eq!(
            said(
                Edition::V2026_2_9,
                &REQUEST_OLD,
                &json!({"type": "req", "id": "", "method": "x"})
            ),
            "at /id: must NOT have fewer than 1 characters"
        );
    }

    #[test]
    fn the_new_edition_names_the_first_of_each_kind() {
        assert_eq!(
            connect(Edition::V2026_9_6, &json!({})),
            "must have required property 'minProtocol'"
        );
        assert_eq!(
            said(
                Edition::V2026_9_6,
                &REQUEST_NEW,
                &json!({"type": "event", "a": 1, "b": 2})
            ),
            "must have required property 'id'; at root: unexpected property 'a'; at /type: must be equal \
             to constant"
        );
        let params = json!({
            "minProtocol": "x", "maxProtocol": 4, "scopes": ["a", ""], "foo": 1,
            "client": {"id": "zz", "version": "1", "platform": "x", "mode": "cli"},
        });
        assert_eq!(
            connect(Edition::V2026_9_6, &params),
            "at root: unexpected property 'foo'; at /minProtocol: must be integer; at /client/id: must be \
             equal to one of the allowed values; at /scopes/1: must not have fewer than 1 characters"
        );
    }
}
