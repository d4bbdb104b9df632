//! The row that 2026.9.6 shows of a session: in lists, in events and in tool events.
//!
//! Which fields a row has depends on what the session went through and on where it is shown; all of it was
//! measured.

use serde_json::{Map, Value, json};

use crate::model::runs::Record;
use crate::model::script::{MODEL, PROVIDER};
use crate::model::sessions::{SessionRecord, Turns, Via};

/// Where a row is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sight {
    /// In `sessions.list`, on demand with titles and the last message.
    List { titles: bool, last: bool },
    /// In `sessions.describe`, likewise.
    Alone { titles: bool, last: bool },
    /// In `sessions.changed` and `session.message`.
    Event,
    /// In `chat.history`.
    History,
    /// In tool events and in messages after a cursor: every field is there, if empty.
    Full { shares: bool },
}

/// What a row is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) key: &'a str,
    pub(crate) book: &'a SessionRecord,
    /// The run that works in the session.
    pub(crate) active: Option<&'a Record>,
    pub(crate) is_admin: bool,
    pub(crate) now: u64,
}

/// Fields of events that are there but null when the row has none.
const NULLABLE: [&str; 34] = [
    "thinkingLevel",
    "category",
    "archivedBy",
    "permissionMode",
    "icon",
    "activeModelProvider",
    "activeModel",
    "restartRecoveryStatus",
    "owner",
    "providerReview",
    "archivedAt",
    "boardPresentation",
    "observerDigest",
    "label",
    "lastRunId",
    "lastRunError",
    "runtimeMs",
    "pinnedAt",
    "autoLabel",
    "color",
    "markedUnreadAt",
    "archiveReason",
    "goal",
    "endedAt",
    "agentStatus",
    "toolOverrides",
    "channelAvatarUrl",
    "controlOwnerSessionKey",
    "swarm",
    "createdActor",
    "contextBudgetStatus",
    "displayName",
    "modelOverrideSource",
    "activeRunIds",
];

/// Fields of a row that events do not repeat beside it.
const INNER: [&str; 14] = [
    "key",
    "agentId",
    "classification",
    "derivedTitle",
    "effectiveQueueMode",
    "expandedParticipants",
    "isBackground",
    "isMain",
    "lastInteractionAt",
    "lastMessagePreview",
    "snapshotAt",
    "thinkingDefault",
    "thinkingLevels",
    "thinkingOptions",
];

pub(crate) fn agent_of(key: &str) -> &str {
    key.split(':').nth(1).unwrap_or("main")
}

fn is_main(key: &str) -> bool {
    key.ends_with(":main")
}

pub(crate) fn runtime() -> Value {
    json!({
        "id": "openclaw", "cloudPlacementSupported": true,
        "cloudPlacementExecutionMode": "worker-turn",
        "devicePlacement": {"requiredNodeCommands": [], "consumesWorkerSlot": true},
        "devicePlacementSupported": true, "source": "implicit",
    })
}

fn set(row: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    row.insert(name.to_owned(), value.into());
}

fn set_all(row: &mut Map<String, Value>, fields: Value) {
    if let Value::Object(fields) = fields {
        row.extend(fields);
    }
}

fn budget(book: &SessionRecord, tokens: u64) -> Value {
    json!({
        "schemaVersion": 1, "source": "pre-prompt-estimate",
        "updatedAt": book.updated_at, "provider": PROVIDER, "model": MODEL,
        "route": "fits", "shouldCompact": false, "estimatedPromptTokens": tokens,
        "contextTokenBudget": 128_000, "promptBudgetBeforeReserve": 108_000,
        "reserveTokens": 20_000, "effectiveReserveTokens": 20_000,
        "remainingPromptBudgetTokens": 108_000_u64.saturating_sub(tokens),
        "overflowTokens": 0, "toolResultReducibleChars": 0,
        "messageCount": book.turns.messages_before,
        "unwindowedMessageCount": book.turns.messages_before,
        "sessionId": book.id,
    })
}

