//! Requests after hello-ok, and how they are answered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::edition::methods::required_scope;
use crate::edition::schemas::request_frame;
use crate::engine::Engine;
use crate::engine::answer::{Answer, Request};
use crate::engine::state::Phase;
use crate::methods::{self, Denied, after, run};
use crate::model::expect::Action;
use crate::model::fault::What;
use crate::model::script::RunScript;
use crate::net::connection::{Connection, Step};
use crate::wire::schema::complaints;
use crate::wire::ws::outbox::{Out, Outbox};
use crate::wire::{self, ErrorShape, Reply};

impl Connection {
    pub(super) fn answer(&self, id: &Value, reply: &Reply) {
        self.say(wire::response(id, reply));
    }

    pub(super) fn say(&self, text: String) {
        let engine = &self.engine;
        let held = {
            let mut state = engine.lock();
            state.recorder.sent(self.id, &text, engine.clock.now_ms());
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
        let engine = &self.engine;
        let fault = engine.lock().faults.answering(&request.method);
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
                self.engine.spawn(async move {
                    tokio::time::sleep(by).await;
                    outbox.send(Out::Text(text));
                });
            }
            Some(What::Reorder) => {
                let mut state = engine.lock();
                let Some(session) = state.sessions.get_mut(&self.id) else {
                    return;
                };
                session.held = Some(wire::response(&request.id, reply));
            }
            Some(what) => self.inject(&what),
        }
    }

    pub(super) fn inject(&self, what: &What) {
        let mut state = self.engine.lock();
        if let Some(session) = state.sessions.get_mut(&self.id) {
            session.inject(what);
        }
    }

    /// Does what a mounted method was told to do, in a task of its own if that takes time.
    pub(super) fn play(&self, request: &Request, actions: Vec<Action>) {
        let mut actions = actions.into_iter();
        while let Some(action) = actions.next() {
            match action {
                Action::Answer(reply) => self.answer_call(request, &reply),
                Action::Event(name, payload) => {
                    let engine = &self.engine;
                    engine.broadcast(&mut engine.lock(), &name, &payload);
                }
                Action::Run(script) => self.begin(request, *script),
                Action::Wait(pause) => {
                    let later = Later {
                        engine: Arc::clone(&self.engine),
                        session: self.id,
                        outbox: self.outbox.clone(),
                        id: request.id.clone(),
                    };
                    return self.engine.spawn(later.play(pause, actions.collect()));
                }
            }
        }
    }

    /// Starts a run, or says why not.
    fn begin(&self, request: &Request, script: RunScript) {
        let engine = &self.engine;
        let turn = run::begin(engine, &mut engine.lock(), self.id, request, script);
        self.send_answer(request, turn);
    }

    fn send_answer(&self, request: &Request, answer: Answer) {
        if let Some(reply) = &answer.reply {
            self.answer_call(request, reply);
        }
        after::perform(&self.engine, answer.after);
    }

    /// A message of a client that has had its hello-ok.
    pub(super) fn on_live(&self, text: &str) -> Step {
        let engine = &self.engine;
        let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
            return Step::On;
        };
        let rule = request_frame(engine.edition());
        if let Some(text) = complaints(rule, Some(&frame), engine.facts().dialect) {
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
        let engine = &self.engine;
        let mut guard = engine.lock();
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
            && required_scope(engine.edition(), method, params).is_none();
        let allowed = if only_mounted {
            Ok(())
        } else {
            methods::authorize(engine, &live, request)
        };
        if let Err(denied) = allowed {
            drop(guard);
            return self.deny(request, denied);
        }
        if let Some(actions) = state.mounts.answer(method, params) {
            drop(guard);
            return self.play(request, actions);
        }
        let mut answer = run::answer(engine, state, self.id, request);
        if answer.is_none() {
            let script = state.runs.script().filter(|_| run::is_run(request));
            if let Some(script) = script {
                drop(guard);
                return self.begin(request, script(&run::request(request)));
            }
            answer = methods::answer(engine, state, self.id, &live, request);
        }
        drop(guard);
        if let Some(answer) = answer {
            return self.send_answer(request, answer);
        }
        let text = format!("the mock gateway has no answer for {method}");
        engine.lock().mounts.unexpected(method.clone());
        self.answer(&request.id, &Err(ErrorShape::new("UNAVAILABLE", text)));
    }

    fn deny(&self, request: &Request, denied: Denied) {
        let (error, counts) = match denied {
            Denied::Role(error) => (error, true),
            Denied::Call(error) => (error, false),
        };
        self.answer_call(request, &Err(error));
        let engine = &self.engine;
        let mut state = engine.lock();
        let Some(session) = state.sessions.get_mut(&self.id).filter(|_| counts) else {
            return;
        };
        session.unauthorized_calls += 1;
        let most = engine.facts().max_unauthorized_calls;
        if most.is_some_and(|most| session.unauthorized_calls > most) {
            session.outbox.close(1008, "repeated unauthorized calls");
        }
    }
}

/// The rest of a mounted answer, which may outlive the connection.
struct Later {
    engine: Arc<Engine>,
    session: u64,
    outbox: Outbox,
    id: Value,
}

impl Later {
    async fn play(self, first_pause: Duration, actions: Vec<Action>) {
        let engine = &self.engine;
        tokio::time::sleep(first_pause).await;
        for action in actions {
            match action {
                Action::Wait(pause) => tokio::time::sleep(pause).await,
                Action::Answer(reply) => {
                    let text = wire::response(&self.id, &reply);
                    engine
                        .lock()
                        .recorder
                        .sent(self.session, &text, engine.clock.now_ms());
                    self.outbox.send(Out::Text(text));
                }
                Action::Event(name, payload) => {
                    engine.broadcast(&mut engine.lock(), &name, &payload);
                }
                // A run begins with the call.
                Action::Run(_) => {}
            }
        }
    }
}
