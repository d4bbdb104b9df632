//! Performs what follows an answer.

use std::sync::Arc;

use tokio::time::sleep;

use crate::engine::Engine;
use crate::engine::answer::AfterAnswer;
use crate::methods::sessions::notify::Cause;
use crate::methods::{self, approvals, cron, run, sessions};

/// Performs the actions that follow an answer, in order.
pub(crate) fn perform(engine: &Arc<Engine>, after: Vec<AfterAnswer>) {
    for after in after {
        perform_one(engine, after);
    }
}

fn perform_one(engine: &Arc<Engine>, after: AfterAnswer) {
    let own = Arc::clone(engine);
    match after {
        AfterAnswer::CloseDevice { device_id, role } => {
            close_device(engine, &device_id, role.as_deref());
        }
        // A request that was decided in the meantime needs no decision.
        AfterAnswer::RejectDevice(id) => {
            drop(methods::reject(engine, &mut engine.lock(), None, &id));
        }
        AfterAnswer::ApproveDevice(id, delay) if delay.is_zero() => {
            drop(methods::approve(engine, &mut engine.lock(), None, &id));
        }
        AfterAnswer::ApproveDevice(id, delay) => engine.spawn(async move {
            sleep(delay).await;
            drop(methods::approve(&own, &mut own.lock(), None, &id));
        }),
        AfterAnswer::ExpireApproval(id, after) => engine.spawn(async move {
            sleep(after).await;
            approvals::expire(&own, &mut own.lock(), &id, "timeout");
        }),
        AfterAnswer::KeepJobs => engine.spawn(cron::keep(own)),
        AfterAnswer::RunJob(start) => engine.spawn(cron::run(own, start)),
        AfterAnswer::PlayRun(id) => engine.spawn(run::play(own, id)),
        AfterAnswer::ReleaseRun(stop) => stop.notify_one(),
        AfterAnswer::ExpireWait(id, after) => engine.spawn(async move {
            sleep(after).await;
            run::expire(&own, id);
        }),
        AfterAnswer::SessionChanged(key, reason) => {
            let mut state = engine.lock();
            let active = state.runs.shown(&key).cloned();
            let cause = Cause::Reason(reason);
            sessions::changed(engine, &mut state, &key, active.as_ref(), cause);
        }
        AfterAnswer::SessionDeleted(key, id) => {
            sessions::deleted(engine, &mut engine.lock(), &key, &id);
        }
    }
}

fn close_device(engine: &Engine, device_id: &str, role: Option<&str>) {
    let state = engine.lock();
    for (session, live) in state.live() {
        let is_device = live.device_id.as_deref() == Some(device_id);
        if is_device && role.is_none_or(|role| role == live.role) {
            session.outbox.close(4001, "device removed");
        }
    }
}
