//! Requests after hello-ok: who may call what, and the answers that need no script.

mod devices;
mod info;

use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use devices::{Closed, OPERATOR, approve, reject, remove, rename, revoke, rotate};
pub(crate) use info::health;

use crate::approvals;
use crate::cron;
use crate::edition::{Required, params_error, required_scope};
use crate::pairing::scopes::operator_covers;
use crate::state::{Inner, Live, State};
use crate::wire::{ErrorShape, Reply};

/// A request that passed the frame's schema.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Answered now; the sessions are closed after the answer.
    Now(Reply, Vec<Closed>),
    /// Answered now or not at all for the moment, and something happens later.
    Later(Option<Reply>, Option<Then>),
    /// No built-in answer: a mounted one, or a complaint.
    Unscripted,
    /// No client of the caller's role may call this.
    Unauthorized(ErrorShape),
}

/// What happens some time after a call.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nobody has decided on an approval.
    Expire(String, Duration),
    /// There may be jobs that wait for their time.
    KeepJobs,
    /// A job begins.
    RunJob(cron::Start),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Now(reply, Vec::new())
    }
}

/// Checks that a caller may call a method, and with what.
pub(crate) fn authorize(inner: &Inner, live: &Live, request: &Request) -> Result<(), Box<Outcome>> {
    let facts = inner.facts();
    let required = required_scope(inner.edition(), &request.method, &request.params);
    let open = request.method == "health" && facts.open_health;
    match (required, live.role.as_str()) {
        _ if open => {}
        (Some(Required::Node), "node") => {}
        (Some(Required::Node), role) => return Err(Box::new(wrong_role(role))),
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
                return Err(Box::new(Err(missing_scope(inner, scope)).into()));
            }
        }
        (_, role) => return Err(Box::new(wrong_role(role))),
    }
    if required.is_none() {
        let text = format!("unknown method: {}", request.method);
        return Err(Box::new(Err(ErrorShape::invalid(text)).into()));
    }
    let none = json!({});
    let params = if request.params.is_null() {
        &none
    } else {
        &request.params
    };
    match params_error(inner.edition(), &request.method, params, live.is_admin()) {
        Some(error) => Err(Box::new(Err(error).into())),
        None => Ok(()),
    }
}

fn wrong_role(role: &str) -> Outcome {
    Outcome::Unauthorized(ErrorShape::invalid(format!("unauthorized role: {role}")))
}

fn missing_scope(inner: &Inner, scope: &str) -> ErrorShape {
    let message = format!("missing scope: {scope}");
    if !inner.facts().forbidden_has_details {
        return ErrorShape::invalid(message);
    }
    ErrorShape::new("FORBIDDEN", message).with_details(Some(json!({
        "code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope],
    })))
}

/// The built-in answer to a request that may be made.
pub(crate) fn answer(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    live: &Live,
    request: &Request,
) -> Outcome {
    if let Some(outcome) = approvals::answer(inner, state, connection, live, request) {
        return outcome;
    }
    if let Some(outcome) = cron::answer(inner, state, connection, request) {
        return outcome;
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
    match request.method.as_str() {
        "connect" => Err(ErrorShape::invalid(
            "connect is only valid as the first request",
        ))
        .into(),
        "device.pair.list" => Ok(devices::list(inner, state, live)).into(),
        "device.pair.approve" => approve(inner, state, caller, text("requestId").trim()).into(),
        "device.pair.reject" => reject(inner, state, caller, text("requestId").trim()).into(),
        "device.pair.remove" => remove(inner, state, caller, text("deviceId").trim()),
        "device.pair.rename" => {
            rename(inner, state, caller, &text("deviceId"), &text("label")).into()
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
                inner,
                state,
                caller,
                text("deviceId").trim(),
                text("role").trim(),
                scopes.as_deref(),
            )
        }
        "device.token.revoke" => revoke(
            inner,
            state,
            caller,
            text("deviceId").trim(),
            text("role").trim(),
        ),
        method => info::answer(inner, state, live, method, params)
            .map_or(Outcome::Unscripted, Outcome::from),
    }
}
