//! Which session a run belongs to, from what its caller says.

use serde_json::Value;

use super::super::book::Kind;
use super::super::calls::canonical;
use super::super::script::RunRequest;
use crate::wire::ErrorShape;

/// The only agent there is.
const AGENT: &str = "main";

/// Where a run happens, and how its events say so.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) session_key: String,
    /// The key in events; `None` when they have none.
    pub(crate) shown_key: Option<String>,
    pub(crate) has_chat: bool,
    pub(crate) names_session: bool,
    /// The run is accepted, and fails with this.
    pub(crate) fails_at_once: Option<String>,
}

impl Place {
    fn of(session_key: String) -> Self {
        Self {
            shown_key: Some(session_key.clone()),
            session_key,
            has_chat: true,
            names_session: true,
            fails_at_once: None,
        }
    }
}

fn text<'a>(wanted: &'a RunRequest, name: &str) -> Option<&'a str> {
    wanted.params.get(name).and_then(Value::as_str)
}

fn known_agent(wanted: &RunRequest) -> Result<(), ErrorShape> {
    match text(wanted, "agentId").map(str::trim) {
        Some(agent) if !agent.eq_ignore_ascii_case(AGENT) => Err(ErrorShape::invalid(format!(
            "invalid {} params: unknown agent id \"{agent}\"",
            wanted.method
        ))),
        _ => Ok(()),
    }
}

/// Measured on 2026.9.6: keys are trimmed, made lower-case and completed everywhere.
pub(super) fn new(kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape> {
    known_agent(wanted)?;
    if let Some(key) = &wanted.session_key {
        let key = canonical(key);
        let agent = key.split(':').nth(1).unwrap_or_default();
        if agent != AGENT {
            let text = format!("Agent \"{agent}\" no longer exists in configuration");
            return Err(ErrorShape::invalid(text));
        }
        return Ok(Place::of(key));
    }
    let named = |id: &str| format!("agent:{AGENT}:explicit:{}", id.trim().to_lowercase());
    Ok(match text(wanted, "sessionId") {
        Some(id) => Place::of(named(id)),
        None if text(wanted, "agentId").is_some() || text(wanted, "to").is_some() => {
            Place::of(canonical(AGENT))
        }
        None => Place {
            names_session: kind == Kind::Chat,
            ..Place::of(named(&wanted.run_id))
        },
    })
}

/// Measured on 2026.2.9: events of `agent` runs show the key as it came, those of `chat.send` in full.
pub(super) fn old(kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape> {
    known_agent(wanted)?;
    if let Some(key) = &wanted.session_key {
        let place = Place::of(canonical(key));
        return Ok(match kind {
            Kind::Chat => place,
            Kind::Agent => Place {
                shown_key: Some(key.trim().to_owned()),
                ..place
            },
        });
    }
    Ok(match text(wanted, "sessionId") {
        _ if text(wanted, "agentId").is_some() || text(wanted, "to").is_some() => {
            Place::of(canonical(AGENT))
        }
        Some(id) => Place {
            shown_key: None,
            has_chat: false,
            ..Place::of(canonical(id))
        },
        None => Place {
            fails_at_once: Some(
                "Error: Pass --to <E.164>, --session-id, or --agent to choose a session".to_owned(),
            ),
            ..Place::of(canonical(&wanted.run_id))
        },
    })
}
