//! The methods that are about runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::abort::{self, Caller};
use super::book::{Kind, Record, run_request};
use super::frames::{Place, dialect};
use super::script::{Run, RunRequest};
use super::{history, play, wait};
use crate::rpc::Request;
use crate::server::Server;
use crate::state::{Inner, State};
use crate::wire::{ErrorShape, Reply};

/// The answer to a request, and what happens after it was sent.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) reply: Option<Reply>,
    pub(crate) next: Vec<Next>,
}

impl Turn {
    pub(super) fn reply(reply: Reply) -> Self {
        Self {
            reply: Some(reply),
            next: Vec::new(),
        }
    }
}

/// What happens after an answer was sent.
#[derive(Debug)]
pub(crate) enum Next {
    /// A run begins.
    Play(u64),
    /// An aborted run goes on to its end.
    Release(Arc<Notify>),
    /// Somebody waits no longer than this.
    Expire(u64, Duration),
}

/// Does what is due after an answer.
pub(crate) fn go_on(server: &Arc<Server>, next: Vec<Next>) {
    for next in next {
        match next {
            Next::Play(id) => server.spawn(play::play(Arc::clone(server), id)),
            Next::Release(stop) => stop.notify_one(),
            Next::Expire(id, after) => {
                let inner = Arc::clone(&server.inner);
                server.spawn(async move {
                    tokio::time::sleep(after).await;
                    wait::expire(&inner, id);
                });
            }
        }
    }
}

/// The methods that start runs.
pub(crate) const RUNS: [&str; 3] = ["agent", "chat.send", "sessions.send"];

/// Whether a method starts runs.
pub(crate) fn is_run(method: &str) -> bool {
    RUNS.contains(&method)
}

/// A request for a run, as scripts see it.
pub(crate) fn request(request: &Request) -> RunRequest {
    run_request(&request.method, &request.params)
}

fn kind(method: &str) -> Kind {
    if method == "agent" {
        Kind::Agent
    } else {
        Kind::Chat
    }
}

/// The full name of a session.
pub(super) fn canonical(key: &str) -> String {
    let key = key.trim().to_lowercase();
    if key.starts_with("agent:") {
        key
    } else {
        format!("agent:main:{key}")
    }
}

/// The answer of a method that only looks at runs or ends them.
pub(crate) fn answer(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    request: &Request,
) -> Option<Turn> {
    let live = state.sessions.get(&connection)?.live.clone()?;
    let caller = Caller {
        connection,
        live: &live,
    };
    match request.method.as_str() {
        "agent.wait" => Some(wait::wait(state, connection, request)),
        "chat.abort" => Some(abort::chat(inner, state, &caller, request)),
        "sessions.abort" => Some(abort::sessions(inner, state, &caller, request)),
        "chat.history" => Some(Turn::reply(Ok(history::history(inner, state, request)))),
        "sessions.patch" => history::patch(inner, state, request).map(Turn::reply),
        method if is_run(method) => replay(inner, state, connection, request),
        _ => None,
    }
}

/// The answer to a request that starts no run: its key is known, or it is a command.
pub(crate) fn replay(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    request: &Request,
) -> Option<Turn> {
    let dialect = dialect(inner.edition());
    let wanted = run_request(&request.method, &request.params);
    let kind = kind(&request.method);
    let now = inner.clock.now_ms();
    state.runs.prune(now);
    if kind == Kind::Chat && wanted.message.trim() == "/stop" {
        let live = state.sessions.get(&connection)?.live.clone()?;
        let caller = Caller {
            connection,
            live: &live,
        };
        let key = canonical(wanted.session_key.as_deref().unwrap_or_default());
        return Some(abort::stop_session(inner, state, &caller, &key, "stop"));
    }
    let known = state.runs.by_key(kind, wanted.run_id.trim(), now)?;
    if kind == Kind::Chat && dialect.checks_message() && known.message != wanted.message {
        let text = "This message ID was already used for different input. Check the conversation history \
                    and use a new message ID to send again.";
        let details = json!({"reason": "chat-request-conflict"});
        let error = ErrorShape::invalid(text).with_details(Some(details));
        return Some(Turn::reply(Err(error)));
    }
    Some(Turn::reply(match (&known.over, kind) {
        (None, Kind::Agent) => Ok(dialect.again(known)),
        (None, Kind::Chat) => Ok(json!({"runId": known.run_id, "status": "in_flight"})),
        (Some((_, reply)), Kind::Agent) => reply.clone(),
        (Some((_, reply)), Kind::Chat) => dialect.chat_replay(known, reply.clone()),
    }))
}

