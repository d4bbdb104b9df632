//! Requests after hello-ok, and how they are answered.

use super::{Connection, Step};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::edition::{request_frame, required_scope};
use crate::expect::Action;
use crate::fault::What;
use crate::rpc::{self, Outcome, Request};
use crate::run::{self, Run, Turn};
use crate::schema::complaints;
use crate::server::Server;
use crate::server::strike;
use crate::state::Phase;
use crate::wire::{self, ErrorShape, Reply};
use crate::ws::{Out, Outbox};

impl Connection {
    pub(super) fn answer(&self, id: &Value, reply: &Reply) {
        self.say(wire::response(id, reply));
    }

    pub(super) fn say(&self, text: String) {
        let inner = &self.server.inner;
        let held = {
            let mut state = inner.lock();
            state.recorder.sent(self.id, &text, inner.clock.now_ms());
            state
                .sessions
                .get_mut(&self.id)
                .and_then(|session| session.held.take())
        };
        self.outbox.send(Out::Text(text));
        if let Some(held) = held {
            self.outbox.send(Out::Text(held));
        }
    }

    /// Answers a request, unless a fault has other plans.
    pub(super) fn answer_call(&self, request: &Request, reply: &Reply) {
        let inner = &self.server.inner;
        let fault = inner.lock().faults.answering(&request.method);
        match fault {
            None => self.answer(&request.id, reply),
            Some(What::Never) => {}
            Some(What::Duplicate) => {
                self.answer(&request.id, reply);
                self.answer(&request.id, reply);
            }
            Some(What::UnknownId) => {
                self.answer(&format!("unknown-{}", uuid::Uuid::new_v4()).into(), reply);
            }
            Some(What::Delay(by)) => {
                let (outbox, text) = (self.outbox.clone(), wire::response(&request.id, reply));
                self.server.spawn(async move {
                    tokio::time::sleep(by).await;
                    outbox.send(Out::Text(text));
                });
            }
            Some(What::Reorder) => {
                let mut state = inner.lock();
                let Some(session) = state.sessions.get_mut(&self.id) else {
                    return;
                };
                session.held = Some(wire::response(&request.id, reply));
            }
            Some(what) => self.strike(&what),
        }
    }

    pub(super) fn strike(&self, what: &What) {
        let mut state = self.server.inner.lock();
        if let Some(session) = state.sessions.get_mut(&self.id) {
            strike(session, what);
        }
    }

    /// Does what a mounted method was told to do, in a task of its own if that takes time.
    pub(super) fn play(&self, request: &Request, actions: Vec<Action>) {
        let mut actions = actions.into_iter();
        while let Some(action) = actions.next() {
            match action {
                Action::Answer(reply) => self.answer_call(request, &reply),
                Action::Event(name, payload) => {
                    let inner = &self.server.inner;
                    inner.broadcast(&mut inner.lock(), &name, &payload);
                }
                Action::Run(script) => self.begin(request, *script),
                Action::Wait(pause) => {
                    let later = Later {
                        server: Arc::clone(&self.server),
                        session: self.id,
                        outbox: self.outbox.clone(),
                        id: request.id.clone(),
                    };
                    return self.server.spawn(later.play(pause, actions.collect()));
                }
            }
        }
    }

    /// Starts a run, or says why not.
    fn begin(&self, request: &Request, script: Run) {
        let inner = &self.server.inner;
        let turn = run::begin(inner, &mut inner.lock(), self.id, request, script);
        self.take_turn(request, turn);
    }

    fn take_turn(&self, request: &Request, turn: Turn) {
        if let Some(reply) = &turn.reply {
            self.answer_call(request, reply);
        }
        run::go_on(&self.server, turn.next);
    }

