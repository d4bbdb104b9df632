//! The methods that are about runs.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::engine::answer::{AfterAnswer, Answer, Request};
use crate::engine::state::State;
use crate::methods::run::abort::{self, Caller};
use crate::methods::run::dialect::dialect;
use crate::methods::run::dialect::place::Place;
use crate::methods::run::emit::as_asked;
use crate::methods::run::{checks, local, wait};
use crate::methods::sessions;
use crate::methods::sessions::change::Created;
use crate::model::runs::{Kind, RUNS, Record, run_request};
use crate::model::script::{RunRequest, RunScript};
use crate::model::sessions::{Via, canonical};
use crate::wire::ErrorShape;

/// Returns whether a request starts a run.
pub(crate) fn is_run(request: &Request) -> bool {
    RUNS.contains(&request.method.as_str()) || sessions::first_turn(request).is_some()
}

/// A request for a run, as scripts see it.
pub(crate) fn request(request: &Request) -> RunRequest {
    let mut wanted = run_request(&request.method, &request.params);
    if let Some(message) = sessions::first_turn(request) {
        // The key of a creation is none of its run.
        wanted.message = message;
        wanted.run_id = String::new();
    }
    wanted
}

fn kind(method: &str) -> Kind {
    if method == "agent" {
        Kind::Agent
    } else {
        Kind::Chat
    }
}

/// The answer of a method that only looks at runs or ends them.
pub(crate) fn answer(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    request: &Request,
) -> Option<Answer> {
    let live = state.sessions.get(&connection)?.live.clone()?;
    let caller = Caller {
        connection,
        live: &live,
    };
    match request.method.as_str() {
        "agent.wait" => Some(wait::wait(engine, state, connection, request)),
        "chat.abort" => Some(abort::chat(engine, state, &caller, request)),
        "sessions.abort" => Some(abort::sessions(engine, state, &caller, request)),
        "chat.history" => {
            let history = sessions::history(engine, state, &live, request);
            Some(Answer::from(Ok(history)))
        }
        "chat.inject" => Some(local::inject(engine, state, request)),
        "agent" | "chat.send" | "sessions.send" => replay(engine, state, connection, request),
        _ => sessions::answer(engine, state, connection, &live, request),
    }
}

/// The answer to a request that starts no run: its key is known, or it is a command.
pub(crate) fn replay(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    request: &Request,
) -> Option<Answer> {
    let dialect = dialect(engine.edition());
    let wanted = run_request(&request.method, &request.params);
    let kind = kind(&request.method);
    let now = engine.clock.now_ms();
    state.runs.prune(now);
    if kind == Kind::Chat && wanted.message.trim() == "/stop" {
        let live = state.sessions.get(&connection)?.live.clone()?;
        let caller = Caller {
            connection,
            live: &live,
        };
        let key = canonical(wanted.session_key.as_deref().unwrap_or_default());
        return Some(abort::stop_session(engine, state, &caller, &key, "stop"));
    }
    if request.method == "sessions.send" {
        let key = wanted.session_key.as_deref().unwrap_or_default();
        if state.books.get(&canonical(key)).is_none() {
            let text = format!("session not found: {key}");
            return Some(Answer::from(Err(ErrorShape::invalid(text))));
        }
    }
    let known = state.runs.by_key(kind, wanted.run_id.trim(), now);
    if known.is_none() {
        let live = state.sessions.get(&connection)?.live.as_ref()?;
        let checked = checks::check(engine.edition(), live, &wanted);
        return checked.err().map(|error| Answer::from(Err(error)));
    }
    let known = known?;
    if kind == Kind::Chat && dialect.checks_message() && known.message != wanted.message {
        let text = "This message ID was already used for different input. Check the conversation history \
                    and use a new message ID to send again.";
        let details = json!({"reason": "chat-request-conflict"});
        let error = ErrorShape::invalid(text).with_details(Some(details));
        return Some(Answer::from(Err(error)));
    }
    Some(Answer::from(match (&known.over, kind) {
        (None, Kind::Agent) => Ok(dialect.again(known)),
        (None, Kind::Chat) => Ok(json!({"runId": known.run_id, "status": "in_flight"})),
        (Some((_, reply)), Kind::Agent) => reply.clone(),
        (Some((_, reply)), Kind::Chat) => dialect.chat_replay(known, reply.clone()),
    }))
}

