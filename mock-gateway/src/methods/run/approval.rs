//! Tools that want an approval before they work.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use crate::engine::Engine;
use crate::engine::state::State;
use crate::methods::approvals::calls::{TIMEOUT_NEW_MS, TIMEOUT_OLD_MS};
use crate::methods::run::dialect::call::{Call, Verdict, slug};
use crate::methods::run::dialect::result::WORKSPACE;
use crate::methods::run::emit::emit;
use crate::methods::run::play::{Player, Stop};
use crate::methods::{approvals, cron};
use crate::model::approvals::{Asked, Asker};
use crate::model::runs::Record;

/// What a tool is told that nobody can approve. Measured on 2026.9.6.
const HEADLESS: &str = "exec denied: Headless runs cannot wait for interactive exec approval.\n\
    Effective host exec policy: security=allowlist ask=on-miss askFallback=deny\n\
    Stricter values from tools.exec and $OPENCLAW_STATE_DIR/state/openclaw.sqlite#exec_approvals_config both \
    apply.\nFix one of these:\n\
    - align both files to security=\"full\" and ask=\"off\" for trusted local automation\n\
    - keep allowlist mode and add an explicit allowlist entry for this command\n\
    - rerun interactively and approve when prompted (Control UI, TUI, or a chat channel with exec approvals)\n\
    Tip: run \"openclaw doctor\" and \"openclaw approvals get --gateway\" to inspect the effective policy.";
/// What a tool is told whose caller may not ask. Measured on 2026.9.6.
const NO_SCOPE: &str = "Exec approval registration failed: GatewayClientRequestError: missing scope: \
    operator.approvals";

/// The file that a command runs.
fn resolved(command: &str, looks_behind_env: bool) -> Value {
    let mut words = command.split_whitespace();
    let file = words.find(|word| !looks_behind_env || !word.ends_with("/env"));
    match file {
        Some(path) if path.starts_with('/') => path.into(),
        Some(name) => format!("/usr/bin/{name}").into(),
        None => Value::Null,
    }
}

fn ask(engine: &Engine, state: &mut State, record: &Record, call: &Call) -> Asked {
    let is_new = engine.facts().routes_approvals;
    let command = call.tool.command();
    let mut request = json!({
        "command": command, "cwd": WORKSPACE, "host": "gateway", "security": "allowlist",
        "ask": if is_new { "on-miss" } else { "always" }, "agentId": record.agent_id,
        "resolvedPath": resolved(command, is_new), "sessionKey": record.session_key,
    });
    let mut timeout = TIMEOUT_OLD_MS;
    if is_new {
        timeout = TIMEOUT_NEW_MS;
        request["unavailableDecisions"] = json!(["allow-always"]);
        request["runId"] = record.run_id.as_str().into();
        request["toolCallId"] = call.id.as_str().into();
    }
    // Measured on 2026.9.6: a run asks as nobody in particular, so that only admins are asked.
    approvals::ask(engine, state, None, &request, Asker::default(), timeout)
}

fn may_ask(state: &State, record: &Record) -> bool {
    let session = state.sessions.get(&record.connection);
    let live = session.and_then(|session| session.live.as_ref());
    // A caller that has gone was let in with what its run needs.
    live.is_none_or(|live| live.has("operator.approvals") || live.is_admin())
}

/// Lets the tool work if it may; otherwise what it gives is why not.
pub(super) async fn judged(player: &Player, call: Call) -> Result<Call, Stop> {
    if !call.tool.wants_approval {
        return Ok(call);
    }
    if player.engine.facts().routes_approvals {
        waited_for(player, call).await
    } else {
        pending(player, call)
    }
}

/// Measured on 2026.2.9: the run does not wait; a turn in the main session follows the decision.
fn pending(player: &Player, mut call: Call) -> Result<Call, Stop> {
    let (asked, decision) = player.act(|engine, state, record, _| {
        let asked = ask(engine, state, record, &call);
        let decision = approvals::wait_for(state, &asked.id);
        (asked, decision)
    })?;
    let engine = Arc::clone(&player.engine);
    let (id, command) = (asked.id.clone(), call.tool.command().to_owned());
    player.engine.spawn(async move {
        tokio::select! {
            decision = decision => {
                if let Ok(Some(decision)) = decision {
                    cron::heartbeat(engine, format!("{decision}: {command}")).await;
                }
            }
            () = sleep(Duration::from_millis(TIMEOUT_OLD_MS)) => {
                approvals::expire(&engine, &mut engine.lock(), &id, "timeout");
            }
        }
    });
    call.tool.result = format!(
        "Approval required (id {}). Approve to run; updates will arrive after completion.",
        slug(&asked.id)
    );
    call.verdict = Some(Verdict::Pending {
        id: asked.id,
        expires_at: asked.expires_at,
    });
    Ok(call)
}

/// Measured on 2026.9.6: the run waits, if there is somebody who can decide.
async fn waited_for(player: &Player, mut call: Call) -> Result<Call, Stop> {
    let phase =
        |phase: &str, id: &str| json!({"phase": phase, "approvalId": id, "toolCallId": call.id});
    let asked = player.act(|engine, state, record, now| {
        if !may_ask(state, record) {
            return Err(NO_SCOPE);
        }
        let asked = ask(engine, state, record, &call);
        if !asked.has_route {
            return Err(HEADLESS);
        }
        let data = phase("waiting-approval", &asked.id);
        for said in player.dialect.lifecycle(record, data, now) {
            emit(engine, state, record, &said);
        }
        let decision = approvals::wait_for(state, &asked.id);
        Ok((asked, decision))
    })?;
    let (asked, mut decision) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            error.clone_into(&mut call.tool.result);
            call.tool.is_error = true;
            return Ok(call);
        }
    };
    let give_up = |reason: &'static str| {
        let engine = &player.engine;
        approvals::expire(engine, &mut engine.lock(), &asked.id, reason);
    };
    let late = async {
        match player.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let decided = tokio::select! {
        biased;
        () = player.stop.notified() => {
            give_up("run-aborted");
            return Err(player.aborted());
        }
        () = late => {
            give_up("run-aborted");
            return Err(Stop::TimedOut);
        }
        decided = &mut decision => decided.ok().flatten(),
        () = sleep(Duration::from_millis(TIMEOUT_NEW_MS)) => {
            give_up("timeout");
            None
        }
    };
    player.act(|engine, state, record, now| {
        let data = phase("approval-resolved", &asked.id);
        for said in player.dialect.lifecycle(record, data, now) {
            emit(engine, state, record, &said);
        }
    })?;
    let why = match decided.as_deref() {
        Some("deny") => "user-denied",
        Some(_) => return Ok(call),
        None => "approval-timeout",
    };
    call.tool.result = format!(
        "Exec denied (gateway id={}, {why}): {}",
        asked.id,
        call.tool.command()
    );
    call.tool.is_error = true;
    call.verdict = Some(Verdict::Denied);
    Ok(call)
}
