//! The typed groups, on virtual time, against a peer that plays what gateways were recorded to say.

mod mock;

use std::future::IntoFuture;
use std::time::Duration;

use openclaw_adapter::api::exec_approvals::Decision;
use openclaw_adapter::api::{agents, cron, events, exec_approvals, health, models, sessions};
use openclaw_adapter::{Client, Error, EventFilter, EventItem, EventPayload as _};
use openclaw_tests::peer::{Link, old_hello, ready, start};
use serde_json::{Value, json};
use tokio::time::timeout;

const NEW: &str = include_str!("../../../adapter/tests/fixtures/groups/2026.9.6.jsonl");
const OLD: &str = include_str!("../../../adapter/tests/fixtures/groups/2026.2.9.jsonl");

fn lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// A recorded answer to this method.
fn answer(text: &str, method: &str) -> Value {
    lines(text)
        .find(|line| line["method"] == method && line["ok"] == true)
        .unwrap_or_else(|| panic!("no answer to {method}"))
}

/// Plays the recorded answer to a call, and checks that it was asked in the recorded words.
async fn played<T>(
    link: &mut Link,
    text: &str,
    method: &str,
    call: impl IntoFuture<Output = Result<T, Error>>,
) -> T {
    let recorded = answer(text, method);
    let play = async {
        let request = link.request().await;
        assert_eq!(request["method"], method);
        assert_eq!(request["params"], recorded["params"]);
        link.answer(&request, recorded["payload"].clone()).await;
    };
    let (result, ()) = tokio::join!(call.into_future(), play);
    result.unwrap_or_else(|error| panic!("{method}: {error}"))
}