/// Starts a run that follows a script, or says why not.
pub(crate) fn begin(
    engine: &Engine,
    state: &mut State,
    connection: u64,
    request: &Request,
    script: RunScript,
) -> Answer {
    if !is_run(request) {
        let text = format!("the mock gateway plays no runs for {}", request.method);
        return Answer::from(Err(ErrorShape::new("UNAVAILABLE", text)));
    }
    if let Some(turn) = answer(engine, state, connection, request) {
        return turn;
    }
    let live = state
        .sessions
        .get(&connection)
        .and_then(|session| session.live.clone());
    let Some(live) = live else {
        return Answer::default();
    };
    let mut wanted = self::request(request);
    if wanted.run_id.trim().is_empty() {
        wanted.run_id = uuid::Uuid::new_v4().to_string();
    }
    let mut created = None;
    if request.method == "sessions.create" {
        let (params, run_id) = (&request.params, Some(wanted.run_id.as_str()));
        match sessions::create(engine, state, &live, params, run_id) {
            Ok(Created { key, answer }) => {
                wanted.session_key = Some(key);
                created = Some(answer);
            }
            Err(error) => return Answer::from(Err(error)),
        }
    }
    let caller = Caller {
        connection,
        live: &live,
    };
    let mut turn = match start(engine, state, &caller, request, &wanted, script) {
        Ok(turn) => turn,
        Err(error) => return Answer::from(Err(error)),
    };
    if let Some(answer) = created {
        turn.reply = Some(Ok(answer));
    }
    turn
}

/// Accepts a run, now or after those that work in its session.
fn start(
    engine: &Engine,
    state: &mut State,
    caller: &Caller<'_>,
    request: &Request,
    wanted: &RunRequest,
    script: RunScript,
) -> Result<Answer, ErrorShape> {
    let dialect = dialect(engine.edition());
    let kind = kind(&request.method);
    let place = dialect.place(kind, wanted)?;
    let now = engine.clock.now_ms();
    let key = place.session_key.clone();
    let mode = request.params["queueMode"].as_str().unwrap_or("steer");
    let busy = state.runs.working(&key);
    let busy = busy.map(|record| (record.id, record.kind));
    let mut turn = Answer::default();
    let mut reply = json!({"runId": wanted.run_id, "status": "started"});
    let script = if dialect.notices_cuts() {
        script
    } else {
        script.answering()
    };
    let command = local::command(&wanted.message).filter(|_| kind == Kind::Chat);
    let (script, message) = match command {
        Some(command) => local::script(engine.edition(), command, script),
        None => (script.silenced(dialect.insists_on_answers(kind)), None),
    };
    let script = if dialect.remembers_turns() && was_answered(state, &key, &wanted.run_id) {
        script.turned_away()
    } else {
        script
    };
    let mut record = record(state, wanted, place, script, now);
    if !dialect.counts_on() {
        record.seq = 0;
    }
    if let Some(message) = message {
        message.clone_into(&mut record.message);
    }
    if command == Some(local::Command::StartsOver) {
        sessions::start_over(engine, state, &key);
    }
    record.kind = kind;
    record.connection = caller.connection;
    record.device_id.clone_from(&caller.live.device_id);
    record.transport = caller.live.transport();
    record.from_admin = caller.live.is_admin();
    record.request_id = request.id.clone();
    record.timeout_ms = dialect.timeout_ms(kind, &request.params);
    record.collects = mode == "collect";
    match busy.filter(|_| kind == Kind::Chat && !record.script.is_local()) {
        None => turn.after.push(AfterAnswer::PlayRun(record.id)),
        Some((working, Kind::Chat)) if dialect.steers_messages() && mode == "steer" => {
            record.is_queued = true;
            if let Some(mut working) = state.runs.take(working) {
                working.steered.push_back(record.id);
                state.runs.put(working);
            }
        }
        Some(_) if dialect.steers_messages() && mode == "interrupt" => {
            turn = abort::stop_session(engine, state, caller, &key, "aborted");
            reply["interruptedActiveRun"] = true.into();
            turn.after.push(AfterAnswer::PlayRun(record.id));
        }
        Some(_) => {
            record.is_queued = true;
            turn.after.push(AfterAnswer::PlayRun(record.id));
        }
    }
    if !record.is_queued && !record.script.is_local() {
        state.runs.enter(&record.session_key, record.id);
    }
    turn.reply = Some(match kind {
        Kind::Agent => as_asked(&record, Ok(dialect.accepted(&record))),
        Kind::Chat => Ok(reply),
    });
    state.runs.put(record);
    Ok(turn)
}

