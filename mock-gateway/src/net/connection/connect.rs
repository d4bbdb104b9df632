//! The first request of a connection.

use serde_json::Value;

use crate::edition::hello::{HelloContext, hello_ok};
use crate::edition::refusal::Refusal;
use crate::edition::schemas::{connect_params, request_frame};
use crate::handshake::{self, Admitted};
use crate::model::fault::{Point, What};
use crate::model::peer::Client;
use crate::model::presence::HOST_NAME;
use crate::net::connection::{Connection, Step, release_slot};
use crate::wire::schema::complaints;
use crate::wire::ws::outbox::Out;
use crate::{methods, wire};

impl Connection {
    pub(super) fn refuse(&self, id: &Value, refusal: &Refusal) {
        let rendered = refusal.render(self.engine.edition());
        self.answer(id, &Err(rendered.error));
        self.outbox
            .close(rendered.close_code, rendered.close_reason);
    }

    /// A message of a client that has not connected yet.
    pub(super) fn on_first(&self, text: &str) -> Step {
        let engine = &self.engine;
        let (edition, dialect) = (engine.edition(), engine.facts().dialect);
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            self.outbox.close(1000, "");
            return Step::On;
        };
        if complaints(request_frame(edition), Some(&frame), dialect).is_some() {
            self.outbox.close(1008, "invalid request frame");
            return Step::On;
        }
        let id = frame["id"].clone();
        let at_connect = |here: &Point| *here == Point::Connect;
        let strikes = |what: &What| !matches!(what, What::ApproveMeanwhile);
        let fault = engine.lock().faults.take(at_connect, strikes);
        if let Some(what) = fault {
            self.inject(&what);
            return Step::On;
        }
        if frame["method"] != "connect" {
            self.refuse(&id, &Refusal::NotConnect);
            return Step::On;
        }
        let params = frame.get("params");
        if let Some(text) = complaints(connect_params(edition), params, dialect) {
            self.refuse(&id, &Refusal::Params(text));
            return Step::On;
        }
        let mut guard = engine.lock();
        let state = &mut *guard;
        let Some(session) = state.sessions.get(&self.id) else {
            return Step::On;
        };
        let (client, nonce) = (session.client.clone(), session.nonce.clone());
        let params = params.unwrap_or(&Value::Null);
        match handshake::admit(engine, state, &client, &nonce, params) {
            Ok(admitted) => {
                self.welcome(state, &client, &id, admitted);
                Step::Live
            }
            Err(mut refused) => {
                if let Refusal::Pairing(pairing) = &refused.refusal {
                    let meanwhile = |what: &What| matches!(what, What::ApproveMeanwhile);
                    if state
                        .faults
                        .take(|here| *here == Point::Connect, meanwhile)
                        .is_some()
                    {
                        drop(methods::approve(engine, state, None, &pairing.request_id));
                        refused.after.clear();
                    }
                }
                Step::Refuse(Box::new(refused), id)
            }
        }
    }

    /// hello-ok, and what comes with a new client.
    pub(super) fn welcome(
        &self,
        state: &mut crate::engine::state::State,
        client: &Client,
        id: &Value,
        admitted: Admitted,
    ) {
        let engine = &self.engine;
        let now = engine.clock.now_ms();
        let Admitted {
            live,
            auth,
            presence,
        } = admitted;
        if let Some((key, row)) = presence {
            state.presence.join(&key, row, now);
        }
        release_slot(state, client);
        let Some(session) = state.sessions.get_mut(&self.id) else {
            return;
        };
        session.live = Some(live.clone());
        let conn_id = session.conn_id.clone();
        let state_dir = state.disk.shown_path();
        let hello = hello_ok(
            engine.edition(),
            &HelloContext {
                conn_id: &conn_id,
                boot_id: &state.boot_id,
                host_name: HOST_NAME,
                authority: &client.host,
                role: &live.role,
                scopes: &live.scopes,
                auth,
                auth_mode: state.auth.name(),
                presence: state.presence.list(now),
                state_version: state.versions(),
                config_hash: &format!("hmac-sha256:v1:{}", state.boot_id),
                state_dir: &state_dir,
                uptime_ms: crate::model::clock::millis(state.started.elapsed()),
                now_ms: now,
                tick_ms: crate::model::clock::millis(engine.settings.tick_interval),
            },
        );
        let text = wire::response(id, &Ok(hello));
        state.recorder.sent(self.id, &text, now);
        self.outbox.send(Out::Text(text));
        if let Some(what) = state.faults.at(&Point::Hello) {
            if let What::SeqGap(numbers) = what {
                state.global_seq += numbers;
            }
            if let Some(session) = state.sessions.get_mut(&self.id) {
                session.inject(&what);
            }
        }
        if engine.facts().health_after_hello {
            state.health_version += 1;
            let payload = methods::health(engine, state);
            engine.broadcast(state, "health", &payload);
        }
        engine.touched();
    }
}
