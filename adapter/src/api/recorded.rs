//! The types of the groups against what gateways of both generations said and were asked.
//!
//! `tests/fixtures/groups/` has the answers and events of these methods as they were recorded; of
//! those that differ in their numbers and texts alone, one each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::events::EventPayload;
use super::{agents, chat, cron, events, exec_approvals, health, models, sessions, status};
use crate::protocol::method::Method;

const GENERATIONS: [(&str, u32, &str); 2] = [
    (
        "2026.9.6",
        4,
        include_str!("../../tests/fixtures/groups/2026.9.6.jsonl"),
    ),
    (
        "2026.2.9",
        3,
        include_str!("../../tests/fixtures/groups/2026.2.9.jsonl"),
    ),
];

/// All lines of a generation that have this field.
fn recorded(text: &str, field: &str) -> Vec<Map<String, Value>> {
    text.lines()
        .map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap())
        .filter(|line| line.contains_key(field))
        .collect()
}

/// Reads and writes a value as a type.
type Through = fn(Value) -> serde_json::Result<Value>;

fn through<T: DeserializeOwned + Serialize>(value: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

fn answer<M: Method<Answer: Serialize>>() -> (&'static str, Through) {
    (M::NAME, through::<M::Answer>)
}

fn event<E: EventPayload + Serialize>() -> (&'static str, Through) {
    (E::NAME, through::<E>)
}

fn answers() -> BTreeMap<&'static str, Through> {
    BTreeMap::from([
        answer::<agents::List>(),
        answer::<chat::ChatHistory>(),
        answer::<cron::Add>(),
        answer::<cron::Get>(),
        answer::<cron::List>(),
        answer::<cron::Remove>(),
        answer::<cron::Run>(),
        answer::<cron::Runs>(),
        answer::<cron::Status>(),
        answer::<cron::Update>(),
        answer::<super::devices::List>(),
        answer::<exec_approvals::Get>(),
        answer::<exec_approvals::List>(),
        answer::<exec_approvals::Resolve>(),
        answer::<health::Get>(),
        answer::<models::List>(),
        answer::<sessions::Abort>(),
        answer::<sessions::Create>(),
        answer::<sessions::Delete>(),
        answer::<sessions::Describe>(),
        answer::<sessions::Get>(),
        answer::<sessions::List>(),
        answer::<sessions::Patch>(),
        answer::<sessions::Preview>(),
        answer::<sessions::Reset>(),
        answer::<sessions::Resolve>(),
        answer::<sessions::SendMessage>(),
        answer::<sessions::Subscribe>(),
        answer::<sessions::SubscribeMessages>(),
        answer::<sessions::UnsubscribeMessages>(),
        answer::<status::Get>(),
    ])
}

fn event_types() -> BTreeMap<&'static str, Through> {
    BTreeMap::from([
        event::<cron::Happened>(),
        event::<events::Heartbeat>(),
        event::<events::Presence>(),
        event::<events::Shutdown>(),
        event::<events::TaskChanged>(),
        event::<events::Tick>(),
        event::<exec_approvals::Decided>(),
        event::<exec_approvals::Requested>(),
        event::<health::Health>(),
        event::<sessions::Changed>(),
        event::<sessions::MessageWritten>(),
        event::<sessions::ToolUsed>(),
    ])
}

/// Lists the places where `got` differs from `sent` by more than a type may: an absent field may be `null` or an
/// empty list, and 0 may be 0.0.
fn loss(sent: &Value, got: &Value) -> Option<String> {
    let at = |name: &str, loss: String| format!("{name}.{loss}");
    match (sent, got) {
        (Value::Object(sent), Value::Object(got)) => {
            let lost = sent.iter().filter(|(_, value)| !value.is_null()).find_map(
                |(name, value)| match got.get(name) {
                    Some(got) => loss(value, got).map(|loss| at(name, loss)),
                    None => Some(at(name, "lost".to_owned())),
                },
            );
            lost.or_else(|| {
                got.iter()
                    .find(|(name, value)| {
                        !sent.contains_key(*name) && **value != json!([]) && !value.is_null()
                    })
                    .map(|(name, _)| at(name, "made up".to_owned()))
            })
        }
        (Value::Array(sent), Value::Array(got)) if sent.len() == got.len() => sent
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(index, (sent, got))| Some(at(&index.to_string(), loss(sent, got)?))),
        (Value::Number(sent), Value::Number(got)) if sent.as_f64() == got.as_f64() => None,
        (sent, got) if sent == got => None,
        (sent, got) => Some(format!("{sent} became {got}")),
    }
}