    /// A message of a client that has had its hello-ok.
    pub(super) fn on_live(&self, text: &str) -> Step {
        let inner = &self.server.inner;
        let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
            return Step::On;
        };
        let rule = request_frame(inner.edition());
        if let Some(text) = complaints(rule, Some(&frame), inner.facts().dialect) {
            let id = frame.get("id").filter(|id| !id.is_null()).cloned();
            let error = ErrorShape::invalid(format!("invalid request frame: {text}"));
            self.answer(&id.unwrap_or_else(|| "invalid".into()), &Err(error));
            return Step::On;
        }
        let request = Request {
            id: frame["id"].take(),
            method: frame["method"].as_str().unwrap_or_default().to_owned(),
            params: frame["params"].take(),
        };
        self.call(&request);
        Step::On
    }

    pub(super) fn call(&self, request: &Request) {
        let inner = &self.server.inner;
        let outcome = {
            let mut guard = inner.lock();
            let state = &mut *guard;
            let live = state
                .sessions
                .get(&self.id)
                .and_then(|session| session.live.clone());
            let Some(live) = live else { return };
            if state.phase == Phase::Draining {
                drop(guard);
                let error = ErrorShape::restarting(&request.method);
                return self.answer_call(request, &Err(error));
            }
            let (method, params) = (&request.method, &request.params);
            let only_mounted = state.mounts.knows(method)
                && required_scope(inner.edition(), method, params).is_none();
            let allowed = if only_mounted {
                Ok(())
            } else {
                rpc::authorize(inner, &live, request)
            };
            match allowed.map(|()| state.mounts.answer(method, params)) {
                Ok(Some(actions)) => {
                    drop(guard);
                    return self.play(request, actions);
                }
                Ok(None) => {
                    if let Some(turn) = run::answer(inner, state, self.id, request) {
                        drop(guard);
                        return self.take_turn(request, turn);
                    }
                    let script = state.runs.script().filter(|_| run::is_run(request));
                    if let Some(script) = script {
                        drop(guard);
                        return self.begin(request, script(&run::request(request)));
                    }
                    rpc::answer(inner, state, self.id, &live, request)
                }
                Err(outcome) => *outcome,
            }
        };
        match outcome {
            Outcome::Now(reply, closed) => {
                self.answer_call(request, &reply);
                self.server.close_devices(&closed);
            }
            Outcome::Later(reply, then) => {
                if let Some(reply) = reply {
                    self.answer_call(request, &reply);
                }
                self.server.then(then);
            }
            Outcome::Unauthorized(error) => {
                self.answer_call(request, &Err(error));
                let mut state = inner.lock();
                let Some(session) = state.sessions.get_mut(&self.id) else {
                    return;
                };
                session.unauthorized_calls += 1;
                let most = inner.facts().max_unauthorized_calls;
                if most.is_some_and(|most| session.unauthorized_calls > most) {
                    session.outbox.close(1008, "repeated unauthorized calls");
                }
            }
            Outcome::Unscripted => {
                let text = format!("the mock gateway has no answer for {}", request.method);
                inner.lock().mounts.unexpected(request.method.clone());
                self.answer(&request.id, &Err(ErrorShape::new("UNAVAILABLE", text)));
            }
        }
    }
}

/// The rest of a mounted answer, which may outlive the connection.
struct Later {
    server: Arc<Server>,
    session: u64,
    outbox: Outbox,
    id: Value,
}

impl Later {
    async fn play(self, first_pause: Duration, actions: Vec<Action>) {
        let inner = &self.server.inner;
        tokio::time::sleep(first_pause).await;
        for action in actions {
            match action {
                Action::Wait(pause) => tokio::time::sleep(pause).await,
                Action::Answer(reply) => {
                    let text = wire::response(&self.id, &reply);
                    inner
                        .lock()
                        .recorder
                        .sent(self.session, &text, inner.clock.now_ms());
                    self.outbox.send(Out::Text(text));
                }
                Action::Event(name, payload) => {
                    inner.broadcast(&mut inner.lock(), &name, &payload);
                }
                // A run begins with the call.
                Action::Run(_) => {}
            }
        }
    }
}