/// Returns whether the transcript has a message under this key, and no process remembers the run.
fn was_answered(state: &State, session_key: &str, run_id: &str) -> bool {
    let is_known = state.runs.by_run_id(run_id).is_some();
    let book = state.books.get(session_key).filter(|_| !is_known);
    book.is_some_and(|book| book.has_answered(&format!("{run_id}:user")))
}

fn record(
    state: &mut State,
    wanted: &RunRequest,
    place: Place,
    script: RunScript,
    now: u64,
) -> Record {
    let via = match wanted.method.as_str() {
        "agent" => Via::Run,
        _ => Via::Chat,
    };
    let before = state.runs.by_run_id(wanted.run_id.trim());
    let seq = before.map_or(0, |before| before.seq);
    // A run that finds no session leaves none behind.
    let finds_none = place
        .fails_at_once
        .as_ref()
        .is_some_and(|fails| !fails.is_told);
    let (book, is_new) = state.books.open(&place.session_key, via, now);
    if let Some(id) = place.session_id.filter(|_| is_new) {
        book.id = id;
    }
    let session_id = book.id.clone();
    if is_new && finds_none {
        state.books.remove(&place.session_key);
    }
    Record {
        id: state.runs.next_id(),
        kind: Kind::Agent,
        method: wanted.method.clone(),
        run_id: wanted.run_id.trim().to_owned(),
        given_id: wanted.run_id.clone(),
        message: wanted.message.clone(),
        agent_id: place
            .session_key
            .split(':')
            .nth(1)
            .unwrap_or("main")
            .to_owned(),
        session_id,
        opens_session: is_new,
        session_key: place.session_key,
        shown_key: place.shown_key,
        has_chat: place.has_chat,
        names_session: place.names_session,
        fails_at_once: place.fails_at_once,
        undelivered: place.undelivered,
        connection: 0,
        device_id: None,
        request_id: Value::Null,
        script: Arc::new(script),
        timeout_ms: None,
        accepted_at: now,
        began_at: now,
        started_at: now,
        seq,
        last_event_at: now,
        has_begun: false,
        has_model: false,
        is_admitted: false,
        is_told: false,
        input_id: uuid::Uuid::new_v4().to_string(),
        transport: Value::Null,
        from_admin: false,
        turn: 0,
        item_id: uuid::Uuid::new_v4().to_string(),
        task_id: uuid::Uuid::new_v4().to_string(),
        text: String::new(),
        turn_text: String::new(),
        leaves_out: false,
        tools: Vec::new(),
        failed_tools: 0,
        rows: Vec::new(),
        last_chat: None,
        steered: std::collections::VecDeque::new(),
        stop: Arc::new(Notify::new()),
        aborted: None,
        is_queued: false,
        messages_before: 0,
        has_waited: false,
        steered_into: None,
        is_recovery: false,
        collects: false,
        stands_for: None,
        input_key: format!("{}:user", wanted.run_id.trim()),
        waited: None,
        over: None,
    }
}
