//! Requests after hello-ok: who may call what, and the answers that need no script.

pub(crate) mod after;
pub(crate) mod approvals;
pub(crate) mod cron;
pub(crate) mod devices;
pub(crate) mod info;
pub(crate) mod run;
pub(crate) mod sessions;

use serde_json::{Value, json};

pub(crate) use devices::{approve, reject, remove, rename, revoke, rotate};
pub(crate) use info::health;

use crate::edition::methods::{Required, required_scope};
use crate::edition::schemas::params_error;
use crate::engine::Engine;
use crate::engine::answer::{Answer, Request};
use crate::engine::state::State;
use crate::model::connection::Live;
use crate::model::pairing::scopes::operator_covers;
use crate::wire::ErrorShape;

/// The refusal of a call before its method is looked at.
#[derive(Debug)]
pub(crate) enum Denied {
    /// No client of the caller's role may call this; too many such calls close the connection.
    Role(ErrorShape),
    Call(ErrorShape),
}

/// Checks that a caller may call a method, and with what.
pub(crate) fn authorize(engine: &Engine, live: &Live, request: &Request) -> Result<(), Denied> {
    let facts = engine.facts();
    let required = required_scope(engine.edition(), &request.method, &request.params);
    let open = request.method == "health" && facts.open_health;
    match (required, live.role.as_str()) {
        _ if open => {}
        (Some(Required::Node), "node") => {}
        (Some(Required::Node), role) => return Err(wrong_role(role)),
        (_, "operator") => {
            let scope = match required {
                Some(Required::Scope(scope)) => scope,
                _ => "operator.admin",
            };
            let held = &live.scopes;
            let covered = if facts.scopes_imply {
                operator_covers(scope, held)
            } else {
                let has = |name: &str| held.iter().any(|held| held == name);
                has(scope)
                    || has("operator.admin")
                    || (scope == "operator.read" && has("operator.write"))
            };
            if !covered {
                return Err(Denied::Call(missing_scope(engine, scope)));
            }
        }
        (_, role) => return Err(wrong_role(role)),
    }
    if required.is_none() {
        let text = format!("unknown method: {}", request.method);
        return Err(Denied::Call(ErrorShape::invalid(text)));
    }
    let none = json!({});
    let params = if request.params.is_null() {
        &none
    } else {
        &request.params
    };
    match params_error(engine.edition(), &request.method, params, live.is_admin()) {
        Some(error) => Err(Denied::Call(error)),
        None => Ok(()),
    }
}

fn wrong_role(role: &str) -> Denied {
    Denied::Role(ErrorShape::invalid(format!("unauthorized role: {role}")))
}

fn missing_scope(engine: &Engine, scope: &str) -> ErrorShape {
    let message = format!("missing scope: {scope}");
    if !engine.facts().forbidden_has_details {
        return ErrorShape::invalid(message);
    }
    ErrorShape::new("FORBIDDEN", message).with_details(Some(json!({
        "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope],
    })))
}

/// The built-in answer to a request that may be made.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    live: &Live,
    request: &Request,
) -> Option<Answer> {
    let answer = approvals::answer(engine, state, connection, live, request)
        .or_else(|| cron::answer(engine, state, connection, request));
    if answer.is_some() {
        return answer;
    }
    let params = &request.params;
    let text = |name: &str| {
        params
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let caller = Some(live);
    Some(match request.method.as_str() {
        "connect" => Err(ErrorShape::invalid(
            "connect is only valid as the first request",
        ))
        .into(),
        "device.pair.list" => Ok(devices::list(engine, state, live)).into(),
        "device.pair.approve" => approve(engine, state, caller, text("requestId").trim()).into(),
        "device.pair.reject" => reject(engine, state, caller, text("requestId").trim()).into(),
        "device.pair.remove" => remove(engine, state, caller, text("deviceId").trim()),
        "device.pair.rename" => {
            rename(engine, state, caller, &text("deviceId"), &text("label")).into()
        }
        "device.token.rotate" => {
            let scopes = params
                .get("scopes")
                .and_then(Value::as_array)
                .map(|scopes| {
                    scopes
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                });
            rotate(
                engine,
                state,
                caller,
                text("deviceId").trim(),
                text("role").trim(),
                scopes.as_deref(),
            )
        }
        "device.token.revoke" => revoke(
            engine,
            state,
            caller,
            text("deviceId").trim(),
            text("role").trim(),
        ),
        method => info::answer(engine, state, live, method, params)?.into(),
    })
}
