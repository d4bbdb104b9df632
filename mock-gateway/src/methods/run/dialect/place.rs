//! Which session a run belongs to, from what its caller says.

use serde_json::Value;

use crate::model::runs::{AtOnce, Kind};
use crate::model::script::RunRequest;
use crate::model::sessions::canonical;
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
    /// The id of the session, if it is made now and the client has one for it.
    pub(crate) session_id: Option<String>,
    /// The run is accepted, and fails with this.
    pub(crate) fails_at_once: Option<AtOnce>,
    /// What its answer says, because there is nowhere to deliver what it gives.
    pub(crate) undelivered: Option<&'static str>,
}

impl Place {
    fn of(session_key: String) -> Self {
        Self {
            shown_key: Some(session_key.clone()),
            session_key,
            has_chat: true,
            names_session: true,
            session_id: None,
            fails_at_once: None,
            undelivered: None,
        }
    }

    fn failing(self, message: &str, is_told: bool) -> Self {
        Self {
            fails_at_once: Some(AtOnce {
                message: message.to_owned(),
                is_told,
            }),
            ..self
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
        let place = Place::of(key);
        let has_blanks = wanted.run_id.trim() != wanted.run_id;
        return Ok(if has_blanks && kind == Kind::Agent {
            place.failing(
                "operational run instance disagrees with prepared admission",
                true,
            )
        } else {
            place
        });
    }
    let named = |id: &str| Place {
        session_id: Some(id.trim().to_owned()),
        ..Place::of(format!(
            "agent:{AGENT}:explicit:{}",
            id.trim().to_lowercase()
        ))
    };
    Ok(match text(wanted, "sessionId") {
        Some(id) => named(id),
        None if text(wanted, "agentId").is_some() => Place::of(canonical(AGENT)),
        // Measured: so it ends each time.
        None if text(wanted, "to").is_some() => Place {
            names_session: false,
            ..Place::of(canonical(AGENT))
        }
        .failing(
            "Session \"agent:main:main\" changed while starting work. Retry. | \
             SESSION_WORK_START_CHANGED",
            false,
        ),
        None => Place {
            names_session: kind == Kind::Chat,
            ..named(&wanted.run_id)
        },
    })
}

/// Measured on 2026.2.9: events of `agent` runs show the key as it came, those of `chat.send` in full.
pub(super) fn old(kind: Kind, wanted: &RunRequest) -> Result<Place, ErrorShape> {
    known_agent(wanted)?;
    if let Some(key) = &wanted.session_key {
        let place = Place::of(canonical(key));
        let key = key.trim();
        let is_malformed =
            key.len() > 6 && key[..6].eq_ignore_ascii_case("agent:") && !key.starts_with("agent:");
        let place = if is_malformed && kind == Kind::Agent {
            let message = "Error: Malformed agent session key; refusing workspace resolution.";
            place.failing(message, true)
        } else {
            place
        };
        return Ok(match kind {
            Kind::Chat => place,
            Kind::Agent => Place {
                // Measured: there is no channel, not even the one it looks for.
                undelivered: (wanted.params["deliver"] == true)
                    .then_some("Error: Unknown channel: whatsapp"),
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
        None => Place::of(canonical(&wanted.run_id)).failing(
            "Error: Pass --to <E.164>, --session-id, or --agent to choose a session",
            false,
        ),
    })
}