/// Starts a run that follows a script, or says why not.
pub(crate) fn begin(
    inner: &Inner,
    state: &mut State,
    connection: u64,
    request: &Request,
    script: Run,
) -> Turn {
    if !is_run(&request.method) {
        let text = format!("the mock gateway plays no runs for {}", request.method);
        return Turn::reply(Err(ErrorShape::new("UNAVAILABLE", text)));
    }
    if let Some(turn) = replay(inner, state, connection, request) {
        return turn;
    }
    let live = state
        .sessions
        .get(&connection)
        .and_then(|session| session.live.clone());
    let Some(live) = live else {
        return Turn::default();
    };
    let dialect = dialect(inner.edition());
    let mut wanted = run_request(&request.method, &request.params);
    if wanted.run_id.trim().is_empty() {
        wanted.run_id = uuid::Uuid::new_v4().to_string();
    }
    let kind = kind(&request.method);
    let place = match dialect.place(kind, &wanted) {
        Ok(place) => place,
        Err(error) => return Turn::reply(Err(error)),
    };
    let now = inner.clock.now_ms();
    let caller = Caller {
        connection,
        live: &live,
    };
    let mode = request.params["queueMode"].as_str().unwrap_or("steer");
    let busy = state
        .runs
        .working(&place.session_key)
        .map(|record| (record.id, record.kind));
    let mut turn = Turn::default();
    let mut reply = json!({"runId": wanted.run_id, "status": "started"});
    let mut record = record(state, &wanted, place, script, now);
    record.kind = kind;
    record.connection = connection;
    record.device_id.clone_from(&live.device_id);
    record.request_id = request.id.clone();
    record.timeout_ms = dialect.timeout_ms(kind, &request.params);
    match busy.filter(|_| kind == Kind::Chat) {
        None => turn.next.push(Next::Play(record.id)),
        Some((working, Kind::Chat)) if dialect.steers_messages() && mode == "steer" => {
            record.is_queued = true;
            if let Some(mut working) = state.runs.take(working) {
                working.steered.push_back(record.id);
                state.runs.put(working);
            }
        }
        Some(_) if dialect.steers_messages() && mode == "interrupt" => {
            let key = record.session_key.clone();
            turn = abort::stop_session(inner, state, &caller, &key, "aborted");
            reply["interruptedActiveRun"] = true.into();
            turn.next.push(Next::Play(record.id));
        }
        Some(_) => {
            record.is_queued = true;
            turn.next.push(Next::Play(record.id));
        }
    }
    if !record.is_queued {
        let session = state.runs.session_mut(&record.session_key, now);
        session.queue.push_back(record.id);
    }
    turn.reply = Some(Ok(match kind {
        Kind::Agent => dialect.accepted(&record),
        Kind::Chat => reply,
    }));
    state.runs.put(record);
    turn
}

fn record(state: &mut State, wanted: &RunRequest, place: Place, script: Run, now: u64) -> Record {
    let session_id = state
        .runs
        .session_mut(&place.session_key, now)
        .session_id
        .clone();
    Record {
        id: state.runs.next_id(),
        kind: Kind::Agent,
        run_id: wanted.run_id.clone(),
        message: wanted.message.clone(),
        agent_id: place
            .session_key
            .split(':')
            .nth(1)
            .unwrap_or("main")
            .to_owned(),
        session_key: place.session_key,
        shown_key: place.shown_key,
        has_chat: place.has_chat,
        names_session: place.names_session,
        fails_at_once: place.fails_at_once,
        session_id,
        connection: 0,
        device_id: None,
        request_id: Value::Null,
        script: Arc::new(script),
        timeout_ms: None,
        accepted_at: now,
        began_at: now,
        started_at: now,
        seq: 0,
        turn: 0,
        item_id: uuid::Uuid::new_v4().to_string(),
        task_id: uuid::Uuid::new_v4().to_string(),
        text: String::new(),
        turn_text: String::new(),
        tools: Vec::new(),
        failed_tools: 0,
        rows: Vec::new(),
        last_chat: None,
        steered: std::collections::VecDeque::new(),
        stop: Arc::new(Notify::new()),
        aborted: None,
        is_queued: false,
        stands_for: None,
        waited: None,
        over: None,
    }
}
