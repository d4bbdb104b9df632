//! `sessions.list`: which sessions there are.

use serde_json::{Value, json};

use crate::edition::Edition;
use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::sessions::row::{Sight, View, agent_of, text_of};
use crate::methods::sessions::{history, old};
use crate::model::connection::Live;
use crate::model::script::{MODEL, PROVIDER};
use crate::model::sessions::SessionRecord;

/// Without a limit 2026.9.6 gives this many.
const DEFAULT_LIMIT: usize = 100;

/// Returns what a new session would use.
fn defaults() -> Value {
    let mut defaults = history::defaults();
    defaults["thinkingLevels"] = json!([{"id": "off", "label": "off"}]);
    defaults["thinkingOptions"] = json!(["off"]);
    defaults["thinkingDefault"] = "off".into();
    defaults
}

fn number(params: &Value, name: &str) -> Option<usize> {
    usize::try_from(params.get(name)?.as_u64()?).ok()
}

fn is_wanted(params: &Value, key: &str, book: &SessionRecord, now: u64) -> bool {
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let says = |text: Option<&str>, wanted: &str| {
        text.is_some_and(|text| text.to_lowercase().contains(wanted))
    };
    let label = text("label").is_none_or(|label| book.label.as_deref() == Some(label));
    let agent = text("agentId").is_none_or(|agent| agent_of(key) == agent);
    let search = text("search").map(|text| text.trim().to_lowercase());
    let search = search.filter(|text| !text.is_empty()).is_none_or(|wanted| {
        says(Some(key), &wanted)
            || says(Some(&book.id), &wanted)
            || says(book.label.as_deref(), &wanted)
            || says(book.title.as_deref(), &wanted)
    });
    let minutes = params.get("activeMinutes").and_then(Value::as_u64);
    let fresh = minutes.is_none_or(|minutes| {
        now.saturating_sub(book.updated_at) <= minutes.saturating_mul(60_000)
    });
    let has_turn = params["requireLastInteraction"] != true || book.turns.asked_at.is_some();
    // No session of the mock is ever archived, nor spawned by another.
    let archived = params["archived"] != true && params.get("spawnedBy").is_none();
    label && agent && search && fresh && has_turn && archived
}

/// The sessions that are asked for.
pub(super) fn list(engine: &Engine, state: &State, live: &Live, params: &Value) -> Value {
    let now = engine.clock.now_ms();
    let mut found: Vec<(&str, &SessionRecord)> = state
        .books
        .latest()
        .into_iter()
        .filter(|(key, book)| is_wanted(params, key, book, now))
        .collect();
    if params["sortBy"] == "lastInteractionAt" {
        found.sort_by_key(|(_, book)| std::cmp::Reverse(book.turns.asked_at));
    }
    let titles = params["includeDerivedTitles"] == true;
    let last = params["includeLastMessage"] == true;
    if engine.edition() == Edition::V2026_2_9 {
        let limit = number(params, "limit").unwrap_or(usize::MAX);
        let rows = found.into_iter().take(limit);
        let rows: Vec<Value> = rows
            .map(|(key, book)| {
                let mut row = old::row(key, book);
                if titles {
                    row["derivedTitle"] = old::title(book, now).into();
                }
                let text = book.messages().next_back().map(|(_, row)| text_of(row));
                if let Some(text) = text.filter(|_| last) {
                    row["lastMessagePreview"] = text.into();
                }
                row
            })
            .collect();
        return json!({
            "ts": now, "path": state.disk.shown_path(), "count": rows.len(),
            "defaults": {
                "modelProvider": PROVIDER, "model": MODEL, "contextTokens": 128_000,
            },
            "sessions": rows,
        });
    }
    let (total, offset) = (found.len(), number(params, "offset").unwrap_or(0));
    let limit = number(params, "limit").unwrap_or(DEFAULT_LIMIT);
    let rows: Vec<Value> = found
        .into_iter()
        .skip(offset)
        .take(limit)
        .map(|(key, book)| {
            let view = View {
                key,
                book,
                active: state.runs.shown(key),
                is_admin: live.is_admin(),
                now,
            };
            view.row(Sight::List { titles, last }).into()
        })
        .collect();
    let next = offset + rows.len();
    json!({
        "ts": now, "path": state.disk.shown_path(), "count": rows.len(), "totalCount": total,
        "limitApplied": limit, "hasMore": next < total, "owners": [], "defaults": defaults(),
        "sessions": rows, "nextOffset": (next < total).then_some(next),
    })
}