/// The text of a message.
pub(crate) fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

impl View<'_> {
    /// Returns what people call the session.
    fn name(&self) -> Option<&str> {
        let named = self.book.label.as_deref().or(self.book.title.as_deref());
        let of_key = self.key.rsplit(':').next();
        named.or_else(|| of_key.filter(|_| self.book.via == Via::Run))
    }

    fn classification(&self) -> &'static str {
        match self.book.via {
            _ if is_main(self.key) => "main",
            _ if self.book.turns.is_chat => "direct",
            _ if self.key.contains(":dashboard:") => "dashboard",
            Via::Chat => "direct",
            Via::Run | Via::Created => "custom",
        }
    }

    fn last_text(&self) -> Option<String> {
        let messages = self.book.messages().rev();
        messages
            .map(|(_, message)| text_of(message))
            .find(|text| !text.is_empty())
    }

    /// The row.
    pub(crate) fn row(&self, sight: Sight) -> Map<String, Value> {
        let (book, turns) = (self.book, &self.book.turns);
        let mut row = Map::new();
        set_all(
            &mut row,
            json!({
                "key": self.key, "visibility": "shared", "permissionModePending": false,
                "createdVia": if book.via == Via::Run { "run" } else { "operator" },
                "createdAt": book.created_at, "kind": "direct",
                "classification": self.classification(), "agentId": agent_of(self.key),
                "isMain": is_main(self.key), "isBackground": false, "updatedAt": book.updated_at,
                "archived": false, "pinned": false, "unread": turns.is_unread,
                "sessionId": book.id, "effectiveFastMode": false,
                "effectiveFastModeSource": "default", "fastAutoOnSeconds": 60,
                "effectiveResponseUsage": "off", "effectiveQueueMode": "steer",
                "modelProvider": PROVIDER, "model": MODEL, "modelOverrideSource": null,
                "runtimeSelectionLocked": false, "agentRuntime": runtime(),
                "contextTokens": 128_000, "snapshotAt": self.now,
            }),
        );
        if let Some(label) = &book.label {
            set(&mut row, "label", label.as_str());
        }
        if let Some(name) = self.name() {
            set(&mut row, "displayName", name);
        }
        if book.via == Via::Created {
            set(&mut row, "spawnDepth", 0);
            set(&mut row, "parentSessionKey", "agent:main:main");
        }
        self.add_turns(turns, &mut row);
        self.add_sight(sight, &mut row);
        for (name, value) in &book.settings {
            if name == "thinkingLevel" || name == "model" {
                set(&mut row, name, value.clone());
            }
        }
        row
    }

    /// What its turns left.
    fn add_turns(&self, turns: &Turns, row: &mut Map<String, Value>) {
        let runs = self.active.filter(|run| run.has_begun);
        if turns.has_participants {
            let participants = json!([{"identity": {
                "type": "observation", "pluginId": null, "accountId": null,
                "senderKind": "unknown", "id": "gateway-client",
            }}]);
            set(row, "participants", participants.clone());
            set(row, "expandedParticipants", participants);
            set(row, "participantCount", 1);
        }
        let is_chat = turns.is_chat || turns.was_reset;
        if is_chat || turns.placed_at.is_some() {
            set(row, "abortedLastRun", turns.last_aborted);
        }
        if is_chat {
            set(row, "chatType", "direct");
            let was_begun = turns.placed_at.is_some() && !turns.was_told_to_reset;
            set(row, "systemSent", was_begun);
        }
        if let Some(at) = turns.asked_at {
            set(row, "lastInteractionAt", at);
        }
        if let Some(at) = turns.placed_at {
            let placement = json!({
                "state": "local", "generation": 0, "createdAtMs": at,
                "updatedAtMs": self.book.updated_at, "stateChangedAtMs": at,
            });
            set(row, "placement", placement);
        }
        if let Some(status) = turns.status {
            set(row, "status", status);
        }
        if let Some(at) = turns.started_at {
            set(row, "startedAt", at);
        }
        if let Some(at) = turns.ended_at {
            set(row, "endedAt", at);
            let started = turns.started_at.unwrap_or(at);
            set(row, "runtimeMs", at.saturating_sub(started));
        }
        if let Some(id) = &turns.last_run_id {
            set(row, "lastRunId", id.as_str());
        }
        if let Some(error) = &turns.last_error {
            set(row, "lastRunError", error.as_str());
        }
        set(row, "totalTokensFresh", false);
        let is_empty = turns.was_reset || turns.was_told_to_reset;
        if self.book.via == Via::Chat || is_empty {
            set(row, "totalTokens", 0);
            set(row, "totalTokensFresh", true);
        }
        if turns.was_reset {
            set(row, "inputTokens", 0);
            set(row, "outputTokens", 0);
        }
        if let Some((input, output)) = turns.tokens {
            set(row, "inputTokens", input);
            set(row, "outputTokens", output);
            if turns.status == Some("failed") {
                // What the last turn cost is not known.
                row.remove("totalTokens");
                set(row, "totalTokensFresh", false);
            } else {
                set(row, "totalTokens", input);
                set(row, "totalTokensFresh", true);
            }
            set(row, "estimatedCostUsd", 0);
            set(row, "contextBudgetStatus", budget(self.book, input));
            if let Some(at) = turns.answered_at {
                set(row, "lastActivityAt", at);
            }
        }
        if runs.is_some_and(|run| run.has_model) {
            set(row, "activeModelProvider", PROVIDER);
            set(row, "activeModel", MODEL);
        }
    }

    /// What is shown here and not there.
    fn add_sight(&self, sight: Sight, row: &mut Map<String, Value>) {
        let (titles, last) = match sight {
            Sight::List { titles, last } | Sight::Alone { titles, last } => (titles, last),
            Sight::Event => (true, true),
            Sight::History | Sight::Full { .. } => (false, false),
        };
        if let Some(name) = self.name().filter(|_| titles) {
            set(row, "derivedTitle", name);
        }
        if let Some(text) = self.last_text().filter(|_| last) {
            set(row, "lastMessagePreview", text);
        }
        if matches!(
            sight,
            Sight::List { .. } | Sight::Alone { .. } | Sight::Event
        ) {
            set(
                row,
                "thinkingLevels",
                json!([{"id": "off", "label": "off"}]),
            );
            set(row, "thinkingOptions", json!(["off"]));
            set(row, "thinkingDefault", "off");
        }
        match sight {
            Sight::List { .. } => {}
            Sight::Full { shares: false } => {
                set(row, "activitySummary", json!({"state": "unavailable"}));
            }
            _ => {
                let summary = json!({"state": "unavailable", "canEnsure": true});
                set(row, "activitySummary", summary);
            }
        }
        if sight != (Sight::Full { shares: false }) {
            let role = if self.is_admin { "admin" } else { "owner" };
            set(row, "sharingRole", role);
        }
        if !matches!(sight, Sight::Alone { .. } | Sight::Full { shares: false }) {
            set(row, "hasActiveRun", self.active.is_some());
            // Once it works a run is not named here any more.
            if self.active.is_none_or(|run| !run.is_admitted) {
                let ids = self.active.iter().map(|run| run.run_id.as_str());
                set(row, "activeRunIds", ids.collect::<Value>());
            }
        }
        if sight == Sight::History {
            let leaf = self.book.messages().next_back();
            let leaf = leaf.map_or(Value::Null, |(_, row)| row["__openclaw"]["id"].clone());
            set(row, "activeLeafEntryId", leaf);
        }
        if matches!(sight, Sight::Full { .. }) {
            for name in NULLABLE.into_iter().filter(|name| *name != "activeRunIds") {
                row.entry(name).or_insert(Value::Null);
            }
            set(row, "hasAutomation", false);
        }
    }
}