fn param(text: &str, method: &str, name: &str) -> String {
    answer(text, method)["params"][name]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_group_asks_in_the_recorded_words_and_reads_the_recorded_answer() {
    let (client, _peer, mut link) = ready().await;
    let link = &mut link;

    let list = sessions::List::new().limit(1);
    let list = played(link, NEW, "sessions.list", client.sessions().list(list)).await;
    assert_eq!(list.sessions.len(), 1);
    assert_eq!(list.has_more, Some(true));
    let key = param(NEW, "sessions.describe", "key");
    let described = client.sessions().describe(&*key);
    let described = played(link, NEW, "sessions.describe", described).await;
    let session = described.session.unwrap();
    assert_eq!(session.key, key);
    assert_eq!(session.status, Some(sessions::SessionStatus::Done));
    let previews = client.sessions().preview([&*key]);
    let previews = played(link, NEW, "sessions.preview", previews).await;
    assert_eq!(previews.previews[0].status, sessions::PreviewStatus::Ok);
    let transcript = played(link, NEW, "sessions.get", client.sessions().get(&*key)).await;
    assert_eq!(transcript.messages[0].role, sessions::Role::User);
    assert_eq!(transcript.messages[1].text(), "Sent and answered.");

    let agents = played(link, NEW, "agents.list", client.agents().list()).await;
    assert_eq!(agents.default_id, "main");
    assert_eq!(agents.scope, Some(agents::Scope::PerSender));
    let models = client.models().list(models::List::new());
    let models = played(link, NEW, "models.list", models).await;
    assert_eq!(models.models[0].available, Some(true));
    let status = played(link, NEW, "status", client.status()).await;
    assert_eq!(status.runtime_version.as_deref(), Some("2026.9.6"));

    let jobs = client.cron().list(cron::List::new().include_disabled(true));
    let jobs = played(link, NEW, "cron.list", jobs).await;
    assert!(jobs.jobs.iter().any(|job| job.name == "heartbeat-main"));
    let id = param(NEW, "cron.update", "id");
    let patch = cron::JobPatch::new().enabled(false);
    let job = client.cron().update(&*id, patch);
    let job = played(link, NEW, "cron.update", job).await;
    assert_eq!(job.enabled, Some(false));
    let state = job.state.unwrap();
    assert_eq!(state.last_status, Some(cron::RunStatus::Error));

    let waiting = played(
        link,
        NEW,
        "exec.approval.list",
        client.exec_approvals().list(),
    )
    .await;
    assert!(waiting.is_empty() || waiting[0].request.command == "echo approve me");
    let id = param(NEW, "exec.approval.get", "id");
    let approval = client.exec_approvals().get(id);
    let approval = played(link, NEW, "exec.approval.get", approval).await;
    assert_eq!(
        approval.allowed_decisions,
        [Decision::AllowOnce, Decision::Deny]
    );
}

#[tokio::test(start_paused = true)]
async fn the_old_generation_answers_the_groups_that_it_has() {
    let (client, mut peer) = start();
    let mut link = peer.welcome_with(old_hello(1)).await;
    let link = &mut link;
    let list = sessions::List::new().limit(1);
    let list = played(link, OLD, "sessions.list", client.sessions().list(list)).await;
    assert_eq!(list.has_more, None, "it does not say");
    let session = &list.sessions[0];
    assert_eq!((session.has_active_run, &session.status), (None, &None));
    let models = client.models().list(models::List::new());
    let models = played(link, OLD, "models.list", models).await;
    assert!(models.models[0].available.is_none() && !models.models[0].input.is_empty());
    let status = played(link, OLD, "cron.status", client.cron().status()).await;
    assert_eq!(status.enabled, Some(true));
    let health = client.call(health::Get::new());
    let health = played(link, OLD, "health", health).await;
    assert_eq!(health.ok, Some(true));
}

/// Nothing comes from the client.
async fn is_silent(link: &mut Link) {
    let sent = timeout(Duration::from_secs(5), link.next()).await;
    assert!(sent.is_err(), "sent {sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_old_generation_lacks_is_refused_by_name_before_anything_is_sent() {
    let (client, mut peer) = start();
    let mut link = peer.welcome_with(old_hello(1)).await;
    let sessions = client.sessions();
    let refused = |error: Option<Error>| match error {
        Some(Error::Unsupported {
            method, protocol, ..
        }) => {
            assert_eq!(protocol, 3);
            method.to_string()
        }
        other => panic!("{other:?}"),
    };
    let names = [
        refused(sessions.describe("k").await.err()),
        refused(sessions.get("k").await.err()),
        refused(sessions.create(sessions::Create::new()).await.err()),
        refused(sessions.send("k", "hi").await.err()),
        refused(sessions.abort(sessions::Abort::new().key("k")).await.err()),
        refused(sessions.subscribe(sessions::Subscribe::new()).await.err()),
        refused(sessions.subscribe_messages("k").await.err()),
        refused(sessions.unsubscribe_messages("k").await.err()),
        refused(client.cron().get("id").await.err()),
        refused(client.exec_approvals().list().await.err()),
        refused(client.exec_approvals().get("id").await.err()),
        refused(client.devices().remove("d").await.err()),
        refused(client.devices().rename("d", "name").await.err()),
    ];
    assert_eq!(
        names,
        [
            "sessions.describe",
            "sessions.get",
            "sessions.create",
            "sessions.send",
            "sessions.abort",
            "sessions.subscribe",
            "sessions.messages.subscribe",
            "sessions.messages.unsubscribe",
            "cron.get",
            "exec.approval.list",
            "exec.approval.get",
            "device.pair.remove",
            "device.pair.rename",
        ]
    );
    let list = sessions::List::new().limit(1).exclude_cron(true);
    let error = sessions.list(list).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "sessions.list has no parameter `excludeCron` on this gateway (protocol 3)"
    );
    is_silent(&mut link).await;
}

#[tokio::test(start_paused = true)]
async fn a_parameter_of_the_new_generation_is_sent_to_it() {
    let (client, _peer, mut link) = ready().await;
    let list = sessions::List::new()
        .exclude_cron(true)
        .archived(sessions::Archived::All);
    let play = async {
        let request = link.request().await;
        let asked = json!({"excludeCron":true,"archived":"all"});
        assert_eq!(request["params"], asked);
        link.answer(&request, json!({"sessions":[]})).await;
    };
    let (list, ()) = tokio::join!(client.sessions().list(list).into_future(), play);
    assert!(list.unwrap().sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_comes_too_late_is_refused_with_its_reason() {
    let (client, _peer, mut link) = ready().await;
    let too_late = lines(NEW)
        .find(|line| line["error"]["details"]["reason"] == "APPROVAL_ALREADY_RESOLVED")
        .unwrap();
    let id = too_late["params"]["id"].as_str().unwrap();
    let call = client.exec_approvals().resolve(id, Decision::Deny);
    let play = async {
        let request = link.request().await;
        assert_eq!(request["params"], too_late["params"]);
        link.refuse(&request, too_late["error"].clone()).await;
    };
    let (refused, ()) = tokio::join!(call.into_future(), play);
    let error = refused.unwrap_err();
    let details = error.gateway_error().unwrap().details.as_ref().unwrap();
    assert_eq!(details["reason"], "APPROVAL_ALREADY_RESOLVED");
}

/// The next event of a client's stream, as a type.
async fn next<E: openclaw_adapter::EventPayload>(stream: &mut openclaw_adapter::EventStream) -> E {
    match stream.next().await {
        Some(EventItem::Event(event)) => event.parse::<E>().expect("another event").unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_events_arrive_as_their_types() {
    let (client, _peer, mut link) = ready().await;
    let client: &Client = &client;
    let mut stream = client.events_where(EventFilter::named([
        exec_approvals::Requested::NAME,
        cron::Happened::NAME,
        events::Shutdown::NAME,
    ]));
    for name in ["tick", "exec.approval.requested", "cron", "shutdown"] {
        let recorded = lines(NEW).find(|line| line["event"] == name).unwrap();
        link.event(name, recorded["payload"].clone()).await;
    }
    let requested: exec_approvals::Requested = next(&mut stream).await;
    assert_eq!(requested.request.command, "echo approve me");
    let happened: cron::Happened = next(&mut stream).await;
    assert_eq!(happened.action, cron::Action::Added);
    let shutdown: events::Shutdown = next(&mut stream).await;
    assert_eq!(shutdown.reason.as_deref(), Some("gateway stopping"));
}