#[test]
fn a_loss_is_seen() {
    for (sent, got) in [
        (json!({"a": 1}), json!({})),
        (json!({}), json!({"a": 1})),
        (json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]})),
        (json!([1]), json!([1, 2])),
    ] {
        assert!(loss(&sent, &got).is_some(), "{sent} {got}");
    }
    let same = (json!({"a": 0, "b": null}), json!({"a": 0.0, "c": []}));
    assert_eq!(loss(&same.0, &same.1), None);
}

/// Takes every recorded payload through its type.
fn keeps(payloads: &[(String, Value)], types: &BTreeMap<&'static str, Through>) {
    for (name, payload) in payloads {
        let through = types
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no type"));
        let got = through(payload.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(loss) = loss(payload, &got) {
            panic!("{name}: {loss}");
        }
    }
}

/// Unwraps the rows since a cursor, which have the form of `session.message`, to their messages.
fn unwrapped(mut payload: Value) -> Value {
    if payload["kind"] == "delta" {
        for row in payload["messages"].as_array_mut().unwrap() {
            *row = row["message"].take();
        }
    }
    payload
}

fn text(line: &Map<String, Value>, field: &str) -> String {
    line[field].as_str().unwrap().to_owned()
}

#[test]
fn every_recorded_answer_keeps_all_it_says() {
    let types = answers();
    for (generation, _, lines) in GENERATIONS {
        let payloads: Vec<_> = recorded(lines, "payload")
            .into_iter()
            .filter(|line| line.contains_key("method"))
            .map(|line| (text(&line, "method"), unwrapped(line["payload"].clone())))
            .collect();
        assert!(payloads.len() > 20, "{generation}");
        keeps(&payloads, &types);
    }
}

#[test]
fn every_recorded_event_keeps_all_it_says() {
    let types = event_types();
    for (generation, _, lines) in GENERATIONS {
        let payloads: Vec<_> = recorded(lines, "event")
            .into_iter()
            .map(|line| (text(&line, "event"), line["payload"].clone()))
            .collect();
        assert!(payloads.len() > 10, "{generation}");
        keeps(&payloads, &types);
    }
}

#[test]
fn every_type_was_recorded_on_the_generation_that_has_it() {
    let (_, _, new) = GENERATIONS[0];
    let said = |field, name: &str| recorded(new, field).iter().any(|line| line[field] == name);
    for name in answers().keys() {
        assert!(said("method", name), "{name}");
    }
    for name in event_types().keys() {
        assert!(said("event", name), "{name}");
    }
}

/// Builds the same request with the builders; `None` for one that they cannot express.
fn rebuild(method: &str, given: &Value, protocol: u32) -> Option<Value> {
    let text = |name: &str| given[name].as_str().map(ToOwned::to_owned);
    let flag = |name: &str| given[name].as_bool();
    let number = |name: &str| given[name].as_u64().and_then(|n| u32::try_from(n).ok());
    #[allow(clippy::items_after_statements, reason = "used by the macro below it")]
    fn asked<M: Method>(method: &M, protocol: u32) -> Option<Value> {
        assert!(protocol >= M::SINCE_PROTOCOL, "{}", M::NAME);
        assert_eq!(method.unsupported_parameter(protocol), None, "{}", M::NAME);
        serde_json::to_value(method).ok()
    }
    macro_rules! with {
        ($start:expr $(, $builder:ident = $value:expr)*) => {{
            let params = $start;
            $( let params = match $value {
                Some(value) => params.$builder(value),
                None => params,
            }; )*
            asked(&params, protocol)
        }};
    }
    match method {
        "agents.list" => with!(agents::List::new()),
        "chat.history" => asked(&history(given)?, protocol),
        "cron.add" => with!(
            cron::Add::new(
                text("name")?,
                serde_json::from_value::<cron::Schedule>(given["schedule"].clone()).ok()?,
                cron::Target::from(text("sessionTarget")?.as_str()),
                cron::WakeMode::from(text("wakeMode")?.as_str()),
                match text("payload").as_deref() {
                    Some(_) => return None,
                    None if given["payload"]["kind"] == "agentTurn" =>
                        cron::Payload::agent_turn(given["payload"]["message"].as_str()?),
                    None => cron::Payload::system_event(given["payload"]["text"].as_str()?),
                }
            ),
            enabled = flag("enabled"),
            delete_after_run = flag("deleteAfterRun")
        ),
        "cron.get" => with!(cron::Get::new(text("id")?)),
        "cron.list" => with!(
            cron::List::new(),
            include_disabled = flag("includeDisabled")
        ),
        "cron.remove" => with!(cron::Remove::new(text("id")?)),
        "cron.run" => with!(
            cron::Run::new(text("id")?),
            mode = text("mode").map(|mode| cron::RunMode::from(mode.as_str()))
        ),
        "cron.runs" => with!(cron::Runs::new(text("id")?), limit = number("limit")),
        "cron.status" => with!(cron::Status::new()),
        "cron.update" => {
            let enabled = given["patch"]["enabled"].as_bool()?;
            with!(cron::Update::new(
                text("id")?,
                cron::JobPatch::new().enabled(enabled)
            ))
        }
        "device.pair.list" => with!(super::devices::List::new()),
        "exec.approval.get" => with!(exec_approvals::Get::new(text("id")?)),
        "exec.approval.list" => with!(exec_approvals::List::new()),
        "exec.approval.resolve" => with!(exec_approvals::Resolve::new(
            text("id")?,
            exec_approvals::Decision::from(text("decision")?.as_str())
        )),
        "health" => with!(health::Get::new(), probe = flag("probe")),
        "models.list" => with!(
            models::List::new(),
            view = text("view").map(|view| models::View::from(view.as_str()))
        ),
        "sessions.abort" => with!(
            sessions::Abort::new(),
            key = text("key"),
            run_id = text("runId")
        ),
        "sessions.create" => with!(
            sessions::Create::new(),
            key = text("key"),
            label = text("label"),
            message = text("message"),
            idempotency_key = text("idempotencyKey")
        ),
        "sessions.delete" => with!(sessions::Delete::new(text("key")?)),
        "sessions.describe" => with!(sessions::Describe::new(text("key")?)),
        "sessions.get" => with!(sessions::Get::new(text("key")?)),
        "sessions.list" => with!(
            sessions::List::new(),
            limit = number("limit"),
            include_derived_titles = flag("includeDerivedTitles"),
            include_last_message = flag("includeLastMessage")
        ),
        "sessions.messages.subscribe" => with!(sessions::SubscribeMessages::new(text("key")?)),
        "sessions.messages.unsubscribe" => with!(sessions::UnsubscribeMessages::new(text("key")?)),
        "sessions.patch" => with!(
            sessions::Patch::new(text("key")?),
            label = text("label"),
            verbose_level = text("verboseLevel")
        ),
        "sessions.preview" => {
            let keys = given["keys"].as_array()?.iter();
            let keys: Option<Vec<_>> = keys.map(|key| Some(key.as_str()?.to_owned())).collect();
            with!(sessions::Preview::new(keys?))
        }
        "sessions.reset" => with!(sessions::Reset::new(text("key")?)),
        "sessions.resolve" => with!(
            sessions::Resolve::new(),
            key = text("key"),
            label = text("label")
        ),
        "sessions.send" => with!(
            sessions::SendMessage::new(text("key")?, text("message")?),
            idempotency_key = text("idempotencyKey")
        ),
        "sessions.subscribe" => match number("limit") {
            None => with!(sessions::Subscribe::new()),
            Some(limit) => with!(sessions::Subscribe::with_list(
                sessions::List::new().limit(limit)
            )),
        },
        "status" => with!(status::Get::new()),
        _ => None,
    }
}

/// `chat.history`, whose parameters are built by its own query.
fn history(given: &Value) -> Option<chat::ChatHistory> {
    let text = |name: &str| given[name].as_str().map(ToOwned::to_owned);
    let mut history = chat::ChatHistory::since(text("sessionKey")?, text("cursor"));
    history.limit = given["limit"].as_u64().and_then(|n| u32::try_from(n).ok());
    history.offset = given["offset"].as_u64();
    Some(history)
}

/// Requests that a gateway took although they say what it does not know.
const CARELESS: [(&str, &str); 2] = [("health", "null"), ("health", r#"{"bogus":1}"#)];
/// A parameter that is not wrapped.
const UNWRAPPED: &str = "inputRunIds";

#[test]
fn every_recorded_request_is_what_the_builders_send() {
    for (generation, protocol, lines) in GENERATIONS {
        let mut seen = BTreeSet::new();
        for line in recorded(lines, "method") {
            let (method, params) = (text(&line, "method"), &line["params"]);
            let careless = CARELESS.contains(&(method.as_str(), params.to_string().as_str()));
            let is_wrapped = params.get(UNWRAPPED).is_none();
            if line["ok"] != true || careless || !is_wrapped {
                continue;
            }
            assert_eq!(
                rebuild(&method, params, protocol).as_ref(),
                Some(params),
                "{method} on {generation}"
            );
            seen.insert(method);
        }
        assert!(seen.len() > 15, "{generation}");
    }
}

#[test]
fn every_method_that_the_old_generation_does_not_know_says_so_itself() {
    fn since<M: Method>() -> (&'static str, u32) {
        (M::NAME, M::SINCE_PROTOCOL)
    }
    let (_, _, old) = GENERATIONS[1];
    let unknown: Vec<_> = recorded(old, "error")
        .iter()
        .filter(|line| {
            let said = line["error"]["message"].as_str().unwrap();
            said == format!("unknown method: {}", text(line, "method"))
        })
        .map(|line| text(line, "method"))
        .collect();
    assert!(unknown.len() > 5, "{unknown:?}");
    for (name, since) in [
        since::<agents::List>(),
        since::<cron::Add>(),
        since::<cron::Get>(),
        since::<cron::List>(),
        since::<cron::Remove>(),
        since::<cron::Run>(),
        since::<cron::Runs>(),
        since::<cron::Status>(),
        since::<cron::Update>(),
        since::<exec_approvals::Get>(),
        since::<exec_approvals::List>(),
        since::<exec_approvals::Resolve>(),
        since::<health::Get>(),
        since::<models::List>(),
        since::<sessions::Abort>(),
        since::<sessions::Create>(),
        since::<sessions::Delete>(),
        since::<sessions::Describe>(),
        since::<sessions::Get>(),
        since::<sessions::List>(),
        since::<sessions::Patch>(),
        since::<sessions::Preview>(),
        since::<sessions::Reset>(),
        since::<sessions::SendMessage>(),
        since::<sessions::Subscribe>(),
        since::<sessions::SubscribeMessages>(),
        since::<sessions::UnsubscribeMessages>(),
        since::<status::Get>(),
    ] {
        let is_new = unknown.iter().any(|method| method == name);
        assert_eq!(since == 4, is_new, "{name}");
    }
}

#[test]
fn a_parameter_of_one_generation_is_named() {
    let list = sessions::List::new().limit(3);
    assert_eq!(list.unsupported_parameter(3), None);
    let list = list.exclude_cron(true);
    assert_eq!(
        list.unsupported_parameter(3).as_deref(),
        Some("excludeCron")
    );
    assert_eq!(list.unsupported_parameter(4), None);
    let view = models::List::new().view(models::View::All);
    assert_eq!(view.unsupported_parameter(3).as_deref(), Some("view"));
    let update = cron::Update::new("id", cron::JobPatch::new().display_name("x"));
    assert_eq!(
        update.unsupported_parameter(3).as_deref(),
        Some("patch.displayName")
    );
}

#[test]
fn a_word_that_is_not_known_is_kept() {
    let through = |value| through::<sessions::Session>(value).unwrap();
    let row = json!({"key": "agent:main:a", "status": "resting", "kind": 7, "new": {"x": [1]}});
    let got = through(row.clone());
    assert_eq!(got["status"], "resting");
    assert_eq!(got["new"], row["new"]);
}