/// The fields that an event has beside the row that it carries.
pub(crate) fn beside(row: &Map<String, Value>) -> Map<String, Value> {
    let is_outer = |name: &str| !INNER.contains(&name) && name != "placement";
    let mut fields: Map<String, Value> = row
        .iter()
        .filter(|(name, _)| is_outer(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for name in NULLABLE {
        fields.entry(name).or_insert(Value::Null);
    }
    fields.entry("participants").or_insert_with(|| json!([]));
    fields.entry("participantCount").or_insert(0.into());
    fields.entry("hasAutomation").or_insert(false.into());
    fields
}

/// Returns what `sessions.create`, `sessions.patch` and `sessions.reset` show of a session.
pub(crate) fn entry(book: &SessionRecord, root: &str) -> Value {
    let turns = &book.turns;
    let mut entry = json!({
        "sessionId": book.id, "lifecycleRevision": book.revision, "updatedAt": book.updated_at,
        "sessionRoot": root, "createdVia": if book.via == Via::Run { "run" } else { "operator" },
        "createdAt": book.created_at, "modelOverrideSource": "default",
    });
    if let Some(label) = &book.label {
        entry["label"] = label.as_str().into();
    }
    if book.via == Via::Created {
        entry["spawnDepth"] = 0.into();
        entry["parentSessionKey"] = "agent:main:main".into();
    }
    let has_turns = turns.asked_at.is_some();
    let delivery = if has_turns || turns.was_reset {
        "internal"
    } else {
        "none"
    };
    entry["delivery"] = json!({"kind": delivery});
    if turns.was_reset && !has_turns {
        for (name, value) in [
            ("sessionStartedAt", book.updated_at.into()),
            ("systemSent", false.into()),
            ("abortedLastRun", false.into()),
            ("chatType", "direct".into()),
            ("compactionCount", 0.into()),
            ("inputTokens", 0.into()),
            ("outputTokens", 0.into()),
            ("totalTokens", 0.into()),
            ("totalTokensFresh", true.into()),
            ("totalTokensVersion", 1.into()),
            ("modelProvider", PROVIDER.into()),
            ("model", MODEL.into()),
        ] {
            entry[name] = value;
        }
    }
    if has_turns {
        for (name, value) in [
            ("sessionStartedAt", book.created_at.into()),
            ("lastInteractionAt", turns.asked_at.into()),
            ("systemSent", true.into()),
            ("abortedLastRun", turns.last_aborted.into()),
            ("chatType", "direct".into()),
            ("status", turns.status.into()),
            ("startedAt", turns.started_at.into()),
            ("modelProvider", PROVIDER.into()),
            ("model", MODEL.into()),
            ("agentHarnessId", "openclaw".into()),
            ("contextTokens", 128_000.into()),
            ("contextTokensSource", "resolved".into()),
        ] {
            entry[name] = value;
        }
    }
    if let (Some(at), true) = (turns.ended_at, has_turns) {
        entry["endedAt"] = at.into();
        let started = turns.started_at.unwrap_or(at);
        entry["runtimeMs"] = at.saturating_sub(started).into();
    }
    if let (Some((input, output)), true) = (turns.tokens, has_turns) {
        for (name, value) in [
            ("inputTokens", input.into()),
            ("outputTokens", output.into()),
            ("totalTokens", input.into()),
            ("totalTokensFresh", true.into()),
            ("totalTokensVersion", 1.into()),
            ("cacheRead", 0.into()),
            ("cacheWrite", 0.into()),
            ("estimatedCostUsd", 0.into()),
            ("contextBudgetStatus", budget(book, input)),
        ] {
            entry[name] = value;
        }
    }
    for (name, value) in &book.settings {
        entry[name] = value.clone();
    }
    entry
}
